"""A fixed number of threads and a bounded queue before them."""

from __future__ import annotations

import threading

import pytest

from vast_pyworker.engine import HandlerThreads


def test_work_is_done_in_named_daemon_threads() -> None:
    seen: list[tuple[object, str, bool]] = []
    done = threading.Event()

    def work(argument: object) -> None:
        thread = threading.current_thread()
        seen.append((argument, thread.name, thread.daemon))
        done.set()

    threads = HandlerThreads(2, 10)
    threads.start()
    assert threads.submit(work, "x")
    assert done.wait(10)
    threads.stop(10)
    assert seen[0][0] == "x" and seen[0][1].startswith("handler-") and seen[0][2]


def test_a_full_queue_refuses_without_waiting() -> None:
    threads = HandlerThreads(1, 2)
    assert [threads.submit(print, None) for _ in range(3)] == [True, True, False]
    assert threads.waiting == 2


def test_what_is_queued_is_done_before_the_threads_end() -> None:
    done: list[object] = []
    threads = HandlerThreads(1, 10)
    for number in range(5):
        threads.submit(done.append, number)
    threads.start()
    threads.stop(10)
    assert done == [0, 1, 2, 3, 4]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("handler-")]


@pytest.mark.parametrize("kind", [RuntimeError, SystemExit, KeyboardInterrupt])
def test_work_that_fails_costs_no_thread(
    kind: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    def broken(argument: object) -> None:
        raise kind("broken on purpose")

    done = threading.Event()
    threads = HandlerThreads(1, 10)
    threads.start()
    threads.submit(broken, None)
    threads.submit(lambda _: done.set(), None)
    assert done.wait(10)
    threads.stop(10)
    assert "broken on purpose" in caplog.text
