"""What each shipped backend declares: routes, evidence, gauges, work; see docs/models.md."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from vast_pyworker.settings import Settings
from vast_pyworker.worker.contract.spec import spec_from
from vast_pyworker.worker.traffic.forwarding import Forward
from vast_pyworker.worker.units.workload import checked

MODEL_BACKENDS = ("llamacpp", "vllm", "sglang", "tgi", "tei", "ollama", "openai")
OPENAI = {"v1/chat/completions", "v1/completions", "v1/responses", "v1/embeddings", "v1/models"}
ROUTES = {
    "llamacpp": OPENAI
    | {"completion", "embedding", "tokenize", "detokenize", "props", "slots", "health"},
    "vllm": OPENAI | {"v1/audio/transcriptions", "v1/messages", "tokenize", "version"},
    "sglang": OPENAI | {"generate", "v1/rerank", "v1/score", "encode", "get_server_info"},
    "tgi": {"", "generate", "generate_stream", "v1/chat/completions", "v1/completions"}
    | {"tokenize", "info", "v1/models"},
    "tei": {"embed", "embed_all", "embed_sparse", "rerank", "predict", "similarity"}
    | {"v1/embeddings", "tokenize", "info"},
    "ollama": (OPENAI | {"v1/messages"})
    | {f"api/{name}" for name in ("generate", "chat", "embed", "tags", "ps", "show", "pull")},
    "openai": OPENAI,
}
GAUGES = {
    "llamacpp": ("llamacpp:requests_processing", "llamacpp:requests_deferred"),
    "vllm": ("vllm:num_requests_running", "vllm:num_requests_waiting"),
    "sglang": ("sglang:num_running_reqs", "sglang:num_queue_reqs"),
    "tgi": ("tgi_batch_current_size", "tgi_queue_size"),
    "tei": (None, "te_queue_size"),
    "ollama": (None, None),
    "openai": (None, None),
}


def table(loaded, name):
    """Every route of a backend: (method, endpoint) to its Forward."""
    routes = loaded(name).flask_dict
    return {(method, path): to for method in routes for path, to in routes[method].items()}


@pytest.mark.parametrize("name", MODEL_BACKENDS)
def test_every_route_of_the_server_is_there(name, loaded):
    assert ROUTES[name] <= {path for _, path in table(loaded, name)}


@pytest.mark.parametrize("name", MODEL_BACKENDS)
def test_every_route_goes_to_its_own_path_by_its_own_method(name, loaded):
    for (method, path), to in table(loaded, name).items():
        assert isinstance(to, Forward)
        assert (to.method, to.path) == (method, f"/{path}")


@pytest.mark.parametrize("name", MODEL_BACKENDS)
def test_what_makes_the_model_work_is_signed_and_counted(name, loaded):
    for (method, _), to in table(loaded, name).items():
        assert to.signed or method == "GET"
        if method == "POST":
            assert checked(to.workload({"prompt": "a" * 400, "input": "a" * 400})) > 0


def test_what_others_wrote_is_shown_to_nobody_without_a_grant(loaded):
    routes = table(loaded, "llamacpp")
    assert routes["GET", "slots"].signed
    assert routes["GET", "props"].signed
    assert not routes["GET", "v1/models"].signed


def test_an_embedding_counts_no_output(loaded):
    routes = table(loaded, "vllm")
    assert routes["POST", "v1/embeddings"].workload({"input": "a" * 400}) == 100
    assert routes["POST", "v1/completions"].workload({"prompt": "a" * 400}) == 100 + 256
    assert routes["POST", "v1/audio/transcriptions"].workload({"duration": 30}) == 1500


@pytest.mark.parametrize("name", MODEL_BACKENDS)
def test_the_worker_understands_all_that_is_declared(name, backend, loaded):
    settings = Settings(model_server="http://127.0.0.1:4321", model_name="some-model")
    made = backend(name)
    spec = spec_from(made, settings, Path(loaded(name).directory))
    assert spec.health_url == f"http://127.0.0.1:4321{made.health_path}"
    assert "probe" in spec.evidence
    assert (spec.running_gauge, spec.waiting_gauge) == GAUGES[name]
    assert spec.gauges_url == (f"{spec.server_url}/metrics" if any(GAUGES[name]) else None)
    assert spec.unit == "tokens"
    assert spec.benchmark is not None
    assert spec.benchmark.url.startswith(f"{spec.server_url}/v1/")
    assert {spec.benchmark.workload(each) > 0 for each in spec.benchmark.payloads} == {True}


@pytest.mark.parametrize("name", MODEL_BACKENDS)
def test_a_benchmark_asks_something_new_each_time(name, backend):
    made = backend(name)
    first, second = made.benchmark_payload(), made.benchmark_payload()
    assert first != second
    assert math.isfinite(made.workload(first))
    assert made.workload(first) == made.workload(second)


@pytest.mark.parametrize("name", ["ollama", "openai"])
def test_a_server_of_many_models_is_asked_for_the_named_one(name, backend):
    made = backend(name)
    made.model_command(Settings(model_name="some-model"))
    assert made.benchmark_payload()["model"] == "some-model"


@pytest.mark.parametrize("name", MODEL_BACKENDS)
def test_a_backend_may_be_constructed_with_anything_and_with_nothing(name, loaded):
    backend_class = loaded(name).backend_class
    assert backend_class().container_id is None
    assert backend_class(container_id=3, something_of_tomorrow=1).container_id == 3


def test_no_two_servers_claim_the_same_port(backend):
    ports = [backend(name).listens_on(Settings()) for name in MODEL_BACKENDS if name != "openai"]
    assert len(set(ports)) == len(ports)
    assert ("127.0.0.1", Settings().port) not in ports
