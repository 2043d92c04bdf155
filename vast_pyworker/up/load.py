"""A small load, so that one sees the group grow: a few clients that ask again and again."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import requests

from vast_pyworker.up.examples import Example

TIMEOUT_S = 60.0
PAUSE_S = 1.0


class Clients:
    """``count`` threads that each keep one request under way until ``stop``, or for ``seconds``."""

    def __init__(
        self, count: int, example: Example, route: Callable[[int], dict[str, object]]
    ) -> None:
        self._example = example
        self._route = route
        self._over = threading.Event()
        self._until = float("inf")
        self._count = threading.Lock()
        self.answered = 0
        self.failed = 0
        self._threads = [
            threading.Thread(target=self._ask, name=f"load-{number}", daemon=True)
            for number in range(count)
        ]

    def start(self, seconds: float | None = None) -> None:
        if seconds is not None:
            self._until = time.monotonic() + seconds
        for each in self._threads:
            each.start()

    def stop(self) -> None:
        self._over.set()
        for each in self._threads:
            each.join(TIMEOUT_S)

    def _is_over(self) -> bool:
        return self._over.is_set() or time.monotonic() >= self._until

    def _ask(self) -> None:
        waiting = 0  # the controller's number for a request that no worker has taken yet
        while not self._is_over():
            try:
                answered, waiting = self._once(waiting)
            except requests.RequestException:
                with self._count:
                    self.failed += 1
                self._over.wait(PAUSE_S)
                continue
            if not answered:
                self._over.wait(PAUSE_S)
            if answered is not None:
                with self._count:
                    self.answered += answered
                    self.failed += not answered

    def _body(self, grant: dict[str, object]) -> dict[str, object]:
        payload = self._example.payload
        return {"auth_data": grant, "payload": payload} if self._example.signed else payload

    def _once(self, waiting: int) -> tuple[bool | None, int]:
        """Whether one request was answered, and the number to ask again with: None and that
        number where no worker was free."""
        grant = self._route(waiting)
        if "url" not in grant:
            return None, int(str(grant.get("request_idx", 0)))
        with requests.post(
            f"{grant['url']}{self._example.path}",
            json=self._body(grant),
            timeout=TIMEOUT_S,
            stream=True,
        ) as answer:
            for _ in answer.iter_content(8192):
                if self._is_over():
                    return None, 0
            return answer.ok, 0
