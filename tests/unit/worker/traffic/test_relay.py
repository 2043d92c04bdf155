"""``Relay``: what reaches the model, what the request is worth, and that each ends once."""

from __future__ import annotations

import datetime
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from flask import abort
from worker_rig import JSON, LIMIT_S, Model, Rig, grant, rigged, wait_until

from vast_pyworker import signature
from vast_pyworker.errors import Full
from vast_pyworker.worker import Relay, constant, signed_payload, tokens

PAYLOAD = {"prompt": "hi", "max_tokens": 3}
GONE = threading.Event()


class Backend:
    def workload(self, payload: dict[str, Any]) -> float:
        return float(payload.get("steps", 1)) * 10


def rewritten(backend: Any, request: Any) -> Relay:
    payload = signed_payload(request)
    return Relay("/x", json={**payload, "stream": True}, workload=tokens)


def replaced(backend: Any, request: Any) -> Relay:
    headers = {"Content-Type": "text/x-prompt", "X-Tenant": "one", "user-agent": "worker"}
    return Relay("/x", data="text", headers=headers, workload=1)


def looked_at(backend: Any, request: Any) -> Relay:
    """Relays as it came what it has read before."""
    assert request.json["payload"]["max_tokens"] == 3
    return Relay("/x")


def form_read(backend: Any, request: Any) -> Relay:
    assert request.form["a"] == "hello"
    return Relay("/x")


def signed_form(backend: Any, request: Any) -> Relay:
    assert signed_payload(request) == {}
    assert request.files["f"].read() == b"x" * 2_000_000
    return Relay("/x", workload=1.0)


def raises(backend: Any, request: Any) -> Any:
    raise LookupError("a fault of the handler")


def aborts(backend: Any, request: Any) -> Any:
    abort(int(request.args["status"]))


def refuses(backend: Any, request: Any) -> Any:
    raise Full("No more today.", retry_after_s=3)


def cannot_be_sent(backend: Any, request: Any) -> Relay:
    return Relay("/x", json={"when": {datetime.timedelta()} and object()})


def bad_header(backend: Any, request: Any) -> Relay:
    return Relay("/x", json={}, headers={"X-Bad": "two\r\nlines"})


def in_pieces(backend: Any, request: Any) -> Any:
    return (piece for piece in (b"one ", b"two")), {"Content-Type": "text/plain"}


def breaks(backend: Any, request: Any) -> Any:
    def pieces() -> Iterator[bytes]:
        yield b"one "
        raise LookupError("in the middle")

    return pieces(), {"Content-Type": "text/plain"}


def endless(backend: Any, request: Any) -> Any:
    def pieces() -> Iterator[bytes]:
        try:
            while True:
                yield b"drip\n" * 1000
        finally:
            GONE.set()

    return pieces(), {"Content-Type": "text/plain"}


def to_get(backend: Any, request: Any) -> Relay:
    return Relay("list", method="get")


HANDLERS = {
    "rewritten": rewritten,
    "replaced": replaced,
    "untouched": lambda backend, request: Relay("/x"),
    "number": lambda backend, request: Relay("/x", json={}, workload=4),
    "calculated": lambda backend, request: Relay("/x", json={"a": 1}, workload=constant(6.0)),
    "listed": lambda backend, request: Relay("/x", json=[1, 2]),
    "negative": lambda backend, request: Relay("/x", json={}, workload=-1.0),
    "with_status": lambda backend, request: (Relay("/x", json={}), 202, {"X-Ours": "1"}),
    "looked_at": looked_at,
    "form_read": form_read,
    "signed_form": signed_form,
    "raises": raises,
    "aborts": aborts,
    "refuses": refuses,
    "cannot_be_sent": cannot_be_sent,
    "bad_header": bad_header,
    "nothing": lambda backend, request: None,
    "whole": lambda backend, request: {"ok": True},
    "told": lambda backend, request: ({"error": "no"}, int(request.args["status"])),
    "in_pieces": in_pieces,
    "breaks": breaks,
    "endless": endless,
    "to_get": to_get,
    "checked": lambda backend, request: {"asked": signed_payload(request)},
}


@pytest.fixture(scope="module")
def key() -> Any:
    return signature.new_private_key()


@pytest.fixture(scope="module")
def rig(key: Any) -> Iterator[Rig]:
    with rigged({"POST": HANDLERS}, backend=Backend(), key=key.public_key()) as rig:
        yield rig


@pytest.fixture(autouse=True)
def model(rig: Rig) -> Iterator[Model]:
    assert rig.model is not None
    while not rig.model.requests.empty():
        rig.model.requests.get()
    yield rig.model
    rig.at_rest()
    assert all(gate.running == 0 for gate in (*rig.worker.gates.values(), rig.worker.gate))


def grown(rig: Rig, route: str, ask: Any) -> tuple[dict[str, int], dict[str, float]]:
    """How the books of a route grew by what ``ask`` did."""
    counts = rig.requests(route)
    work = rig.work(route) if counts else {}
    ask()
    rig.at_rest()
    new = {name: n - counts.get(name, 0) for name, n in rig.requests(route).items()}
    new = {name: n for name, n in new.items() if n}
    return new, {name: rig.work(route)[name] - work.get(name, 0.0) for name in new}


def test_a_body_may_be_rewritten(rig: Rig, model: Model) -> None:
    assert rig.ask("/rewritten", PAYLOAD).status == 200
    message = model.requests.get()
    assert json.loads(message.body) == {**PAYLOAD, "stream": True}
    assert message.first == "POST /x HTTP/1.1"
    assert message.get("content-type") == "application/json"


def test_headers_are_set_in_place_of_the_clients(rig: Rig, model: Model) -> None:
    sent = {"User-Agent": "client", "X-Tenant": "two", "X-Other": "kept"}
    assert rig.ask("/replaced", PAYLOAD, headers=sent).status == 200
    message = model.requests.get()
    assert message.body == b"text"
    for name, value in (("content-type", "text/x-prompt"), ("x-tenant", "one")):
        assert message.all(name) == [value]
    assert message.all("user-agent") == ["worker"]
    assert message.get("x-other") == "kept"


def test_what_is_not_rewritten_goes_on_without_its_grant(rig: Rig, model: Model, key: Any) -> None:
    wrapped = {"auth_data": grant(key), "payload": {"steps": 3}}
    counts, work = grown(rig, "/untouched", lambda: rig.ask("/untouched", wrapped))
    assert model.requests.get().body == b'{"steps": 3}'
    assert (counts, work) == ({"success": 1}, {"success": 30.0})


@pytest.mark.parametrize(
    ("path", "work"), [("/number", 4.0), ("/calculated", 6.0), ("/listed", 10.0)]
)
def test_work_is_a_number_a_calculator_or_the_backends(rig: Rig, path: str, work: float) -> None:
    assert grown(rig, path, lambda: rig.ask(path, PAYLOAD)) == ({"success": 1}, {"success": work})


def test_work_that_cannot_be_is_refused_and_booked_once(rig: Rig, model: Model) -> None:
    counts, _ = grown(rig, "/negative", lambda: rig.ask("/negative", PAYLOAD))
    assert counts == {"rejected": 1}
    assert model.requests.empty()


def test_a_status_beside_a_relay_is_the_models_all_the_same(rig: Rig) -> None:
    assert rig.ask("/with_status", PAYLOAD).status == 200


def test_a_handler_may_have_read_the_body(rig: Rig, model: Model) -> None:
    assert rig.ask("/looked_at", {"payload": PAYLOAD}).status == 200
    assert json.loads(model.requests.get().body) == PAYLOAD


def test_a_handler_may_have_read_the_form(rig: Rig, model: Model) -> None:
    body = b"a=hello&b=2"
    sent = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = rig.open("/form_read", headers=sent)
    answer.leave()
    call = _form(rig, "/form_read", body, sent["Content-Type"])
    assert call.status == 200
    wait_until(lambda: not model.requests.empty())
    assert model.requests.get().body == body


def test_a_large_form_may_be_checked_and_then_read(rig: Rig, model: Model) -> None:
    body = (
        b'--x\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n'
        + b"x" * 2_000_000
        + b"\r\n--x--\r\n"
    )
    assert _form(rig, "/signed_form", body, "multipart/form-data; boundary=x").status == 200
    assert model.requests.get().body == body


def _form(rig: Rig, path: str, body: bytes, kind: str) -> Any:
    from worker_rig import API_KEY, Call

    headers = {"Content-Type": kind, "Authorization": f"Bearer {API_KEY}"}
    return Call(rig.address, "POST", path, body, headers).read()


def test_another_method(rig: Rig, model: Model) -> None:
    assert rig.open("/to_get?a=b").read().status == 200
    assert model.requests.get().first == "GET /list?a=b HTTP/1.1"


@pytest.mark.parametrize(
    ("path", "status", "ended"),
    [
        ("/raises", 500, "worker_error"),
        ("/nothing", 500, "worker_error"),
        ("/cannot_be_sent", 500, "worker_error"),
        ("/bad_header", 500, "worker_error"),
        ("/aborts?status=404", 404, "client_error"),
        ("/aborts?status=400", 400, "client_error"),
        ("/aborts?status=403", 403, "rejected"),
        ("/aborts?status=502", 502, "worker_error"),
        ("/refuses", 429, "rejected"),
        ("/whole", 200, "success"),
        ("/told?status=202", 202, "success"),
        ("/told?status=418", 418, "client_error"),
        ("/told?status=503", 503, "rejected"),
        ("/told?status=500", 500, "worker_error"),
        ("/in_pieces", 200, "success"),
    ],
)
def test_however_a_handler_ends_it_is_booked_once(
    rig: Rig, model: Model, path: str, status: int, ended: str
) -> None:
    answers: list[Any] = []
    route = path.partition("?")[0]
    counts, _ = grown(rig, route, lambda: answers.append(rig.ask(path, PAYLOAD)))
    assert answers[0].status == status, answers[0].body
    assert counts == {ended: 1}
    assert model.requests.empty()


def test_a_refusal_raised_by_a_handler_is_answered_as_one(rig: Rig) -> None:
    answer = rig.ask("/refuses", PAYLOAD)
    assert (answer.headers["retry-after"], answer.json) == ("3", {"error": "No more today."})


def test_a_stream_that_breaks_is_the_handlers_fault(rig: Rig) -> None:
    counts, _ = grown(rig, "/breaks", lambda: rig.ask("/breaks", PAYLOAD))
    assert counts == {"worker_error": 1}


def test_a_stream_that_nobody_reads_any_more_is_cancelled(rig: Rig) -> None:
    GONE.clear()
    progress = rig.worker.accounting.progress
    with rig.open("/endless", PAYLOAD) as call:
        call.read_until(b"drip\n")
        assert rig.worker.accounting.progress > progress, "the watchdog sees it move"
    assert GONE.wait(LIMIT_S)
    rig.ended("/endless", cancelled=1)


def test_a_plain_handler_did_not_wait_in_any_queue(rig: Rig) -> None:
    rig.ask("/whole", PAYLOAD)
    rig.at_rest()
    assert rig.worker.accounting.totals()["/whole"].queue_wait_s.total_s == 0.0


def test_a_plain_handler_that_checks_tells_the_autoscaler(rig: Rig, key: Any) -> None:
    accounting = rig.worker.accounting
    accounting.acknowledge_ends(accounting.ends())
    body = {"auth_data": grant(key), "payload": {"a": 1}}
    assert rig.ask("/checked", body, key=False).json == {"asked": {"a": 1}}
    rig.at_rest()
    assert [end.request_idx for end in accounting.ends()] == [7]


def test_a_handler_that_checks_knows_the_session(rig: Rig, key: Any) -> None:
    created = rig.ask("/session/create", {"auth_data": grant(key), "payload": {}}, key=False).json
    body = {"auth_data": grant(key), "session_id": created["session_id"], "payload": PAYLOAD}
    assert rig.ask("/rewritten", body, key=False).status == 200
    assert rig.worker.sessions.touch(created["session_id"]).expires_at > created["expiration"] + 100
    assert rig.ask("/rewritten", {**body, "session_id": "another"}, key=False).status == 410
    end = {"session_id": created["session_id"], "session_auth": body["auth_data"]}
    assert rig.ask("/session/end", end).status == 200


def test_plans_are_kept_by_kind_and_not_without_end(rig: Rig) -> None:
    for _ in range(3):
        rig.ask("/number", PAYLOAD)
        rig.ask("/replaced", PAYLOAD)
    kept = rig.worker.parts["relays"]
    assert len([key for key in kept if key[:2] == ("/x", "POST")]) < 8
    assert all("X-Tenant" not in str(plan.headers) for plan, _ in kept.values())


def test_a_relay_is_a_response_for_whoever_looks(rig: Rig) -> None:
    """Hooks of Flask may ask for its status and headers."""
    relay = Relay("/x", json={})
    assert relay.status_code == 200
    relay.headers["X-Seen"] = "1"
    assert relay.headers["X-Seen"] == "1"


def test_the_test_client_gets_the_models_answer(rig: Rig) -> None:
    answer = rig.app.test_client().post("/number", json=PAYLOAD, headers=JSON)
    assert (answer.status_code, answer.json) == (200, {"path": "/x"})
