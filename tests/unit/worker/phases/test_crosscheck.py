"""The model's count of requests beside ours: what is told, and when it is not worth a word."""

from __future__ import annotations

import pytest

from vast_pyworker.worker.phases.crosscheck import CrossCheck


def readings(*pairs: tuple[int, float], every_s: float = 10.0) -> list[str]:
    """What is said at readings of (ours, theirs) that far apart."""
    check = CrossCheck()
    return [check.note(i * every_s, *pair) for i, pair in enumerate(pairs)]


def test_numbers_that_agree_or_differ_for_a_while_are_no_news() -> None:
    assert not any(readings(*[(3, 3.0)] * 20))
    assert not any(readings(*[(3, 5.0), (3, 3.0), (3, 4.0), (5, 3.0)] * 10))
    assert not any(readings(*[(0, 4.0)] * 6)), "not yet a minute"


def test_requests_that_did_not_come_through_us_are_told_once() -> None:
    said = readings(*[(1, 4.0), (2, 4.0), (1, 6.0)] * 10)
    assert [sentence for sentence in said if sentence] == [
        "The model server has had 2 requests for 60 s that did not come through this worker: "
        "the load reported is too low; let nobody else call it."
    ]


def test_books_that_have_leaked_are_told_once() -> None:
    said = [each for each in readings(*[(1, 0.0)] * 30) if each]
    assert len(said) == 1
    assert "has held 1 request for 60 s that the model server does not know of" in said[0]


def test_a_long_time_is_not_enough_without_readings() -> None:
    assert not any(readings((0, 1.0), (0, 1.0), (0, 1.0), every_s=100.0))


@pytest.mark.parametrize("told_before", [True, False])
def test_another_process_begins_anew(told_before: bool) -> None:
    check = CrossCheck()
    said = [check.note(10.0 * i, 0, 1.0) for i in range(8 if told_before else 3)]
    assert any(said) is told_before
    assert check.surplus == 1.0
    check.forget()
    assert check.surplus is None
    again = [check.note(1000.0 + 10.0 * i, 0, 1.0) for i in range(7)]
    assert [bool(each) for each in again] == [False] * 6 + [True]
