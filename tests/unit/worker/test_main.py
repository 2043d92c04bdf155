"""The composition root: what is made of an environment, and what of one that cannot be served."""

from __future__ import annotations

import json
import logging
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from worker_rig import JSON, LIMIT_S, Answer, Call, Model, wait_until

from vast_pyworker.engine.certificates import contexts
from vast_pyworker.engine.running import RunningServer
from vast_pyworker.worker import parts
from vast_pyworker.worker.app import WorkerApp
from vast_pyworker.worker.fake_autoscaler import FakeAutoscaler
from vast_pyworker.worker.main import BOOT_ERROR, build_app

ROOT = Path(__file__).resolve().parents[3]
TOKEN = "the-master-token"
KEY = "the-api-key"
BEARER = {"Authorization": f"Bearer {KEY}"}
GOOD = """
from vast_pyworker.worker import forward

class Backend:
    model_server = "{model}"
    cancelled = []

    def cancel(self, request_id):
        self.cancelled.append(request_id)

def cancelled(backend, request):
    return {{"cancelled": backend.cancelled}}

flask_dict = {{
    "POST": {{"generate": forward("/generate"), "hold": forward("/hold")}},
    "GET": {{"cancelled": cancelled}},
}}
"""


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    root, quiet = logging.getLogger(), logging.getLogger("urllib3")
    handlers, levels = root.handlers[:], (root.level, quiet.level)
    yield
    root.handlers[:] = handlers
    root.setLevel(levels[0])
    quiet.setLevel(levels[1])


@pytest.fixture
def model() -> Iterator[Model]:
    with Model() as model:
        yield model


def environ(folder: Path, source: str, **more: str) -> dict[str, str]:
    """The environment of a worker whose backend has this source."""
    (folder / "mine").mkdir(exist_ok=True)
    (folder / "mine" / "backend.py").write_text(source)
    ours = {
        "BACKEND": "mine",
        "PYWORKER_BACKENDS": str(folder),
        "PYWORKER_STATE": str(folder / "state"),
        "MASTER_TOKEN": TOKEN,
        "PYWORKER_API_KEYS": KEY,
        "READINESS": "port",
        "PUBLIC_IPADDR": "127.0.0.1",
    }
    return {name: value for name, value in {**ours, **more}.items() if value}


class Served:
    def __init__(self, app: WorkerApp, running: RunningServer) -> None:
        self.app, self.running = app, running

    def open(self, method: str, path: str, body: Any = None, **headers: str) -> Call:
        host, port = self.running.address
        data = None if body is None else json.dumps(body).encode()
        return Call((str(host), int(port)), method, path, data, {**JSON, **BEARER, **headers})

    def get(self, path: str) -> Answer:
        return self.open("GET", path).read()

    def post(self, path: str, body: Any) -> Answer:
        return self.open("POST", path, body).read()

    def ready(self) -> None:
        wait_until(lambda: self.get("/readyz").status == 200, "readiness")


@contextmanager
def served(environ: dict[str, str], **options: Any) -> Iterator[Served]:
    """As gunicorn's worker does it: serving, draining, stopped."""
    app = build_app(environ)
    with RunningServer(app, limits=app.limits, **options) as running:
        running.call(lambda: app.on_serving(running.server))  # type: ignore[misc]
        try:
            yield Served(app, running)
        finally:
            running.call(lambda: app.on_draining(running.server))  # type: ignore[misc]
            app.on_stopped(running.server)  # type: ignore[misc]


WRONG = [
    ("flask_dict = {}", "has no class Backend; define it"),
    ("class Backend: pass", "has no flask_dict"),
    ("class Backend: pass\nflask_dict = {'FETCH': {}}", "'FETCH', which is none of"),
    ("class Backend:\n def __init__(self): 1/0\nflask_dict = {}", "ZeroDivisionError"),
    ("class Backend:\n readiness = 'prayer'\nflask_dict = {}", "readiness is 'prayer'"),
    ("class Backend: pass\nflask_dict = {'GET': {'<x': lambda b, r: 1}}", "no route that Flask"),
    ("def broken(:", "SyntaxError"),
]


@pytest.mark.parametrize(("source", "why"), WRONG, ids=[why for _, why in WRONG])
def test_a_bad_backend_ends_the_start_in_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], source: str, why: str
) -> None:
    with pytest.raises(SystemExit) as caught:
        build_app(environ(tmp_path, source, READINESS=""))
    assert caught.value.code == BOOT_ERROR
    (line,) = capsys.readouterr().err.splitlines()
    told = json.loads(line)
    assert told["level"] == "error" and why in told["message"]
    assert "exception" not in told


@pytest.mark.parametrize(
    ("setting", "why"),
    [
        ({"BACKEND": "nowhere"}, "there are: "),
        ({"READINESS": "log"}, "set MODEL_LOG"),
        ({"LOG_FORMAT": "xml"}, "LOG_FORMAT cannot be 'xml'"),
        ({"WORKER_PORT": "many"}, "WORKER_PORT cannot be 'many'"),
        ({"REPORT_ADDR": "http://127.0.0.1:9", "BACKEND": "nowhere"}, "there are: "),
    ],
)
def test_a_bad_setting_does_too(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
    setting: dict[str, str],
    why: str,
) -> None:
    """Also with an autoscaler, where the instance has no number to report by."""
    with pytest.raises(SystemExit):
        build_app(environ(tmp_path, GOOD.format(model="http://127.0.0.1:9"), **setting))
    assert why in capsys.readouterr().err + caplog.text  # before or after logging was configured


def test_gunicorn_does_not_try_for_ever(tmp_path: Path) -> None:
    """The master ends with its worker, and the sentence is said once."""
    given = environ(tmp_path, "flask_dict = {}", READINESS="", PYWORKER_HOST=f"unix:{tmp_path}/s")
    command = [sys.executable, "-m", "gunicorn", "-c"]
    ended = subprocess.run(
        [*command, "python:vast_pyworker.worker.gunicorn_conf"],
        env={"PATH": os.environ["PATH"], **given},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == BOOT_ERROR
    assert ended.stderr.count("has no class Backend; define it") == 1
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(("source", "why"), WRONG[:4], ids=[why for _, why in WRONG[:4]])
def test_with_an_autoscaler_it_stays_up_and_says_why(tmp_path: Path, source: str, why: str) -> None:
    with FakeAutoscaler() as autoscaler:
        given = environ(tmp_path, source, CONTAINER_ID="7", REPORT_ADDR=autoscaler.url)
        with served(given) as here:
            assert here.get("/livez").status == 200
            ready = here.get("/readyz")
            assert (ready.status, ready.json["state"]) == (503, "error")
            assert why in ready.json["reason"]
            assert autoscaler.wait(lambda each: any(r["error_msg"] for r in each.reports))
            report = next(each for each in autoscaler.reports if each["error_msg"])
            assert why in report["error_msg"]
            assert (report["id"], report["mtoken"], report["loadtime"]) == (7, TOKEN, 0.0)
            assert here.post("/generate", {}).status == 404


def test_settings_that_the_model_cannot_meet_are_reported_too(tmp_path: Path) -> None:
    with FakeAutoscaler() as autoscaler:
        given = environ(
            tmp_path,
            GOOD.format(model="http://127.0.0.1:9"),
            CONTAINER_ID="7",
            REPORT_ADDR=autoscaler.url,
            READINESS="log",
        )
        with served(given) as here:
            assert "set MODEL_LOG" in here.get("/readyz").json["reason"]
            assert autoscaler.wait(
                lambda each: any("set MODEL_LOG" in r["error_msg"] for r in each.reports)
            )


def test_what_a_constructor_says_of_the_token_is_told_to_nobody(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = (
        "class Backend:\n def __init__(self, master_token): raise ValueError(master_token)\n"
        "flask_dict = {}"
    )
    with FakeAutoscaler() as autoscaler:
        given = environ(tmp_path, source, CONTAINER_ID="7", REPORT_ADDR=autoscaler.url)
        with served(given) as here:
            assert "[secret]" in here.get("/readyz").json["reason"]
            assert TOKEN.encode() not in here.get("/readyz").body
    assert TOKEN not in capsys.readouterr().err


def test_a_worker_from_serving_to_its_last_report(tmp_path: Path, model: Model) -> None:
    threads = set(threading.enumerate())
    with FakeAutoscaler() as autoscaler:
        given = environ(
            tmp_path,
            GOOD.format(model=model.url),
            CONTAINER_ID="7",
            REPORT_ADDR=autoscaler.url,
            UNSECURED="true",
        )
        with served(given) as here:
            here.ready()
            assert autoscaler.wait(lambda each: any(r["loadtime"] > 0 for r in each.reports))
            told = {"auth_data": autoscaler.grant("http://127.0.0.1:3000"), "payload": {}}
            assert here.post("/generate", told).json == {"path": "/generate"}
            status = here.get("/pyworker/status").json
            assert (status["state"], status["backend"]) == ("ready", "mine")
            assert {"model", "gpus", "host", "reports"} <= status.keys()
            assert b'pyworker_build_info{backend="mine"' in here.get("/metrics").body
            numbers = [told["auth_data"]["request_idx"]]
        ended = [each["request_idx"] for body in autoscaler.ends for each in body["requests"]]
        assert ended == numbers, "the last ends are told before the process goes"
        assert autoscaler.reports[-1]["loadtime"] == 0.0, "and that it takes no more requests"
    left = [each for each in threading.enumerate() if each not in threads and each.is_alive()]
    assert [each.name for each in left if not each.name.startswith("fake")] == []


def test_a_session_that_ends_cancels_its_requests_and_tells_the_backend(
    tmp_path: Path, model: Model
) -> None:
    with served(environ(tmp_path, GOOD.format(model=model.url))) as here:
        here.ready()
        opened = here.post("/session/create", {"auth_data": {}, "payload": {}}).json
        within = {"session_id": opened["session_id"], "payload": {}}
        with here.open("POST", "/hold", within, **{"X-Request-ID": "held"}) as call:
            assert model.held.wait(LIMIT_S)
            body = {"session_id": opened["session_id"], "session_auth": {}}
            assert here.post("/session/end", body).status == 200
            assert call.read().status == 499
        assert model.gone.wait(LIMIT_S)
        wait_until(lambda: here.get("/cancelled").json == {"cancelled": ["held"]})


def test_sessions_expire_by_themselves(
    tmp_path: Path, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "SESSION_TICK_S", 0.02)
    with served(environ(tmp_path, GOOD.format(model=model.url))) as here:
        here.ready()
        payload = {"lifetime": 0.01}
        opened = here.post("/session/create", {"auth_data": {}, "payload": payload}).json
        body = {"session_id": opened["session_id"], "session_auth": {}}
        assert wait_until(lambda: here.post("/session/health", body).json == {"ok": False})


def test_a_backend_that_reports_itself_is_not_spoken_over(tmp_path: Path) -> None:
    with FakeAutoscaler() as autoscaler:
        given = environ(tmp_path, "", CONTAINER_ID="7", REPORT_ADDR=autoscaler.url, READINESS="")
        with served({**given, "BACKEND": "helloautoscaler"}) as here:
            assert autoscaler.wait(lambda each: any("max_perf" in r for r in each.reports))
            assert "reports" not in here.get("/pyworker/status").json
            assert all("working_request_idxs" not in report for report in autoscaler.reports)


def test_beside_tls_a_session_is_ended_plainly(tmp_path: Path) -> None:
    server, _ = contexts(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    given = environ(tmp_path, "", READINESS="", USE_SSL="true", WORKER_HTTP_PORT=str(port))
    with served({**given, "BACKEND": "helloworld"}, tls=server):
        body = json.dumps({"session_id": "x", "session_auth": {}}).encode()
        answer = Call(("127.0.0.1", port), "POST", "/session/end", body, JSON).read()
        assert (answer.status, answer.json) == (400, {"error": "session with id x not found"})
        assert Call(("127.0.0.1", port), "GET", "/value", None, {}).read().status == 404
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", port), 1.0)


def test_neither_secrets_nor_prompts_are_logged(
    tmp_path: Path, model: Model, capsys: pytest.CaptureFixture[str]
) -> None:
    given = environ(tmp_path, GOOD.format(model=model.url), LOG_LEVEL="debug", UNSECURED="false")
    with served(given) as here:
        here.ready()
        prompt = {"prompt": "words of a client"}
        assert here.post("/generate", prompt).status == 200
        assert (
            here.open("POST", "/generate", prompt, Authorization="Bearer no").read().status == 401
        )
        assert here.post("/report_loaded", {"mtoken": TOKEN}).status == 200
        wrapped = {"auth_data": {"signature": "a signature"}, "payload": prompt}
        assert here.open("POST", "/generate", wrapped, Authorization="").read().status == 422
        assert here.get("/pyworker/status").status == 200
    logged = capsys.readouterr().err
    assert '"level": "info"' in logged
    for secret in (TOKEN, KEY, "words of a client", "a signature"):
        assert secret not in logged


def test_what_a_log_watch_posts_reaches_the_lifecycle(tmp_path: Path, model: Model) -> None:
    with served(environ(tmp_path, GOOD.format(model=model.url))) as here:
        here.ready()
        told = here.post("/report_error", {"mtoken": TOKEN, "error_msg": "CUDA is gone"})
        assert told.status == 200
        wait_until(lambda: here.get("/readyz").json["state"] == "error", "the error")
        assert "CUDA is gone" in here.get("/pyworker/status").json["reason"]
