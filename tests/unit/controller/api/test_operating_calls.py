"""Commands over HTTP: what they change, who is written down, and what is refused."""

from __future__ import annotations

import pytest

from vast_pyworker.controller.access import Right
from vast_pyworker.controller.fake_controller import fake_group, fake_wishes
from vast_pyworker.errors import WishError
from vast_pyworker.model import Desired, Limits


def members(client):
    return client.controller.parts.loop.fleet.members


def number(client, index=0):
    return members(client)[index].intent.instance_id


def sentences(client):
    return [each["sentence"] for each in client.json("GET", "/decisions")["decisions"]]


def test_a_group_is_held_at_a_number_and_given_back(client):
    done = client.json("POST", "/groups/llm/scale", {"instances": 3}, key=Right.OPERATE)
    assert done["pinned"] == 3 and "by operate key" in done["said"]
    client.controller.tick(10, times=12)
    row = client.json("GET", "/groups/llm")
    assert (row["wanted"], row["ready"], row["pinned"]) == (3, 3, 3)
    client.json("POST", "/groups/llm/scale", {"instances": None}, key=Right.OPERATE)
    client.controller.tick(400, times=3)
    row = client.json("GET", "/groups/llm")
    assert (row["wanted"], row["pinned"]) == (2, None)


def test_a_scale_survives_a_restart_of_the_controller(client, start):
    client.json("POST", "/groups/llm/scale", {"instances": 1})
    assert client.controller.ledger.notes.get("overlay")["pins"] == {"llm": 1}


@pytest.mark.parametrize(
    ("count", "why"), [(21, "limits.instances"), (14, r"One more at \$1\.500/h|limits\.")]
)
def test_what_would_exceed_the_limits_is_refused_in_one_sentence(start, count, why):
    small = Limits(instances=20, usd_per_hour=3.0)
    client = start(fake_wishes(fake_group(), limits=small))
    before = client.controller.ledger.notes.get("overlay")
    answer = client.call("POST", "/groups/llm/scale", {"instances": count})
    assert answer.status_code == 409
    assert answer.json()["refused_by"] == "limits"
    assert client.controller.ledger.notes.get("overlay") == before


@pytest.mark.parametrize("body", [{}, {"instances": "3"}, {"instances": -1}, {"instances": 1.5},
                                  {"instances": True}, {"instances": 1e300}])  # fmt: skip
def test_a_number_that_is_none_is_refused(client, body):
    client.refused(422, "POST", "/groups/llm/scale", body)


@pytest.mark.parametrize("text", [b"{", b"[1]", b"nul", b"\xff", b'{"instances": NaN}'])
def test_a_body_that_is_no_object_changes_nothing(client, text):
    key = client.controller.keys[Right.ADMIN]
    answer = client.call(
        "POST", "/groups/llm/scale", key=None, data=text, headers={"Authorization": f"Bearer {key}"}
    )
    assert answer.status_code in (400, 422)
    assert client.json("GET", "/groups/llm")["pinned"] is None


def test_a_body_that_is_too_large_is_refused(client):
    client.refused(413, "POST", "/groups/llm/scale", {"instances": 1, "x": "x" * 300_000})


def test_an_unknown_group_is_named_with_those_there_are(client):
    assert "llm" in client.refused(404, "POST", "/groups/none/scale", {"instances": 1})


def test_drain_is_a_wish_with_the_name_of_who_gave_it(client):
    first = members(client)[0].intent
    client.controller.ears.busy[first.instance_id] = 2
    client.json("POST", f"/instances/{first.instance_id}/drain", {"seconds": 30}, key=Right.OPERATE)
    intent = client.controller.ledger.intents.open()[first.id]
    assert intent.desired is Desired.DESTROY
    assert intent.drain_until == client.controller.time() + 30
    assert intent.set_by.startswith("operate key (")
    client.controller.tick(10)
    row = client.json("GET", f"/members/{first.instance_id}")
    assert row["stage"] == "draining"
    assert row["actions"][0]["who"] == intent.set_by
    client.controller.tick(30, times=8)
    client.refused(404, "GET", f"/members/{first.instance_id}")


def test_what_is_held_is_not_drained_nor_dropped(client):
    ident = number(client)
    assert "is held" in client.json("POST", f"/instances/{ident}/hold")["said"]
    client.controller.tick()
    for verb in ("drain", "drop"):
        assert "release it first" in client.refused(409, "POST", f"/instances/{ident}/{verb}", {})
    client.json("POST", f"/instances/{ident}/release")
    client.json("POST", f"/instances/{ident}/drop", {"reason": "noisy"})
    assert any("noisy" in each for each in sentences(client))


def test_a_dropped_machine_is_remembered(client):
    intent = members(client)[0].intent
    client.json("POST", f"/instances/{intent.instance_id}/drop", {"reason": "slow"})
    scores = client.controller.ledger.reputation.scores(client.controller.time())
    assert scores.machine(intent.machine_id) > 0


@pytest.mark.parametrize("ident", ["1", "nobody", "9" * 30, "-1", "%00"])
def test_an_unknown_instance_is_404(client, ident):
    client.refused(404, "POST", f"/instances/{ident}/hold")


def test_renew_replaces_every_member_one_after_another(client):
    before = {each.intent.id for each in members(client)}
    assert client.json("POST", "/groups/llm/renew", {})["instances"] == 2
    least = 2
    for _ in range(60):
        client.controller.tick(10)
        ready = sum(each.stage == "ready" for each in members(client))
        least = min(least, ready)
    after = {each.intent.id for each in members(client)}
    assert not before & after and len(after) == 2
    assert least == 2


def test_a_reload_takes_a_good_file_and_refuses_a_bad_one(client):
    client.controller.wishes = fake_wishes(fake_group(min_instances=4), fake_group("more"))
    assert "2 groups" in client.json("POST", "/reload")["said"]
    client.controller.tick()
    assert set(client.controller.parts.loop.wishes.groups) == {"llm", "more"}
    client.controller.wishes = WishError("groups.toml:3: min is x; it has to be a number.")
    said = client.json("POST", "/reload")["said"]
    assert "groups.toml:3" in said and "stays" in said
    client.controller.tick()
    assert set(client.controller.parts.loop.wishes.groups) == {"llm", "more"}
    client.refused(403, "POST", "/reload", key=Right.OPERATE)


def test_the_log_of_an_instance_is_its_own_output(client):
    answer = client.call("GET", f"/instances/{number(client)}/logs?tail=10")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/plain")
    client.refused(400, "GET", f"/instances/{number(client)}/logs?tail=x")
