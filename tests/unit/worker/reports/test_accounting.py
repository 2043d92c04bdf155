"""The books: exactly one end, deltas that survive any report, ends that are told at least once."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vast_pyworker.model import Outcome, RequestEnd
from vast_pyworker.worker.reports.accounting import CLIENT_ERROR, WORKER_ERROR, Accounting, Counters

ROUTE = "/v1/completions"


class Clock:
    """Unix seconds that pass only when told to."""

    def __init__(self, at: float = 1000.0) -> None:
        self.at = at

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def books(clock: Clock) -> Accounting:
    return Accounting(clock)


def test_what_is_held_is_the_current_load(books: Accounting) -> None:
    first = books.begin(ROUTE, 100.0, request_idx=7)
    books.begin(ROUTE, 50.0, request_idx=3)
    assert books.take() == Counters(
        cur_load=150.0,
        new_load=150.0,
        requests_working=2,
        requests_received=2,
        working_idxs=(3, 7),
        received_total=150.0,
    )
    first.end(Outcome.FINISHED)
    assert books.take().cur_load == 50.0
    assert books.in_flight == 1


def test_a_ticket_ends_once_whatever_is_said_later(books: Accounting) -> None:
    ticket = books.begin(ROUTE, 10.0, request_idx=1)
    assert ticket.end(Outcome.CANCELLED) is True
    assert ticket.end(Outcome.FINISHED, work=99.0) is False
    assert ticket.outcome is Outcome.CANCELLED
    assert books.in_flight == 0
    assert books.take().served_load == 0.0
    assert len(books.ends()) == 1


def test_one_of_many_threads_ends_a_ticket(books: Accounting) -> None:
    ticket = books.begin(ROUTE, 1.0)
    won: list[bool] = []
    start = threading.Barrier(8)

    def end() -> None:
        start.wait()
        won.append(ticket.end(Outcome.FINISHED))

    _run([threading.Thread(target=end) for _ in range(8)])
    assert sorted(won) == [False] * 7 + [True]
    assert books.in_flight == 0


def test_settled_work_is_what_counts_as_served(books: Accounting) -> None:
    books.begin(ROUTE, 100.0).end(Outcome.FINISHED, work=37.0)
    counters = books.take()
    assert (counters.new_load, counters.served_load) == (100.0, 37.0)


@pytest.mark.parametrize("measured", [float("nan"), float("inf"), -1.0])
def test_measured_work_that_cannot_be_true_leaves_the_estimate(
    books: Accounting, measured: float
) -> None:
    books.begin(ROUTE, 100.0).end(Outcome.FINISHED, work=measured)
    assert books.take().served_load == 100.0


@pytest.mark.parametrize("work", [float("nan"), float("inf"), -1.0])
def test_an_estimate_that_cannot_be_true_is_refused_and_leaves_no_trace(
    books: Accounting, work: float
) -> None:
    with pytest.raises(ValueError, match="finite and not negative"):
        books.begin(ROUTE, work)
    assert books.take() == Counters()
    assert books.in_flight == 0


def test_a_failed_upstream_is_never_served(books: Accounting) -> None:
    books.begin(ROUTE, 100.0).end(Outcome.FAILED, work=100.0)
    assert books.take().served_load == 0.0
    assert books.totals()[ROUTE].requests["upstream_error"] == 1


def test_a_request_that_the_model_found_wrong_is_finished_but_serves_nothing(
    books: Accounting,
) -> None:
    books.begin(ROUTE, 100.0, request_idx=4).end(Outcome.FINISHED, reason=CLIENT_ERROR)
    assert books.take().served_load == 0.0
    assert books.ends()[0].outcome is Outcome.FINISHED
    assert books.totals()[ROUTE].requests["client_error"] == 1


def test_cancelled_and_rejected_work_is_not_new_load(books: Accounting) -> None:
    books.begin(ROUTE, 100.0).end(Outcome.CANCELLED)
    books.begin(ROUTE, 30.0).end(Outcome.REJECTED)
    books.begin(ROUTE, 5.0)
    counters = books.take()
    assert counters.new_load == 5.0
    assert counters.rejected_load == 30.0
    assert counters.requests_received == 3


def test_new_load_is_never_below_zero(books: Accounting) -> None:
    ticket = books.begin(ROUTE, 100.0)
    books.acknowledge(books.take())
    ticket.end(Outcome.CANCELLED)
    assert books.take().new_load == 0.0
    books.acknowledge(books.take())
    books.begin(ROUTE, 10.0)
    assert books.take().new_load == 10.0, "a past cancellation does not hide what comes"


def test_only_what_was_acknowledged_is_subtracted(books: Accounting) -> None:
    books.begin(ROUTE, 100.0).end(Outcome.FINISHED)
    told = books.take()
    books.begin(ROUTE, 11.0).end(Outcome.FINISHED)  # while the report is under way
    books.acknowledge(told)
    assert books.take().served_load == 11.0
    assert books.take().new_load == 11.0


def test_a_report_that_fails_is_repeated_in_substance(books: Accounting) -> None:
    books.begin(ROUTE, 100.0).end(Outcome.FINISHED)
    books.take()
    assert books.take().served_load == 100.0


def test_an_acknowledgement_that_comes_twice_changes_nothing(books: Accounting) -> None:
    books.begin(ROUTE, 100.0).end(Outcome.FINISHED)
    told = books.take()
    books.acknowledge(told)
    books.begin(ROUTE, 1.0).end(Outcome.FINISHED)
    books.acknowledge(told)
    assert books.take().served_load == 1.0


def test_requests_received_is_cumulative(books: Accounting) -> None:
    for _ in range(3):
        books.begin(ROUTE, 1.0).end(Outcome.FINISHED)
        books.acknowledge(books.take())
    assert books.take().requests_received == 3


def test_what_waits_or_is_a_session_is_not_at_the_model() -> None:
    books = Accounting()
    books.begin_session(5.0)
    waiting, running = books.begin("/v1", 1.0), books.begin("/v1", 1.0)
    running.start()
    assert (books.in_flight, books.at_model) == (2, 1)
    waiting.start()
    running.end(Outcome.FINISHED)
    assert (books.in_flight, books.at_model) == (1, 1)


def test_a_session_is_held_and_told_when_it_closes_but_is_not_in_flight(
    books: Accounting, clock: Clock
) -> None:
    session = books.begin_session(200.0, request_idx=9)
    counters = books.take()
    assert (counters.cur_load, counters.requests_working, counters.working_idxs) == (200.0, 1, (9,))
    assert books.in_flight == 0, "an idle session must not look like a hung request"
    clock.at += 60
    session.end(Outcome.FINISHED)
    assert books.ends() == (RequestEnd(9, Outcome.FINISHED, 1000.0, 1000.0, 1060.0),)


def test_a_request_in_a_session_counts_by_its_work_only(books: Accounting) -> None:
    books.begin_session(200.0, request_idx=9)
    inner = books.begin(ROUTE, 30.0, request_idx=9, session="abc")
    assert books.in_flight == 1
    counters = books.take()
    assert counters.requests_received == counters.requests_working == 1
    assert counters.working_idxs == (9,)
    assert (counters.cur_load, counters.new_load) == (200.0, 230.0)
    inner.end(Outcome.FINISHED)
    assert books.take().served_load == 30.0
    assert books.ends() == ()


def test_ends_carry_the_times_that_the_wire_wants(books: Accounting, clock: Clock) -> None:
    finished, cancelled, rejected = (books.begin(ROUTE, 1.0, request_idx=i) for i in (1, 2, 3))
    clock.at = 1001.0
    finished.start()
    cancelled.start()
    clock.at = 1002.0
    finished.end(Outcome.FINISHED)
    cancelled.end(Outcome.CANCELLED)
    rejected.end(Outcome.REJECTED)
    assert books.ends() == (
        RequestEnd(1, Outcome.FINISHED, 1000.0, 1001.0, 1002.0),
        RequestEnd(2, Outcome.CANCELLED, 1000.0, 1001.0, 0.0),
        RequestEnd(3, Outcome.REJECTED, 1000.0, 0.0, 0.0),
    )


def test_requests_that_the_autoscaler_did_not_route_are_not_told(books: Accounting) -> None:
    books.begin(ROUTE, 1.0).end(Outcome.FINISHED)
    assert books.ends() == ()


def test_ends_stay_until_they_are_acknowledged(books: Accounting) -> None:
    _end_all(books, range(1, 4))
    told = books.ends()
    assert books.ends() == told
    _end_all(books, [4])
    books.acknowledge_ends(told)
    assert [end.request_idx for end in books.ends()] == [4]


def test_a_full_queue_of_ends_gives_up_the_oldest_and_says_so(clock: Clock) -> None:
    books = Accounting(clock, max_ends=3)
    _end_all(books, range(1, 4))
    told = books.ends()
    _end_all(books, [4, 5])
    books.take()  # posts them: 1 and 2 are given up while they are being told
    books.acknowledge_ends(told)
    assert [end.request_idx for end in books.ends()] == [4, 5]
    assert books.ends_dropped == 2


def test_the_context_fails_on_an_exception_and_finishes_otherwise(books: Accounting) -> None:
    with pytest.raises(RuntimeError), books.request(ROUTE, 1.0) as failed:
        raise RuntimeError("the handler broke")
    with books.request(ROUTE, 1.0) as finished:
        pass
    with books.request(ROUTE, 1.0) as ended:
        ended.end(Outcome.CANCELLED)
    assert [t.outcome for t in (failed, finished, ended)] == [
        Outcome.FAILED,
        Outcome.FINISHED,
        Outcome.CANCELLED,
    ]
    assert books.totals()[ROUTE].requests["worker_error"] == 1


def test_progress_grows_with_the_answer_and_not_with_arrivals(books: Accounting) -> None:
    ticket = books.begin(ROUTE, 1.0)
    ticket.start()
    assert books.progress == 0
    ticket.first_byte()
    ticket.touch()
    assert books.progress == 2


@given(
    st.lists(
        st.tuples(
            st.sampled_from(Outcome),
            st.sampled_from(["", CLIENT_ERROR, WORKER_ERROR]),
            st.sampled_from([None, 4.0]),
            st.booleans(),
            st.booleans(),
            st.sampled_from([None, "s"]),
            st.sampled_from([0, 7]),
        ),
        max_size=6,
    )
)
def test_requests_posted_together_count_as_each_by_itself(
    ways: list[tuple[Outcome, str, float | None, bool, bool, str | None, int]],
) -> None:
    def booked(*, at_once: bool) -> Accounting:
        clock = Clock()
        books = Accounting(clock)
        for outcome, reason, measured, has_started, is_streamed, session, idx in ways:
            ticket = books.begin(ROUTE, 8.0, request_idx=idx, session=session)
            clock.at += 0.25 * is_streamed  # as long as it waited, else it was let in at once
            if has_started:
                ticket.start()
            clock.at += 0.5
            if is_streamed:
                ticket.first_byte()
            clock.at += 1.0
            ticket.end(outcome, work=measured, reason=reason)
            if not at_once:
                books.totals()
        return books

    together, apart = booked(at_once=True), booked(at_once=False)
    assert together.totals() == apart.totals()
    assert together.take() == apart.take()
    assert together.ends() == apart.ends()


def test_totals_hold_three_durations_per_route(books: Accounting, clock: Clock) -> None:
    ticket = books.begin(ROUTE, 8.0)
    for step, seconds in ((ticket.start, 0.2), (ticket.first_byte, 0.3), (ticket.first_byte, 0.5)):
        clock.at += seconds
        step()
    ticket.end(Outcome.FINISHED, work=9.0)
    totals = books.totals()[ROUTE]
    assert totals.queue_wait_s.total_s == pytest.approx(0.2)
    assert totals.first_byte_s.total_s == pytest.approx(0.5)
    assert totals.duration_s.total_s == pytest.approx(1.0)
    assert totals.duration_s.cumulative()[-1] == ("+Inf", 1.0)
    assert (totals.requests["success"], totals.work["success"]) == (1, 9.0)


def test_a_clock_set_back_is_no_negative_duration(books: Accounting, clock: Clock) -> None:
    ticket = books.begin(ROUTE, 1.0)
    clock.at -= 3600
    ticket.end(Outcome.FINISHED)
    assert books.totals()[ROUTE].duration_s.total_s == 0.0


def test_rejected_requests_are_in_no_duration(books: Accounting) -> None:
    books.begin(ROUTE, 1.0).end(Outcome.REJECTED)
    assert sum(books.totals()[ROUTE].duration_s.counts) == 0


def test_a_fault_of_our_own_is_told_apart(books: Accounting) -> None:
    books.begin(ROUTE, 1.0).end(Outcome.FAILED, reason=WORKER_ERROR)
    assert books.totals()[ROUTE].requests["worker_error"] == 1


_STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.just("request"),
            st.integers(0, 1000),
            st.sampled_from(list(Outcome)),
        ),
        st.tuples(st.just("report"), st.booleans()),
    ),
    max_size=60,
)


@given(_STEPS)
def test_acknowledged_reports_add_up_to_what_happened(steps: list[tuple[object, ...]]) -> None:
    """Whatever fails to be delivered, the sum of what was is what there was."""
    books = Accounting()
    happened = dict.fromkeys(Outcome, 0)
    served = rejected = 0.0
    for step in steps:
        match step:
            case ("request", int(work), Outcome() as outcome):
                books.begin(ROUTE, float(work)).end(outcome)
                happened[outcome] += work
            case ("report", bool(delivered)):
                counters = books.take()
                if delivered:
                    books.acknowledge(counters)
                    served += counters.served_load
                    rejected += counters.rejected_load
    last = books.take()
    assert served + last.served_load == happened[Outcome.FINISHED]
    assert rejected + last.rejected_load == happened[Outcome.REJECTED]
    assert last.cur_load == 0.0


@settings(max_examples=5, deadline=None)
@given(st.integers(1, 4), st.lists(st.booleans(), min_size=5, max_size=20))
def test_nothing_is_lost_while_a_slow_report_is_under_way(
    writers: int, deliveries: list[bool]
) -> None:
    """D1: requests go on in other threads between every snapshot and its acknowledgement."""
    books = Accounting()
    each = 300

    def write() -> None:
        for _ in range(each):
            books.begin(ROUTE, 3.0, request_idx=1).end(Outcome.FINISHED, work=2.0)

    threads = [threading.Thread(target=write) for _ in range(writers)]
    for thread in threads:
        thread.start()
    new = served = ended = 0.0
    for delivered in _while_alive(threads, deliveries):
        counters, ends = books.take(), books.ends(50)
        for _ in range(20):  # the POST is slow: others get the processor
            threading.Event().wait(0)
        if delivered:
            books.acknowledge(counters)
            books.acknowledge_ends(ends)
            new, served, ended = (
                new + counters.new_load,
                served + counters.served_load,
                ended + len(ends),
            )
    last = books.take()
    assert new + last.new_load == 3.0 * writers * each
    assert served + last.served_load == 2.0 * writers * each
    assert ended + len(books.ends(10**6)) == writers * each
    assert books.in_flight == 0


def _while_alive(threads: list[threading.Thread], choices: list[bool]) -> Iterator[bool]:
    turn = 0
    while any(thread.is_alive() for thread in threads):
        yield choices[turn % len(choices)]
        turn += 1
    _run(threads, started=True)


def _run(threads: list[threading.Thread], *, started: bool = False) -> None:
    for thread in threads if not started else []:
        thread.start()
    for thread in threads:
        thread.join(30.0)
        assert not thread.is_alive()


def _end_all(books: Accounting, idxs: Iterable[int]) -> None:
    for idx in idxs:
        books.begin(ROUTE, 1.0, request_idx=idx).end(Outcome.FINISHED)
