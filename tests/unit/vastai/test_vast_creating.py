from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from vast_rig import RESET, Clock, WireServer, closed_port, http, row, vast_client

from vast_pyworker import errors
from vast_pyworker.vastai.client import VastClient
from vast_pyworker.vastai.creating import LaunchRequest
from vast_pyworker.vastai.fake_vast import FakeVast, Told

ASK = "PUT /api/v0/asks/5/"
BULK = "POST /api/v0/asks/bulk/"
SHOW = "GET /api/v0/instances/77/"
MADE = {"success": True, "new_contract": 77, "instance_api_key": "its-own-key"}


@pytest.fixture
def vast() -> Iterator[FakeVast]:
    with FakeVast() as vast:
        vast.on(SHOW, {"instances": row(77, disk_space=20.0, dph_total=0.6)})
        yield vast


@pytest.fixture
def client(vast: FakeVast) -> Iterator[VastClient]:
    with vast_client(vast.url, Clock()) as client:
        yield client


def launch(**more: Any) -> LaunchRequest:
    return LaunchRequest(**{"image": "ubuntu:22.04", "label": "a/1", "disk_gb": 20.0, **more})


def test_what_is_sent_is_typed_and_explicit(vast: FakeVast, client: VastClient) -> None:
    vast.on(ASK, MADE)
    client.instances.create(5, launch(env={"A": "1", "-p 80:80": "1"}, runtype="args", args=["x"]))
    assert vast.asked[0].body == {
        "client_id": "me",
        "image": "ubuntu:22.04",
        "disk": 20.0,
        "label": "a/1",
        "env": {"A": "1", "-p 80:80": "1"},
        "price": None,
        "cancel_unavail": True,
        "force": False,
        "runtype": "args",
        "args": ["x"],
    }


def test_what_was_created_tells_what_it_really_got(vast: FakeVast, client: VastClient) -> None:
    vast.on(ASK, MADE)
    created = client.instances.create(5, launch())
    assert (created.instance_id, created.started, created.label) == (77, True, "a/1")
    assert (created.disk_gb, created.disk_short, created.usd_per_hour) == (20.0, False, 0.6)
    assert created.api_key == "its-own-key"
    assert "its-own-key" not in repr(created)


def test_a_smaller_disk_is_told_and_the_id_kept(vast: FakeVast, client: VastClient) -> None:
    vast.on(ASK, MADE)
    created = client.instances.create(5, launch(disk_gb=1000.0))
    assert created.instance_id == 77
    assert created.disk_short is True


@pytest.mark.parametrize("told", [Told({"instances": None}), Told({}, 500), Told({"x": 1})])
def test_a_check_that_fails_is_unknown_and_loses_nothing(
    vast: FakeVast, client: VastClient, told: Told
) -> None:
    vast.on(ASK, MADE)
    vast.on(SHOW, told)
    created = client.instances.create(5, launch())
    assert created.instance_id == 77
    assert (created.disk_gb, created.disk_short, created.usd_per_hour) == (None, None, None)


def test_the_check_can_be_left_out(vast: FakeVast, client: VastClient) -> None:
    vast.on(ASK, MADE)
    assert client.instances.create(5, launch(), check=False).instance_id == 77
    assert vast.calls("GET *") == []


def test_a_bid_is_a_price(vast: FakeVast, client: VastClient) -> None:
    vast.on(ASK, MADE)
    client.instances.create(5, launch(bid_usd_per_hour=0.2, cancel_unavail=False))
    assert vast.asked[0].body["price"] == 0.2
    assert vast.asked[0].body["cancel_unavail"] is False


def test_other_keys_pass_but_do_not_replace_what_is_typed(
    vast: FakeVast, client: VastClient
) -> None:
    vast.on(ASK, MADE)
    client.instances.create(5, launch(extra={"vm": True, "label": "other"}))
    assert vast.asked[0].body["vm"] is True
    assert vast.asked[0].body["label"] == "a/1"


def test_a_label_is_made_where_none_is_given() -> None:
    labels = {LaunchRequest(image="x").label for _ in range(10)}
    assert len(labels) == 10
    assert all(label.startswith("pyworker/") for label in labels)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"env": "-e A=1"}, "parse_env"),
        ({"env": {"A": 1}}, "texts to texts"),
        ({"image": None}, "image or a template"),
        ({"label": ""}, "label"),
        ({"label": "x" * 1025}, "label"),
        ({"onstart": "x" * 4049}, "4049"),
        ({"disk_gb": 0}, "disk_gb"),
        ({"disk_gb": float("nan")}, "disk_gb"),
        ({"bid_usd_per_hour": -1.0}, "bid"),
        ({"bid_usd_per_hour": 0.0}, "None"),
        ({"args": "a b"}, "shlex"),
    ],
)
def test_what_the_provider_would_refuse_or_lose_is_refused_before(
    wrong: dict[str, Any], says: str
) -> None:
    with pytest.raises(errors.InvalidRequest, match=says):
        launch(**wrong).body()


@pytest.mark.parametrize("offer_id", [0, -1, True, "5", 5.0, None])
def test_an_offer_is_a_number(client: VastClient, vast: FakeVast, offer_id: Any) -> None:
    with pytest.raises(errors.InvalidRequest):
        client.instances.create(offer_id, launch())
    with pytest.raises(errors.InvalidRequest):
        client.instances.bulk_create([1, offer_id], launch())
    assert vast.asked == []


def test_secrets_of_a_launch_are_not_in_its_text() -> None:
    request = launch(env={"T": "secret"}, onstart="secret", image_login="-u a -p secret")
    assert "secret" not in repr(request)


@pytest.mark.parametrize(
    ("told", "error"),
    [
        (Told({"error": "no_such_ask", "msg": "m", "ask_id": 5}, 404), errors.OfferGone),
        (Told({"error": "no_such_ask", "msg": "m"}, 410), errors.OfferGone),
        (Told({"error": "invalid_price", "msg": "m"}, 400), errors.InvalidRequest),
        (Told({"success": False, "error": "invalid_price"}, 200), errors.InvalidRequest),
        (Told({"msg": "lack of credit"}, 400), errors.NoCredit),
        (Told({"success": False, "error": "no_such_ask", "msg": "m"}), errors.OfferGone),
        (Told({"error": "auth_error", "msg": "Invalid user key"}, 404), errors.AuthError),
    ],
)
def test_a_clear_no_means_that_nothing_exists(
    vast: FakeVast, client: VastClient, told: Told, error: type[Exception]
) -> None:
    vast.on(ASK, told)
    with pytest.raises(error):
        client.instances.create(5, launch())
    assert len(vast.asked) == 1


@pytest.mark.parametrize(
    "told",
    [
        Told({"success": True}),
        Told({"success": True, "new_contract": None}),
        Told({"success": False}),
        Told({"success": False, "error": "what", "msg": "m"}),
        Told({"success": False, "error": "resources_unavailable"}),
        Told({}),
        Told([]),
        Told(b""),
        Told({"error": "x", "msg": "m"}, 500),
        Told(b"<html>", 502),
    ],
)
def test_whatever_leaves_open_what_exists_names_the_label(
    vast: FakeVast, client: VastClient, told: Told
) -> None:
    vast.on(ASK, told)
    with pytest.raises(errors.OutcomeUnknown) as raised:
        client.instances.create(5, launch())
    assert raised.value.label == "a/1"
    assert len(vast.asked) == 1


def test_what_was_created_and_stands_still_has_its_id(vast: FakeVast, client: VastClient) -> None:
    vast.on(ASK, {"success": False, "new_contract": 77})
    with pytest.raises(errors.CreatedStopped) as raised:
        client.instances.create(5, launch())
    assert raised.value.instance_id == 77


def test_what_was_to_stand_still_is_no_error(vast: FakeVast, client: VastClient) -> None:
    vast.on(ASK, {"success": False, "new_contract": 77})
    created = client.instances.create(5, launch(target_state="stopped"))
    assert (created.instance_id, created.started) == (77, False)


def test_where_nobody_listens_nothing_was_created() -> None:
    with (
        vast_client(f"http://127.0.0.1:{closed_port()}", Clock()) as client,
        pytest.raises(errors.ProviderUnreachable),
    ):
        client.instances.create(5, launch())


def test_a_connection_that_breaks_is_not_tried_again() -> None:
    with (
        WireServer(RESET, http(200, MADE)) as server,
        vast_client(server.url, Clock()) as client,
        pytest.raises(errors.OutcomeUnknown),
    ):
        client.instances.create(5, launch())
    assert len(server.requests) == 1


def test_being_told_to_wait_is_no_refusal(vast: FakeVast, client: VastClient) -> None:
    vast.on(ASK, Told({"detail": "too frequent endpoint threshold=4.5"}, 429), MADE)
    assert client.instances.create(5, launch()).instance_id == 77


def bulk_answer(ids: list[int]) -> dict[str, Any]:
    rows = [{"ask_id": each, "success": True, "new_contract": each * 10} for each in ids]
    return {"success": True, "results": rows, "created": [each * 10 for each in ids]}


def test_many_are_created_64_to_a_call(vast: FakeVast, client: VastClient) -> None:
    vast.on(BULK, lambda asked: bulk_answer(asked.body["ids"]))
    results = client.instances.bulk_create(list(range(1, 131)), launch())
    assert [len(each.body["ids"]) for each in vast.asked] == [64, 64, 2]
    assert [(each.offer_id, each.instance_id) for each in results][:2] == [(1, 10), (2, 20)]
    assert all(each.started and each.error is None for each in results) and len(results) == 130


def test_each_of_many_has_its_own_end(vast: FakeVast, client: VastClient) -> None:
    vast.on(
        BULK,
        {
            "success": True,
            "results": [
                {"ask_id": 1, "success": True, "new_contract": 10},
                {"ask_id": 2, "success": False, "error": "no_such_ask", "msg": "m"},
                {"ask_id": 3, "success": False, "new_contract": 30},
                {"ask_id": 4, "success": True},
            ],
        },
    )
    one, two, three, four, five = client.instances.bulk_create([1, 2, 3, 4, 5], launch())
    assert (one.instance_id, one.started, one.error) == (10, True, None)
    assert isinstance(two.error, errors.OfferGone) and two.instance_id is None
    assert isinstance(three.error, errors.CreatedStopped) and three.instance_id == 30
    for open_end in (four, five):
        assert isinstance(open_end.error, errors.OutcomeUnknown)
        assert open_end.error.label == "a/1"


def test_none_of_many_created_is_told_one_by_one(vast: FakeVast, client: VastClient) -> None:
    row = {"ask_id": 1, "success": False, "error": "no_such_ask", "msg": "m"}
    vast.on(BULK, {"success": False, "results": [row]})
    (only,) = client.instances.bulk_create([1], launch())
    assert isinstance(only.error, errors.OfferGone)


def test_a_call_that_breaks_does_not_lose_those_before_it(
    vast: FakeVast, client: VastClient
) -> None:
    vast.on(BULK, lambda asked: bulk_answer(asked.body["ids"]), Told({}, 502))
    results = client.instances.bulk_create(list(range(1, 70)), launch())
    assert sum(each.started for each in results) == 64
    assert all(isinstance(each.error, errors.OutcomeUnknown) for each in results[64:])


@pytest.mark.parametrize(
    "told", [Told({"msg": "lack of credit"}, 400), Told({"error": "auth_error"}, 401)]
)
def test_what_every_call_would_hear_is_asked_once(
    vast: FakeVast, client: VastClient, told: Told
) -> None:
    vast.on(BULK, told)
    results = client.instances.bulk_create(list(range(1, 200)), launch())
    assert len(vast.asked) == 1
    assert len(results) == 199 and len({id(each.error) for each in results}) == 1


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ({"success": False, "error": "insufficient_credit", "msg": "m"}, errors.NoCredit),
        ({"success": False, "error": "what", "msg": "m"}, errors.OutcomeUnknown),
        ({"success": True}, errors.OutcomeUnknown),
    ],
)
def test_a_bulk_answer_without_results(
    vast: FakeVast, client: VastClient, answer: Any, error: type[Exception]
) -> None:
    vast.on(BULK, answer)
    (only,) = client.instances.bulk_create([1], launch())
    assert isinstance(only.error, error)
