from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from vast_rig import KEY, Clock, WireServer, http, page, row, vast_client

from vast_pyworker import errors
from vast_pyworker.vastai.client import VastClient
from vast_pyworker.vastai.fake_vast import Asked, FakeVast, Told
from vast_pyworker.vastai.states import Phase

OK = {"success": True}
LIST = "GET /api/v1/instances/"
GONE = Told({"success": False, "error": "no_such_instance", "msg": "Instance 5 not found."}, 404)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def vast() -> Iterator[FakeVast]:
    with FakeVast() as vast:
        yield vast


@pytest.fixture
def client(vast: FakeVast, clock: Clock) -> Iterator[VastClient]:
    with vast_client(vast.url, clock) as client:
        yield client


@pytest.mark.parametrize(
    ("act", "call", "body"),
    [
        (lambda i: i.start(5), "PUT /api/v0/instances/5/", {"state": "running"}),
        (lambda i: i.stop(5), "PUT /api/v0/instances/5/", {"state": "stopped"}),
        (lambda i: i.set_label(5, "x"), "PUT /api/v0/instances/5/", {"label": "x"}),
        (lambda i: i.reboot(5), "PUT /api/v0/instances/reboot/5/", {}),
        (lambda i: i.recycle(5), "PUT /api/v0/instances/recycle/5/", {}),
        (
            lambda i: i.change_bid(5, 0.2),
            "PUT /api/v0/instances/bid_price/5/",
            {"client_id": "me", "price": 0.2},
        ),
        (lambda i: i.destroy(5), "DELETE /api/v0/instances/5/", {}),
        (
            lambda i: i.start_many([5, 6, 5]),
            "PUT /api/v0/instances/",
            {"state": "running", "ids": [5, 6]},
        ),
    ],
)
def test_each_verb_is_one_request(
    vast: FakeVast, client: VastClient, act: Any, call: str, body: Any
) -> None:
    vast.on(call, OK)
    act(client.instances)
    assert [(each.call, each.body) for each in vast.asked] == [(call, body)]


def test_a_start_that_is_queued_is_an_error(vast: FakeVast, client: VastClient) -> None:
    vast.on(
        "PUT /api/v0/instances/5/",
        {"success": False, "error": "resources_unavailable", "msg": "state change queued."},
    )
    with pytest.raises(errors.ResourcesUnavailable):
        client.instances.start(5)


@pytest.mark.parametrize("verb", ["reboot", "recycle"])
def test_a_reboot_of_what_does_not_run_is_refused(
    vast: FakeVast, client: VastClient, verb: str
) -> None:
    vast.on("PUT *", {"success": False, "error": "invalid_id", "msg": "Is it started?"})
    with pytest.raises(errors.InvalidRequest):
        getattr(client.instances, verb)(5)


@pytest.mark.parametrize("act", [lambda i: i.change_bid(5, 0.2), lambda i: i.reboot(5)])
def test_a_bid_and_a_reboot_are_never_sent_twice(
    vast: FakeVast, client: VastClient, act: Any
) -> None:
    vast.on("PUT *", Told({}, 502), OK)
    with pytest.raises(errors.OutcomeUnknown) as raised:
        act(client.instances)
    assert raised.value.label is None
    assert len(vast.asked) == 1


def test_destroying_twice_is_fine(vast: FakeVast, client: VastClient) -> None:
    vast.on("DELETE /api/v0/instances/5/", OK, GONE)
    assert client.instances.destroy(5) is True
    assert client.instances.destroy(5) is False


def test_a_destroy_that_was_answered_by_a_gateway_is_repeated(
    vast: FakeVast, client: VastClient
) -> None:
    vast.on("DELETE /api/v0/instances/5/", Told(b"", 502), GONE)
    assert client.instances.destroy(5) is False


@pytest.mark.parametrize(
    "nobody", [Told({"detail": "Not Found"}, 404), Told({"msg": "not found"}, 404)]
)
def test_a_not_found_of_somebody_else_is_no_proof(
    vast: FakeVast, client: VastClient, nobody: Told
) -> None:
    vast.on("DELETE /api/v0/instances/5/", nobody)
    vast.on("GET /api/v0/instances/5/", {"instances": row(5)}, {"instances": None})
    with pytest.raises(errors.NotFound):
        client.instances.destroy(5)
    assert client.instances.destroy(5) is False


@pytest.mark.parametrize(
    "told",
    [
        Told({"success": False, "msg": "no"}),
        Told(b"<html>", 404),
        Told(b"", 200),
        Told({"error": "auth_error", "msg": "Invalid user key"}, 404),
    ],
)
def test_a_destroy_that_did_not_succeed_raises(
    vast: FakeVast, client: VastClient, told: Told
) -> None:
    vast.on("DELETE /api/v0/instances/5/", told)
    with pytest.raises(errors.ProviderError):
        client.instances.destroy(5)


@pytest.mark.parametrize("wrong", [0, "5", None, True])
def test_an_instance_is_a_number(vast: FakeVast, client: VastClient, wrong: Any) -> None:
    for act in (client.instances.destroy, client.instances.show, client.instances.stop):
        with pytest.raises(errors.InvalidRequest):
            act(wrong)
    assert vast.asked == []


class Fleet:
    """Instances that a server keeps, with a bulk destroy that skips those in ``stubborn``."""

    def __init__(self, vast: FakeVast, ids: range, stubborn: set[int] = frozenset()) -> None:  # type: ignore[assignment]
        self.ids, self.stubborn = set(ids), set(stubborn)
        vast.on(LIST, self.list)
        vast.on("DELETE /api/v0/instances/", self.bulk)
        vast.on("DELETE /api/v0/instances/*/", self.one)

    def list(self, asked: Asked) -> dict[str, Any]:
        after = int(asked.query.get("after_token", "t0")[1:])
        rest = sorted(each for each in self.ids if each > after)
        token = f"t{rest[24]}" if len(rest) > 25 else None
        return page([row(each) for each in rest[:25]], len(self.ids), token)

    def bulk(self, asked: Asked) -> dict[str, Any]:
        self.ids -= set(asked.body["instance_ids"]) - self.stubborn
        return OK

    def one(self, asked: Asked) -> Told:
        number = int(asked.path.split("/")[-2])
        if number not in self.ids:
            message = f"Instance {number} not found."
            return Told({"error": "no_such_instance", "msg": message}, 404)
        self.ids.discard(number)
        return Told(OK)


def test_many_are_destroyed_64_to_a_call_and_read_again(vast: FakeVast, client: VastClient) -> None:
    fleet = Fleet(vast, range(1, 200))
    result = client.instances.destroy_many(range(1, 150))
    assert result.gone == tuple(range(1, 150))
    assert (result.left, result.unknown, result.errors) == ((), (), {})
    assert fleet.ids == set(range(150, 200))
    assert len(vast.calls("DELETE /api/v0/instances/")) == 3


def test_what_a_bulk_destroy_has_left_is_destroyed_one_by_one(
    vast: FakeVast, client: VastClient
) -> None:
    fleet = Fleet(vast, range(1, 10), stubborn={3, 4})
    assert client.instances.destroy_many(range(1, 10)).gone == tuple(range(1, 10))
    assert fleet.ids == set()


def test_what_cannot_be_destroyed_is_told(vast: FakeVast, client: VastClient) -> None:
    fleet = Fleet(vast, range(1, 5), stubborn={3, 4})
    vast.on("DELETE /api/v0/instances/3/", Told({"msg": "no"}, 400))
    vast.on("DELETE /api/v0/instances/4/", Told({}, 503))
    result = client.instances.destroy_many([1, 2, 3, 4])
    assert (result.gone, result.left, result.unknown) == ((1, 2), (3,), (4,))
    assert set(result.errors) == {3, 4} and fleet.ids == {3, 4}


def test_a_bulk_destroy_that_fails_is_done_one_by_one(vast: FakeVast, client: VastClient) -> None:
    fleet = Fleet(vast, range(1, 4))
    vast.on("DELETE /api/v0/instances/", Told({"msg": "invalid request format"}, 400))
    assert client.instances.destroy_many([1, 2, 9]).gone == (1, 2, 9)
    assert fleet.ids == {3}


def test_without_a_list_nothing_is_certain(vast: FakeVast, client: VastClient) -> None:
    Fleet(vast, range(1, 4))
    vast.on(LIST, Told({}, 500))
    result = client.instances.destroy_many([1, 2])
    assert (result.gone, result.unknown) == ((), (1, 2))


def test_what_was_refused_is_tried_one_by_one_also_without_a_list(
    vast: FakeVast, client: VastClient
) -> None:
    fleet = Fleet(vast, range(1, 4))
    vast.on("DELETE /api/v0/instances/", Told({"msg": "invalid request format"}, 400))
    vast.on(LIST, Told({}, 500))
    assert client.instances.destroy_many([1, 2]).gone == (1, 2)
    assert fleet.ids == {3}


@pytest.mark.parametrize("listed", [True, False])
def test_left_is_what_was_seen_and_then_refused(
    vast: FakeVast, client: VastClient, listed: bool
) -> None:
    vast.on("DELETE *", Told({"success": False, "msg": "Later."}))
    vast.on(LIST, page([row(1)] if listed else []))
    result = client.instances.destroy_many([1])
    assert (result.left, result.unknown) == (((1,), ()) if listed else ((), (1,)))
    assert result.gone == ()


def test_an_answer_that_cannot_be_read_leaves_open_what_is_left(
    vast: FakeVast, client: VastClient
) -> None:
    Fleet(vast, range(1, 3), stubborn={1})
    vast.on("DELETE /api/v0/instances/1/", Told(b"<html>", 200))
    result = client.instances.destroy_many([1, 2])
    assert (result.gone, result.left, result.unknown) == ((2,), (), (1,))


def test_a_list_that_lags_behind_is_looked_at_again(vast: FakeVast, client: VastClient) -> None:
    Fleet(vast, range(1, 3))
    vast.on(LIST, page([row(1), row(2)]), page([]))
    assert client.instances.destroy_many([1, 2]).gone == (1, 2)
    assert vast.calls("DELETE /api/v0/instances/*/") == []


def test_destroying_none_asks_nobody(vast: FakeVast, client: VastClient) -> None:
    assert client.instances.destroy_many([]).gone == ()
    assert vast.asked == []


def test_many_are_stopped_64_to_a_call(vast: FakeVast, client: VastClient) -> None:
    vast.on("PUT /api/v0/instances/", OK, Told({"error": "insufficient_credit", "msg": "m"}, 400))
    told = client.instances.stop_many(range(1, 71))
    assert told.accepted == tuple(range(1, 65))
    assert set(told.errors) == set(range(65, 71))


def test_after_an_unknown_create_the_label_is_looked_up_until_it_is_seen(
    vast: FakeVast, client: VastClient, clock: Clock
) -> None:
    vast.on(LIST, page([]), Told({}, 400), page([row(7, label="a/1")]))
    assert client.instances.settle("a/1", 60) == (7,)
    assert clock.slept[0] == 5.0


def test_nothing_is_certain_only_after_the_grace(
    vast: FakeVast, client: VastClient, clock: Clock
) -> None:
    vast.on(LIST, page([]))
    assert client.instances.settle("a/1", 60) == ()
    assert clock.waited >= 60
    assert len(vast.asked) >= 3


def test_settling_without_grace_still_looks_twice(vast: FakeVast, client: VastClient) -> None:
    vast.on(LIST, page([]), page([row(7, label="a/1")]))
    assert client.instances.settle("a/1", 0) == (7,)


def test_settling_finds_more_than_one(vast: FakeVast, client: VastClient) -> None:
    both = page([row(7, label="a/1"), row(8, label="a/1")])
    vast.on(LIST, page([row(7, label="a/1")]), both)
    assert client.instances.settle("a/1", 60, expected=3) == (7, 8)


def test_settling_without_a_last_good_look_stays_unknown(
    vast: FakeVast, client: VastClient
) -> None:
    vast.on(LIST, page([]), Told({"error": "auth_error"}, 401))
    with pytest.raises(errors.OutcomeUnknown) as raised:
        client.instances.settle("a/1", 30)
    assert raised.value.label == "a/1"


def test_waiting_ends_when_it_runs(vast: FakeVast, client: VastClient) -> None:
    loading = row(5, actual_status="loading")
    vast.on("GET /api/v0/instances/5/", {"instances": loading}, {"instances": row(5)})
    assert client.instances.wait(5, timeout_s=60).state.phase == Phase.RUNNING


@pytest.mark.parametrize(
    ("shown", "error", "says"),
    [
        (None, errors.NotFound, "gone"),
        (
            row(5, actual_status="created", status_msg=": OCI runtime create failed: x"),
            errors.ProviderError,
            "OCI runtime",
        ),
        (row(5, actual_status="loading"), errors.ProviderError, "after 60 s: loading"),
    ],
)
def test_waiting_ends_with_the_reason(
    vast: FakeVast, client: VastClient, shown: Any, error: type[Exception], says: str
) -> None:
    vast.on("GET /api/v0/instances/5/", {"instances": shown})
    with pytest.raises(error, match=says):
        client.instances.wait(5, timeout_s=60)


def test_logs_are_read_from_their_own_address_without_the_key(clock: Clock) -> None:
    with (
        WireServer(http(404, b""), http(403, b"<Error/>"), http(200, "ünï".encode())) as store,
        FakeVast() as vast,
        vast_client(vast.url, clock) as client,
    ):
        told = {"success": True, "result_url": f"{store.url}/x.log", "msg": "m"}
        vast.on("PUT /api/v0/instances/request_logs/5/", told)
        text = client.instances.logs(5, tail=50, filter="err", daemon=True)
    assert text == "ünï"
    assert vast.asked[0].body == {"tail": "50", "filter": "err", "daemon_logs": "true"}
    assert KEY.encode() not in b"".join(store.requests)
    assert b"authorization" not in b"".join(store.requests).lower()


def test_a_result_that_never_comes_is_unknown(clock: Clock) -> None:
    with (
        WireServer(http(404, b"")) as store,
        FakeVast() as vast,
        vast_client(vast.url, clock) as client,
    ):
        vast.on("PUT *", {"success": True, "result_url": store.url})
        with pytest.raises(errors.ProviderUnreachable, match="not there after 30 s"):
            client.instances.logs(5)
    assert clock.waited <= 30


def test_a_result_is_not_followed_to_another_place(clock: Clock) -> None:
    with (
        WireServer(http(200, b"inside")) as other,
        WireServer(http(302, b"", f"Location: {other.url}")) as store,
        FakeVast() as vast,
        vast_client(vast.url, clock) as client,
    ):
        vast.on("PUT *", {"success": True, "result_url": store.url})
        with pytest.raises(errors.ProviderUnreachable):
            client.instances.logs(5, timeout_s=1)
        assert other.requests == []


@pytest.mark.parametrize("url", [None, "", "file:///etc/passwd", "ftp://h/x", "http://", 5, "//h"])
def test_only_an_address_of_the_web_is_read(vast: FakeVast, client: VastClient, url: Any) -> None:
    vast.on("PUT *", {"success": True, "result_url": url, "msg": "Nothing to see."})
    with pytest.raises(errors.BadAnswer, match="Nothing to see"):
        client.instances.logs(5)


def test_a_command_gives_its_output(clock: Clock) -> None:
    with (
        WireServer(http(200, b"total 0\n")) as store,
        FakeVast() as vast,
        vast_client(vast.url, clock) as client,
    ):
        vast.on("PUT /api/v0/instances/command/5/", {"success": True, "result_url": store.url})
        assert client.instances.execute(5, "ls -l") == "total 0\n"
    assert vast.asked[0].body == {"command": "ls -l"}


@pytest.mark.parametrize("command", ["", "x" * 513])
def test_a_command_has_a_length(vast: FakeVast, client: VastClient, command: str) -> None:
    with pytest.raises(errors.InvalidRequest):
        client.instances.execute(5, command)
    assert vast.asked == []
