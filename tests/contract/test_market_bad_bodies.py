"""Bodies that are none, over a real socket: understood or refused, never a traceback, no change."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from bad_input import UNKNOWN, kept_market, object_of, refused, routes
from market_site import KEY, TIMEOUT_S, Site, site

from vast_pyworker.market.calls.asking import BODY_LIMIT_BYTES


@pytest.fixture
def market() -> Iterator[Site]:
    with site() as made:
        yield made


@pytest.fixture(scope="module")
def kept() -> Iterator[Site]:
    with kept_market() as made:
        yield made


def junk(rng: random.Random, depth: int = 0) -> Any:
    """Any JSON, of names and values that calls know."""
    words = (
        "state", "ids", "label", "price", "disk", "env", "q", "id", "limit", "order", "image",
        "running", "eq", "in", "ssh_key", "template_hash_id", "name", "amount", "args", "key",
        "instance_ids", "endpoint_id", "search_params", "command", "tail", "filter", "runtype",
    )  # fmt: skip
    if depth > 2 or rng.random() < 0.4:
        return rng.choice(
            (None, True, 0, -1, 1.5, 10**30, "", "x", "\0", "٣", "-p 80:80", "[", rng.choice(words))
        )
    if rng.random() < 0.3:
        return [junk(rng, depth + 1) for _ in range(rng.randrange(4))]
    return {rng.choice(words): junk(rng, depth + 1) for _ in range(rng.randrange(5))}


def test_whatever_is_sent_anywhere_is_understood_or_refused(market: Site) -> None:
    number = market.running()
    rng = random.Random(7)
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {KEY}"
        for route, path in routes(market):
            for _ in range(12):
                body = junk(rng)
                real = path.replace(f"/{UNKNOWN}/", f"/{number}/") if rng.random() < 0.5 else path
                before = market.state()
                answer = session.request(
                    route.method, market.url + real, json=body, timeout=TIMEOUT_S
                )
                assert answer.status_code < 500, (route.method, real, body, answer.text)
                if answer.status_code >= 400:
                    assert market.state() == before, (route.method, real, body)


@pytest.mark.parametrize("excess", [1, 1_000_000])
def test_a_body_over_the_limit_is_413_for_every_call_that_takes_one(
    kept: Site, excess: int
) -> None:
    body = b'{"image": "' + b"x" * (BODY_LIMIT_BYTES + excess) + b'"}'
    for route, path in routes(kept)[:: 1 if excess == 1 else 8]:
        if route.method != "GET":
            answer = refused(kept, route.method, path, data=body)
            assert (answer.status_code, object_of(answer)["error"]) == (413, "payload_too_large")


@pytest.mark.parametrize("path", ["/api/v0/asks/99/", "/market/faults"])
def test_a_body_whose_length_is_not_announced_has_the_same_limit(kept: Site, path: str) -> None:
    before = kept.state()

    def chunks() -> Iterator[bytes]:
        yield b'{"image": "'
        for _ in range(20):
            yield b"x" * 100_000
        yield b'"}'

    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {KEY}"
        answer = session.put(kept.url + path, data=chunks(), timeout=TIMEOUT_S)
    assert answer.status_code == 413
    assert kept.state() == before
