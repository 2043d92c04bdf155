"""A whole controller on a real socket, and the plainest client for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from vast_pyworker.controller.access import Right
from vast_pyworker.controller.fake_controller import FakeController
from vast_pyworker.controller.fake_controller import Time as Time
from vast_pyworker.providers.fake import FakeProvider

TIMEOUT_S = 10.0


def call(
    made: FakeController, method: str, path: str, body: Any = None, *, key: str = "", **more: Any
) -> requests.Response:
    """The answer; its connection is closed."""
    headers = {**({"Authorization": f"Bearer {key}"} if key else {}), **more.pop("headers", {})}
    with requests.Session() as session:
        return session.request(
            method, made.url + path, json=body, headers=headers, timeout=TIMEOUT_S, **more
        )


def admin(made: FakeController) -> str:
    return made.keys[Right.ADMIN]


def operations(made: FakeController) -> Iterator[tuple[str, str, Any]]:
    """Method, a path that can be asked, and what /openapi.json says, of every call."""
    document = call(made, "GET", "/openapi.json", key=admin(made)).json()
    for path, known in document["paths"].items():
        asked = path
        for name, value in (("number", "1"), ("ident", "1"), ("name", "llm"), ("key_id", "1")):
            asked = asked.replace(f"{{{name}}}", value)
        for method, operation in known.items():
            yield method.upper(), asked, operation


@contextmanager
def controller(
    folder: Path,
    *,
    provider: Callable[[Time], FakeProvider] = FakeProvider,
    settled: bool = True,
) -> Iterator[FakeController]:
    """By default with two instances that are ready."""
    folder.mkdir(exist_ok=True)
    with FakeController(folder, provider=provider) as made:
        if settled:
            made.tick(10, times=12)
            assert [each.stage for each in made.parts.loop.fleet.members] == ["ready", "ready"]
        yield made
