"""Any order of reports, publications, routes and ends: what must hold holds after each step."""

from __future__ import annotations

from typing import Any

from desk import Desk, place
from hypothesis import given, settings
from hypothesis import strategies as st

WORKERS = st.integers(1, 4)
STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.just("report"), WORKERS, st.integers(0, 5000), st.sampled_from(["", "", "broken"])
        ),
        st.tuples(st.just("publish"), st.sets(WORKERS), st.booleans(), st.none()),
        st.tuples(st.just("new"), st.integers(1, 500), st.integers(1, 3), st.none()),
        st.tuples(st.just("again"), st.integers(0, 30), st.integers(1, 3), st.none()),
        st.tuples(st.just("end"), WORKERS, st.integers(0, 30), st.none()),
        st.tuples(st.just("pass"), st.floats(0, 20), st.none(), st.none()),
    ),
    max_size=60,
)


class Play:
    """The desk, and what was said to it so far."""

    def __init__(self) -> None:
        self.desk = Desk(max_queue_s=5.0)
        self.idxs: list[int] = []
        self.accepting: set[int] = set()
        self.ready: set[int] = set()
        self.published: set[int] = set()

    def step(self, kind: str, one: Any, two: Any, three: Any) -> None:
        getattr(self, f"do_{kind}")(one, two, three)
        for worker in self.desk.board.endpoint_workers("demo"):
            assert worker.get("cur_load", 0) >= 0
        load = self.desk.board.load("demo", self.desk.mono)
        assert load.queued is None or load.queued >= 0

    def do_report(self, worker_id: int, load: int, error: str) -> None:
        try:
            self.desk.report(worker_id, cur_load=load, error_msg=error)
        except Exception as exc:
            raise AssertionError("a right report is taken") from exc
        known = self.published
        (self.ready.discard if error or worker_id not in known else self.ready.add)(worker_id)

    def do_publish(self, ids: set[int], accepts: bool, _: None) -> None:
        self.desk.publish({worker_id: place(worker_id, accepts=accepts) for worker_id in ids})
        self.ready &= ids
        self.published = ids
        self.accepting = ids if accepts else set()

    def do_new(self, cost: int, client: int, _: None) -> None:
        answer = self.desk.route(0, cost, client=client, owner=client)
        assert answer["request_idx"] not in self.idxs
        self.look(answer)
        self.idxs.append(answer["request_idx"])

    def do_again(self, number: int, client: int, _: None) -> None:
        if not self.idxs:
            return
        idx = self.idxs[number % len(self.idxs)]
        answer = self.desk.route(idx, client=client, owner=client)
        self.look(answer)
        if answer["request_idx"] != idx:
            assert answer["request_idx"] not in self.idxs
        self.idxs.append(answer["request_idx"])

    def do_end(self, worker_id: int, number: int, _: None) -> None:
        if self.idxs:
            self.desk.end(worker_id, self.idxs[number % len(self.idxs)])

    def do_pass(self, seconds: float, *_: None) -> None:
        self.desk.pass_time(seconds)

    def look(self, answer: dict[str, Any]) -> None:
        assert 0 < answer["request_idx"] < 2**53
        if "url" in answer:
            assert self.desk.sent_to(answer) in self.accepting & self.ready


@settings(max_examples=150, deadline=None)
@given(steps=STEPS)
def test_clients_are_sent_to_accepting_ready_workers_only(steps: list[Any]) -> None:
    play = Play()
    for step in steps:
        play.step(*step)


@settings(max_examples=100, deadline=None)
@given(clients=st.lists(st.tuples(st.integers(1, 5), st.booleans()), max_size=40))
def test_numbers_are_unique_and_stable(clients: list[tuple[int, bool]]) -> None:
    desk = Desk()
    desk.publish([1])
    mine: dict[int, int] = {}
    for owner, ready in clients:
        desk.report(error_msg="" if ready else "broken")
        desk.pass_time(1.1)
        idx = desk.route(mine.get(owner, 0), owner=owner)["request_idx"]
        assert mine.setdefault(owner, idx) == idx
    assert len(set(mine.values())) == len(mine)
