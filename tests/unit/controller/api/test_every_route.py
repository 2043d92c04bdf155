"""Every route of the application with every kind of key: a table, so that none is forgotten."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from vast_pyworker.controller.access import Right
from vast_pyworker.controller.api.openapi import template

DOCS = (Path(__file__).resolve().parents[4] / "docs/controller.md").read_text()
RANKS = ["read", "operate", "admin"]
OPEN, PAGE, WORKER, ROUTE = "nobody", "a session", "a worker's token", "route"
CLIENTS, OWN = "read or the endpoint's", "operate or its own token"
REFUSED = (401, 403)

# What each needs. Paths are those of Flask; a route that is not here fails the first test.
NEEDS = {
    "GET /": PAGE,
    "GET /login": PAGE,
    "POST /login": PAGE,
    "POST /logout": PAGE,
    "GET /page/<asset>": OPEN,
    "POST /page/do": PAGE,
    "GET /page/parts": PAGE,
    "GET /livez": OPEN,
    "GET /pubkey/": OPEN,
    "GET /static/jvastai_root.cer": OPEN,
    "POST /worker_status/": WORKER,
    "POST /delete_requests/": WORKER,
    "POST /route/": ROUTE,
    "GET /api/v0/endptjobs/": CLIENTS,
    "POST /api/v0/endptjobs/": "operate",
    "GET /api/v0/endptjobs/<int:number>/": CLIENTS,
    "PUT /api/v0/endptjobs/<int:number>/": "operate",
    "DELETE /api/v0/endptjobs/<int:number>/": "operate",
    "GET /api/v0/autojobs/": "read",
    "POST /api/v0/autojobs/": "operate",
    "PUT /api/v0/autojobs/<int:number>/": "operate",
    "DELETE /api/v0/autojobs/<int:number>/": "operate",
    "GET /api/v0/workergroups/": "read",
    "POST /api/v0/workergroups/": "operate",
    "PUT /api/v0/workergroups/<int:number>/": "operate",
    "DELETE /api/v0/workergroups/<int:number>/": "operate",
    "GET /api/v0/users/current": "read",
    "POST /get_endpoint_workers/": "read",
    "POST /get_endpoint_logs/": "read",
    "POST /get_workergroup_workers/": "read",
    "POST /get_workergroup_logs/": "read",
    "POST /get_autogroup_workers/": "read",
    "POST /get_autogroup_logs/": "read",
    "POST /update_workers/": "operate",
    "GET /summary": "read",
    "GET /instances": "read",
    "GET /verify/<ident>": OWN,
    "DELETE /drop/<ident>": OWN,
    "GET /groups": "read",
    "GET /groups/<name>": "read",
    "GET /members": "read",
    "GET /members/<ident>": "read",
    "GET /decisions": "read",
    "GET /spend": "read",
    "GET /strangers": "read",
    "GET /queues/<endpoint>": "read",
    "GET /events": "read",
    "GET /metrics": "read",
    "GET /openapi.json": "read",
    "POST /groups/<name>/scale": "operate",
    "POST /groups/<name>/renew": "operate",
    "POST /instances/<ident>/drain": "operate",
    "POST /instances/<ident>/hold": "operate",
    "POST /instances/<ident>/release": "operate",
    "POST /instances/<ident>/drop": "operate",
    "GET /instances/<ident>/logs": "operate",
    "POST /reload": "admin",
    "GET /keys": "admin",
    "POST /keys": "admin",
    "DELETE /keys/<key_id>": "admin",
}
KINDS = ("none", "empty", "wrong", "token", "endpoint", "read", "operate", "admin")


def known_to_the_app(client):
    rules = client.controller.built.app.url_map.iter_rules()
    return {
        f"{method} {rule.rule}" for rule in rules for method in rule.methods - {"HEAD", "OPTIONS"}
    }


def key_of(client, kind):
    if kind in RANKS:
        return client.controller.keys[Right(kind)]
    intent = client.controller.parts.loop.fleet.members[0].intent.id
    return {
        "none": None,
        "empty": "",
        "wrong": "0" * 64,
        "token": client.controller.secrets.token_of(intent),
        "endpoint": client.controller.parts.endpoint_key("llm"),
    }[kind]


def status_of(client, call, kind):
    """What nobody is there for: the calls that are let in change nothing."""
    method, rule = call.split()
    path = rule.replace("<int:number>", "999").replace("<asset>", "page.css")
    path = re.sub(r"<\w+>", "999", path)
    body = None if method == "GET" else {}
    if call == "POST /route/":
        body = {"endpoint": "llm", "cost": 1}
    asked = "HEAD" if call == "GET /events" else method
    headers = {"Authorization": "Bearer "} if kind == "empty" else {}
    return client.call(
        asked, path, body, key=key_of(client, kind), headers=headers, allow_redirects=False
    ).status_code


def is_let_in(needs, kind):
    if needs in RANKS:
        return kind in RANKS and RANKS.index(kind) >= RANKS.index(needs)
    if needs == CLIENTS:
        return kind in (*RANKS, "endpoint")
    if needs == ROUTE:
        return kind in ("operate", "admin", "endpoint")
    assert needs == OWN
    return kind in ("operate", "admin")  # the path names nobody: no token is its own


def test_every_route_of_the_app_is_in_the_table(client):
    assert known_to_the_app(client) == set(NEEDS)


@pytest.mark.parametrize("kind", KINDS)
def test_every_route_lets_in_whom_it_should_and_nobody_else(client, kind):
    for call, needs in NEEDS.items():
        if needs in (OPEN, PAGE, WORKER):
            continue
        status = status_of(client, call, kind)
        assert status < 500, (call, status)
        assert (status not in REFUSED) is is_let_in(needs, kind), (call, kind, status)


def test_without_a_key_the_open_ones_are_answered_and_the_pages_own_lead_to_the_door(client):
    for call, needs in NEEDS.items():
        status = status_of(client, call, "none")
        if needs == OPEN:
            assert status == 200, call
        elif needs == PAGE:
            assert status == {"GET /login": 200, "POST /login": 401, "GET /page/parts": 401}.get(
                call, 303
            ), call
        elif needs == WORKER:
            assert 400 <= status < 500, (call, status)


def test_the_documents_name_what_needs_no_key(client):
    sentence = DOCS.partition("Every call needs a key but ")[2].partition(".\n")[0]
    bare = [call.split()[1] for call, needs in NEEDS.items() if needs == OPEN]
    assert [each for each in bare if f"`{each}`" not in sentence and "/page/" not in each] == []


def test_every_route_is_described_with_what_it_needs(client):
    paths = client.json("GET", "/openapi.json")["paths"]
    for call, needs in NEEDS.items():
        method, rule = call.split()
        told = paths[template(rule)][method.lower()]
        assert told["summary"] and told["responses"]
        expected = {CLIENTS: "read", OWN: "operate"}.get(needs, needs)
        assert told.get("x-needs") == (expected if expected in RANKS else None), call
    described = {f"{m.upper()} {path}" for path, told in paths.items() for m in told}
    assert described == {f"{c.split()[0]} {template(c.split()[1])}" for c in NEEDS}


def test_what_is_described_is_a_document_of_openapi(client):
    document = client.json("GET", "/openapi.json")
    assert document["openapi"].startswith("3.1") and {"title", "version"} <= set(document["info"])
    operations = [told for path in document["paths"].values() for told in path.values()]
    names = [each["operationId"] for each in operations]
    assert len(names) == len(set(names)) == len(NEEDS)
    for path, methods in document["paths"].items():
        for told in methods.values():
            given = told.get("parameters", [])
            inside = [each["name"] for each in given if each["in"] == "path"]
            assert sorted(inside) == sorted(re.findall(r"{(\w+)}", path)), path
            assert all(each["required"] is (each["in"] == "path") for each in given), path
            assert all(each["description"] for each in told["responses"].values()), path
    known = document["paths"]["/decisions"]["get"]["parameters"]
    assert [each["name"] for each in known] == ["group", "limit"]


def test_the_key_of_an_endpoint_finds_its_own_and_no_other(client):
    number = client.json("POST", "/api/v0/endptjobs/", {"endpoint_name": "other"})["result"]
    key = client.controller.parts.endpoint_key("llm")
    (row,) = client.json("GET", "/api/v0/endptjobs/", key=key)["results"]
    assert (row["endpoint_name"], row["api_key"]) == ("llm", key)
    assert {"id", "endpoint_name", "api_key", "user_id", "created_at"} <= set(row)
    assert client.json("GET", f"/api/v0/endptjobs/{row['id']}/", key=key)["result"] == row
    client.refused(404, "GET", f"/api/v0/endptjobs/{number}/", key=key)
    body = {"endpoint_name": "llm", "key": "x"}
    client.refused(401, "PUT", f"/api/v0/endptjobs/{row['id']}/", body, key=key)


def test_a_key_made_for_an_endpoint_is_told_itself_and_not_the_endpoints_own(client):
    made = client.json("POST", "/keys", {"name": "a", "right": "route", "endpoint": "llm"})["key"]
    (row,) = client.json("GET", "/api/v0/endptjobs/", key=made)["results"]
    assert row["api_key"] == made
    assert client.controller.parts.endpoint_key("llm") not in str(row)
