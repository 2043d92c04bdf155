"""Magister's four calls, in its own shapes."""

from __future__ import annotations

import pytest

from vast_pyworker.controller.access import Right
from vast_pyworker.model import Desired


@pytest.fixture
def opened(start):
    made = start(open_magister=True)
    made.controller.tick(10, times=12)
    return made


def test_summary_has_the_fields_of_magister(client):
    told = client.json("GET", "/summary", key=Right.READ)
    assert set(told) == {"total_cost_per_hour", "num_instances", "instance_overview"}
    assert told["num_instances"] == 2
    assert set(told["instance_overview"][0]) == {
        "instance_id", "offer_id", "gpu", "location", "machine_id", "host_id", "cost_per_hour",
    }  # fmt: skip
    total = sum(each["cost_per_hour"] for each in told["instance_overview"])
    assert told["total_cost_per_hour"] == pytest.approx(total)


def test_instances_have_the_fifty_fields_of_an_offer(client):
    rows = client.json("GET", "/instances")
    assert [set(each) for each in rows] == [{"offer", "instance_id", "should_drop"}] * 2
    assert all(len(each["offer"]) == 50 for each in rows)
    assert all(each["offer"]["id"] == each["instance_id"] for each in rows)
    assert all(each["should_drop"] is False for each in rows)


def test_without_being_told_so_the_calls_are_not_open(client):
    for method, path in (("GET", "/summary"), ("GET", "/instances"), ("GET", "/verify/1"),
                         ("DELETE", "/drop/1")):  # fmt: skip
        client.refused(401, method, path, key=None)


def test_open_calls_need_no_key_and_others_still_do(opened):
    row = opened.json("GET", "/summary", key=None)["instance_overview"][0]
    answer = opened.call("DELETE", f"/drop/{row['offer_id']}", key=None, data="it is slow")
    assert (answer.status_code, answer.text) == (200, f"{row['instance_id']} will be dropped")
    intents = opened.controller.ledger.intents.open().values()
    dropped = next(each for each in intents if each.instance_id == row["instance_id"])
    assert dropped.desired is Desired.DESTROY and "it is slow" in dropped.reason
    opened.controller.tick()
    assert opened.json("GET", "/summary", key=None)["num_instances"] == 1
    opened.refused(401, "GET", "/groups", key=None)


def test_a_drop_is_told_twice_and_done_once(opened):
    row = opened.json("GET", "/summary", key=None)["instance_overview"][0]
    for _ in range(2):
        assert opened.call("DELETE", f"/drop/{row['offer_id']}", key=None).status_code == 200
    said = [each["sentence"] for each in opened.json("GET", "/decisions")["decisions"]]
    assert sum(" dropped by " in each for each in said) == 1


@pytest.mark.parametrize("ident", ["7", "x", "-1"])
def test_a_drop_of_nobody_is_400(opened, ident):
    opened.refused(400, "DELETE", f"/drop/{ident}", key=None)


def test_verify_is_200_and_empty_also_for_one_unknown(opened):
    answer = opened.call("GET", "/verify/12345", key=None)
    assert (answer.status_code, answer.content) == (200, b"")
    opened.refused(400, "GET", "/verify/x", key=None)


def test_one_that_never_reports_is_ready_once_it_has_vouched_for_itself(start):
    client = start(open_magister=True)
    client.controller.ears.join_s = 1e9
    client.controller.tick(10, times=6)
    members = client.controller.parts.loop.fleet.members
    assert [each.stage for each in members] == ["joining", "joining"]
    ident = members[0].intent.instance_id
    assert client.call("GET", f"/verify/{ident}", key=None).status_code == 200
    client.controller.tick(10)
    stages = {m.intent.instance_id: m.stage for m in client.controller.parts.loop.fleet.members}
    assert stages[ident] == "ready"
    assert sorted(stages.values()) == ["joining", "ready"]


def test_an_instance_is_told_where_to_call_where_the_calls_are_open(opened, client):
    for site, told in ((opened, True), (client, False)):
        intent = site.controller.parts.loop.fleet.members[0].intent
        env = site.controller.provider.env_of(intent.instance_id)
        assert ("MAGISTER_DROP_ENDPOINT" in env) is told
        assert env["MASTER_TOKEN"] == site.controller.secrets.token_of(intent.id)
        assert set(env) <= {"REPORT_ADDR", "MASTER_TOKEN", "MAGISTER_DROP_ENDPOINT"}
