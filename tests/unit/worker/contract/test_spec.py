"""What a backend declares and the settings say, joined and checked."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from vast_pyworker.errors import BackendError, SettingError
from vast_pyworker.settings import Settings
from vast_pyworker.worker.contract.spec import spec_from
from vast_pyworker.worker.modellog.patterns import Pattern

HERE = Path("/srv/backends/mine")
LOADED = ("loaded", "Application startup complete")


def spec_of(*, settings=None, directory=HERE, **attributes):
    given = {
        key: attributes.pop(key)
        for key in ("benchmark_module", "has_log_watch")
        if key in attributes
    }
    backend = SimpleNamespace(**attributes)
    return spec_from(backend, Settings.from_env(settings or {}), directory, **given)


def test_a_backend_of_2024_has_no_model_to_watch():
    spec = spec_of()
    assert spec.name == "mine"
    assert spec.evidence == frozenset()
    assert spec.command is None
    assert spec.benchmark is None
    assert spec.server_url == "http://127.0.0.1:5001"


@pytest.mark.parametrize(
    ("attributes", "settings", "evidence"),
    [
        ({"health_path": "/health"}, {}, {"probe"}),
        ({"log_patterns": [LOADED], "model_log": "/l"}, {}, {"log"}),
        ({"log_patterns": [LOADED]}, {"MODEL_LOG": "/l"}, {"log"}),
        ({"log_patterns": [LOADED]}, {}, set()),
        ({"log_patterns": [LOADED], "health_path": "/h"}, {"MODEL_LOG": "/l"}, {"log", "probe"}),
        ({"model_command": ["serve"]}, {}, {"port"}),
        ({"model_server": "http://127.0.0.1:9"}, {}, {"port"}),
        ({}, {"MODEL_LOG": "/l", "MODEL_LOAD_LOG_MSG": "ready"}, {"log"}),
        ({}, {"MODEL_LOG": "/l"}, set()),
        ({"has_log_watch": True}, {"MODEL_LOG": "/l"}, {"log"}),
        ({"has_log_watch": True}, {}, set()),
        ({}, {"MODEL_HEALTH_ENDPOINT": "/health"}, {"probe"}),
        ({"health": lambda: True}, {}, {"probe"}),
        ({"health_path": "/health", "readiness": "port"}, {}, {"port"}),
        ({"health_path": "/health"}, {"READINESS": "port+probe"}, {"port", "probe"}),
        ({"health_path": "/health", "readiness": "log+probe"}, {}, {"probe"}),
        ({"model_command": ["serve"], "log_patterns": [LOADED], "readiness": "log"}, {}, {"log"}),
    ],
)
def test_the_evidence_is_what_was_asked_for_or_else_what_can_be_seen(
    attributes, settings, evidence
):
    assert spec_of(settings=settings, **attributes).evidence == evidence


@pytest.mark.parametrize(
    ("settings", "part"),
    [
        ({"READINESS": "log"}, "set MODEL_LOG"),
        ({"READINESS": "probe"}, "set MODEL_HEALTH_ENDPOINT"),
        ({"READINESS": "smoke"}, "READINESS cannot be 'smoke'"),
        ({"READINESS": "+"}, "READINESS cannot be"),
        ({"BENCHMARK_PAYLOADS": "/p.jsonl"}, "no benchmark_route"),
        ({"MODEL_COMMAND": "serve 'x"}, "MODEL_COMMAND cannot be read"),
    ],
)
def test_a_setting_that_cannot_be_met_is_one_sentence(settings, part):
    with pytest.raises(SettingError, match=part):
        spec_of(settings=settings)


@pytest.mark.parametrize(
    ("attributes", "part"),
    [
        ({"readiness": "smoke"}, "readiness is 'smoke'"),
        ({"readiness": "log"}, "nothing of that to see"),
        ({"health_path": 80}, "health_path must be a string"),
        ({"model_server": "localhost:5001"}, "model_server must be like http"),
        ({"model_server": "http://h:99999"}, "model_server must be like http"),
        ({"health_path": "health"}, "must be like http"),
        ({"log_patterns": ["loaded"]}, "log_patterns must be a list of"),
        ({"log_patterns": [("explode", "x")]}, "the action must be one of"),
        ({"log_patterns": 7}, "log_patterns must be a list of"),
        ({"model_command": [1]}, "model_command must be a list of strings"),
        ({"model_command": lambda settings: 1 / 0}, r"model_command\(\) raised ZeroDivisionError"),
        ({"progress_counters": 5}, "progress_counters must be a list of strings"),
        ({"setup": "now"}, "setup must be a function"),
        ({"max_perf": "fast"}, "max_perf must be a number"),
        ({"max_perf": float("nan")}, "max_perf must be a number"),
        ({"model_env": ["A=1"]}, "model_env must map names to values"),
        ({"model_log": 5}, "model_log must be a path"),
        ({"benchmark_route": "/v1", "benchmark_payload": lambda: "x"}, "must give JSON objects"),
        (
            {"benchmark_route": "/v1", "benchmark_payload": lambda: {}["x"]},
            r"benchmark_payload\(\) raised KeyError",
        ),
    ],
)
def test_what_a_backend_gets_wrong_names_the_file(attributes, part):
    with pytest.raises(BackendError, match=part) as raised:
        spec_of(**attributes)
    assert "backends/mine/backend.py" in str(raised.value)


def test_settings_go_before_attributes():
    spec = spec_of(
        settings={
            "MODEL_SERVER_URL": "http://10.0.0.1:80",
            "MODEL_COMMAND": "serve --name 'my model'",
            "MODEL_LOG": "/var/log/model.log",
            "MODEL_HEALTH_ENDPOINT": "http://10.0.0.2/ping",
            "MODEL_NAME": "theirs",
        },
        default_model_server="http://127.0.0.1:1",
        model_command=["mine"],
        model_log="/mine.log",
        health_path="/mine",
        model_name="mine",
    )
    assert spec.server_url == "http://10.0.0.1:80"
    assert spec.command == ("serve", "--name", "my model")
    assert spec.log_path == Path("/var/log/model.log")
    assert spec.health_url == "http://10.0.0.2/ping"
    assert spec.model_name == "theirs"


def test_a_command_may_depend_on_the_settings_or_be_none():
    chosen = spec_of(settings={"MODEL_PATH": "/m"}, model_command=lambda s: ["serve", s.model_path])
    assert chosen.command == ("serve", "/m")
    assert spec_of(model_command=lambda s: None).command is None
    assert spec_of(model_command="serve --fast").command == ("serve", "--fast")


def test_a_model_that_we_start_always_has_a_log(tmp_path):
    spec = spec_of(settings={"PYWORKER_STATE": str(tmp_path)}, model_command=["serve"])
    assert spec.log_path == tmp_path / "mine.log"
    assert spec_of().log_path is None


def test_pages_are_paths_on_the_server_also_on_a_socket():
    spec = spec_of(
        model_server="unix:/run/model.sock", health_path="/health", gauges_path="/metrics"
    )
    assert spec.health_url == "unix:/run/model.sock:/health"
    assert spec.gauges_url == "unix:/run/model.sock:/metrics"


def test_texts_of_the_settings_are_added_to_the_patterns():
    spec = spec_of(
        settings={
            "MODEL_LOG": "/l",
            "MODEL_LOAD_LOG_MSG": "up (1)\nready",
            "MODEL_ERROR_LOG_MSGS": "x",
        },
        log_patterns=[Pattern("progress", "shard")],
    )
    assert [(p.action, p.regex) for p in spec.patterns] == [
        ("progress", "shard"),
        ("loaded", r"up\ \(1\)"),
        ("loaded", "ready"),
        ("error", "x"),
    ]


def test_the_model_gets_the_whole_environment_and_the_backends_own_part():
    spec = spec_of(settings={"HOME": "/root"}, model_env={"THREADS": 4})
    assert spec.env == {"HOME": "/root", "THREADS": "4"}
    assert "root" not in repr(spec)


def test_weights_arrive_where_the_backend_or_hugging_face_says():
    assert spec_of(download_dir="weights").download_dir == HERE / "weights"
    assert spec_of(settings={"HF_HOME": "/hf"}).download_dir == Path("/hf/hub")
    assert spec_of(settings={"HF_HUB_CACHE": "/c", "HF_HOME": "/hf"}).download_dir == Path("/c")
    assert spec_of().download_dir is None


def test_a_backend_may_know_how_long_its_requests_are_silent():
    assert spec_of(progress_timeout_s=900).limits.progress_timeout_s == 900.0
    stated = spec_of(settings={"PROGRESS_TIMEOUT": "30"}, progress_timeout_s=900)
    assert stated.limits.progress_timeout_s == 30.0
    assert spec_of(settings={"HEALTHCHECK_FAILURES": "0"}).limits.probe_failures == 1


def test_a_benchmark_needs_a_route_and_something_to_send():
    assert spec_of(benchmark_route="/v1/completions").benchmark is None
    assert spec_of(benchmark_payload=dict).benchmark is None
    serial = iter(range(1000))
    spec = spec_of(
        settings={"BENCHMARK_RUNS": "2"},
        benchmark_route="/v1/completions",
        benchmark_payload=lambda: {"prompt": str(next(serial))},
        concurrency=3,
        unit="tokens",
        workload=lambda payload: 7.0,
        settle=lambda payload, answer: answer["used"],
    ).benchmark
    assert spec is not None
    assert spec.url == "http://127.0.0.1:5001/v1/completions"
    assert (spec.concurrency, spec.runs, spec.unit) == (3, 2, "tokens")
    assert [payload["prompt"] for payload in spec.payloads] == ["0", "1", "2", "3", "4", "5"]
    assert spec.workload({}) == 7.0
    assert spec.settle({}, b'{"used": 3}') == 3.0


def test_the_operators_payloads_go_before_benchmark_py_and_that_before_the_hook(tmp_path):
    file = tmp_path / "p.jsonl"
    file.write_text(json.dumps({"from": "file"}) + "\n")
    common = {"benchmark_route": "/g", "benchmark_payload": lambda: {"from": "hook"}}
    module = SimpleNamespace(payloads=lambda: [{"from": "module"}])

    def source(**more):
        spec = spec_of(**common, **more).benchmark
        assert spec is not None
        return spec.payloads[0]["from"]

    assert source() == "hook"
    assert source(benchmark_module=module) == "module"
    path = {"BENCHMARK_PAYLOADS": str(file)}
    assert source(benchmark_module=module, settings=path) == "file"


@pytest.mark.parametrize(
    ("attributes", "settings", "concurrency"),
    [
        ({}, {}, 1),
        ({"concurrency": 256}, {}, 8),
        ({"concurrency": 256, "benchmark_concurrency": 32}, {}, 32),
        ({"benchmark_concurrency": 32}, {"BENCHMARK_CONCURRENCY": "5"}, 5),
        ({}, {"MODEL_CONCURRENCY": "6"}, 6),
    ],
)
def test_as_many_at_once_as_was_asked_for_or_the_model_takes(attributes, settings, concurrency):
    spec = spec_of(
        settings=settings, benchmark_route="/g", benchmark_payload=dict, **attributes
    ).benchmark
    assert spec is not None
    assert spec.concurrency == concurrency


def test_hooks_are_handed_on():
    def setup():
        return None

    spec = spec_of(setup=setup)
    assert spec.hooks.setup is setup
    assert spec.hooks.teardown is None
