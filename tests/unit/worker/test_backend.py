"""The base classes of backends, and the routes built from lists of paths."""

from __future__ import annotations

import pytest

from vast_pyworker.settings import Settings
from vast_pyworker.worker import ModelBackend, OpenAIBackend, constant, openai_routes, token_routes
from vast_pyworker.worker.backend import extra_arguments, has_program


class Fork(ModelBackend):
    default_model_server = "http://127.0.0.1:8188"
    concurrency = 2
    unit = "images"
    workload = constant(1.0)


def test_a_fork_says_only_what_is_different():
    fork = Fork(container_id=5, control_server_url="u", master_token="t", send_data=True)
    assert (fork.container_id, fork.send_data) == (5, True)
    assert fork.workload({"prompt": "anything"}) == 1
    assert fork.model_command(Settings()) is None
    assert fork.readiness == "log+probe"
    assert not hasattr(fork, "benchmark_payload")


@pytest.mark.parametrize(
    ("url", "place"),
    [
        (None, ("127.0.0.1", 8188)),
        ("http://10.0.0.1:99", ("10.0.0.1", 99)),
        ("http://localhost", ("localhost", 80)),
        ("unix:/run/model.sock", ("127.0.0.1", 80)),
    ],
)
def test_the_server_is_told_to_listen_where_the_worker_will_look(url, place):
    assert Fork().listens_on(Settings(model_server=url)) == place


def test_the_setting_of_how_many_at_once_goes_first():
    assert Fork().slots(Settings()) == 2
    assert Fork().slots(Settings(model_concurrency=9)) == 9
    assert ModelBackend().slots(Settings()) is None


def test_a_benchmark_has_the_form_of_its_route():
    class Chat(OpenAIBackend):
        benchmark_route = "/v1/chat/completions"
        model_name = "m"
        ignores_eos = False

    plain, chat = OpenAIBackend().benchmark_payload(), Chat().benchmark_payload()
    assert plain.keys() == {"prompt", "max_tokens", "ignore_eos"}
    assert chat.keys() == {"messages", "max_tokens", "model"}
    assert Chat().workload(chat) == pytest.approx(512, rel=0.05)


def test_routes_are_built_from_paths():
    routes = token_routes(
        generate=["g"], embed=["e"], quick=["q"], read=["open"], inspect=["closed"]
    )
    payload = {"prompt": "a" * 40}
    worth = {path: to.workload(payload) for path, to in routes["POST"].items()}
    assert worth == {"g": 10 + 256, "e": 10, "q": 1}
    assert {path: to.signed for path, to in routes["GET"].items()} == {
        "open": False,
        "closed": True,
    }
    assert {to.concurrency for to in routes["POST"].values()} == {None, 64}


def test_openai_routes_have_openais_and_those_besides():
    routes = openai_routes(generate=["completion"], read=["health"])
    assert {"v1/chat/completions", "v1/embeddings", "completion"} <= set(routes["POST"])
    assert set(routes["GET"]) == {"v1/models", "health"}
    assert openai_routes() is not openai_routes()


def test_programs_are_looked_for_where_the_model_will_be_started(tmp_path):
    (tmp_path / "server").write_text("#!/bin/sh\n")
    (tmp_path / "server").chmod(0o755)
    assert has_program("server", Settings(environ={"PATH": str(tmp_path)}))
    assert not has_program("server", Settings(environ={"PATH": str(tmp_path / "other")}))


def test_added_arguments_are_split_as_by_a_shell():
    settings = Settings(environ={"X_ARGS": "--a 'b c' --d"})
    assert extra_arguments("X_ARGS", settings) == ["--a", "b c", "--d"]
    assert extra_arguments("Y_ARGS", settings) == []
