"""The application: whose route wins, what refusals look like, what is served while it drains."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from worker_rig import API_KEY, TOKEN, Model, Rig, rigged, wait_until, worker_of

from vast_pyworker.engine.fakes import connect
from vast_pyworker.errors import BackendError
from vast_pyworker.worker import forward, jsonlog, signed_payload
from vast_pyworker.worker.app import create_app

KEY = {"Authorization": f"Bearer {API_KEY}"}


class Backend:
    count = 0


def increment(backend: Any, request: Any) -> str:
    """The guide's handler."""
    backend.count += request.json["amount"]
    return "Incremented"


def value(backend: Any, request: Any) -> dict[str, int]:
    return {"value": backend.count}


def named(backend: Any, request: Any) -> dict[str, str]:
    return dict(request.view_args)


def logs(backend: Any, request: Any) -> dict[str, str]:
    logging.getLogger("rig").info("from the handler")
    return {"logged_as": jsonlog.request_id.get()}


def own_status(backend: Any, request: Any) -> str:
    return "the backend's own status"


def fails(backend: Any, request: Any) -> Any:
    raise LookupError("a secret of the handler")


ROUTES = {
    "POST": {
        "increment": increment,
        "/hold": forward("/hold"),
        "fails": fails,
        "session/create": own_status,
    },
    "GET": {
        "value": value,
        "by/<name>/<int:number>": named,
        "logs": logs,
        "/pyworker/status": own_status,
    },
    "PUT": {"value": value},
}


@pytest.fixture
def rig() -> Iterator[Rig]:
    with rigged(ROUTES, backend=Backend(), MAX_BODY="2000") as rig:
        yield rig


def test_the_guides_backend(rig: Rig) -> None:
    assert rig.ask("/increment", {"amount": 2}, key=False).body == b"Incremented"
    assert rig.get("/value", key=False).body == b'{"value":2}\n'
    rig.at_rest()
    assert rig.requests("/increment") == {"success": 1}


def test_one_backend_object_for_every_handler(rig: Rig) -> None:
    for _ in range(3):
        rig.ask("/increment", {"amount": 1})
    assert rig.ask("/value", method="PUT").json == {"value": 3}


def test_handlers_may_have_variables_in_their_paths(rig: Rig) -> None:
    assert rig.get("/by/me/3").json == {"name": "me", "number": 3}
    rig.at_rest()
    assert rig.requests("/by/<name>/<int:number>") == {"success": 1}, "not one route per value"


def test_the_backends_routes_win(rig: Rig) -> None:
    assert rig.get("/pyworker/status").body == b"the backend's own status"
    assert rig.ask("/session/create", {}).body == b"the backend's own status"
    assert rig.get("/pyworker/metrics").status == 200


def test_options_and_head_are_answered_for_every_route(rig: Rig) -> None:
    assert set(rig.ask("/hold", method="OPTIONS").headers["allow"].split(", ")) == {
        "POST",
        "OPTIONS",
    }
    head = rig.ask("/value", method="HEAD")
    assert (head.status, head.body) == (200, b"")


@pytest.mark.parametrize(
    ("path", "method", "status"), [("/nowhere", "GET", 404), ("/increment", "DELETE", 405)]
)
def test_errors_are_json_for_those_who_speak_it(
    rig: Rig, path: str, method: str, status: int
) -> None:
    told = rig.ask(path, method=method, headers={"Accept": "application/json"})
    assert told.status == status
    assert set(told.json) == {"error"}
    assert b"<html" in rig.ask(path, method=method).body.lower()


def test_a_bad_body_is_answered_in_json(rig: Rig) -> None:
    answer = rig.app.test_client().post(
        "/increment", data=b"{", headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 400
    assert "error" in answer.json


def test_405_keeps_the_methods_there_are(rig: Rig) -> None:
    told = rig.ask("/increment", {}, method="DELETE")
    assert set(told.headers["allow"].split(", ")) == {"POST", "OPTIONS"}


def test_a_handlers_fault_is_500_and_its_words_stay_in_the_log(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    answer = rig.ask("/fails", {"prompt": "words of a client"})
    assert answer.status == 500
    assert b"secret" not in answer.body
    assert "a secret of the handler" in caplog.text
    assert "words of a client" not in caplog.text


def test_a_body_that_is_too_large_is_413_both_ways(rig: Rig) -> None:
    assert rig.ask("/increment", {"amount": "x" * 3000}).status == 413
    big = rig.app.test_client().post("/increment", json={"amount": "x" * 3000})
    assert big.status_code == 413


def test_logs_of_a_handler_name_its_request(rig: Rig) -> None:
    assert rig.get("/logs", headers={"X-Request-ID": "mine"}).json == {"logged_as": "mine"}
    told = rig.get("/logs")
    assert told.json == {"logged_as": told.headers["x-request-id"]}
    direct = rig.app.test_client().get("/logs", headers={"X-Request-ID": "direct"})
    assert direct.json == {"logged_as": "direct"}


def test_limits_are_the_settings() -> None:
    app = create_app(worker_of({}, "http://127.0.0.1:9", MAX_BODY="5", MAX_CONNECTIONS="6"))
    assert (app.limits.body_bytes, app.limits.connections) == (5, 6)


@pytest.mark.parametrize("path", ["by/<name", "by/<what:name>", "by/<a>/<a>"])
def test_a_path_that_flask_does_not_know_is_the_backends_fault(path: str) -> None:
    with pytest.raises(BackendError, match="is no route that Flask knows"):
        create_app(worker_of({"GET": {path: value}}, "http://127.0.0.1:9"))


def test_a_draining_worker_says_so_and_finishes_what_it_has(rig: Rig) -> None:
    """What gunicorn does on SIGTERM: the readiness first, then the server."""
    model = rig.model
    assert isinstance(model, Model)
    with rig.open("/hold", {}) as held:
        assert model.held.wait(10)
        rig.running.call(lambda: rig.worker.readiness.draining())
        rig.running.call(lambda: rig.running.server.drain(listening=True))
        turned_down = rig.ask("/hold", {})
        assert turned_down.status == 503
        assert turned_down.json["state"] == "draining"
        assert set(turned_down.json) == {"error", "state", "queue_depth", "estimated_wait_s"}
        assert int(turned_down.headers["retry-after"]) >= 1
        assert rig.get("/livez").status == 200
        assert rig.get("/readyz").status == 503
        assert rig.get("/metrics").status == 200
        assert rig.ask("/increment", {"amount": 1}).status == 503
        model.release.set()
        assert held.read().status == 200
    rig.ended("/hold", success=1, rejected=1)


def test_an_expect_and_a_chunked_body_reach_the_handler(rig: Rig) -> None:
    with connect(rig.address) as wire:
        wire.send(
            b"POST /increment HTTP/1.1\r\nHost: here\r\nContent-Type: application/json\r\n"
            b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
            b'5\r\n{"amo\r\n8\r\nunt": 7}\r\n0\r\n\r\n'
        )
        assert wire.read_message().body == b"Incremented"
    wait_until(lambda: rig.worker.backend.count == 7)


def test_the_master_token_is_nowhere_in_what_is_told(rig: Rig) -> None:
    del rig.worker.loaded.flask_dict["GET"]["pyworker/status"]
    told = create_app(rig.worker).test_client().get("/pyworker/status")
    assert told.status_code == 200
    text = json.dumps(told.json)
    assert TOKEN not in text and API_KEY not in text


class Pages(Backend):
    def workload(self, payload: dict[str, Any]) -> float:
        return 2.0 * payload["pages"]


def prints(backend: Any, request: Any) -> str:
    signed_payload(request)
    return "Printed"


PLAIN = {"POST": {"increment": increment, "print": prints}, "GET": {"value": value}}


def test_a_plain_handler_is_work_like_any_other_and_a_look_is_none() -> None:
    with rigged(PLAIN, backend=Backend()) as rig:
        accounting = rig.worker.accounting
        assert rig.ask("/increment", {"amount": 2}).status == 200
        assert rig.get("/value").json == {"value": 2}
        rig.at_rest()
        assert (accounting.take().new_load, accounting.take().served_load) == (100.0, 100.0)


@pytest.mark.parametrize(
    ("payload", "units"), [({"pages": 7, "amount": 1}, 14.0), ({"amount": 1}, 100.0)]
)
def test_a_backends_workload_counts_for_plain_handlers_where_it_can(
    payload: dict[str, Any], units: float
) -> None:
    with rigged(PLAIN, backend=Pages()) as rig:
        assert rig.ask("/increment", payload).status == 200
        rig.at_rest()
        assert rig.worker.accounting.take().served_load == units


def test_a_stranger_who_is_turned_away_is_no_load() -> None:
    with rigged(PLAIN) as rig:
        assert rig.ask("/print", {"pages": 7}, key=False).status == 422
        rig.at_rest()
        told = rig.worker.accounting.take()
        assert (told.requests_received, told.rejected_load, told.new_load) == (1, 0.0, 0.0)
