"""The Backend's ``cancel``: told of each request, in a thread, whatever it does."""

from __future__ import annotations

import queue
import threading
from typing import Any

import pytest

from vast_pyworker.worker.traffic.cancelling import CancelHook

LIMIT_S = 10.0


class Backend:
    def __init__(self) -> None:
        self.told: queue.Queue[tuple[str, str]] = queue.Queue()

    def cancel(self, request_id: str) -> None:
        if request_id == "bad":
            raise LookupError("no such job")
        self.told.put((request_id, threading.current_thread().name))


def test_a_backend_without_the_hook_is_told_nothing() -> None:
    assert CancelHook.of(object()) is None


def test_it_is_told_in_another_thread_and_survives_its_own_faults(
    caplog: pytest.LogCaptureFixture,
) -> None:
    backend = Backend()
    hook = CancelHook.of(backend)
    assert hook is not None
    hook.start()
    for request_id in ("one", "bad", "two"):
        hook(request_id)
    told = [backend.told.get(timeout=LIMIT_S) for _ in range(2)]
    hook.stop()
    assert [request_id for request_id, _ in told] == ["one", "two"]
    assert threading.current_thread().name not in {name for _, name in told}
    assert "cancel() failed on bad" in caplog.text


def test_one_that_is_too_slow_is_not_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    release, begun = threading.Event(), threading.Event()

    def slow(request_id: str) -> Any:
        begun.set()
        return release.wait(LIMIT_S)

    hook = CancelHook(slow, most_waiting=1)
    hook.start()
    hook("running")
    assert begun.wait(LIMIT_S)
    for request_id in ("waiting", "dropped"):
        hook(request_id)
    release.set()
    hook.stop()
    assert "dropped was not told" in caplog.text
