"""Templates: hashes of content, edits, who sees what."""

from __future__ import annotations

import json

import pytest

from vast_pyworker.market.accounts.templates import CONTENT, Templates
from vast_pyworker.market.refusal import MarketRefusal

ANN, BOB = 1, 2
BODY = {"name": "vllm", "image": "vllm/vllm-openai", "env": "-e A=1 -p 8000:8000"}


@pytest.fixture
def templates() -> Templates:
    return Templates()


def test_equal_content_has_one_hash_for_all_users(templates: Templates) -> None:
    ann, _ = templates.create(ANN, BODY, 1.0)
    bob, is_new = templates.create(BOB, BODY, 2.0)
    assert is_new and ann["hash_id"] == bob["hash_id"] and ann["id"] != bob["id"]
    assert len(ann["hash_id"]) == 32
    other, _ = templates.create(ANN, {**BODY, "tag": "v1"}, 3.0)
    assert other["hash_id"] != ann["hash_id"]


def test_the_same_template_again_is_the_one_that_there_is(templates: Templates) -> None:
    first, _ = templates.create(ANN, BODY, 1.0)
    again, is_new = templates.create(ANN, dict(BODY, desc=None), 2.0)
    assert not is_new and again == first


def test_a_disk_may_be_a_number_in_a_text(templates: Templates) -> None:
    first, _ = templates.create(ANN, {**BODY, "recommended_disk_space": "20"}, 1.0)
    again, is_new = templates.create(ANN, {**BODY, "recommended_disk_space": 20}, 2.0)
    assert first["recommended_disk_space"] == 20.0 and again == first and not is_new


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"image": "i"}, "template name"),
        ({"name": "n", "image": ""}, "template image"),
        ({**BODY, "colour": "red"}, "Unexpected Key 'colour'"),
        ({**BODY, "env": {"A": "1"}}, "'env' cannot be dict"),
        ({**BODY, "recommended_disk_space": -1}, "cannot be negative"),
        ({**BODY, "recommended_disk_space": True}, "cannot be bool"),
        ({**BODY, "recommended_disk_space": "much"}, "cannot be str"),
        ({**BODY, "private": "yes"}, "'private' cannot be str"),
        ({**BODY, "readme": "x" * 70_000}, "exceeds its max length"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_made(
    templates: Templates, body: dict[str, object], said: str
) -> None:
    with pytest.raises(MarketRefusal, match=said) as caught:
        templates.create(ANN, body, 1.0)
    assert caught.value.status == 400
    assert templates.visible_to(ANN) == []


def test_an_edit_keeps_the_number_and_changes_the_hash(templates: Templates) -> None:
    row, _ = templates.create(ANN, BODY, 1.0)
    edited, changed = templates.update(ANN, row["id"], row["hash_id"], {"tag": "v2"})
    assert changed and edited["id"] == row["id"] and edited["hash_id"] != row["hash_id"]
    assert (edited["tag"], edited["env"]) == ("v2", BODY["env"])
    assert [each["hash_id"] for each in templates.visible_to(ANN)] == [edited["hash_id"]]


def test_the_former_content_is_launched_by_its_former_hash(templates: Templates) -> None:
    row, _ = templates.create(ANN, BODY, 1.0)
    templates.update(ANN, row["id"], row["hash_id"], {"tag": "v2"})
    former = templates.used(ANN, None, row["hash_id"])
    assert former is not None and former.row()["tag"] is None
    present = templates.used(ANN, row["id"], None)
    assert present is not None and present.row()["tag"] == "v2"
    assert present.count_created == 2


def test_an_edit_without_a_change_is_none(templates: Templates) -> None:
    row, _ = templates.create(ANN, BODY, 1.0)
    assert templates.update(ANN, row["id"], row["hash_id"], BODY) == (row, False)


def test_an_edit_needs_the_present_hash(templates: Templates) -> None:
    row, _ = templates.create(ANN, BODY, 1.0)
    templates.update(ANN, row["id"], row["hash_id"], {"tag": "v2"})
    with pytest.raises(MarketRefusal) as caught:
        templates.update(ANN, row["id"], row["hash_id"], {"tag": "v3"})
    assert (caught.value.status, caught.value.code) == (404, "invalid_template")


def test_private_ones_are_seen_by_their_creator_alone(templates: Templates) -> None:
    secret, _ = templates.create(ANN, BODY, 1.0)
    public, _ = templates.create(ANN, {**BODY, "private": False}, 1.0)
    assert [row["id"] for row in templates.visible_to(BOB)] == [public["id"]]
    assert templates.used(BOB, None, secret["hash_id"]) is None
    assert templates.known(BOB, None, public["hash_id"])
    with pytest.raises(MarketRefusal, match="Only the Template Creator"):
        templates.update(BOB, public["id"], public["hash_id"], {"tag": "x"})


def test_only_the_creator_deletes(templates: Templates) -> None:
    public, _ = templates.create(ANN, {**BODY, "private": False}, 1.0)
    with pytest.raises(MarketRefusal, match="ONLY be Deleted by their Creator"):
        templates.delete(BOB, public["id"])
    templates.delete(ANN, public["id"])
    with pytest.raises(MarketRefusal, match="Invalid Template ID"):
        templates.delete(ANN, public["id"])


def test_docker_credentials_are_not_shown(templates: Templates) -> None:
    row, _ = templates.create(ANN, {**BODY, "docker_login_pass": "hunter2"}, 1.0)
    assert "hunter2" not in json.dumps(row)
    assert set(CONTENT) - set(row) == {"docker_login_user", "docker_login_pass"}


def test_everything_survives_as_json(templates: Templates) -> None:
    row, _ = templates.create(ANN, BODY, 1.0)
    templates.update(ANN, row["id"], row["hash_id"], {"tag": "v2"})
    again = Templates()
    again.restore(json.loads(json.dumps(templates.state())))
    assert again.visible_to(ANN) == templates.visible_to(ANN)
    assert again.known(ANN, None, row["hash_id"])
    assert again.create(ANN, BODY, 2.0)[0]["id"] == row["id"] + 1
