"""A market that listens on a real socket, and the plainest client for it."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import requests

from vast_pyworker.engine.running import RunningServer
from vast_pyworker.market.app import Conduct, build_app
from vast_pyworker.market.calls.limits import RateLimits
from vast_pyworker.market.composing import Built, MarketOptions, build
from vast_pyworker.market.runtime.simulated import SimulatedRuntime

EPOCH = 1_760_000_000.0
TIMEOUT_S = 10.0
KEY = "market"


class Site:
    """``call`` returns the response and closes its connection; the clock moves by ``advance``."""

    def __init__(self, built: Built, url: str, slept: list[float]) -> None:
        self.built = built
        self.market = built.parts.market
        self.url = url
        self.slept = slept

    @property
    def account_id(self) -> int:
        return next(iter(self.built.parts.accounts)).id

    def call(
        self, method: str, path: str, body: Any = None, *, key: str | None = KEY, **more: Any
    ) -> requests.Response:
        headers = {"Authorization": f"Bearer {key}", **more.pop("headers", {})}
        if key is None:
            del headers["Authorization"]
        with requests.Session() as session:
            return session.request(
                method, self.url + path, json=body, headers=headers, timeout=TIMEOUT_S, **more
            )

    def json(self, method: str, path: str, body: Any = None, **more: Any) -> Any:
        answer = self.call(method, path, body, **more)
        assert answer.headers["Content-Type"] == "application/json"
        return answer.json()

    def offer(self, **filters: Any) -> dict[str, Any]:
        """The cheapest offer that can be rented."""
        body = {"rentable": {"eq": True}, "order": [["dph_total", "asc"]], "limit": 1, **filters}
        row: dict[str, Any] = self.json("POST", "/api/v0/bundles/", body)["offers"][0]
        return row

    def rent(self, **fields: Any) -> dict[str, Any]:
        """A new instance: the answer of its create."""
        body = {"image": "ubuntu:22.04", "disk": 10, "env": {}, **fields}
        path = f"/api/v0/asks/{self.offer(num_gpus={'eq': 1})['id']}/"
        made: dict[str, Any] = self.json("PUT", path, body)
        assert made["success"] is True, made
        return made

    def running(self, **fields: Any) -> int:
        """The number of a new instance that runs."""
        number = int(self.rent(**fields)["new_contract"])
        self.market.advance(3600.0)
        assert self.show(number)["actual_status"] == "running"
        return number

    def show(self, number: int, **more: Any) -> Any:
        return self.json("GET", f"/api/v0/instances/{number}/?owner=me", **more)["instances"]

    def fault(self, kind: str, *calls: str, **params: Any) -> None:
        """A fault for the next of these calls only."""
        fault = {"kind": kind, "calls": list(calls), "count": 1, "params": params}
        assert self.call("POST", "/market/faults", fault, key=None).status_code == 200

    def state(self) -> dict[str, Any]:
        """Everything that could have changed, but for what time alone changes."""
        return {
            name: part.state() for name, part in self.built.kept().items() if name not in ("birth",)
        }


@contextmanager
def site(limits: RateLimits | None = None, **options: Any) -> Iterator[Site]:
    """A market whose clock stands still unless ``clock`` says otherwise."""
    numbers = itertools.count(1)
    chosen = MarketOptions(**{"hosts": 30, "clock": 0.0, "credit": 100.0, **options})
    built = build(chosen, SimulatedRuntime(), epoch=EPOCH, new_text=lambda: f"{next(numbers):032x}")
    slept: list[float] = []
    conduct = Conduct(book=built.book, limits=limits, sleep=slept.append, wall=time.time)
    with RunningServer(build_app(built.parts, conduct), threads=4) as server:
        host, port = server.address
        yield Site(built, f"http://{host}:{port}", slept)
