"""Sessions: the replies of the reference, occupancy in the books, and what a stranger cannot do."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import pytest

from vast_pyworker.errors import Full, Gone, Invalid, Refused, ReportError, Unauthorized
from vast_pyworker.model import Outcome
from vast_pyworker.worker.reports.accounting import Accounting
from vast_pyworker.worker.reports.transport import Answer
from vast_pyworker.worker.traffic.session_callback import call_model, callback_body
from vast_pyworker.worker.traffic.sessions import Session, Sessions

AUTH = {"cost": 242.0, "endpoint": "demo", "reqnum": 1, "request_idx": 7, "signature": "s"}


class World:
    """Sessions with their clock, their books and the list of what was closed."""

    def __init__(self, max_sessions: int = 10) -> None:
        self.at = 1000.0
        self.books = Accounting(lambda: self.at)
        self.closed: list[Session] = []
        self.sessions = Sessions(
            self.books,
            max_sessions=max_sessions,
            on_close=self.closed.append,
            now=lambda: self.at,
        )

    def create(self, **payload: Any) -> str:
        session_id = self.sessions.create(AUTH, payload)["session_id"]
        assert isinstance(session_id, str)
        return session_id


@pytest.fixture
def world() -> World:
    return World()


def test_create_answers_id_and_expiration(world: World) -> None:
    created = world.sessions.create(AUTH, {"lifetime": 30})
    assert created["expiration"] == 1030.0
    assert len(created["session_id"]) == 13
    assert created["session_id"].isalnum()


def test_a_lifetime_of_a_minute_is_the_default(world: World) -> None:
    assert world.sessions.create(AUTH, {})["expiration"] == 1060.0


def test_ids_do_not_repeat(world: World) -> None:
    world = World(max_sessions=0)
    assert len({world.create() for _ in range(200)}) == 200


def test_get_shows_the_session_to_its_owner(world: World) -> None:
    session_id = world.create(lifetime=30, on_close_route="/free", on_close_payload={"a": 1})
    assert world.sessions.get(session_id, dict(AUTH)) == {
        "session_id": session_id,
        "auth_data": AUTH,
        "lifetime": 30.0,
        "expiration": 1030.0,
        "created_at": 1000.0,
        "on_close_route": "/free",
        "on_close_payload": {"a": 1},
    }


@pytest.mark.parametrize("verb", ["get", "health", "end"])
@pytest.mark.parametrize("auth", [None, {}, "s", {**AUTH, "signature": "x"}, {"signature": "s"}])
def test_a_stranger_is_refused(world: World, verb: str, auth: object) -> None:
    session_id = world.create()
    with pytest.raises(Unauthorized, match="session_auth is not valid"):
        getattr(world.sessions, verb)(session_id, auth)
    assert len(world.sessions) == 1


@pytest.mark.parametrize("verb", ["get", "health", "end"])
@pytest.mark.parametrize("session_id", [None, "", 5, ["a"]])
def test_a_request_without_an_id_is_refused(world: World, verb: str, session_id: object) -> None:
    with pytest.raises(Invalid, match="missing session_id"):
        getattr(world.sessions, verb)(session_id, AUTH)


def test_what_is_not_there_is_answered_as_the_reference_does(world: World) -> None:
    with pytest.raises(Refused, match="session does not exist") as got:
        world.sessions.get("nowhere", AUTH)
    with pytest.raises(Refused, match="session with id nowhere not found") as ended:
        world.sessions.end("nowhere", AUTH)
    assert got.value.status == ended.value.status == 400
    assert world.sessions.health("nowhere", AUTH) == {"ok": False}
    with pytest.raises(Gone, match="invalid session") as gone:
        world.sessions.touch("nowhere")
    assert gone.value.status == 410


def test_each_request_adds_a_lifetime(world: World) -> None:
    session_id = world.create(lifetime=30)
    world.at = 1010.0
    assert world.sessions.touch(session_id).expires_at == 1060.0
    assert world.sessions.touch(session_id).expires_at == 1090.0
    assert world.sessions.health(session_id, AUTH) == {"ok": True}


def test_an_expired_session_is_gone_and_then_closed(world: World) -> None:
    session_id = world.create(lifetime=30)
    assert world.sessions.tick() == ""
    world.at = 1030.0
    with pytest.raises(Gone):
        world.sessions.touch(session_id)
    assert world.sessions.tick() == "Closed 1 expired sessions."
    assert world.sessions.tick() == ""
    assert [session.session_id for session in world.closed] == [session_id]
    assert len(world.sessions) == 0


def test_end_closes_once(world: World) -> None:
    session_id = world.create()
    assert world.sessions.end(session_id, AUTH) == {"ended": True, "removed_session": session_id}
    with pytest.raises(Refused):
        world.sessions.end(session_id, AUTH)
    assert len(world.closed) == 1


def test_one_of_many_ends_at_once_closes(world: World) -> None:
    session_id = world.create()
    outcomes: list[str] = []
    start = threading.Barrier(6)

    def end() -> None:
        start.wait()
        try:
            world.sessions.end(session_id, AUTH)
            outcomes.append("ended")
        except Refused:
            outcomes.append("refused")

    threads = [threading.Thread(target=end) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10.0)
    assert sorted(outcomes) == ["ended"] + ["refused"] * 5
    assert len(world.closed) == 1


def test_a_session_holds_what_its_grant_costs_until_it_is_closed(world: World) -> None:
    session_id = world.create()
    counters = world.books.take()
    assert (counters.cur_load, counters.working_idxs) == (242.0, (7,))
    world.sessions.end(session_id, AUTH)
    assert world.books.take().cur_load == 0.0
    (end,) = world.books.ends()
    assert (end.request_idx, end.outcome) == (7, Outcome.FINISHED)


@pytest.mark.parametrize(
    ("cost", "held"),
    [("12.5", 12.5), (0, 0.0), (None, 100.0), ("much", 100.0), (-1, 100.0), (1e999, 100.0)],
)
def test_a_cost_that_is_no_amount_counts_as_an_ordinary_request(
    world: World, cost: object, held: float
) -> None:
    world.sessions.create({"cost": cost, "request_idx": "seven"}, {})
    assert world.books.take().cur_load == held


def test_a_full_table_refuses_and_says_when_to_come_again() -> None:
    world = World(max_sessions=1)
    world.create()
    with pytest.raises(Full) as caught:
        world.create()
    assert (caught.value.status, caught.value.retry_after_s) == (429, 5.0)
    counters = world.books.take()
    assert (counters.cur_load, counters.rejected_load) == (242.0, 242.0)
    assert world.books.ends()[0].outcome is Outcome.REJECTED


def test_no_limit_is_no_limit() -> None:
    world = World(max_sessions=0)
    for _ in range(50):
        world.create()
    assert len(world.sessions) == 50
    assert world.sessions.close_all() == 50
    assert world.books.take().cur_load == 0.0


@pytest.mark.parametrize("lifetime", [0, -1, "long", float("nan"), float("inf"), [], True])
def test_a_lifetime_that_is_no_time_is_refused(world: World, lifetime: object) -> None:
    with pytest.raises(Invalid) as caught:
        world.sessions.create(AUTH, {"lifetime": lifetime})
    assert caught.value.body == {"payload": {"lifetime": "must be a positive number of seconds"}}
    assert world.books.take().cur_load == 0.0


@pytest.mark.parametrize(
    "route",
    [
        "http://169.254.169.254/",
        "//evil.example/x",
        "close",
        "",
        "/\\evil",
        "/a b",
        "/a\r\nHost: x",
        "/@é",
        "/a#b",
        5,
    ],
)
def test_a_callback_goes_to_a_path_on_the_model_server_only(world: World, route: object) -> None:
    with pytest.raises(Invalid, match="on_close_route"):
        world.sessions.create(AUTH, {"on_close_route": route})
    assert len(world.sessions) == 0


def test_an_unsigned_session_belongs_to_whoever_knows_its_id(world: World) -> None:
    session_id = world.sessions.create({}, {})["session_id"]
    assert world.sessions.health(session_id, None) == {"ok": True}
    with pytest.raises(Unauthorized):
        world.sessions.end(session_id, AUTH)
    assert world.sessions.end(session_id, {})["ended"] is True


@pytest.mark.parametrize(
    ("payload", "extra"),
    [
        (None, {}),
        ({"a": 1}, {"a": 1}),
        ([1], {"payload": [1]}),
        ({"session_id": "b"}, {"session_id": "b"}),
    ],
)
def test_the_callback_carries_the_payload_and_the_id(
    world: World, payload: object, extra: dict[str, Any]
) -> None:
    session_id = world.create(on_close_route="/free", on_close_payload=payload)
    session = world.sessions.touch(session_id)
    assert callback_body(session) == {"session_id": session_id, **extra}


def test_closing_calls_the_model_and_bears_its_silence(world: World) -> None:
    called = threading.Event()
    urls: list[str] = []

    def post(url: str, body: Mapping[str, Any]) -> Answer:
        urls.append(url)
        called.set()
        raise ReportError("the model is gone")

    on_close = call_model("http://127.0.0.1:5001/", post)
    on_close(world.sessions.touch(world.create(on_close_route="/free?x=1")))
    assert called.wait(10.0)
    on_close(world.sessions.touch(world.create()))
    for thread in threading.enumerate():
        if thread.name == "session-close":
            thread.join(10.0)
    assert urls == ["http://127.0.0.1:5001/free?x=1"]
