"""SSH keys: told apart from private ones, added once, read out of the string they come in."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from vast_pyworker.errors import BadAnswer, InvalidRequest, NotFound
from vast_pyworker.vastai.client import VastClient
from vast_pyworker.vastai.fake_vast import FakeVast, Told
from vast_pyworker.vastai.pacing import Pacing
from vast_pyworker.vastai.ssh_keys import SshKey, checked

KEY = "ssh-ed25519 AAAAC3Nza me@here"


@pytest.fixture
def vast() -> Iterator[FakeVast]:
    with FakeVast() as vast:
        yield vast


@pytest.fixture
def client(vast) -> Iterator[VastClient]:
    with VastClient("secret", base_url=vast.url, pacing=Pacing.off()) as client:
        yield client


def refusal(status: int, error: str, msg: str) -> Told:
    return Told({"success": False, "error": error, "msg": msg}, status)


def test_keys_of_an_instance_come_as_a_list_in_a_string(vast, client):
    keys = json.dumps([{"id": 5, "public_key": KEY}])
    vast.on("GET /api/v0/instances/7/ssh/", {"success": True, "ssh_keys": keys})
    assert client.ssh_keys.attached(7) == [SshKey(5, KEY)]


def test_and_also_as_a_list(vast, client):
    vast.on("GET /api/v0/instances/7/ssh/", {"success": True, "ssh_keys": [{"id": 5, "key": KEY}]})
    assert client.ssh_keys.attached(7) == [SshKey(5, KEY)]


@pytest.mark.parametrize("keys", ["[", "{}", 7, None, [1]])
def test_what_is_no_list_is_an_error_and_not_empty(keys, vast, client):
    vast.on("GET /api/v0/instances/7/ssh/", {"success": True, "ssh_keys": keys})
    with pytest.raises(BadAnswer, match="GET /instances/"):
        client.ssh_keys.attached(7)


def test_attach_sends_one_line_without_its_end(vast, client):
    vast.on("POST /api/v0/instances/7/ssh/", {"success": True, "msg": "SSH key added to instance."})
    assert client.ssh_keys.attach(7, f"  {KEY}\n") is True
    assert vast.asked[0].body == {"ssh_key": KEY}


def test_attaching_again_is_no_error(vast, client):
    said = {"success": False, "msg": "SSH key already associated with instance."}
    vast.on("POST /api/v0/instances/7/ssh/", said)
    assert client.ssh_keys.attach(7, KEY) is False


def test_attaching_to_nothing_is(vast, client):
    said = refusal(200, "no_such_instance", "Instance 7 not found.")
    vast.on("POST /api/v0/instances/7/ssh/", said)
    with pytest.raises(NotFound):
        client.ssh_keys.attach(7, KEY)


def test_detach_says_whether_it_was_there(vast, client):
    gone = refusal(200, "no_such_ssh_key", "SSH key not found.")
    vast.on("DELETE /api/v0/instances/7/ssh/5/", {"success": True}, gone)
    assert client.ssh_keys.detach(7, 5) is True
    assert client.ssh_keys.detach(7, 5) is False


def test_a_key_that_is_on_the_account_is_returned(vast, client):
    said = refusal(400, "duplicate", "The SSH key already exists on this account")
    vast.on("POST /api/v0/ssh/", said)
    vast.on("GET /api/v0/ssh/", [{"id": 3, "key": "ssh-rsa B x"}, {"id": 4, "key": KEY}])
    assert client.ssh_keys.add(KEY) == SshKey(4, KEY)


def test_a_new_one_has_its_number(vast, client):
    vast.on("POST /api/v0/ssh/", {"success": True, "key": {"id": 9, "key": KEY}})
    assert client.ssh_keys.add(KEY).id == 9


def test_remove_and_replace(vast, client):
    gone = refusal(400, "no_ssh_key", "No ssh key provided")
    vast.on("DELETE /api/v0/ssh/9/", {"success": True}, gone)
    vast.on("PUT /api/v0/ssh/9/", {"success": True, "key": {"id": 9, "key": KEY}})
    assert client.ssh_keys.replace(9, KEY).public_key == KEY
    assert (client.ssh_keys.remove(9), client.ssh_keys.remove(9)) == (True, False)


@pytest.mark.parametrize(
    "text",
    ["", "AAAAC3Nza", "ssh-ed25519", f"{KEY}\n{KEY}", "-----BEGIN OPENSSH PRIVATE KEY-----\nb3B"],
)
def test_what_is_no_public_key_is_refused_and_not_sent(text, vast, client):
    with pytest.raises(InvalidRequest) as told:
        client.ssh_keys.attach(7, text)
    assert vast.asked == []
    assert told.value.status is None
    assert "b3B" not in str(told.value)


@pytest.mark.parametrize("kind", ["ssh-rsa", "ecdsa-sha2-nistp256", "sk-ssh-ed25519@openssh.com"])
def test_every_kind_of_public_key_passes(kind):
    assert checked(f"{kind} AAAA\n") == f"{kind} AAAA"
