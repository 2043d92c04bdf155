"""What may be looked at: groups, members, decisions, spend, metrics, the document of all calls."""

from __future__ import annotations

import re

import pytest

from vast_pyworker.controller.access import Right
from vast_pyworker.controller.fake_controller import fake_group, fake_wishes
from vast_pyworker.errors import ProviderUnreachable
from vast_pyworker.model import Limits


def test_groups_tell_what_is_wanted_and_what_there_is(client):
    told = client.json("GET", "/groups", key=Right.READ)
    assert told["fleet"] == "fleet" and told["blind"] == ""
    (row,) = told["groups"]
    assert (row["wanted"], row["ready"], row["booting"], row["cold"]) == (2, 2, 0, 0)
    assert row["capacity"] == 200.0
    assert 0 < row["usd_per_hour"] <= 3.0
    assert row["sentence"].startswith("want 2 (constant)")


def test_a_group_explains_its_last_decision(client):
    decision = client.json("GET", "/groups/llm")["decision"]
    assert decision["inputs"]["policy"] == "hold"
    assert decision["inputs"]["bounds"]["max_instances"] == 6
    client.refused(404, "GET", "/groups/none")


def test_members_tell_where_they_are_and_what_they_cost(client):
    rows = client.json("GET", "/members")["members"]
    assert [each["stage"] for each in rows] == ["ready", "ready"]
    assert all(each["gpu"] and each["place"] and each["usd_per_hour"] > 0 for each in rows)
    assert all(each["usd_spent"] > 0 and each["reported_s"] == 0 for each in rows)
    assert len(client.json("GET", "/members?group=llm")["members"]) == 2


@pytest.mark.parametrize("path", ["members?group=none", "decisions?group=none", "groups/none"])
def test_an_unknown_group_is_not_an_empty_one(client, path):
    assert client.refused(404, "GET", f"/{path}") == "There is no group none; there are: llm."
    client.refused(404, "GET", "/queues/none")


def test_decisions_come_newest_first_and_are_bounded(client):
    rows = client.json("GET", "/decisions?limit=2")["decisions"]
    assert len(rows) == 2 and rows[0]["id"] > rows[1]["id"]
    client.refused(400, "GET", "/decisions?limit=many")
    assert len(client.json("GET", "/decisions?limit=0")["decisions"]) == 1


def test_spend_adds_up(client):
    told = client.json("GET", "/spend?days=31")
    hours = sum(each["usd"] for each in told["hours"])
    assert hours == pytest.approx(sum(told["instances"].values()))
    assert hours == pytest.approx(told["usd_today"])
    assert told["usd_per_day_limit"] == 200.0
    assert told["usd_per_hour"] == pytest.approx(told["usd_today"] * 3600 / 110, rel=0.2)


def test_no_limit_is_null_and_not_nought(start):
    client = start(fake_wishes(fake_group(), limits=Limits(20, 20.0)))
    assert client.json("GET", "/spend")["usd_per_month_limit"] is None


def test_a_blind_controller_says_why(client):
    client.controller.provider.watch = lambda moment, name: _fail(moment)
    client.controller.tick()
    assert "no answer" in client.json("GET", "/groups")["blind"]
    assert "pyworker_controller_blind 1.0" in client.call("GET", "/metrics").text


def _fail(moment):
    if moment == "before":
        raise ProviderUnreachable("There was no answer.")


def test_metrics_are_prometheus_and_leave_the_unknown_out(client):
    text = client.call("GET", "/metrics").text
    assert 'pyworker_controller_instances{group="llm",stage="ready"} 2.0' in text
    assert re.search(r"^pyworker_controller_usd_per_hour [0-9.]+$", text, re.MULTILINE)
    assert "pyworker_controller_load{" not in text


def test_every_call_of_the_application_is_in_the_document(client):
    told = client.json("GET", "/openapi.json")
    assert told["openapi"] == "3.1.0"
    documented = {
        (method.upper(), path)
        for path, operations in told["paths"].items()
        for method in operations
    }
    rules = {
        (method, re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule))
        for rule in client.controller.built.app.url_map.iter_rules()
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }
    native = set(client.controller.built.app.native_routes)
    assert documented == rules | native
    assert all(op["summary"] for ops in told["paths"].values() for op in ops.values())


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nothing", 404), ("PUT", "/groups", 405), ("POST", "/summary", 405)],
)
def test_what_is_not_there_is_one_sentence(client, method, path, status):
    client.refused(status, method, path)


def test_a_worker_that_we_do_not_know_is_shown_and_not_believed(client):
    report = {"id": 77, "mtoken": "x", "version": "1.1.0", "loadtime": 1.0, "max_perf": 5.0}
    client.call("POST", "/worker_status/", report, key=None)
    (row,) = client.json("GET", "/strangers")["strangers"]
    assert (row["id"], row["state"]) == (77, "ready")
    assert "mtoken" not in row


def test_native_calls_are_found_without_their_last_slash(client):
    assert client.call("GET", "/pubkey", key=None).text.startswith("-----BEGIN PUBLIC KEY")
    assert client.call("GET", "/livez", key=None).json() == {"status": "ok"}
