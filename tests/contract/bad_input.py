"""What is called with bad input: a market that it must not change, and how that is looked at."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import requests
from market_site import Site, site

from vast_pyworker.market.api.door import Route
from vast_pyworker.market.app import FAMILIES

UNKNOWN = 99
LIST, SEARCH, SHOW = "/api/v1/instances/", "/api/v0/bundles/", "/api/v0/instances/99/"


@contextmanager
def kept_market() -> Iterator[Site]:
    """One market for what must not change it; it has an instance, an endpoint and a template."""
    with site() as made:
        made.running(label="kept")
        made.json("POST", "/api/v0/endptjobs/", {"endpoint_name": "kept"})
        made.json("POST", "/api/v0/template/", {"name": "kept", "image": "i"})
        yield made


def routes(market: Site) -> list[tuple[Route, str]]:
    """Every call there is, with its whole path; what a path names is nowhere."""
    return [
        (route, prefix + route.path.translate(str.maketrans("<>", "{}")).format(**_NOBODY))
        for _, prefix, made in FAMILIES
        for route in made(market.built.parts)
    ]


_NOBODY = {"ident": UNKNOWN, "key": UNKNOWN, "name": "nobody"}


def refused(market: Site, method: str, path: str, body: Any = None, **more: Any) -> Any:
    """The answer to a call that must leave no trace."""
    before = market.state()
    answer = market.call(method, path, body, **more)
    assert market.state() == before, (method, path)
    assert "Traceback" not in answer.text and answer.status_code < 500
    return answer


def object_of(answer: requests.Response) -> dict[str, Any]:
    assert answer.headers["Content-Type"] == "application/json"
    said: dict[str, Any] = answer.json()
    assert said.get("success") is False or "success" not in said
    return said
