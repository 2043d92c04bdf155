"""What users of other workers suffer from the model: pains 1 to 5, 16, 18, 23, 25.

Each docstring says what others do and what ours does; ``table.py`` makes docs/peers.md of them.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from scenes import Farewell, Life
from support import BACKENDS, MODEL_PROCESS, House, furnished, scene
from worker_support import ROOT, free_port, wait_until

from vast_pyworker.settings import Settings
from vast_pyworker.worker.capacity.remeasuring import Remeasuring
from vast_pyworker.worker.contract.spec import spec_from
from vast_pyworker.worker.fake_model import FakeModel
from vast_pyworker.worker.modelserver.probe import health_probe
from vast_pyworker.worker.modelserver.supervisor import model_folder


@pytest.fixture(scope="module")
def supervised(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A worker that has started its model itself, and gives it 1 s to make progress."""
    port = free_port()
    settings = {
        "MODEL_COMMAND": f"{sys.executable} {MODEL_PROCESS} {port}",
        "READINESS": "probe",
        "PROGRESS_TIMEOUT": "1",
        "PYTHONPATH": ROOT,
    }
    folder = tmp_path_factory.mktemp("supervised")
    with furnished(folder, FakeModel(port), **settings) as house:
        yield house


def model_pid(house: House) -> int:
    record = model_folder(house.worker.state, house.worker.port) / "model.json"
    return int(json.loads(record.read_text())["pid"])


def await_next_life(house: House, pid: int) -> None:
    """Wait until another process than ``pid`` is the model, and serves."""
    wait_until(lambda: house.worker.status["state"] != "ready", "end of a model's life")
    house.worker.await_state("ready")
    assert model_pid(house) != pid
    assert house.ask().status == 200


def test_pain_01_a_hung_engine_is_noticed_though_its_health_check_says_200(
    supervised: House,
) -> None:
    """Peers: the engine hangs, `/health` says 200, and traffic burns for minutes or hours.

    Ours: requests run and for `PROGRESS_TIMEOUT` no byte, token or counter moves: degraded, told
    to the autoscaler, and the model is started anew.
    """
    worker, pid = supervised.worker, model_pid(supervised)
    restarts = worker.status["model"]["restarts"].get("stalled", 0)
    hung = worker.open("/generate", scene(then="hang"))
    report = supervised.last_report(lambda report: report["error_msg"])
    assert "no progress for 1 s with 1 request running" in report["error_msg"]
    assert hung.read().status == 502
    await_next_life(supervised, pid)
    assert worker.status["model"]["restarts"]["stalled"] == restarts + 1


def test_pain_02_a_busy_engine_that_misses_probes_is_left_alone(
    model: FakeModel, tmp_path: Path
) -> None:
    """Peers: a busy engine misses one probe of two seconds, and is restarted eight times a day.

    Ours: several failures in a row, with a long time limit, and none of them counts while work
    gets done; load never touches liveness.
    """
    limits = {"INTERVAL": "0.1", "PROBE_TIMEOUT": "0.2", "FAILURES": "2"}
    settings = {f"HEALTHCHECK_{name}": value for name, value in limits.items()}
    with furnished(tmp_path, model, UNSECURED="true", **settings) as house:
        call = house.worker.open("/generate", scene(kind="sse", pieces=15, pause_s=0.1))
        call.read_until(b"word0")
        model.health = None
        assert call.read().text.endswith("[DONE]\n\n")
        status = house.worker.status
        assert status["model"]["probe_failures"] >= 2, "two would be too many for an idle one"
        assert "degraded" not in status["counts"]
        house.worker.await_state("degraded")
        assert house.worker.get("/livez").status == 200
        model.health = 200
        house.worker.await_state("ready")


def test_pain_03_startup_liveness_and_readiness_are_three_questions(
    house: House, waiting: House, farewell: Farewell
) -> None:
    """Peers: one `/health` answers all three, so what waits is killed and what is broken gets work.

    Ours: `/livez`, `/readyz`, `/startupz`, answered by the event loop however busy the threads.
    """

    def probes(asked: House) -> list[int]:
        return [asked.worker.get(path).status for path in ("/livez", "/readyz", "/startupz")]

    assert probes(waiting) == [200, 503, 503]
    with house.held("/alone"), house.queued("/alone"):
        assert probes(house) == [200, 200, 200]
    assert farewell.unready.status == 503


def test_pain_04_a_loaded_line_before_the_port_is_open_is_no_error(life: Life) -> None:
    """Peers: the log says loaded, the benchmark meets a closed port, the worker is dead for good.

    Ours: evidence is log and/or probe and/or port, as the backend says; a refused connection while
    it loads is no error; the benchmark comes after all of it, and waits for a port itself.
    """
    assert life.statuses["line without a port"]["state"] in ("loading", "downloading")
    assert life.benchmark_requests["line without a port"] == 0
    assert life.statuses["ready"]["max_perf"] > 0
    assert "error" not in life.statuses["ready"]["counts"]


def test_pain_05_each_kind_of_unreachable_has_its_own_words(model: FakeModel) -> None:
    """Peers: "not reachable", for a dead process, a closed port and a slow answer alike.

    Ours: each has its own words, cause and count; of a process that ended the status or signal and
    its last line are told.
    """
    says = {
        "nobody listens on its port": health_probe(f"http://127.0.0.1:{free_port()}", 1.0),
        "no answer within 0.2 s": health_probe(f"{model.url}/health", 0.2),
    }
    model.health = None
    assert [probe().detail for probe in says.values()] == list(says)
    model.health = 503
    assert health_probe(f"{model.url}/health", 1.0)().detail == "its health check says 503"


def test_pain_05_a_crash_is_told_with_its_status_and_mended(supervised: House) -> None:
    worker, pid = supervised.worker, model_pid(supervised)
    restarts = worker.status["model"]["restarts"].get("exited", 0)
    crashed = supervised.ask(then="crash")
    assert crashed.status == 502 and "without an answer" in crashed.json["error"]
    await_next_life(supervised, pid)
    status = worker.status
    assert status["model"]["restarts"]["exited"] == restarts + 1
    reasons = [moment["reason"] for moment in status["history"]]
    assert any("exited with code 7, saying 'up after" in reason for reason in reasons)


def test_pain_16_a_model_that_cannot_live_is_given_up(tmp_path: Path) -> None:
    """Peers: a bad worker restarts its model for ever, at the customer's cost.

    Ours: after `MODEL_RESTARTS` the breaker opens: an error with the model's last lines goes to
    the autoscaler, requests get 503, nothing is started any more until somebody mends it.
    """
    dying = {"MODEL_COMMAND": "sh -c 'echo loading; echo no such weights >&2; exit 3'"}
    with furnished(
        tmp_path, FakeModel(free_port()), "/livez", MODEL_RESTARTS="1", **dying
    ) as house:
        report = house.last_report(lambda report: "gave up" in report["error_msg"])
        assert "exited with code 3" in report["error_msg"]
        assert "no such weights" in report["error_msg"]
        assert "gave up after 1 restarts" in report["error_msg"]
        assert house.ask().status == 503
        (log,) = house.worker.state.glob("*.log")
        assert log.read_text().count("no such weights") == 2, "a start and a restart"


def test_pain_18_the_model_ends_after_the_requests_that_need_it(farewell: Farewell) -> None:
    """Peers: scaling in loses requests: the model gets its SIGTERM together with the worker.

    Ours: readiness 503 first, then the drain, and when the last answer is out the model's own
    SIGTERM, with a deadline of its own.
    """
    assert farewell.unready.status == 503
    assert "SIGTERM: 0 running, 1 answered" in farewell.model_log
    assert farewell.exit_status == 0


def test_pain_18_sigterm_counts_also_while_the_model_loads(tmp_path: Path) -> None:
    with furnished(tmp_path, FakeModel(free_port()), "/livez") as house:
        house.worker.await_state("loading")
        house.worker.terminate()
        assert house.worker.await_end() == 0
        assert house.autoscaler.reports[-1]["error_msg"] == ""


def test_pain_23_a_download_is_shown_with_its_progress(life: Life) -> None:
    """Peers: a cold start is a long silence; the first request pays for the warm-up.

    Ours: bytes, rate and time left from the log or the growing folder, in `/pyworker/status`, in
    extended reports and as Retry-After; the benchmark's first request warms up and does not count.
    """
    progress = life.statuses["downloading"]["progress"]
    assert (progress["done_bytes"], progress["total_bytes"]) == (40e6, 100e6)
    assert progress["percent"] == 40.0
    refusal = life.refusals["downloading"]
    assert refusal.json["state"] == "downloading" and int(refusal.headers["retry-after"]) >= 1
    assert life.benchmark_requests["ready"] == 1 + 8, "a warm-up, and a round of eight"


def test_pain_25_the_operators_payloads_go_before_the_backends(tmp_path: Path) -> None:
    """Peers: the benchmark's payloads are fixed in the code, unlike what users send, and its
    number is kept for ever.

    Ours: `BENCHMARK_PAYLOADS`, else the backend's `benchmark.py`, else its `benchmark_payload()`;
    when production contradicts the number, it is measured again once the model is idle.
    """
    backend = SimpleNamespace(
        benchmark_route="/v1/completions", benchmark_payload=lambda: {"by": "the backend"}
    )
    module = SimpleNamespace(payloads=lambda: [{"by": "benchmark.py"}])
    file = tmp_path / "payloads.jsonl"
    file.write_text('{"by": "the operator"}\n')

    def asked_with(environ: dict[str, str], benchmark_module: object) -> object:
        settings = Settings.from_env(environ)
        spec = spec_from(backend, settings, BACKENDS, benchmark_module=benchmark_module).benchmark
        assert spec is not None
        return spec.payloads[0]["by"]

    assert asked_with({}, None) == "the backend"
    assert asked_with({}, module) == "benchmark.py"
    assert asked_with({"BENCHMARK_PAYLOADS": str(file)}, module) == "the operator"


def test_pain_25_production_that_contradicts_the_number_has_it_measured_again() -> None:
    watch = Remeasuring(max_perf=100.0, now=0.0, served=0.0)
    served, found = 0.0, None
    for now in range(10, 400, 10):
        served += 200.0 * 10
        found = watch.rebenchmark_if_contradicted(now, served, saturated=True, running=4)
        assert found is None, "not while requests run"
    for now in (400, 411):
        found = watch.rebenchmark_if_contradicted(now, served, saturated=False, running=0)
    assert found is not None and found.served_perf > 150
