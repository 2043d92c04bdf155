"""Bodies of every shape: the payload byte for byte, refusals word for word."""

from __future__ import annotations

import json
from typing import Any

import pytest

from vast_pyworker.errors import Invalid
from vast_pyworker.worker.traffic.envelope import open_envelope

AUTH = {
    "cost": 242.0,
    "endpoint": "demo",
    "reqnum": 12,
    "request_idx": 7,
    "signature": "c2ln",
    "url": "https://1.2.3.4:40001",
}


def _refusal(body: object) -> dict[str, Any]:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    with pytest.raises(Invalid) as caught:
        _ = open_envelope(raw).payload
    assert caught.value.status == 422
    return caught.value.body


def test_an_envelope_gives_the_clients_own_bytes() -> None:
    payload = b'{ "prompt" : "h\\u00e9 \xc3\xa9", "n":1.50, "n": 2,\n "deep":[{}] }'
    body = b'{"session_id":null,"payload":' + payload + b' ,"auth_data":{"cost":1},"more":[1]}'
    opened = open_envelope(body)
    assert opened.payload_bytes == payload
    assert opened.payload == {"prompt": "hé é", "n": 2, "deep": [{}]}
    assert opened.auth == {"cost": 1}
    assert opened.session_id is None


def test_the_session_is_named_beside_the_payload() -> None:
    body = json.dumps({"auth_data": AUTH, "session_id": "abc", "payload": {}}).encode()
    assert open_envelope(body).session_id == "abc"


def test_a_bare_payload_is_the_payload() -> None:
    body = b'{"model":"m","messages":[{"role":"user","content":"hi"}],"payload":{}}'
    opened = open_envelope(body)
    assert opened.payload_bytes == body
    assert opened.auth is None
    assert opened.payload["model"] == "m"


@pytest.mark.parametrize("fields", [{}, {"session_id": "abc"}, {"auth_data": None}])
def test_an_envelope_may_lack_a_grant(fields: dict[str, Any]) -> None:
    opened = open_envelope(json.dumps({"payload": {"amount": 2}, **fields}).encode())
    assert opened.payload == {"amount": 2}
    assert opened.auth is None


def test_a_flat_body_of_2024_is_parted() -> None:
    model = {"inputs": "hi", "parameters": {"max_new_tokens": 5}}
    flat = {name: value for name, value in AUTH.items() if name != "request_idx"}
    opened = open_envelope(json.dumps({**model, **flat}).encode())
    assert opened.payload == model
    assert opened.auth == {**flat, "request_idx": 0}


def test_a_flat_body_that_lacks_a_field_of_the_grant_is_a_bare_payload() -> None:
    body = json.dumps({"inputs": "hi", "signature": "s", "reqnum": 3}).encode()
    assert open_envelope(body).payload_bytes == body


def test_an_empty_body_is_an_empty_payload() -> None:
    opened = open_envelope(b"")
    assert (opened.payload, opened.auth) == ({}, None)


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"not json",
        b'{"a":1}x',
        b'{"a":"\xff\xfe"}',
        b'{"auth_data":{},"payload":{',
        b'{"auth_data":{},"payload":{"a":01}}',
        b'{"payload":{"a":"\xff"}}',
        b"\xef\xbb\xbf{}x",
        b'{"a":' + b"[" * 100_000,
    ],
)
def test_what_is_not_json_is_refused_in_the_words_of_the_reference(body: bytes) -> None:
    assert _refusal(body) == {"error": "invalid JSON"}


@pytest.mark.parametrize("payload", [[], "text", 3, None, True])
def test_a_payload_that_is_no_object_is_refused(payload: object) -> None:
    problem = {"data": "payload must be a dictionary"}
    assert _refusal({"auth_data": AUTH, "payload": payload}) == {"payload": problem}


@pytest.mark.parametrize("body", [[], "text", 3, None])
def test_a_body_that_is_no_object_is_refused(body: object) -> None:
    assert _refusal(body) == {"payload": {"data": "payload must be a dictionary"}}


def test_a_missing_payload_is_named() -> None:
    assert _refusal({"auth_data": AUTH}) == {"payload": "field missing"}


def test_every_fault_is_named_at_once() -> None:
    auth = {name: value for name, value in AUTH.items() if name not in ("cost", "url")}
    missing = {"cost": "missing parameter", "url": "missing parameter"}
    assert _refusal({"auth_data": auth}) == {"auth_data": missing, "payload": "field missing"}
    assert _refusal({"auth_data": 3, "payload": []}) == {
        "auth_data": "auth_data must be a dictionary",
        "payload": {"data": "payload must be a dictionary"},
    }
    assert _refusal({"auth_data": AUTH, "payload": {}, "session_id": 3}) == {
        "session_id": "session_id must be a string"
    }
