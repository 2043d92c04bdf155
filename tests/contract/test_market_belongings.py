"""An account's things over real sockets: keys, templates, endpoints, money."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from market_site import Site, site


@pytest.fixture
def market() -> Iterator[Site]:
    with site() as made:
        yield made


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
