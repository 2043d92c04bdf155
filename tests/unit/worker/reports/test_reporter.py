"""When the autoscaler is told: by ticks with a clock in hand, by the thread to a real server."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from vast_pyworker.errors import ReportError
from vast_pyworker.model import Outcome, State
from vast_pyworker.worker.fake_autoscaler import FakeAutoscaler, Fault
from vast_pyworker.worker.reports import transport
from vast_pyworker.worker.reports.accounting import Accounting
from vast_pyworker.worker.reports.reporter import Gauges, Identity, Reporter
from vast_pyworker.worker.reports.transport import Answer

IDENTITY = Identity(123, "http://127.0.0.1:3000", "token-of-the-worker", "boot-1")


class Clock:
    """Seconds that pass only when told to."""

    def __init__(self) -> None:
        self.at = 100.0

    def __call__(self) -> float:
        return self.at


class Situation:
    """A readiness that is what it is set to."""

    def __init__(self) -> None:
        self.state = State.LOADING
        self.max_perf = 0.0
        self.load_time_s = 0.0
        self.error_msg = ""

    def load(self) -> None:
        self.state, self.max_perf, self.load_time_s = State.READY, 100.0, 15.0


class Post:
    """Takes messages unless told not to; they lie in ``reports`` and ``ends``."""

    def __init__(self) -> None:
        self.reports: list[tuple[str, dict[str, Any]]] = []
        self.ends: list[tuple[str, dict[str, Any]]] = []
        self.dead: set[str] = set()
        self.headers: dict[str, str] = {}
        self.meanwhile: Callable[[], None] = lambda: None

    def __call__(self, url: str, body: Mapping[str, Any]) -> Answer:
        self.meanwhile()
        if any(url.startswith(dead) for dead in self.dead):
            raise ReportError(f"{url} is dead.")
        (self.reports if url.endswith("/worker_status/") else self.ends).append((url, dict(body)))
        return Answer(self.headers)

    @property
    def last(self) -> dict[str, Any]:
        return self.reports[-1][1]


class World:
    """A reporter with everything around it in hand."""

    def __init__(self, *addresses: str, **options: Any) -> None:
        self.clock = Clock()
        self.books = Accounting(self.clock)
        self.situation = Situation()
        self.post = Post()
        self.reporter = Reporter(
            IDENTITY,
            addresses or ("http://a",),
            self.books,
            self.situation,
            self.post,
            now=self.clock,
            **options,
        )

    def pass_seconds(self, seconds: int) -> list[str]:
        """Tick once a second; what was said, empty sentences left out."""
        said = []
        for _ in range(seconds):
            self.clock.at += 1.0
            said.append(self.reporter.tick())
        return [sentence for sentence in said if sentence]

    def serve(self, work: float = 10.0, request_idx: int = 0) -> None:
        self.books.begin("/r", work, request_idx=request_idx).end(Outcome.FINISHED)


@pytest.fixture
def world() -> World:
    return World()


def test_the_first_tick_reports(world: World) -> None:
    assert world.reporter.tick() == "Reported loading to http://a: news."
    assert world.post.last == {
        "id": 123,
        "mtoken": "token-of-the-worker",
        "version": "1.1.0",
        "loadtime": 0.0,
        "cur_load": 0.0,
        "rej_load": 0.0,
        "new_load": 0.0,
        "error_msg": "",
        "max_perf": 0.0,
        "cur_perf": 0.0,
        "cur_capacity": 0,
        "max_capacity": 0,
        "num_requests_working": 0,
        "num_requests_recieved": 0,
        "working_request_idxs": [],
        "url": "http://127.0.0.1:3000",
    }


def test_with_nothing_new_there_is_a_report_at_least_every_ten_seconds(world: World) -> None:
    world.reporter.tick()
    gaps, last = [], world.clock.at
    for _ in range(40):
        world.clock.at += 1.0
        if world.reporter.tick():
            gaps.append(world.clock.at - last)
            last = world.clock.at
    assert gaps and max(gaps) <= 10.0 and min(gaps) >= 9.0


@pytest.mark.parametrize(
    ("change", "shown"),
    [
        ({"state": State.READY, "max_perf": 90.0, "load_time_s": 7.0}, {"max_perf": 90.0}),
        ({"state": State.ERROR, "error_msg": "CUDA"}, {"error_msg": "CUDA"}),
        ({"state": State.DRAINING}, {"max_perf": 0.0, "loadtime": 0.0}),
        ({"state": State.DEGRADED, "error_msg": "slow"}, {"error_msg": "slow"}),
        ({"state": State.DOWNLOADING}, {"max_perf": 0.0}),
    ],
)
def test_an_edge_is_reported_at_once(
    world: World, change: dict[str, Any], shown: dict[str, Any]
) -> None:
    world.reporter.tick()
    for name, value in change.items():
        setattr(world.situation, name, value)
    assert world.reporter.tick() == f"Reported {world.situation.state} to http://a: news."
    assert shown.items() <= world.post.last.items()
    assert world.reporter.tick() == ""


def test_an_error_that_clears_is_an_edge_too(world: World) -> None:
    world.situation.state, world.situation.error_msg = State.ERROR, "CUDA"
    world.reporter.tick()
    world.situation.load()
    world.situation.error_msg = ""
    world.reporter.tick()
    assert (world.post.last["error_msg"], world.post.last["max_perf"]) == ("", 100.0)


def test_ready_and_busy_are_no_edge(world: World) -> None:
    world.situation.load()
    world.reporter.tick()
    world.situation.state = State.BUSY
    assert world.reporter.tick() == ""
    assert world.pass_seconds(1) == ["Reported busy to http://a: load changed."]


def test_a_change_of_load_is_reported_within_a_second_and_not_before(world: World) -> None:
    world.reporter.tick()
    for _ in range(50):
        world.serve()
        world.clock.at += 0.01
        assert world.reporter.tick() == ""
    world.clock.at += 0.5
    assert world.reporter.tick() == "Reported loading to http://a: load changed."
    assert world.post.last["cur_perf"] == 500.0
    assert world.pass_seconds(5) == []


def test_what_happens_while_a_report_is_under_way_is_in_the_next(world: World) -> None:
    world.serve(100.0)
    world.post.meanwhile = lambda: world.serve(7.0)
    world.reporter.tick()
    assert world.post.last["cur_perf"] == 100.0
    world.post.meanwhile = lambda: None
    world.pass_seconds(1)
    assert world.post.last["cur_perf"] == 7.0


def test_what_was_not_acknowledged_is_said_again(world: World) -> None:
    world.serve(100.0)
    world.post.dead.add("http://a")
    assert "No autoscaler took the report" in world.reporter.tick()
    world.serve(7.0)
    world.post.dead.clear()
    assert world.pass_seconds(2) == ["Reported loading to http://a: trying again."]
    assert world.post.last["cur_perf"] == 107.0


def test_a_dead_autoscaler_is_tried_with_back_off_but_news_and_heartbeats_are_not_held_back(
    world: World,
) -> None:
    world.post.dead.add("http://a")
    world.reporter.tick()
    assert len(world.pass_seconds(8)) == 3  # after 1, 3 and 7 seconds
    world.situation.load()
    assert len(world.pass_seconds(1)) == 1
    gap, longest = 0, 0
    for _ in range(60):
        gap = 0 if world.pass_seconds(1) else gap + 1
        longest = max(longest, gap)
    assert longest <= 9


def test_a_dead_first_address_does_not_mute_the_worker() -> None:
    world = World("http://dead", "http://b")
    world.post.dead.add("http://dead")
    world.reporter.tick()
    for _ in range(30):
        world.serve()
        assert world.pass_seconds(1) == ["Reported loading to http://b: load changed."]
    assert world.reporter.results == {"delivered": 31, "failed": 0}


def test_ended_requests_are_told_each_second_until_they_are_taken(world: World) -> None:
    world.reporter.tick()
    world.serve(request_idx=122)
    world.post.dead.add("http://a/delete_requests/")
    assert world.pass_seconds(1)[-1].endswith("1 ended requests wait to be told.")
    world.serve(request_idx=123)
    world.post.dead.clear()
    world.pass_seconds(2)
    ((_, body),) = world.post.ends
    assert [row["request_idx"] for row in body["requests"]] == [122, 123]
    assert (body["worker_id"], body["mtoken"]) == (123, "token-of-the-worker")
    world.pass_seconds(3)
    assert len(world.post.ends) == 1


def test_ends_are_told_once_a_second_however_often_it_is_woken(world: World) -> None:
    world.reporter.tick()
    world.situation.load()
    for _ in range(100):
        world.serve(request_idx=1)
        world.clock.at += 0.01
        world.situation.max_perf += 1.0  # news each time
        world.reporter.tick()
    assert len(world.post.reports) == 101
    assert len(world.post.ends) <= 2


def test_an_address_that_refuses_ends_still_gets_reports(world: World) -> None:
    world.post.dead.add("http://a/delete_requests/")
    world.reporter.tick()
    for _ in range(20):
        world.serve(request_idx=1)
        world.pass_seconds(1)
    assert len(world.post.reports) == 21


def test_ends_skip_the_address_that_takes_reports_only() -> None:
    world = World("https://cloud.vast.ai/api/v0/", "https://run.vast.ai")
    world.serve(request_idx=5)
    world.reporter.tick()
    assert [url for url, _ in world.post.ends] == ["https://run.vast.ai/delete_requests/"]
    assert world.post.reports[0][0] == "https://cloud.vast.ai/api/v0/worker_status/"


def test_extra_fields_go_only_where_they_were_announced(world: World) -> None:
    world.reporter.tick()
    assert "boot_id" not in world.post.last
    world.post.headers = {"x-pyworker-extended": "1"}
    world.reporter.report_now()
    world.reporter.tick()
    assert "boot_id" not in world.post.last
    world.reporter.report_now()
    world.reporter.tick()
    assert world.post.last["boot_id"] == "boot-1"
    assert world.post.last["state"] == "loading"
    assert world.post.last["seq"] == 3


@pytest.mark.parametrize(("extended", "has_them"), [(True, True), (False, False)])
def test_extra_fields_may_be_forced_or_forbidden(extended: bool, has_them: bool) -> None:
    world = World(extended=extended)
    world.post.headers = {"x-pyworker-extended": "1"}
    for _ in range(2):
        world.reporter.report_now()
        world.reporter.tick()
    assert ("boot_id" in world.post.last) is has_them


def test_disk_growth_is_against_the_last_report_that_was_taken() -> None:
    disk = iter([10.0, 12.0, 15.0])
    world = World(gauges=Gauges(disk_used_gib=lambda: next(disk)))
    world.reporter.tick()
    assert world.post.last["additional_disk_usage"] == 0.0
    world.post.dead.add("http://a")
    world.reporter.report_now()
    world.reporter.tick()
    world.post.dead.clear()
    world.reporter.report_now()
    world.reporter.tick()
    assert (world.post.last["disk_usage"], world.post.last["additional_disk_usage"]) == (15.0, 5.0)


def test_gauges_that_fail_are_unknown_and_mute_nobody() -> None:
    def broken() -> Any:
        raise OSError("no such device")

    gauges = Gauges(broken, broken, broken, broken)
    world = World(gauges=gauges, extended=True)
    world.reporter.tick()
    assert {"disk_usage", "queue_depth", "gpus", "progress"}.isdisjoint(world.post.last)


def test_gauges_are_in_extended_reports() -> None:
    gauges = Gauges(
        disk_used_gib=lambda: 1.0,
        queue=lambda: (4, 2.5),
        gpus=lambda: ({"index": 0},),
        progress=lambda: {"percent": 50},
    )
    world = World(gauges=gauges, extended=True)
    world.reporter.tick()
    expected = {"queue_depth": 4, "queue_wait": 2.5, "gpus": [{"index": 0}]}
    assert expected.items() <= world.post.last.items()
    assert world.post.last["progress"] == {"percent": 50}


def test_the_status_is_for_people(world: World) -> None:
    assert world.reporter.age_s() is None
    world.reporter.tick()
    world.clock.at += 4.0
    assert world.reporter.status() == {
        "addresses": [{"url": "http://a", "extended": False, "failures": 0, "problem": ""}],
        "age_s": 4.0,
        "ends_dropped": 0,
        "delivered": 1,
        "failed": 0,
    }


@pytest.fixture
def autoscaler() -> Iterator[FakeAutoscaler]:
    with FakeAutoscaler() as running:
        yield running


@pytest.fixture
def running(autoscaler: FakeAutoscaler) -> Iterator[tuple[Reporter, Accounting, Situation]]:
    books, situation = Accounting(), Situation()
    reporter = Reporter(IDENTITY, [autoscaler.url], books, situation, transport.post)
    books.on_change = reporter.wake
    reporter.start()
    yield reporter, books, situation
    reporter.stop()
    assert "reporter" not in {thread.name for thread in threading.enumerate()}


def test_the_thread_reports_news_as_soon_as_it_is_woken(
    autoscaler: FakeAutoscaler, running: tuple[Reporter, Accounting, Situation]
) -> None:
    reporter, _, situation = running
    assert autoscaler.wait(lambda a: len(a.reports) == 1)
    situation.load()
    reporter.wake()
    assert autoscaler.wait(lambda a: a.reports[-1]["max_perf"] == 100.0)


def test_flush_waits_until_everything_is_told(
    autoscaler: FakeAutoscaler, running: tuple[Reporter, Accounting, Situation]
) -> None:
    reporter, books, situation = running
    assert autoscaler.wait(lambda a: len(a.reports) == 1)
    autoscaler.fail(Fault("/delete_requests/"))
    books.begin("/r", 5.0, request_idx=9).end(Outcome.FINISHED)
    situation.state = State.DRAINING
    assert reporter.flush(20.0) is True
    assert autoscaler.reports[-1]["cur_perf"] == 5.0
    assert autoscaler.ends[-1]["requests"][0]["request_idx"] == 9


def test_flush_gives_up_at_its_deadline(
    autoscaler: FakeAutoscaler, running: tuple[Reporter, Accounting, Situation]
) -> None:
    reporter, _, _ = running
    assert autoscaler.wait(lambda a: len(a.reports) == 1)
    autoscaler.fail(Fault("/worker_status/"), times=1000)
    assert reporter.flush(0.2) is False


def test_the_thread_outlives_a_reporter_that_breaks(autoscaler: FakeAutoscaler) -> None:
    calls = 0

    def broken_once(url: str, body: Mapping[str, Any]) -> Answer:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise ZeroDivisionError("a bug")
        return transport.post(url, body)

    reporter = Reporter(IDENTITY, [autoscaler.url], Accounting(), Situation(), broken_once)
    reporter.start()
    try:
        reporter.report_now()
        assert autoscaler.wait(lambda a: len(a.reports) >= 1)
    finally:
        reporter.stop()
