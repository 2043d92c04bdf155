"""The market over real sockets: the shapes by which the official tools know the real service."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from market_site import Site, site

from vast_pyworker.market.limits import FORMS, RateLimits


@pytest.fixture
def market() -> Iterator[Site]:
    with site() as made:
        yield made


# Who calls


def test_a_wrong_key_is_404_and_says_so_in_the_body(market: Site) -> None:
    answer = market.call("GET", "/api/v1/instances/", key="nobody")
    assert answer.status_code == 404
    assert answer.json() == {"success": False, "error": "auth_error", "msg": "Invalid user key"}


def test_no_key_is_401_with_a_message(market: Site) -> None:
    answer = market.call("GET", "/api/v0/instances/5/", key=None)
    assert answer.status_code == 401
    assert answer.json()["error"] == "auth_error" and isinstance(answer.json()["msg"], str)


@pytest.mark.parametrize("query", ["?api_key=market", "?api_key=%22market%22"])
def test_the_key_may_come_in_the_query(market: Site, query: str) -> None:
    assert market.call("GET", f"/api/v1/instances/{query}", key=None).status_code == 200
    assert market.call("GET", f"/api/v0/users/current{query}", key=None).status_code == 200


def test_offers_and_gpu_names_need_no_key(market: Site) -> None:
    assert market.json("POST", "/api/v0/bundles/", {"limit": 2}, key=None)["offers"]
    assert "RTX 4090" in market.json("GET", "/api/v0/gpu_names/unique/", key=None)["gpu_names"]
    types = market.json("GET", "/api/v0/gpu_types/", key=None)["gpu_types"]
    assert {"canonical_name", "gpu_ram_mb"} == set(types[0])
    wrong = market.call("POST", "/api/v0/bundles/", {"limit": 2}, key="nobody")
    assert (wrong.status_code, wrong.json()["msg"]) == (404, "Invalid user key")


def test_an_instances_key_acts_on_that_instance_alone(market: Site) -> None:
    made = market.rent()
    number, key = made["new_contract"], made["instance_api_key"]
    other = market.rent()["new_contract"]
    market.market.advance(3600)
    assert market.show(number, key=key)["id"] == number
    for method, path, body in (
        ("GET", f"/api/v0/instances/{other}/", None),
        ("DELETE", f"/api/v0/instances/{other}/", {}),
        ("PUT", f"/api/v0/instances/{number}/", {"label": "mine"}),
        ("PUT", f"/api/v0/instances/reboot/{number}/", {}),
        ("GET", "/api/v1/instances/", None),
        ("GET", "/api/v0/users/current", None),
        ("PUT", "/api/v0/asks/5/", {"image": "i"}),
    ):
        answer = market.call(method, path, body, key=key)
        assert (answer.status_code, answer.json()["error"]) == (403, "not_authorized"), path
    path = f"/api/v0/instances/{number}/"
    assert market.json("PUT", path, {"state": "stopped"}, key=key) == {"success": True}
    assert market.json("DELETE", path, {}, key=key)["success"] is True
    assert market.call("GET", path, key=key).json()["msg"] == "Invalid user key"
    assert market.show(other) is not None


def test_a_sub_key_does_what_its_permissions_name(market: Site) -> None:
    body = {"name": "ci", "permissions": {"api": {"instance_read": {}}}}
    made = market.json("POST", "/api/v0/auth/apikeys/", body)
    assert market.call("GET", "/api/v1/instances/", key=made["key"]).status_code == 200
    refused = market.call("DELETE", "/api/v0/instances/5/", {}, key=made["key"])
    assert refused.status_code == 403 and "instance_write" in refused.json()["msg"]
    listed = market.json("GET", "/api/v0/auth/apikeys/")["apikeys"]
    assert [row["key"] for row in listed] == [None, None]
    path = f"/api/v0/auth/apikeys/{made['id']}/"
    assert market.json("DELETE", path, {}) == "Successfully Deleted API Key"
    assert market.call("GET", "/api/v1/instances/", key=made["key"]).status_code == 404


# Bodies and paths


@pytest.mark.parametrize("slash", ["", "/"])
def test_paths_are_served_with_and_without_their_slash(market: Site, slash: str) -> None:
    for path in ("/api/v0/users/current", "/api/v0/gpu_names/unique", "/api/v1/instances"):
        answer = market.call("GET", path + slash, allow_redirects=False)
        assert answer.status_code == 200, path


def test_users_current_takes_no_query(market: Site) -> None:
    answer = market.call("GET", "/api/v0/users/current?owner=me")
    assert answer.status_code == 422
    assert answer.json()["msg"] == "owner: Extra inputs are not permitted"


def test_bodies_come_with_get_and_delete(market: Site) -> None:
    body = {"client_id": "me", "api_key": "market"}
    made = market.json("POST", "/api/v0/endptjobs/", {"endpoint_name": "LLama"})
    rows = market.json("GET", "/api/v0/endptjobs/", body)["results"]
    assert [row["id"] for row in rows] == [made["result"]]
    number = market.rent()["new_contract"]
    gone = market.json("DELETE", "/api/v0/instances/", {"instance_ids": [number]})
    assert gone["success"] is True and market.show(number) is None


def test_an_unknown_path_is_404_in_the_services_shape(market: Site) -> None:
    for _ in range(2):
        answer = market.call("GET", "/api/v0/nowhere/?api_key=market")
        assert (answer.status_code, answer.json()["success"]) == (404, False)
    listed = market.json("GET", "/market/summary")["unknown_paths"]
    assert listed == [{"path": "GET /api/v0/nowhere/", "count": 2}]
    wrong = market.call("PATCH", "/api/v0/instances/5/", {})
    assert (wrong.status_code, wrong.json()["error"]) == (405, "method_not_allowed")


BAD_BODIES = [b"{", b"[]", b'"x"', b"\xff\xfe", b"NaN", b'{"a": Infinity}', b'{"a": 1e999}',
              b'{"label": "\\ud800"}', b"[" * 100_000, b'{"a": ' + b"9" * 5000 + b"}"]  # fmt: skip
WRITES = [
    ("POST", "/api/v0/bundles/"),
    ("PUT", "/api/v0/search/asks/"),
    ("PUT", "/api/v0/asks/5/"),
    ("POST", "/api/v0/asks/bulk/"),
    ("PUT", "/api/v0/launch_instance/"),
    ("PUT", "/api/v0/instances/{id}/"),
    ("DELETE", "/api/v0/instances/{id}/"),
    ("PUT", "/api/v0/instances/"),
    ("DELETE", "/api/v0/instances/"),
    ("PUT", "/api/v0/instances/reboot/{id}/"),
    ("PUT", "/api/v0/instances/bid_price/{id}/"),
    ("PUT", "/api/v0/instances/request_logs/{id}/"),
    ("PUT", "/api/v0/instances/command/{id}/"),
    ("POST", "/api/v0/instances/{id}/ssh/"),
    ("POST", "/api/v0/ssh/"),
    ("POST", "/api/v0/template/"),
    ("PUT", "/api/v1/template/"),
    ("DELETE", "/api/v0/template/"),
    ("POST", "/api/v0/endptjobs/"),
    ("POST", "/api/v0/autojobs/"),
    ("POST", "/api/v0/workergroups/"),
    ("POST", "/market/faults"),
    ("POST", "/market/advance"),
    ("POST", "/market/strike"),
    ("POST", "/market/credit"),
]


@pytest.mark.parametrize(("method", "path"), WRITES)
def test_a_bad_body_is_refused_and_changes_nothing(market: Site, method: str, path: str) -> None:
    number = market.running()
    before = market.state()
    no_faults = [b"[]"] if path == "/market/faults" else []
    for body in [each for each in BAD_BODIES if each not in no_faults]:
        answer = market.call(method, path.format(id=number), data=body)
        assert answer.status_code in (400, 422, 483), (body[:20], answer.text)
        assert isinstance(answer.json()["msg"], str), body[:20]
    assert market.state() == before


@pytest.mark.parametrize(("method", "path"), WRITES)
def test_a_body_over_the_limit_is_413(market: Site, method: str, path: str) -> None:
    answer = market.call(method, path.format(id=5), data=b'"' + b"x" * 1_000_000 + b'"')
    assert (answer.status_code, answer.json()["error"]) == (413, "payload_too_large")


def test_a_wrong_key_is_told_before_a_wrong_body(market: Site) -> None:
    answer = market.call("PUT", "/api/v0/asks/5/", data=b"{", key="nobody")
    assert answer.json()["msg"] == "Invalid user key"


def test_a_bad_command_body_has_a_status_of_its_own(market: Site) -> None:
    answer = market.call("PUT", "/api/v0/instances/command/5/", data=b"{")
    assert (answer.status_code, answer.json()["msg"]) == (483, "Invalid json_body")


@pytest.mark.parametrize("ident", ["abc", "1.5", "-1", "0x10", "٣", "9" * 400, "1e3", "%20"])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v0/instances/{}/"),
        ("PUT", "/api/v0/instances/{}/"),
        ("DELETE", "/api/v0/instances/{}/"),
        ("PUT", "/api/v0/asks/{}/"),
        ("PUT", "/api/v0/instances/recycle/{}/"),
        ("GET", "/api/v0/instances/{}/ssh/"),
        ("GET", "/api/v0/endptjobs/{}/"),
        ("DELETE", "/api/v0/autojobs/{}/"),
        ("DELETE", "/api/v0/ssh/{}/"),
        ("GET", "/api/v0/instances/balance/{}/"),
    ],
)
def test_an_id_that_is_no_number_is_400(market: Site, method: str, path: str, ident: str) -> None:
    answer = market.call(method, path.format(ident), {} if method != "GET" else None)
    assert (answer.status_code, answer.json()["success"]) == (400, False)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("select_filters=nope", "select_filters is not valid JSON"),
        ("select_filters={}&order_by={", "order_by is not valid JSON"),
        ("limit=many", "limit is not valid JSON"),
        ('select_filters={"dph_total":{"lt":1}}', "dph_total is not a valid search key"),
        ("after_token=TOK1", ""),
    ],
)
def test_a_malformed_query_of_the_list_is_400(market: Site, query: str, said: str) -> None:
    answer = market.call("GET", f"/api/v1/instances/?{query}")
    assert answer.status_code == 400 and said in answer.json()["msg"]


# Renting and what follows


def test_offers_are_found_under_all_their_paths(market: Site) -> None:
    query = {"num_gpus": {"eq": "1"}, "limit": 3}
    plain = market.json("POST", "/api/v0/bundles/", query)
    body = {"select_cols": ["*"], "q": query}
    assert market.json("PUT", "/api/v0/search/asks/", body) == plain
    asked = {"q": json.dumps(query)}
    assert market.json("GET", "/api/v0/bundles/", params=asked, key=None) == plain
    assert len(plain["offers"]) == 3


def test_an_instance_from_create_to_destroy(market: Site) -> None:
    made = market.rent(label="job1", env={"-p 8080:80": "1", "A": "1"})
    assert set(made) >= {"success", "new_contract", "instance_api_key"}
    number = made["new_contract"]
    market.market.advance(3600)
    row = market.show(number)
    assert (row["label"], row["actual_status"]) == ("job1", "running")
    assert isinstance(row["start_date"], float) and isinstance(row["extra_env"], list)
    path = f"/api/v0/instances/{number}/"
    assert market.json("PUT", path, {"label": "job2"}) == {"success": True}
    assert market.json("PUT", path, {"state": "stopped"}) == {"success": True}
    assert market.show(number)["ports"] is None
    assert market.json("PUT", path, {"state": "running"}) == {"success": True}
    assert market.json("DELETE", path)["success"] is True
    assert market.json("GET", path) == {"instances": None}
    gone = market.call("DELETE", path, {})
    assert (gone.status_code, gone.json()["error"]) == (404, "no_such_instance")
    assert gone.json()["msg"] == f"Instance {number} not found."


def test_the_old_list_is_gone_and_says_where_to_go(market: Site) -> None:
    answer = market.call("GET", "/api/v0/instances/")
    assert answer.status_code == 410
    assert answer.json() == {
        "success": False,
        "error": "deprecated_endpoint",
        "msg": "/api/v0/instances/ is deprecated. Use /api/v1/instances/ instead.",
    }
    assert market.call("GET", "/api/v0/instances/", key=None).status_code == 401


def test_the_list_is_paged_to_its_end(market: Site) -> None:
    numbers = [market.rent(label=f"l{n % 2}")["new_contract"] for n in range(7)]
    found: list[int] = []
    token: str | None = ""
    while token is not None:
        params = {"limit": "3", "order_by": '[{"col": "id", "dir": "asc"}]', "after_token": token}
        page = market.json("GET", "/api/v1/instances/", params=params)
        assert page["total_instances"] == 7
        assert token or page["label_counts"] == {"l0": 4, "l1": 3}
        assert page["instances_found"] == len(page["instances"])
        found += [row["id"] for row in page["instances"]]
        token = page["next_token"]
    assert found == numbers


def test_many_are_created_stopped_and_destroyed_at_once(market: Site) -> None:
    body = {"num_gpus": {"eq": 1}, "rentable": {"eq": True}, "limit": 20}
    offers = market.json("POST", "/api/v0/bundles/", body)["offers"]
    by_machine = {row["machine_id"]: row["id"] for row in offers}
    asks = list(by_machine.values())[:3]
    made = market.json("POST", "/api/v0/asks/bulk/", {"ids": asks, "image": "i", "disk": 5})
    assert made["success"] is True and len(made["created"]) == 3 and made["failed"] == []
    ids = made["created"]
    assert market.json("PUT", "/api/v0/instances/", {"state": "stopped", "ids": ids})["success"]
    gone = market.json("DELETE", "/api/v0/instances/", {"instance_ids": ids})
    assert gone["success"] is True
    assert market.json("GET", "/api/v1/instances/")["instances"] == []


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "'ids' parameter"),
        ({"ids": []}, "no ask ids provided"),
        ({"ids": list(range(65))}, "max is 64"),
    ],
)
def test_a_bulk_create_without_its_ids(market: Site, body: dict[str, Any], said: str) -> None:
    answer = market.call("POST", "/api/v0/asks/bulk/", {"image": "i", **body})
    assert answer.status_code == 400 and said in answer.json()["msg"]


def test_search_and_create_in_one(market: Site) -> None:
    query = {"num_gpus": {"eq": 1}, "rentable": {"eq": True}, "order": [["dph_total", "asc"]]}
    body = {"image": "i", "disk": 5, "q": query}
    made = market.json("PUT", "/api/v0/launch_instance/", body)
    assert market.show(made["new_contract"])["image_uuid"] == "i"
    none = market.json("PUT", "/api/v0/launch_instance/", {**body, "q": {"num_gpus": {"eq": 999}}})
    assert none["success"] is False and isinstance(none["message"], str)


def test_nothing_is_rented_for_a_negative_price_or_a_disk_that_is_too_large(market: Site) -> None:
    offer = market.offer(num_gpus={"eq": 1})
    path = f"/api/v0/asks/{offer['id']}/"
    for fields in ({"price": -1}, {"disk": -5}, {"disk": "large"}, {"price": "cheap"}):
        answer = market.call("PUT", path, {"image": "i", "disk": 5, **fields})
        assert answer.status_code == 400, answer.text
    assert market.json("GET", "/api/v1/instances/")["total_instances"] == 0
    made = market.json("PUT", path, {"image": "i", "disk": 1e6})
    assert market.show(made["new_contract"])["disk_space"] <= offer["disk_space"]


def test_a_template_is_launched_by_its_hash(market: Site) -> None:
    body = {"name": "n", "image": "repo/img", "tag": "v1", "env": "-e A=1 -p 8000:8000"}
    template = market.json("POST", "/api/v0/template/", body)["template"]
    made = market.rent(image=None, template_hash_id=template["hash_id"], env={"A": "2"})
    row = market.show(made["new_contract"])
    assert row["template_hash_id"] == template["hash_id"]
    assert row["image_uuid"].startswith("repo/img")
    assert ["A", "2"] in row["extra_env"]
    path = f"/api/v0/asks/{market.offer()['id']}/"
    unknown = market.call("PUT", path, {"template_hash_id": "no-such", "disk": 5})
    assert unknown.status_code == 400 and "no-such" in unknown.json()["msg"]


@pytest.mark.parametrize("number", [True, 1.5, "x", [], {}, -1, 10**30])
def test_a_template_that_is_named_wrongly(market: Site, number: Any) -> None:
    for named in ({"template_id": number}, {"template_hash_id": number}):
        answer = market.call("PUT", "/api/v0/asks/5/", {"image": "i", **named})
        assert 400 <= answer.status_code < 500


def test_log_and_command_results_are_not_there_at_once(market: Site) -> None:
    number = market.running()
    asked = market.json("PUT", f"/api/v0/instances/request_logs/{number}/", {"tail": "50"})
    assert asked["success"] is True
    answers = [requests.get(asked["result_url"], timeout=10) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [404, 200, 200]
    assert answers[1].headers["Content-Type"].startswith("text/plain")
    path = f"/api/v0/instances/command/{number}/"
    refused = market.call("PUT", path, {"command": "ls"})
    assert refused.status_code == 400 and "only avail on stopped" in refused.json()["msg"]
    market.call("PUT", f"/api/v0/instances/{number}/", {"state": "stopped"})
    done = market.json("PUT", path, {"command": "ls"})
    assert set(done) == {"success", "writeable_path", "result_url", "msg"}


# Keys, templates, serverless, money


def test_ssh_keys_of_the_account_and_of_an_instance(market: Site) -> None:
    key = "ssh-ed25519 AAAAC3Nza test@host"
    made = market.json("POST", "/api/v0/ssh/", {"ssh_key": key})
    assert market.json("GET", "/api/v0/ssh/") == [made["key"]]
    number = market.running()
    path = f"/api/v0/instances/{number}/ssh/"
    listed = json.loads(market.json("GET", path)["ssh_keys"])
    assert [row["key"] for row in listed] == [key]
    again = market.json("POST", path, {"ssh_key": key})
    assert again == {"success": False, "msg": "SSH key already associated with instance."}
    other = market.json("POST", path, {"ssh_key": "ssh-rsa AAAA b"})
    assert other["success"] is True and isinstance(other["key"], str)
    detached = market.json("DELETE", f"{path}{json.loads(other['key'])['id']}/", {})
    assert detached["success"] is True
    refused = market.call("POST", "/api/v0/ssh/", {"ssh_key": key})
    assert refused.status_code == 400
    assert market.json("DELETE", f"/api/v0/ssh/{made['key']['id']}/", {}) == {"success": True}


def test_a_template_from_create_to_delete(market: Site) -> None:
    assert market.json("GET", "/api/v0/template/") == {
        "success": False,
        "msg": "No templates found",
    }
    body = {"name": "n", "image": "i"}
    made = market.json("POST", "/api/v0/template/", body)
    assert made["success"] is True and made["template"]["hash_id"]
    assert market.json("POST", "/api/v0/template/", body)["success"] is False
    params = {"select_cols": '["*"]', "select_filters": '{"name": {"eq": "n"}}'}
    for version in ("v0", "v1"):
        found = market.json("GET", f"/api/{version}/template/", params=params)
        assert found["templates"] == [made["template"]] and found["templates_found"] == 1
    fields = {"id": made["template"]["id"], "hash_id": made["template"]["hash_id"], "tag": "t"}
    edited = market.json("PUT", "/api/v1/template/", {**body, **fields})
    assert edited["success"] is True and edited["hash_id"] != made["template"]["hash_id"]
    stale = market.call("PUT", "/api/v1/template/", {**body, **fields})
    assert (stale.status_code, stale.json()["error"]) == (404, "invalid_template")
    gone = market.json("DELETE", "/api/v0/template/", {"hash_id": edited["hash_id"]})
    assert gone["success"] is True
    again = market.call("DELETE", "/api/v0/template/", {"template_id": fields["id"]})
    assert (again.status_code, again.json()["success"]) == (400, False)


def test_an_unknown_column_of_templates_is_400(market: Site) -> None:
    params = {"select_filters": '{"colour": {"eq": "red"}}'}
    answer = market.call("GET", "/api/v0/template/", params=params)
    assert answer.status_code == 400 and "colour" in answer.json()["msg"]


def test_no_endpoints_is_400_with_the_users_number(market: Site) -> None:
    answer = market.call("GET", "/api/v0/endptjobs/")
    assert answer.status_code == 400
    assert answer.json()["msg"] == f"No endpoints for user {market.account_id} found."


@pytest.mark.parametrize("family", ["autojobs", "workergroups"])
def test_worker_groups_under_both_their_names(market: Site, family: str) -> None:
    endpoint = market.json("POST", "/api/v0/endptjobs/", {"endpoint_name": "LLama"})["result"]
    path = f"/api/v0/{family}/"
    body = {"endpoint_name": "LLama", "search_params": "gpu_ram>=23 num_gpus=1"}
    number = market.json("POST", path, body)["id"]
    for other in ("autojobs", "workergroups"):
        (row,) = market.json("GET", f"/api/v0/{other}/")["results"]
        assert (row["id"], row["endpoint_id"]) == (number, endpoint)
    change = {"endpoint_id": endpoint, "gpu_ram": 40, "template_hash": None}
    assert market.json("PUT", f"{path}{number}/", change) == {"success": True}
    assert market.json("DELETE", f"{path}{number}/", {"autojob_id": number}) == {"success": True}
    gone = market.call("DELETE", f"{path}{number}/", {})
    assert gone.status_code == 404
    unknown = market.call("POST", path, {**body, "template_hash": "H"})
    assert unknown.status_code == 400 and "Template H not found" in unknown.json()["msg"]


def test_an_endpoint_has_no_workers_and_no_log_here(market: Site) -> None:
    endpoint = market.json("POST", "/api/v0/endptjobs/", {"endpoint_name": "LLama"})["result"]
    assert market.json("POST", "/get_endpoint_workers/", {"id": endpoint}) == []
    logs = market.json("POST", "/get_endpoint_logs/", {"id": endpoint, "api_key": "market"})
    assert set(logs) == {"info0", "info1", "trace", "debug"}
    wrong = market.call("POST", "/get_endpoint_workers/", {"id": 5})
    assert wrong.status_code == 400 and isinstance(wrong.json()["error_msg"], str)


def test_what_was_spent_is_what_the_credit_fell_by(market: Site) -> None:
    number = market.running()
    market.market.advance(7200)
    user = market.json("GET", "/api/v0/users/current")
    day = {"day": {"gte": 0, "lte": 10_000_000_000}}
    params = {"select_filters": json.dumps(day)}
    charges = market.json("GET", "/api/v0/charges/", params=params)
    assert [row["source"] for row in charges["results"]] == [f"instance-{number}"]
    spent = sum(row["amount"] for row in charges["results"])
    assert user["credit"] == pytest.approx(100.0 - spent, abs=1e-6)
    items = charges["results"][0]["items"]
    assert sum(row["amount"] for row in items) == pytest.approx(spent)
    assert market.call("GET", "/api/v0/charges/").status_code == 400
    invoices = market.json("GET", "/api/v1/invoices/")
    assert (invoices["count"], abs(invoices["results"][0]["amount"])) == (1, 100.0)
    rate = market.json("GET", "/api/v0/users/spend-rate/")
    assert rate["has_active_resources"] is True
    assert market.json("GET", f"/api/v0/instances/balance/{number}/?owner=me")["success"] is True


def test_charges_are_paged(market: Site) -> None:
    numbers = [market.rent()["new_contract"] for _ in range(5)]
    market.market.advance(3600)
    params = {"select_filters": '{"day": {"gte": 0, "lte": 10000000000}}', "limit": "2"}
    found, token = [], ""
    while token is not None:
        page = market.json("GET", "/api/v0/charges/", params={**params, "after_token": token})
        assert (page["total"], page["count"]) == (5, len(page["results"]))
        found += [row["metadata"]["contract_id"] for row in page["results"]]
        token = page["next_token"]
    assert sorted(found) == numbers
    bad = market.call("GET", "/api/v0/charges/", params={**params, "after_token": "e30="})
    assert (bad.status_code, bad.json()["error"]) == (400, "invalid_token")


def test_a_pending_price_increase_takes_one_field_and_no_other(market: Site) -> None:
    number = market.running()
    market.call("POST", "/market/strike", {"kind": "price_change", "instance_id": number})
    rise = market.json("GET", "/api/v0/instances/pending-price-increases/")
    assert rise["count"] == 1
    pending = rise["pending_price_increases"][0]["pending_price_increase_id"]
    path = "/api/v0/instances/accept-price-increase/"
    extra = market.call("PUT", path, {"pending_price_increase_id": pending, "host_id": 1})
    assert extra.status_code == 400 and "Extra inputs" in extra.json()["msg"]
    done = market.json("PUT", path, {"pending_price_increase_id": pending})
    assert (done["success"], done["contract_id"]) == (True, number)


def test_environment_variables_are_kept_and_hidden(market: Site) -> None:
    path = "/api/v0/secrets/"
    assert market.json("POST", path, {"key": "HF", "value": "t"})["success"] is True
    assert market.json("GET", path)["secrets"] == {"HF": "********"}
    assert market.call("PUT", path, {"key": "X", "value": "t"}).status_code == 400
    assert market.call("DELETE", path, {}).json()["msg"] == "'key' required."
    assert market.json("DELETE", path, {"key": "HF"})["success"] is True


# Limits


@pytest.mark.parametrize("form", FORMS)
def test_too_many_calls_are_told_in_the_chosen_form(form: str) -> None:
    limits = RateLimits(form=form, now=lambda: 1.0, wall=time.time)
    with site(limits) as market:
        answers = [market.call("GET", "/api/v1/instances/") for _ in range(2)]
        assert [answer.status_code for answer in answers] == [200, 429]
        assert "API requests too frequent" in answers[1].text
        assert ("Retry-After" in answers[1].headers) == (form == "bucket")
        assert market.call("GET", "/api/v1/instances/?api_key=x").status_code == 200
        assert market.call("GET", "/market/summary").status_code == 200


def test_a_limited_create_creates_nothing() -> None:
    limits = RateLimits(form="detail", now=lambda: 1.0, wall=time.time)
    with site(limits) as market:
        market.rent()
        path = "/api/v0/asks/5/"
        assert market.call("PUT", path, {"image": "i"}).status_code == 429
        assert market.market.summary()["instances"] == 1


# The operator's calls


def test_the_page_shows_what_is_there_and_loads_nothing(market: Site) -> None:
    number = market.rent(label="<script>alert(1)</script>")["new_contract"]
    market.fault("latency", "list", seconds=2)
    answer = market.call("GET", "/market/", key=None)
    assert answer.status_code == 200
    page = answer.content.decode()
    assert str(number) in page and "latency" in page and "prefers-color-scheme" in page
    assert "<script" not in page and "&lt;script&gt;" in page
    assert "src=" not in page and "https://" not in page
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


def test_faults_are_added_replaced_and_cleared(market: Site) -> None:
    one = {"kind": "latency", "probability": 0.5}
    assert len(market.json("POST", "/market/faults", one)["faults"]) == 1
    assert len(market.json("POST", "/market/faults", [one, one])["faults"]) == 3
    assert len(market.json("PUT", "/market/faults", {"faults": [one]})["faults"]) == 1
    refused = market.call("POST", "/market/faults", [one, {"kind": "boredom"}])
    assert refused.status_code == 400 and "boredom" in refused.json()["msg"]
    assert len(market.json("GET", "/market/faults")["faults"]) == 1
    assert market.json("DELETE", "/market/faults")["faults"] == []


def test_time_is_moved_by_hand(market: Site) -> None:
    before = market.json("GET", "/market/summary")["now"]
    assert market.json("POST", "/market/advance", {"seconds": 60})["now"] == before + 60
    for seconds in (-1, "1", None, True, 1e300):
        answer = market.call("POST", "/market/advance", {"seconds": seconds})
        assert answer.status_code == 400 and "seconds" in answer.json()["msg"]


def test_credit_is_added_to_an_account_that_exists(market: Site) -> None:
    assert market.json("POST", "/market/credit", {"usd": 5})["credit"] == pytest.approx(105.0)
    assert market.call("POST", "/market/credit", {"usd": 5, "account": 9}).status_code == 400


def test_pages_of_other_sites_are_not_answered(market: Site) -> None:
    bulk = "/api/v0/asks/bulk/?api_key=market"
    for headers in ({"Origin": "https://evil.example"}, {"Host": "evil.example"}):
        answer = market.call("POST", bulk, {"ids": [1], "image": "i"}, headers=headers)
        assert (answer.status_code, answer.json()["error"]) == (403, "not_authorized")
    own = market.call("GET", "/market/summary", headers={"Origin": market.url})
    assert own.status_code == 200


def test_a_fault_of_the_market_itself_is_500_as_json(
    market: Site, caplog: pytest.LogCaptureFixture
) -> None:
    market.built.parts.ssh_keys._rows = None  # type: ignore[assignment]
    answer = market.call("GET", "/api/v0/ssh/")
    assert (answer.status_code, answer.json()["error"]) == (500, "internal_error")
    assert "Traceback" not in answer.text
    assert "GET /api/v0/ssh/ failed." in caplog.text
