"""What Vast's own clients call: endpoints, groups of workers, logs, updates, the user."""

from __future__ import annotations

import ssl

import pytest

from vast_pyworker.controller.access import Right
from vast_pyworker.controller.fake_controller import fake_group, fake_wishes
from vast_pyworker.model import Pace

ENDPOINTS = "/api/v0/endptjobs/"
GROUP = {"endpoint_name": "demo", "template_hash": "abc", "search_params": "gpu_ram>=24 num_gpus=1"}


def make_endpoint(client, name="demo", **fields):
    body = {"client_id": "me", "endpoint_name": name, "max_queue_time": None, **fields}
    return client.json("POST", ENDPOINTS, body, key=Right.OPERATE)["result"]


def test_endpoints_are_listed_by_get_with_a_body(client):
    key = client.controller.keys[Right.OPERATE]
    told = client.json("GET", ENDPOINTS, {"client_id": "me", "api_key": key}, key=None)
    assert told["success"] is True
    (row,) = told["results"]
    assert {"id", "endpoint_name", "api_key", "user_id", "created_at"} <= set(row)
    assert row["endpoint_name"] == "llm" and type(row["created_at"]) is float
    assert client.json("GET", f"{ENDPOINTS}{row['id']}/")["result"] == row
    client.refused(404, "GET", f"{ENDPOINTS}99/")


def test_an_endpoint_and_a_group_are_made_changed_and_ended(client):
    number = make_endpoint(client, min_load=0.0, cold_workers=1, max_workers=3)
    group = client.json("POST", "/api/v0/autojobs/", GROUP, key=Right.OPERATE)["id"]
    rows = client.json("GET", "/api/v0/workergroups/")["results"]
    row = next(each for each in rows if each["id"] == group)
    assert (row["endpoint_id"], row["endpoint_name"]) == (number, "demo")
    wishes = client.controller.parts.desk.wishes()
    assert wishes.groups["demo"].policy == "vast"
    assert wishes.groups["demo"].max_instances == 3
    assert wishes.groups["demo"].max_usd_per_hour == 1.0  # a fair share: $20/h for 20 instances
    client.json("PUT", f"{ENDPOINTS}{number}/", {"max_workers": 2, "cold_workers": None})
    assert client.controller.parts.desk.wishes().groups["demo"].max_instances == 2
    client.controller.tick(10, times=12)
    assert client.json("GET", "/groups/demo")["instances"] >= 1
    told = client.json("DELETE", f"{ENDPOINTS}{number}/", {"client_id": "me"})
    assert told["success"] is True and told["deleted_workers"] >= 1
    client.refused(404, "GET", f"{ENDPOINTS}{number}/")
    client.controller.tick(30, times=20)
    assert "demo" not in {each["name"] for each in client.json("GET", "/groups")["groups"]}


def test_no_endpoint_goes_above_the_limits(client):
    number = make_endpoint(client, max_workers=5000)
    client.json("POST", "/api/v0/workergroups/", GROUP)
    assert client.controller.parts.desk.wishes().groups["demo"].max_instances == 20
    assert client.json("GET", f"{ENDPOINTS}{number}/")["result"]["endpoint_name"] == "demo"


def test_a_groups_price_cap_is_that_of_its_query(client):
    make_endpoint(client)
    client.json("POST", "/api/v0/autojobs/", {**GROUP, "search_params": "dph_total<=0.4"})
    assert client.controller.parts.desk.wishes().groups["demo"].max_usd_per_hour == 0.4


def test_an_endpoint_is_suspended_stopped_and_made_active(client):
    number = client.json("GET", ENDPOINTS)["results"][0]["id"]
    client.json("PUT", f"{ENDPOINTS}{number}/", {"endpoint_state": "suspended"})
    assert client.json("GET", "/groups/llm")["pinned"] == 2
    client.json("PUT", f"{ENDPOINTS}{number}/", {"endpoint_state": "stopped"})
    client.controller.tick()
    assert client.json("GET", "/groups/llm")["wanted"] == 0
    client.json("PUT", f"{ENDPOINTS}{number}/", {"endpoint_state": "active"})
    client.controller.tick()
    assert client.json("GET", "/groups/llm")["wanted"] == 2


@pytest.mark.parametrize(
    "body",
    [
        {"endpoint_name": ""}, {"endpoint_name": "a b"}, {"endpoint_name": "x" * 256},
        {"endpoint_name": 3}, {"endpoint_name": "ok", "target_util": 5},
        {"endpoint_name": "ok", "max_workers": "many"},
        {"endpoint_name": "ok", "endpoint_state": "asleep"},
    ],
)  # fmt: skip
def test_an_endpoint_that_cannot_be_is_refused_and_nothing_is_kept(client, body):
    before = client.controller.parts.desk.overlay
    client.refused(422, "POST", ENDPOINTS, body)
    assert client.controller.parts.desk.overlay == before


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"template_hash": None}, 422), ({"search_params": "gpu_ram >"}, 422),
        ({"search_params": 7}, 422), ({"launch_args": "--rm-rf /"}, 422),
        ({"template_hash": None, "launch_args": "--image 'x"}, 422),
        ({"endpoint_name": "nowhere"}, 404), ({"endpoint_name": None}, 422),
        ({"template_hash": 7}, 422),
    ],
)  # fmt: skip
def test_a_group_that_cannot_be_is_refused_and_nothing_is_kept(client, change, status):
    make_endpoint(client)
    before = client.controller.parts.desk.overlay
    client.refused(status, "POST", "/api/v0/autojobs/", {**GROUP, **change})
    assert client.controller.parts.desk.overlay == before


def test_a_group_of_the_file_is_changed_in_the_file(client):
    row = client.json("GET", "/api/v0/autojobs/")["results"][0]
    assert "groups.toml" in client.refused(400, "PUT", f"/api/v0/autojobs/{row['id']}/", GROUP)


def test_a_group_of_the_file_is_drained_by_a_delete_and_comes_back_by_a_scale(client):
    row = client.json("GET", "/api/v0/autojobs/")["results"][0]
    assert client.json("DELETE", f"/api/v0/autojobs/{row['id']}/")["deleted_workers"] == 2
    client.controller.tick(60, times=10)
    assert client.json("GET", "/groups/llm")["instances"] == 0
    client.json("POST", "/groups/llm/scale", {"instances": 1})
    client.controller.tick(10, times=12)
    assert client.json("GET", "/groups/llm")["ready"] == 1


def test_workers_of_an_endpoint_are_a_bare_list_with_the_key_in_the_body(client):
    number = client.json("GET", ENDPOINTS)["results"][0]["id"]
    key = client.controller.keys[Right.READ]
    body = {"id": number, "api_key": key}
    client.controller.parts.board.publish({})  # the fake's workers report past the switchboard
    assert client.json("POST", "/get_endpoint_workers/", body, key=None) == []
    by_name = {"endpoint": "llm", "api_key": key}
    assert client.json("POST", "/get_endpoint_workers/", by_name, key=None) == []
    client.refused(404, "POST", "/get_endpoint_workers/", {"id": 99, "api_key": key}, key=None)
    client.refused(400, "POST", "/get_endpoint_workers/", {"api_key": key}, key=None)


@pytest.mark.parametrize("kind", ["endpoint", "workergroup", "autogroup"])
def test_logs_have_the_four_levels_as_text(client, kind):
    source = ENDPOINTS if kind == "endpoint" else "/api/v0/workergroups/"
    number = client.json("GET", source)["results"][0]["id"]
    told = client.json("POST", f"/get_{kind}_logs/", {"id": number, "tail": 5})
    assert set(told) == {"info0", "info1", "trace", "debug"}
    assert all(isinstance(each, str) for each in told.values())
    assert "want 2 (constant)" in told["info0"] and len(told["info1"].splitlines()) <= 5


def test_an_update_renews_a_group_and_is_taken_back(client):
    number = client.json("GET", "/api/v0/workergroups/")["results"][0]["id"]
    told = client.json("POST", "/update_workers/", {"workergroup_id": number})
    assert told == {"success": True, "workers_to_update": 2}
    body = {"workergroup_id": number, "cancel_update": True}
    assert client.json("POST", "/update_workers/", body) == {"success": True, "cancelled": True}
    client.controller.tick()
    assert client.json("GET", "/groups/llm")["instances"] == 2


def test_the_certificate_and_the_user(client):
    answer = client.call("GET", "/static/jvastai_root.cer", key=None)
    ssl.create_default_context(cadata=answer.text)
    assert client.json("GET", "/api/v0/users/current/", key=Right.READ)["id"] == 1


def test_what_was_made_is_there_after_a_restart(client, start):
    make_endpoint(client, max_workers=3)
    client.json("POST", "/api/v0/autojobs/", GROUP)
    overlay = client.controller.parts.desk.overlay
    again = start()
    again.controller.ledger.notes.put("overlay", overlay.to_json())
    kept = type(overlay).from_json(again.controller.ledger.notes.get("overlay"))
    assert kept == overlay


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", f"{ENDPOINTS}99/", None),
        ("POST", "/get_endpoint_logs/", {"id": 99}),
        ("POST", "/update_workers/", {"workergroup_id": 99}),
    ],
)
def test_a_refusal_stands_where_their_command_line_looks_for_it(client, method, path, body):
    sentence = client.refused(404, method, path, body)
    told = client.call(method, path, body).json()
    assert told == {"error": sentence, "success": False, "msg": sentence}


def test_a_group_that_is_deleted_does_not_wait_for_its_pace(start):
    client = start(fake_wishes(fake_group(min_instances=4, pace=Pace(0.0, 3600.0, 1))))
    client.controller.tick(10, times=30)
    assert client.json("GET", "/groups/llm")["ready"] == 4
    number = client.json("GET", ENDPOINTS)["results"][0]["id"]
    told = client.json("DELETE", f"{ENDPOINTS}{number}/", {"client_id": "me"})
    assert told["deleted_workers"] == 4
    client.controller.tick(1, times=2)
    stages = {each["stage"] for each in client.json("GET", "/members")["members"]}
    assert not stages & {"ready", "suspect"}
    client.controller.tick(60, times=5)
    assert client.json("GET", "/members")["members"] == []
