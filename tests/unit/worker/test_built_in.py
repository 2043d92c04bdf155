"""The worker's own routes: who may ask, what they tell, what they do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families
from worker_rig import API_KEY, TOKEN, grant, worker_of

from vast_pyworker import signature
from vast_pyworker.worker import forward
from vast_pyworker.worker.app import create_app
from vast_pyworker.worker.built_in import BUILT_IN_ROUTES, REPORTS
from vast_pyworker.worker.openapi import built_in_method
from vast_pyworker.worker.reports import metrics
from vast_pyworker.worker.state import Worker

FAR = {"REMOTE_ADDR": "203.0.113.9"}
BEARER = {"Authorization": f"Bearer {TOKEN}"}
GUARDED = [
    ("GET", "/pyworker/status"),
    ("GET", "/pyworker/metrics"),
    ("GET", "/metrics"),
    ("GET", "/metrics/upstream"),
    ("GET", "/pyworker/metrics/upstream"),
    ("GET", "/pyworker/openapi.json"),
    ("POST", "/pyworker/drain"),
    ("DELETE", "/pyworker/requests/x"),
]


class Metrics:
    """What a backend of 2024 counts with."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Any]] = []

    def report_loaded(self, body: Any) -> None:
        self.told.append(("loaded", body))

    def report_req_stats(self, body: Any) -> None:
        self.told.append(("done", body))

    def report_batch_capacity(self, body: Any) -> None:
        self.told.append(("capacity", body))


class Backend:
    def __init__(self) -> None:
        self.metrics = Metrics()


@pytest.fixture(scope="module")
def key() -> Any:
    return signature.new_private_key()


@pytest.fixture
def worker(key: Any, tmp_path: Path) -> Worker:
    routes = {"POST": {"generate": forward("/generate", concurrency=2)}}
    worker = worker_of(
        routes, "http://127.0.0.1:9", backend=Backend(), key=key.public_key(), MAX_SESSIONS="2"
    )
    worker.update_mark = tmp_path / "update"
    sources = metrics.Sources(
        worker.accounting, worker.readiness, {"version": "1"}, gates=worker.gates
    )
    worker.render_metrics = lambda: metrics.render(sources)
    return worker


@pytest.fixture
def client(worker: Worker) -> Iterator[FlaskClient]:
    yield create_app(worker).test_client()


@pytest.mark.parametrize(("method", "path"), GUARDED)
def test_off_this_machine_a_token_is_wanted(client: FlaskClient, method: str, path: str) -> None:
    def status(**options: Any) -> int:
        return client.open(path, method=method, **options).status_code

    assert status(environ_overrides=FAR) == 401
    assert status(environ_overrides=FAR, headers={"Authorization": "Bearer wrong"}) == 401
    for token in (TOKEN, API_KEY):
        assert status(environ_overrides=FAR, headers={"Authorization": f"Bearer {token}"}) != 401
    assert status() != 401


@pytest.mark.parametrize(
    "header", [{"X-Forwarded-For": "127.0.0.1"}, {"Forwarded": "for=127.0.0.1"}]
)
def test_a_proxy_on_this_machine_speaks_for_others(client: FlaskClient, header: Any) -> None:
    assert client.get("/pyworker/status", headers=header).status_code == 401
    assert client.get("/pyworker/status", headers=header | BEARER).status_code == 200


@pytest.mark.parametrize(
    ("address", "status"),
    [("::1", 200), ("127.8.8.8", 200), ("10.0.0.1", 401), ("not an address", 401), ("", 200)],
)
def test_who_is_on_this_machine(client: FlaskClient, address: str, status: int) -> None:
    """A Unix socket has no address; whoever may open it is here."""
    told = client.get("/pyworker/status", environ_overrides={"REMOTE_ADDR": address})
    assert told.status_code == status


def test_without_a_token_nobody_has_it(tmp_path: Path) -> None:
    worker = worker_of({}, "http://127.0.0.1:9", MASTER_TOKEN="", PYWORKER_API_KEYS="")
    client = create_app(worker).test_client()
    for headers in ({}, {"Authorization": "Bearer "}, {"Authorization": "Bearer"}):
        told = client.get("/pyworker/status", environ_overrides=FAR, headers=headers)
        assert told.status_code == 401
        assert client.post("/pyworker/update", headers=headers).status_code == 401


def test_the_status_shows_state_queues_and_parts(client: FlaskClient, worker: Worker) -> None:
    worker.status["model"] = lambda: {"stage": "serving"}
    told = client.get("/pyworker/status").json
    assert (told["state"], told["backend"], told["accepting"]) == ("ready", "rig", True)
    assert told["requests"]["in_flight"] == 0
    assert told["requests"]["routes"]["/generate"] == {
        "running": 0,
        "queued": 0,
        "concurrency": 2,
        "max_queue": 256,
        "estimated_wait_s": 0.0,
    }
    assert told["model"] == {"stage": "serving"}


def test_metrics_are_prometheus_text(client: FlaskClient) -> None:
    told = client.get("/metrics")
    assert told.content_type.startswith("text/plain; version=0.0.4")
    names = {family.name for family in text_string_to_metric_families(told.text)}
    assert {"pyworker_queue_depth", "pyworker_model_state"} <= names


def test_the_model_servers_own_metrics_are_passed_on(client: FlaskClient, worker: Worker) -> None:
    assert client.get("/metrics/upstream").status_code == 404
    worker.upstream_metrics = lambda: b"llamacpp:requests_processing 2\n"
    for path in ("/metrics/upstream", "/pyworker/metrics/upstream"):
        told = client.get(path)
        assert (told.status_code, told.text) == (200, "llamacpp:requests_processing 2\n")

    def refused() -> bytes:
        raise ConnectionRefusedError("nobody listens")

    worker.upstream_metrics = refused
    told = client.get("/metrics/upstream")
    assert (told.status_code, "nobody listens" in told.text) == (502, True)


def test_openapi_names_both_kinds_of_routes(client: FlaskClient) -> None:
    told = client.get("/pyworker/openapi.json").json
    assert told["openapi"].startswith("3.1")
    assert {"/generate", "/pyworker/status"} <= told["paths"].keys()


def test_every_route_that_is_told_of_is_there(worker: Worker) -> None:
    app = create_app(worker)
    there = {(method, rule.rule) for rule in app.url_map.iter_rules() for method in rule.methods}
    told = {(built_in_method(path), path) for path in BUILT_IN_ROUTES if "<" not in path}
    assert told <= there


def test_an_update_is_marked_by_the_master_token_alone(client: FlaskClient, worker: Worker) -> None:
    assert client.post("/pyworker/update").status_code == 401, "also on this machine"
    keyed = {"Authorization": f"Bearer {API_KEY}"}
    assert client.post("/pyworker/update", headers=keyed).status_code == 401
    assert not worker.update_mark.exists()
    for token in (f"Bearer {TOKEN}", TOKEN):
        told = client.post("/pyworker/update", headers={"Authorization": token})
        assert (told.status_code, told.json) == (200, {"ok": True})
    assert worker.update_mark.exists()


def test_an_update_that_cannot_be_marked_says_why(client: FlaskClient, worker: Worker) -> None:
    worker.update_mark = Path("/nowhere/at/all")
    told = client.post("/pyworker/update", headers=BEARER)
    assert told.status_code == 500
    assert "/nowhere/at/all cannot be written" in told.json["error"]


def test_a_drain_takes_no_more_requests(client: FlaskClient, worker: Worker) -> None:
    told = client.post("/pyworker/drain")
    assert (told.status_code, told.json) == (202, {"ok": True, "in_flight": 0})
    assert worker.readiness.state == "draining"
    assert client.get("/readyz").status_code == 503
    answer = client.post("/generate", json={}, headers={"Authorization": f"Bearer {API_KEY}"})
    assert answer.status_code == 503


def test_there_is_nothing_to_cancel(client: FlaskClient) -> None:
    told = client.delete("/pyworker/requests/unknown")
    assert (told.status_code, told.json) == (
        404,
        {"error": "No request 'unknown' is on its way here."},
    )


def test_a_session_from_its_beginning_to_its_end(
    client: FlaskClient, worker: Worker, key: Any
) -> None:
    auth = grant(key)
    created = client.post("/session/create", json={"auth_data": auth, "payload": {"lifetime": 30}})
    assert created.status_code == 201
    body = {"session_id": created.json["session_id"], "session_auth": auth}
    assert client.post("/session/health", json=body).json == {"ok": True}
    shown = client.post("/session/get", json=body).json
    assert (shown["lifetime"], shown["auth_data"]) == (30.0, auth)
    assert worker.accounting.take().cur_load == 1.0
    ended = client.post("/session/end", json=body)
    assert ended.json == {"ended": True, "removed_session": body["session_id"]}
    assert client.post("/session/health", json=body).json == {"ok": False}
    assert client.post("/session/end", json=body).status_code == 400


def test_a_session_wants_a_good_grant(client: FlaskClient, worker: Worker, key: Any) -> None:
    bad = {**grant(key), "signature": "AAAA"}
    for body, status in (({"payload": {}}, 422), ({"auth_data": bad, "payload": {}}, 401)):
        assert client.post("/session/create", json=body).status_code == status
    assert len(worker.sessions) == 0


def test_a_worker_that_is_not_ready_opens_no_session(
    client: FlaskClient, worker: Worker, key: Any
) -> None:
    worker.readiness.degraded("told so")
    told = client.post("/session/create", json={"auth_data": grant(key), "payload": {}})
    assert told.status_code == 503
    assert int(told.headers["Retry-After"]) >= 1
    assert len(worker.sessions) == 0


def test_a_full_table_is_429(client: FlaskClient, key: Any) -> None:
    for _ in range(2):
        client.post("/session/create", json={"auth_data": grant(key), "payload": {}})
    told = client.post("/session/create", json={"auth_data": grant(key), "payload": {}})
    assert told.status_code == 429
    assert int(told.headers["Retry-After"]) >= 1


@pytest.mark.parametrize("name", ["get", "health", "end"])
@pytest.mark.parametrize(
    ("body", "status"), [(b"{", 422), (b"[]", 422), (b"{}", 422), (b'{"session_id": 3}', 422)]
)
def test_a_session_must_be_named(client: FlaskClient, name: str, body: bytes, status: int) -> None:
    told = client.post(f"/session/{name}", data=body, content_type="application/json")
    assert told.status_code == status


@pytest.mark.parametrize("kind", REPORTS)
def test_reports_of_the_log_watch_reach_both_who_listen(
    client: FlaskClient, worker: Worker, kind: str
) -> None:
    heard: list[tuple[str, Any]] = []
    worker.evidence = lambda what, body: heard.append((what, body))
    body = {"mtoken": TOKEN, "loadtime": 3.0}
    told = client.post(f"/report_{kind}", json=body)
    assert (told.status_code, told.text) == (200, f"Reported {kind}")
    assert heard == [(kind, body)]
    known = kind in ("loaded", "done", "capacity")
    assert worker.backend.metrics.told == ([(kind, body)] if known else [])


@pytest.mark.parametrize(("body", "status"), [({}, 401), ({"mtoken": "wrong"}, 401), ([], 422)])
def test_reports_want_the_master_token(
    client: FlaskClient, worker: Worker, body: Any, status: int
) -> None:
    heard: list[Any] = []
    worker.evidence = lambda *told: heard.append(told)
    assert client.post("/report_loaded", json=body).status_code == status
    assert heard == [] == worker.backend.metrics.told
