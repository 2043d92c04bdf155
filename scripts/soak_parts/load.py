"""Clients that ask through ``/route/`` as the protocol says, and do not give up before their time.

A client keeps its request's number, polls while there is no worker, and asks anew after a 429, a
5xx or a connection that fails. What it does not: judge. ``Outcome`` says how each request ended.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import requests

POLL_S = 0.5
CALL_S = 8.0
LIMIT_S = 150.0
FINAL = range(400, 500)


@dataclass(frozen=True)
class Outcome:
    """Times are monotonic. ``status`` 200 is an answer, 0 none within the time, others final."""

    began: float
    ended: float
    status: int
    turns: int


class Clients:
    """``count`` threads, each with one request at a time until ``stop``."""

    def __init__(self, count: int, route: Callable[[int], dict[str, Any]], path: str) -> None:
        self._route = route
        self._path = path
        self._over = threading.Event()
        self.outcomes: list[Outcome] = []
        self._threads = [
            threading.Thread(target=self._run, args=(number,), name=f"client-{number}", daemon=True)
            for number in range(count)
        ]

    def start(self) -> None:
        for each in self._threads:
            each.start()

    def stop(self) -> None:
        """No new requests; those that wait may still be answered."""
        self._over.set()
        for each in self._threads:
            each.join(LIMIT_S + CALL_S)

    def _run(self, number: int) -> None:
        with requests.Session() as session:
            session.trust_env = False
            turn = 0
            while not self._over.is_set():
                turn += 1
                payload = {"prompt": "x" * 40, "max_tokens": 20, "script": {"delay_s": 0.2}}
                self.outcomes.append(self._request(session, payload))

    def _request(self, session: requests.Session, payload: Any) -> Outcome:
        began, idx, turns = time.monotonic(), 0, 0
        while time.monotonic() - began < LIMIT_S:
            turns += 1
            try:
                grant = self._route(idx)
                idx = grant["request_idx"]
                if "url" in grant:
                    status = self._ask(session, grant, payload)
                    if status == 200 or (status in FINAL and status != 429):
                        return Outcome(began, time.monotonic(), status, turns)
            except (requests.RequestException, KeyError, ValueError):
                pass  # whoever it was is gone, or will be there again
            time.sleep(POLL_S)
        return Outcome(began, time.monotonic(), 0, turns)

    def _ask(self, session: requests.Session, grant: Any, payload: Any) -> int:
        body = {"auth_data": grant, "payload": payload}
        with session.post(grant["url"] + self._path, json=body, timeout=CALL_S) as answer:
            if answer.status_code == 200:
                answer.json()
            return int(answer.status_code)
