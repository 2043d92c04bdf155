"""Declared routes: what is checked and booked before a request goes on, and under what name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from worker_rig import API_KEY, JSON, Model, Rig, grant, rigged, worker_of

from vast_pyworker import signature
from vast_pyworker.engine.fakes import whole
from vast_pyworker.errors import BackendError, Invalid, Unauthorized
from vast_pyworker.model import Outcome
from vast_pyworker.worker import Relay, constant, forward, tokens
from vast_pyworker.worker.app import create_app

PAYLOAD = {"max_tokens": 3}
shared = forward("/shared", workload=tokens)
called = forward("/called", workload=tokens, concurrency=3)


class Backend:
    def workload(self, payload: dict[str, Any]) -> float:
        return float(payload.get("steps", 1)) * 10


def chooses(backend: Any, request: Any) -> Any:
    """A handler that hands the request to a declared one."""
    if request.json.get("payload", {}).get("refuse"):
        raise Invalid("Not this one.")
    return called(backend, request)


ROUTES = {
    "POST": {
        "mine": forward("/mine", workload=constant(7.0)),
        "hooked": forward("/hooked"),
        "open": forward("/open", signed=False),
        "first": shared,
        "second": shared,
        "both": forward("/both", concurrency=2),
        "chooses": chooses,
        "models/<name>": forward("/models"),
        "big": forward("/big", workload=constant(1.0)),
    },
    "GET": {
        "both": forward("/both", method="GET", concurrency=5),
        "list": forward("/list", method="GET", signed=False),
    },
    "DELETE": {"files": forward("/files", method="DELETE")},
}


@pytest.fixture(scope="module")
def key() -> Any:
    return signature.new_private_key()


@pytest.fixture(scope="module")
def rig(key: Any) -> Iterator[Rig]:
    with rigged(ROUTES, backend=Backend(), key=key.public_key()) as rig:
        yield rig


@pytest.fixture(autouse=True)
def model(rig: Rig) -> Model:
    assert rig.model is not None
    while not rig.model.requests.empty():
        rig.model.requests.get()
    return rig.model


def ends(rig: Rig) -> list[tuple[int, str]]:
    """Which numbered requests the autoscaler is to be told of, oldest first; and forget them."""
    rig.at_rest()
    owed = rig.worker.accounting.ends()
    rig.worker.accounting.acknowledge_ends(owed)
    return [(end.request_idx, str(end.outcome)) for end in owed]


def wrapped(key: Any, payload: Any = PAYLOAD, **more: Any) -> dict[str, Any]:
    return {"auth_data": grant(key), "payload": payload, **more}


@pytest.mark.parametrize(
    ("path", "payload", "work"),
    [("/mine", PAYLOAD, 7.0), ("/hooked", {"steps": 4}, 40.0), ("/first", PAYLOAD, 3.0)],
)
def test_the_routes_own_calculator_comes_before_the_backends(
    rig: Rig, path: str, payload: Any, work: float
) -> None:
    before = rig.work(path).get("success", 0.0) if rig.requests(path) else 0.0
    assert rig.ask(path, payload).status == 200
    rig.at_rest()
    assert rig.work(path)["success"] - before == work


def test_without_any_calculator_a_request_is_worth_a_hundred() -> None:
    with rigged({"POST": {"x": forward("/x")}, "GET": {"y": forward("/y", method="GET")}}) as rig:
        rig.ask("/x", PAYLOAD)
        rig.get("/y")
        rig.at_rest()
        assert rig.work("/x") == {"success": 100.0}
        assert rig.work("/y") == {"success": 0.0}


def test_a_verified_number_is_told_to_the_autoscaler(rig: Rig, key: Any) -> None:
    assert rig.ask("/mine", wrapped(key), key=False).status == 200
    assert ends(rig) == [(7, "finished")]


def test_a_verified_number_is_told_also_where_the_payload_is_refused(rig: Rig, key: Any) -> None:
    assert rig.ask("/hooked", wrapped(key, {"steps": "no number"}), key=False).status == 422
    assert ends(rig) == [(7, "rejected")]


def test_a_number_that_nobody_verified_is_told_to_nobody(rig: Rig, key: Any) -> None:
    forged = {"auth_data": {**grant(key), "signature": "AAAA"}, "payload": PAYLOAD}
    assert rig.ask("/mine", forged, key=False).status == 401
    assert rig.ask("/open", forged, key=False).status == 200
    assert ends(rig) == []


def test_a_request_in_a_session_is_the_sessions(rig: Rig, key: Any) -> None:
    opened = rig.ask("/session/create", wrapped(key, {"lifetime": 60}), key=False).json
    within = wrapped(key, session_id=opened["session_id"])
    assert rig.ask("/mine", within, key=False).status == 200
    prolonged = rig.worker.sessions.touch(opened["session_id"]).expires_at
    assert prolonged > opened["expiration"] + 100
    assert ends(rig) == [], "the autoscaler counts the session, not the requests within"
    body = {"session_id": opened["session_id"], "session_auth": within["auth_data"]}
    assert rig.ask("/session/end", body).status == 200
    assert ends(rig) == [(7, "finished")]


def test_a_get_of_the_same_path_has_limits_of_its_own(rig: Rig) -> None:
    gates = rig.worker.gates
    assert (gates["/both"].concurrency, gates["GET /both"].concurrency) == (2, 5)


def test_routes_without_limits_share_the_backends(rig: Rig) -> None:
    gates = rig.worker.gates
    assert gates["/first"] is gates["/mine"] is rig.worker.gate
    assert gates["/both"] is not rig.worker.gate


def test_limits_that_are_not_given_are_the_workers() -> None:
    routes = {"POST": {"x": forward("/x", max_queue_time=0), "y": forward("/y", max_queue=1)}}
    worker = worker_of(
        routes, "http://127.0.0.1:9", MODEL_CONCURRENCY="6", MAX_QUEUE="9", QUEUE_TIMEOUT="4"
    )
    create_app(worker)
    x, y = worker.gates["/x"], worker.gates["/y"]
    assert (x.concurrency, x.max_queue, x.max_queue_time_s) == (6, 9, 0)
    assert (y.concurrency, y.max_queue, y.max_queue_time_s) == (6, 1, 4.0)
    assert x is not y


def test_one_declaration_may_stand_under_two_paths(rig: Rig) -> None:
    for path in ("/first", "/second"):
        before = rig.requests(path).get("success", 0)
        assert rig.ask(path, PAYLOAD).json == {"path": "/shared"}
        rig.ended(path, success=before + 1)


def test_a_handler_may_call_a_declared_one(rig: Rig, key: Any, model: Model) -> None:
    """One request, one ticket: the handler's, with the number and work of the declared one."""
    assert rig.ask("/chooses", wrapped(key), key=False).json == {"path": "/called"}
    rig.ended("/chooses", success=1)
    assert rig.work("/chooses") == {"success": 3.0}
    assert ends(rig) == [(7, "finished")]
    assert rig.requests("/called") == {}
    assert rig.worker.gates["/called"].concurrency == 3
    assert rig.ask("/chooses", wrapped(key), key=False).status == 200
    assert len([name for name in rig.worker.gates if "called" in name]) == 1


def test_a_declared_one_that_is_called_turns_down_once(rig: Rig) -> None:
    before = rig.requests("/chooses").get("rejected", 0)
    assert rig.ask("/chooses", PAYLOAD, key=False).status == 422
    assert rig.ask("/chooses", {"payload": {"refuse": True}}).status == 422
    rig.at_rest()
    assert rig.requests("/chooses")["rejected"] == before + 2


def test_a_path_with_variables_is_flasks(rig: Rig) -> None:
    assert ("POST", "/models/<name>") not in rig.app.native_routes
    assert rig.ask("/models/small", PAYLOAD).json == {"path": "/models"}
    rig.at_rest()
    assert rig.requests("/models/<name>")["success"] == 1


def test_a_path_that_is_escaped_is_the_same_route(rig: Rig) -> None:
    before = rig.requests("/mine").get("success", 0)
    assert rig.ask("/%6dine", PAYLOAD).status == 200
    rig.ended("/mine", **{**rig.requests("/mine"), "success": before + 1})


def test_head_asks_for_what_get_would(rig: Rig, model: Model) -> None:
    answer = rig.ask("/list", method="HEAD")
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers["content-length"] == str(len(b'{"path": "/list"}'))
    assert model.requests.get().first.startswith("GET /list ")


def test_delete_has_no_payload_to_measure(rig: Rig, model: Model) -> None:
    assert rig.ask("/files?id=3", method="DELETE").status == 200
    assert model.requests.get().first == "DELETE /files?id=3 HTTP/1.1"


def test_a_large_body_comes_through_whole(rig: Rig, model: Model) -> None:
    """Larger than what is kept in memory."""
    payload = {"text": "x" * 3_000_000}
    assert rig.ask("/big", payload).status == 200
    assert len(model.requests.get().body) > 3_000_000


def test_json_by_no_name_reaches_the_model_by_its_name(rig: Rig, model: Model) -> None:
    assert rig.ask("/mine", PAYLOAD, headers={"Content-Type": ""}).status == 200
    assert model.requests.get().get("content-type") == "application/json"


@pytest.mark.parametrize("kind", ["application/jsonl", "application/json-patch+json", "text/plain"])
def test_other_kinds_are_not_opened(rig: Rig, model: Model, kind: str) -> None:
    answer = rig.open("/mine", headers={"Content-Type": kind}).read()
    assert answer.status == 200
    body = rig.app.test_client().post(
        "/mine",
        data=b"{not json",
        headers={"Content-Type": kind, "Authorization": f"Bearer {API_KEY}"},
    )
    assert body.status_code == 200
    model.requests.get()
    assert model.requests.get().body == b"{not json"


def test_no_place_at_all_is_refused_when_it_is_declared() -> None:
    with pytest.raises(ValueError, match="use 1 or more"):
        forward("/x", concurrency=0)


def test_a_method_that_http_does_not_have_is_the_backends_fault() -> None:
    routes = {"POST": {"x": forward("/x", method="PO ST")}}
    with pytest.raises(BackendError, match="PO ST"):
        create_app(worker_of(routes, "http://127.0.0.1:9"))


def test_admitting_alone_needs_no_server(key: Any) -> None:
    """What ``admit`` decides, it decides on values."""
    worker = worker_of({}, "http://127.0.0.1:9", key=key.public_key())
    route = create_app(worker).extensions["pyworker"].parts["forwards"].add(shared, "POST", "/s")
    passage = route.admit(b'{"max_tokens":5}', b"application/json", f"Bearer {API_KEY}")
    assert (passage.ticket.work, passage.body) == (5.0, b'{"max_tokens":5}')
    assert not isinstance(passage, Relay)
    with pytest.raises(Unauthorized):
        route.admit(b"{}", JSON["Content-Type"].encode(), "Bearer wrong")
    passage.ticket.end(Outcome.CANCELLED)
    assert worker.accounting.in_flight == 0


class Measures(Backend):
    """Knows afterwards what a request was worth."""

    def settle(self, payload: dict[str, Any], answer: dict[str, Any]) -> float:
        return float(answer["usage"]["total_tokens"]) * payload["factor"]


STREAMS = {
    "/unary": whole(b'{"usage": {"total_tokens": 6}}'),
    "/events": whole(b'data: {"usage": {"total_tokens": 6}}\n\ndata: [DONE]\n\n', kind="text/x"),
    "/lines": whole(b'{"a": 1}\n{"usage": {"total_tokens": 6}}\n', kind="application/x-ndjson"),
    "/silent": whole(b"{}"),
}


@pytest.mark.parametrize("path", STREAMS)
@pytest.mark.parametrize("served", ["engine", "test client"])
def test_the_backend_may_settle_what_it_was(path: str, served: str) -> None:
    """A hook that fails leaves the estimate."""
    scripts = {path: lambda wire, message: wire.send(STREAMS[path])}
    routes = {"POST": {path: forward(path)}}
    payload = {"factor": 2, "steps": 3}
    with rigged(routes, scripts, backend=Measures()) as rig:
        if served == "engine":
            assert rig.ask(path, payload).status == 200
        else:
            key = {"Authorization": f"Bearer {API_KEY}"}
            client = rig.app.test_client()
            assert client.post(path, json=payload, headers=key, buffered=True).status_code == 200
        rig.at_rest()
        assert rig.work(path) == {"success": 30.0 if path == "/silent" else 12.0}
