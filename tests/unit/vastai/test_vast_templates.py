"""Templates: none is an empty list, the same is not made twice, an update keeps what it had."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from vast_pyworker.errors import AuthError, BadAnswer, InvalidRequest, NotFound, OutcomeUnknown
from vast_pyworker.vastai.client import VastClient
from vast_pyworker.vastai.fake_vast import FakeVast, Told
from vast_pyworker.vastai.pacing import Pacing

NONE = {"success": False, "msg": "No templates found"}
ROW = {
    "id": 9,
    "hash_id": "h1",
    "name": "mine",
    "image": "repo/img",
    "env": "-e A=1",
    "creator_id": 5,
    "private": True,
    "recommended_disk_space": 20,
    "extra_filters": '{"verified": {"eq": true}}',
    "count_created": 3,
}


@pytest.fixture
def vast() -> Iterator[FakeVast]:
    with FakeVast() as vast:
        yield vast


@pytest.fixture
def client(vast) -> Iterator[VastClient]:
    with VastClient("secret", base_url=vast.url, pacing=Pacing.off()) as client:
        yield client


def found(*rows) -> dict:
    return {"success": True, "templates_found": len(rows), "templates": list(rows)}


def test_filters_go_as_json(vast, client):
    vast.on("GET /api/v0/template/", found(ROW))
    (template,) = client.templates.list({"name": {"eq": "mine"}})
    assert (template.id, template.hash_id, template.disk_gb) == (9, "h1", 20.0)
    query = {name: json.loads(value) for name, value in vast.asked[0].query.items()}
    assert query == {"select_cols": ["*"], "select_filters": {"name": {"eq": "mine"}}}


def test_none_is_an_empty_list_and_a_failure_is_not(vast, client):
    vast.on("GET /api/v0/template/", NONE, Told({"success": True, "templates_found": 1}))
    assert client.templates.list() == []
    with pytest.raises(BadAnswer):
        client.templates.list()


def test_among_equal_ones_the_own_is_shown(vast, client):
    vast.on("GET /api/v0/template/", found({**ROW, "id": 1, "creator_id": 4}, ROW))
    vast.on("GET /api/v0/users/current", {"id": 5})
    template = client.templates.show("h1")
    assert template is not None
    assert template.id == 9


def test_no_such_hash_is_none(vast, client):
    vast.on("GET /api/v0/template/", NONE)
    assert client.templates.show("h9") is None


def test_create_sends_what_was_given_and_no_more(vast, client):
    vast.on("POST /api/v0/template/", {"success": True, "msg": "Created", "template": ROW})
    assert client.templates.create("mine", "repo/img", {"env": "-e A=1"}).hash_id == "h1"
    assert vast.asked[0].body == {"env": "-e A=1", "name": "mine", "image": "repo/img"}


def test_the_same_content_is_not_made_twice(vast, client):
    said = {"success": False, "msg": "Existing Template Found"}
    vast.on("POST /api/v0/template/", said)
    vast.on("GET /api/v0/template/", found({**ROW, "image": "other"}, ROW))
    assert client.templates.create("mine", "repo/img").id == 9


def test_an_unknown_field_is_refused_here(vast, client):
    with pytest.raises(InvalidRequest, match="'color'"):
        client.templates.create("mine", "repo/img", {"color": "red"})
    assert vast.asked == []


def test_an_update_keeps_what_it_does_not_name(vast, client):
    vast.on("GET /api/v0/template/", found(ROW))
    new = {"success": True, "hash_id": "h2", "msg": "Created an Edited Copy"}
    vast.on("PUT /api/v1/template/", new)
    assert client.templates.update("h1", {"image": "repo/new"}).hash_id == "h2"
    assert vast.calls("PUT *")[0].body == {
        "id": 9,
        "hash_id": "h1",
        "name": "mine",
        "image": "repo/new",
        "env": "-e A=1",
        "private": True,
        "recommended_disk_space": 20,
        "extra_filters": {"verified": {"eq": True}},
    }


def test_an_update_of_nothing_is_not_sent(vast, client):
    vast.on("GET /api/v0/template/", NONE)
    with pytest.raises(NotFound, match="h9"):
        client.templates.update("h9", {"image": "x"})
    assert vast.calls("PUT *") == []


def test_a_lost_update_is_not_repeated(vast, client):
    vast.on("GET /api/v0/template/", found(ROW))
    vast.on("PUT /api/v1/template/", Told({"msg": "bad gateway"}, 502))
    with pytest.raises(OutcomeUnknown):
        client.templates.update("h1", {"image": "x"})
    assert len(vast.calls("PUT *")) == 1


def test_delete_says_whether_it_was_there(vast, client):
    absent = Told({"success": False, "msg": "Invalid Template ID or User ID"}, 400)
    vast.on("DELETE /api/v0/template/", {"success": True}, absent)
    assert client.templates.delete(template_id=9) is True
    assert client.templates.delete(hash_id="h1") is False
    assert [each.body for each in vast.asked] == [{"template_id": 9}, {"hash_id": "h1"}]


def test_anothers_template_is_not_deleted(vast, client):
    said = {"success": False, "msg": "Templates can ONLY be Deleted by their Creator"}
    vast.on("DELETE /api/v0/template/", Told(said, 401))
    with pytest.raises(AuthError):
        client.templates.delete(template_id=9)
