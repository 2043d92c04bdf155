"""Keys, rights, tokens of instances: what each may call, and what everybody else is told."""

from __future__ import annotations

import pytest

from vast_pyworker.controller.access import Right, ensure_admin_key
from vast_pyworker.controller.ledger.ledger import Ledger
from vast_pyworker.errors import SettingError

OPEN = {"/livez", "/pubkey/", "/static/jvastai_root.cer", "/login"}


def calls(client):
    for path, operations in client.json("GET", "/openapi.json")["paths"].items():
        for method, operation in operations.items():
            yield method.upper(), path, operation


def test_nothing_but_the_named_calls_is_answered_without_a_key(client):
    for method, path, _ in calls(client):
        if path in OPEN or path.startswith("/page/{") or path in ("/", "/logout", "/page/do"):
            continue
        if path in ("/worker_status/", "/delete_requests/", "/route/"):
            continue  # answered natively, by tokens and endpoint keys
        asked = path.replace("{number}", "1").replace("{ident}", "1").replace("{name}", "llm")
        answer = client.call(method, asked, {} if method != "GET" else None, key=None)
        assert answer.status_code == 401, (method, path, answer.status_code)


@pytest.mark.parametrize("key", [Right.READ, Right.OPERATE])
def test_a_key_does_what_its_right_covers_and_no_more(client, key):
    ranks = ["read", "operate", "admin"]
    for method, path, operation in calls(client):
        needs = operation.get("x-needs")
        if needs is None or ranks.index(needs) <= ranks.index(str(key)):
            continue
        asked = path.replace("{number}", "1").replace("{ident}", "1").replace("{name}", "llm")
        sentence = client.refused(403, method, asked, {} if method != "GET" else None, key=key)
        assert f"may {key}" in sentence and needs in sentence


def test_a_key_is_taken_from_the_header_the_body_and_the_query(client):
    text = client.controller.keys[Right.READ]
    assert client.call("GET", "/groups", key=Right.READ).status_code == 200
    assert client.call("GET", f"/groups?api_key={text}", key=None).status_code == 200
    assert client.call("GET", "/groups", {"api_key": text}, key=None).status_code == 200


@pytest.mark.parametrize("key", ["", "x", "ä" * 40, "0" * 64, "0" * 10_000])
def test_a_key_that_is_none_is_refused(client, key):
    answer = client.call("GET", "/groups", {"api_key": key}, key=None)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_the_key_of_an_endpoint_routes_and_does_nothing_else(client):
    row = client.json("GET", "/api/v0/endptjobs/")["results"][0]
    client.refused(401, "GET", "/groups", key=row["api_key"])
    routed = client.json("POST", "/route/", {"endpoint": "llm", "cost": 1}, key=row["api_key"])
    assert routed["endpoint"] == "llm"
    other = {"endpoint": "other", "cost": 1}
    assert client.call("POST", "/route/", other, key=row["api_key"]).status_code == 401


def test_an_operator_routes_and_a_reader_does_not(client):
    body = {"endpoint": "llm", "cost": 1}
    assert client.call("POST", "/route/", body, key=Right.OPERATE).status_code == 200
    assert client.call("POST", "/route/", body, key=Right.READ).status_code == 401
    unknown = {"endpoint": "nowhere", "cost": 1}
    assert client.call("POST", "/route/", unknown, key=Right.OPERATE).status_code == 401


def test_a_reader_is_not_told_the_keys_of_endpoints(client):
    row = client.json("GET", "/api/v0/endptjobs/", key=Right.READ)["results"][0]
    assert row["api_key"] == ""


def test_a_revoked_endpoint_key_is_followed_by_another(client):
    before = client.json("GET", "/api/v0/endptjobs/")["results"][0]["api_key"]
    keys = client.json("GET", "/keys")["keys"]
    number = next(each["id"] for each in keys if each["endpoint"] == "llm")
    client.json("DELETE", f"/keys/{number}")
    client.controller.tick()
    after = client.json("GET", "/api/v0/endptjobs/")["results"][0]["api_key"]
    assert after != before
    body = {"endpoint": "llm", "cost": 1}
    assert client.call("POST", "/route/", body, key=before).status_code == 401
    assert client.call("POST", "/route/", body, key=after).status_code == 200


def test_an_instance_speaks_for_itself_alone(client):
    first, second = client.controller.parts.loop.fleet.members
    token = client.controller.secrets.token_of(first.intent.id)
    other = second.intent.instance_id
    client.refused(401, "GET", f"/verify/{other}", key=token)
    client.refused(401, "DELETE", f"/drop/{other}", key=token)
    client.refused(401, "GET", "/groups", key=token)
    client.refused(401, "POST", f"/instances/{first.intent.instance_id}/drain", {}, key=token)
    assert client.call("GET", f"/verify/{first.intent.instance_id}", key=token).status_code == 200
    answer = client.call("DELETE", f"/drop/{first.intent.id}", key=token)
    assert answer.text == f"{first.intent.instance_id} will be dropped"


def test_a_key_is_made_shown_once_and_revoked(client):
    made = client.json("POST", "/keys", {"name": "scripts", "right": "read"})
    assert client.call("GET", "/groups", key=made["key"]).status_code == 200
    listed = client.call("GET", "/keys").text
    assert made["key"] not in listed and made["id"] in listed
    client.json("DELETE", f"/keys/{made['id']}")
    client.refused(401, "GET", "/groups", key=made["key"])
    client.refused(404, "DELETE", f"/keys/{made['id']}")
    said = client.json("GET", "/decisions")["decisions"]
    assert any("is revoked" in each["sentence"] for each in said)


@pytest.mark.parametrize("body", [{}, {"right": "god"}, {"right": "route"},
                                  {"right": "read", "endpoint": "llm"}, {"right": 1}])  # fmt: skip
def test_a_key_that_cannot_be_is_refused_with_a_sentence(client, body):
    client.refused(422, "POST", "/keys", body)


def test_a_key_does_not_revoke_itself(client):
    own = next(each for each in client.json("GET", "/keys")["keys"] if each["right"] == "admin")
    client.refused(400, "DELETE", f"/keys/{own['id']}")


def test_no_answer_and_no_sentence_holds_a_secret(client):
    secrets = [client.controller.secrets.secret.hex(), *client.controller.keys.values()]
    members = client.controller.parts.loop.fleet.members
    secrets += [client.controller.secrets.token_of(each.intent.id) for each in members]
    paths = ["groups", "members", "decisions", "spend", "summary", "instances", "metrics",
             "openapi.json", "keys", f"members/{members[0].intent.id}"]  # fmt: skip
    for path in paths:
        text = client.call("GET", f"/{path}").text
        assert not [each for each in secrets if each in text], path


def test_the_first_start_writes_a_key_that_only_its_owner_reads(tmp_path):
    ledger = Ledger.open(str(tmp_path / "ledger.db"), holder="test", now=lambda: 1.0)
    path = tmp_path / "admin.key"
    assert ensure_admin_key(ledger.keys, path, 1.0)
    assert path.stat().st_mode & 0o777 == 0o600
    key = ledger.keys.check(path.read_text().strip())
    assert key is not None and key.right is Right.ADMIN
    assert not ensure_admin_key(ledger.keys, path, 2.0)
    path.unlink()
    assert not ensure_admin_key(ledger.keys, path, 3.0)
    assert not path.exists()
    ledger.close()


def test_a_new_ledger_takes_the_key_that_lies_in_the_file(tmp_path):
    path = tmp_path / "admin.key"
    path.write_text("k" * 40 + "\n")
    ledger = Ledger.open(str(tmp_path / "ledger.db"), holder="test", now=lambda: 1.0)
    assert not ensure_admin_key(ledger.keys, path, 1.0)
    assert ledger.keys.check("k" * 40) is not None
    ledger.close()


def test_a_file_that_holds_no_key_is_one_sentence(tmp_path):
    path = tmp_path / "admin.key"
    path.write_text("short")
    ledger = Ledger.open(str(tmp_path / "ledger.db"), holder="test", now=lambda: 1.0)
    with pytest.raises(SettingError, match=r"admin\.key holds no key"):
        ensure_admin_key(ledger.keys, path, 1.0)
    ledger.close()
