"""A switchboard with clocks set by hand, and workers and clients that speak to it in JSON."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from vast_pyworker import signature
from vast_pyworker.controller.traffic.places import Place
from vast_pyworker.controller.traffic.routing import Ask
from vast_pyworker.controller.traffic.switchboard import Switchboard

NOW = 1_795_000_000.0
URL = "http://203.0.113.7:4000"

# What vastai 1.9.1 says, field for field.
TODAY: dict[str, Any] = {
    "id": 1,
    "mtoken": "token-1",
    "version": "1.1.0",
    "loadtime": 15.8,
    "cur_load": 0,
    "rej_load": 0,
    "new_load": 0,
    "error_msg": "",
    "max_perf": 100.0,
    "cur_perf": 0,
    "cur_capacity": 0,
    "max_capacity": 0,
    "num_requests_working": 0,
    "num_requests_recieved": 0,
    "additional_disk_usage": 0.25,
    "disk_usage": 27.11,
    "working_request_idxs": [],
    "url": URL + "1",
}


def today(worker_id: int = 1, **fields: Any) -> dict[str, Any]:
    """A report of today's shape; fields that are None are left out."""
    named = {"id": worker_id, "mtoken": f"token-{worker_id}", "url": f"{URL}{worker_id}"}
    whole = {**TODAY, **named, **fields}
    return {name: value for name, value in whole.items() if value is not None}


@functools.cache
def private_key() -> RSAPrivateKey:
    return signature.new_private_key()


def place(worker_id: int, endpoint: str = "demo", **fields: Any) -> Place:
    return Place(
        **{
            "endpoint": endpoint,
            "group": endpoint,
            "intent_id": f"intent-{worker_id}",
            "mtoken": f"token-{worker_id}",
            **fields,
        }
    )


class Desk:
    """``mono`` and ``now`` stand still until they are set or ``pass_time`` moves both."""

    def __init__(self, max_queue_s: float | None = 30.0, **options: Any) -> None:
        self.mono = 1000.0
        self.now = NOW
        self.max_queue_s = max_queue_s
        self.board = Switchboard(
            private_key(),
            lambda key, endpoint: key == "key" and endpoint in ("demo", "other"),
            now=lambda: self.now,
            mono=lambda: self.mono,
            max_queue_s=lambda endpoint: self.max_queue_s,
            **options,
        )

    def pass_time(self, seconds: float) -> None:
        self.mono += seconds
        self.now += seconds

    def publish(self, places: Mapping[int, Place] | Iterable[int]) -> None:
        if not isinstance(places, Mapping):
            places = {worker_id: place(worker_id) for worker_id in places}
        self.board.publish(places)

    def say(self, message: Mapping[str, Any]) -> None:
        self.board.take_report(json.dumps(message).encode())

    def report(self, worker_id: int = 1, **fields: Any) -> None:
        self.say(today(worker_id, **fields))

    def end(self, worker_id: int, *idxs: int, status: str = "Success") -> None:
        requests = [{"request_idx": idx, "success": True, "status": status} for idx in idxs]
        message = {"worker_id": worker_id, "mtoken": f"token-{worker_id}", "requests": requests}
        self.board.take_ends(json.dumps(message).encode())

    def route(
        self, idx: object = 0, cost: object = 100, *, endpoint: str = "demo", client: int = 1,
        replay_timeout: object = 60.0, owner: int = 1,
    ) -> dict[str, Any]:  # fmt: skip
        ask = Ask(owner, client, cost, idx, replay_timeout, "r-1")
        return self.board.route(endpoint, ask)

    def sent_to(self, answer: Mapping[str, Any]) -> int | None:
        """The id of the worker in a grant; None where the client is to wait."""
        url = answer.get("url")
        return None if url is None else int(url.removeprefix(URL))

    def hearing(self, worker_id: int = 1) -> Any:
        return self.board.hearings(self.mono)[worker_id]
