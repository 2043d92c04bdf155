"""A body opened once for whoever asks, its caller checked, its number and session known."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask import Request
from werkzeug.test import EnvironBuilder
from worker_rig import API_KEY, grant, worker_of

from vast_pyworker import signature
from vast_pyworker.errors import Gone, Invalid, Unauthorized
from vast_pyworker.model import Outcome
from vast_pyworker.worker.state import Worker
from vast_pyworker.worker.traffic.grants import (
    ENVELOPE,
    TICKET,
    WORKER,
    is_json,
    open_request,
    request_idx_of,
    signed_payload,
)

KEY = {"Authorization": f"Bearer {API_KEY}"}


@pytest.fixture(scope="module")
def key() -> Any:
    return signature.new_private_key()


@pytest.fixture
def worker(key: Any) -> Worker:
    return worker_of({}, "http://127.0.0.1:9", key=key.public_key())


def asked(worker: Worker, body: Any, kind: str = "application/json", **headers: str) -> Request:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    builder = EnvironBuilder("/x", method="POST", data=data, content_type=kind, headers=headers)
    environ = builder.get_environ()
    builder.close()
    environ[WORKER] = worker
    return Request(environ)


def test_a_good_grant_opens_the_payload(worker: Worker, key: Any) -> None:
    request = asked(worker, {"auth_data": grant(key), "payload": {"a": 1}})
    assert signed_payload(request) == {"a": 1}
    assert request.environ[ENVELOPE].payload_bytes == b'{"a": 1}'


def test_a_key_stands_in_for_a_grant(worker: Worker) -> None:
    assert signed_payload(asked(worker, {"a": 1}, **KEY)) == {"a": 1}


@pytest.mark.parametrize("body", [{"a": 1}, {"auth_data": {}, "payload": {}}, b""])
def test_neither_is_invalid(worker: Worker, body: Any) -> None:
    with pytest.raises(Invalid):
        signed_payload(asked(worker, body))


def test_a_bad_grant_is_unauthorized(worker: Worker, key: Any) -> None:
    bad = {**grant(key), "url": "http://elsewhere"}
    with pytest.raises(Unauthorized):
        signed_payload(asked(worker, {"auth_data": bad, "payload": {}}))


@pytest.mark.parametrize(
    ("kind", "body"),
    [("multipart/form-data", b"--x"), ("text/plain", b"{"), ("image/png", b"\x89")],
)
def test_what_is_not_json_is_not_opened(worker: Worker, kind: str, body: bytes) -> None:
    request = asked(worker, body, kind, **KEY)
    assert signed_payload(request) == {}
    assert request.environ[ENVELOPE].payload_bytes == body
    with pytest.raises(Invalid):
        signed_payload(asked(worker, body, kind))


def test_nothing_is_an_empty_payload(worker: Worker) -> None:
    request = asked(worker, b"", **KEY)
    assert signed_payload(request) == {}
    assert request.environ[ENVELOPE].payload_bytes == b""


def test_the_ticket_learns_number_and_session(worker: Worker, key: Any) -> None:
    session_id = worker.sessions.create({}, {})["session_id"]
    body = {"auth_data": grant(key), "session_id": session_id, "payload": {}}
    request = asked(worker, body)
    ticket = request.environ[TICKET] = worker.accounting.begin("/x", 0.0)
    signed_payload(request)
    assert (ticket.request_idx, ticket.session) == (7, session_id)
    ticket.end(Outcome.FINISHED)
    assert worker.accounting.ends() == (), "it is the session that is told of"


def test_a_number_that_was_not_verified_is_not_learnt(worker: Worker, key: Any) -> None:
    request = asked(worker, {"auth_data": grant(key), "payload": {}})
    ticket = request.environ[TICKET] = worker.accounting.begin("/x", 0.0)
    open_request(worker, request, signed=False)
    assert ticket.request_idx == 0
    ticket.end(Outcome.FINISHED)


@pytest.mark.parametrize("signed", [True, False])
def test_a_session_that_is_not_open_is_gone(worker: Worker, signed: bool) -> None:
    with pytest.raises(Gone):
        open_request(
            worker, asked(worker, {"session_id": "x", "payload": {}}, **KEY), signed=signed
        )


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        (None, True),
        ("", True),
        (b"", True),
        ("application/json", True),
        (b"application/json", True),
        ("Application/JSON ; charset=utf-8", True),
        (b"application/json;charset=utf-8", True),
        ("application/jsonl", False),
        (b"application/json-patch+json", False),
        ("text/plain", False),
        ("\u00fcber/json", False),
    ],
)
def test_kinds_that_are_json(kind: Any, told: bool) -> None:
    assert is_json(kind) is told


@pytest.mark.parametrize(
    ("auth", "number"),
    [
        (None, 0),
        ({}, 0),
        ({"request_idx": 9}, 9),
        ({"request_idx": True}, 0),
        ({"request_idx": "9"}, 0),
        ({"request_idx": 1.5}, 0),
    ],
)
def test_the_number_of_a_request(auth: Any, number: int) -> None:
    assert request_idx_of(auth) == number
