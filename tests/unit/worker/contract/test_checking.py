"""The contract suite passes what is good and names what is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from vast_pyworker.settings import MODEL_SERVER, Settings
from vast_pyworker.worker.app import create_app
from vast_pyworker.worker.contract.checking import CHECKS, Check, check_backend
from vast_pyworker.worker.contract.loading import load_backend
from vast_pyworker.worker.contract.trying import FakeModel, bare_worker, faults_of

LAUNCH = "#!/bin/bash\necho start\n"
HANDLER = "def handler(backend, request):\n    {}\n"
ROUTES = "flask_dict = {'POST': {'work': handler}}\n"


@pytest.fixture
def put_through(tmp_path):
    """Write a backend and put it through the suite; the checks by name."""

    def run(source: str, launch: str | None = LAUNCH, **files: str) -> dict[str, Check]:
        directory: Path = tmp_path / "mine"
        directory.mkdir()
        (directory / "backend.py").write_text(source)
        for stem, text in files.items():
            (directory / f"{stem}.py").write_text(text)
        if launch is not None:
            (directory / "launch.sh").write_text(launch)
        return {each.name: each for each in check_backend("mine", [tmp_path], {})}

    return run


def backend(body: str = "pass", handler: str = "return 'done'") -> str:
    return f"class Backend:\n    {body}\n{HANDLER.format(handler)}{ROUTES}"


def test_a_good_backend_passes_every_check(put_through):
    checks = put_through(backend())
    assert [each.fault for each in checks.values()] == [""] * (len(CHECKS) + 3)
    assert checks["routes"].found == "POST /work"


def test_what_cannot_be_loaded_ends_the_suite(put_through):
    checks = put_through("class Backend: pass\n")
    assert list(checks) == ["loads"]
    assert "has no flask_dict" in checks["loads"].fault


def test_what_cannot_be_constructed_ends_the_suite(put_through):
    checks = put_through(backend("def __init__(self): raise OSError('no disk')"))
    assert list(checks) == ["loads", "routes", "constructs"]
    assert "OSError: no disk" in checks["constructs"].fault


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("workload = 3", "workload must be callable with 1 arguments"),
        ("def settle(self, payload): pass", "settle must be callable with 2 arguments"),
        ("def setup(self, extra): pass", "setup must be callable with 0 arguments"),
    ],
)
def test_a_hook_that_cannot_be_called_is_a_fault(body, said, put_through):
    assert said in put_through(backend(body))["hooks"].fault


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("log_patterns = [('loaded', '(')]", "is no regular expression"),
        ("log_patterns = [('launched', 'x')]", "the action must be one of"),
        ("health_path = 7", "health_path must be a string"),
        ("readiness = 'hope'", "hope"),
    ],
)
def test_an_attribute_of_the_wrong_kind_is_a_fault(body, said, put_through):
    assert said in put_through(backend(body))["model"].fault


class TestWorkload:
    BODY = "def benchmark_payload(self): return {{'n': 3}}\n    def workload(self, p): return {}"

    def test_of_the_benchmark_payload_is_told(self, put_through):
        checks = put_through(backend(self.BODY.format("p['n'] * 2")))
        assert checks["workload"].found == "6 units in the benchmark payload"

    @pytest.mark.parametrize("value", ["-1", "float('nan')", "float('inf')", "'many'", "p['m']"])
    def test_that_is_no_amount_is_a_fault(self, value, put_through):
        assert put_through(backend(self.BODY.format(value)))["workload"].fault

    def test_payloads_of_a_module_come_first(self, put_through):
        checks = put_through(
            backend("def workload(self, p): return p['n']"),
            benchmark="def payloads(): yield {'n': 5}",
        )
        assert checks["workload"].found == "5 units in the benchmark payload"

    def test_payloads_that_fail_are_a_fault(self, put_through):
        checks = put_through(backend(), benchmark="def payloads(): return 1 / 0")
        assert "ZeroDivisionError" in checks["workload"].fault

    def test_a_payload_that_is_no_dict_is_a_fault(self, put_through):
        checks = put_through(backend(), benchmark="def payloads(): return ['text']")
        assert "must be a dict" in checks["workload"].fault


class TestClasses:
    def test_metrics_and_log_watch_of_2024_are_constructed(self, put_through):
        metrics = (
            "from metrics import GenericMetrics\n"
            "class Metrics(GenericMetrics):\n"
            "    def start_req(self, request): pass\n"
            "    finish_req = error_req = fill_data = send_data_condition = start_req\n"
        )
        logwatch = (
            "from logwatch import GenericLogWatch\n"
            "class LogWatch(GenericLogWatch):\n"
            "    def __init__(self, id, control_server_url, master_token):\n"
            "        super().__init__(id, control_server_url, master_token, None)\n"
            "    def handle_line(self, line): pass\n"
        )
        checks = put_through(backend(), metrics=metrics, logwatch=logwatch)
        assert checks["metrics"].found == "Metrics"
        assert checks["logwatch"].found == "LogWatch"

    def test_one_that_takes_positions_gets_them(self, put_through):
        metrics = "class Metrics:\n    def __init__(self, *args): assert len(args) == 4\n"
        assert put_through(backend(), metrics=metrics)["metrics"].ok

    @pytest.mark.parametrize(
        ("body", "said"),
        [
            ("def __init__(self, model): pass", "missing a required argument: 'model'"),
            ("def __init__(self, id): self.name = id + 'x'", "TypeError"),
        ],
    )
    def test_one_that_cannot_be_constructed_is_a_fault(self, body, said, put_through):
        checks = put_through(backend(), metrics=f"class Metrics:\n    {body}\n")
        assert checks["metrics"].fault.startswith("mine/metrics.py: Metrics")
        assert said in checks["metrics"].fault


class TestLaunchScript:
    def test_a_missing_one_is_a_fault(self, put_through):
        assert "mine/launch.sh is missing" in put_through(backend(), None)["launch.sh"].fault

    def test_one_that_is_no_shell_is_a_fault(self, put_through):
        checks = put_through(backend(), "#!/bin/bash\nif true\n")
        assert "mine/launch.sh" in checks["launch.sh"].fault


class TestAnswers:
    def fault(self, put_through, handler, **files):
        return put_through(backend(handler=handler), **files)["answers"].fault

    def test_an_exception_that_comes_through_is_a_fault_with_its_line(self, put_through):
        said = self.fault(put_through, "return 1 / 0")
        assert "POST /work lets an exception through: ZeroDivisionError" in said
        assert "mine/backend.py:4" in said

    def test_a_field_that_the_handler_wants_is_guessed(self, put_through):
        handler = "return str(request.json['n'] + 1) + request.json['text'].upper()"
        assert not self.fault(put_through, handler)

    def test_what_cannot_be_guessed_is_a_fault(self, put_through):
        assert "KeyError" in self.fault(put_through, "return request.json['a']['b']['c']")

    def test_an_example_is_sent_first(self, put_through):
        source = backend(handler="return request.json['a']['b']['c']")
        source += "handler.example = {'a': {'b': {'c': 'done'}}}\n"
        assert put_through(source)["answers"].ok

    def test_an_error_that_the_backend_answers_itself_is_no_fault(self, put_through):
        assert not self.fault(put_through, "import flask; flask.abort(500)")

    def test_a_route_that_does_not_answer_in_time_is_a_fault(self, tmp_path):
        held = "import threading; threading.Event().wait(3); return ''"
        (tmp_path / "mine").mkdir()
        (tmp_path / "mine" / "backend.py").write_text(backend(handler=held))
        loaded = load_backend("mine", [tmp_path])
        settings = Settings.from_env({})
        faults = faults_of(loaded, object(), settings, {}, MODEL_SERVER, deadline_s=0.2)
        assert faults == {"POST /work": "no answer within 0.2 seconds"}

    def test_forwards_and_relays_are_answered_by_the_model_that_says_yes(self, tmp_path):
        source = (
            "from vast_pyworker.worker import Relay, forward\n"
            "class Backend: pass\n"
            "def relayed(backend, request): return Relay('/generate', json={'n': 1})\n"
            "flask_dict = {'POST': {'a': relayed, 'b': forward('/b')},\n"
            "              'GET': {'c/<d>': forward('/c', method='GET')}}\n"
        )
        (tmp_path / "mine").mkdir()
        (tmp_path / "mine" / "backend.py").write_text(source)
        loaded = load_backend("mine", [tmp_path])
        settings = Settings.from_env({})
        with FakeModel() as model:
            worker = bare_worker(loaded, object(), settings, model.url)
            client = create_app(worker).test_client()
            answers = [client.post("/a"), client.post("/b", json={}), client.get("/c/1")]
            assert [answer.get_json()["text"] for answer in answers] == ["ok"] * 3
            assert faults_of(loaded, object(), settings, {}, model.url) == {}


def test_an_instances_own_settings_do_not_get_in_the_way(put_through, tmp_path):
    put_through(backend())
    environ = {"CONTAINER_ID": "7", "MASTER_TOKEN": "secret", "REPORT_ADDR": "http://127.0.0.1:9"}
    assert all(check.ok for check in check_backend("mine", [tmp_path], environ))
