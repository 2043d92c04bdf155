"""The market over real sockets: who may call, and what bodies, paths and queries are taken."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from market_site import Site, site


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
