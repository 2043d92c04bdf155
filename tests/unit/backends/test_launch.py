"""The launch scripts: what they set, and that they start the worker of their own backend."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

BACKENDS = Path(__file__).parents[3] / "backends"
NAMES = ("llamacpp", "vllm", "sglang", "tgi", "tei", "ollama", "openai")


@pytest.fixture
def launch(tmp_path):
    """Run a launch script where the checkout only tells what it was started with."""
    checkout = tmp_path / "vast-pyworker"
    checkout.mkdir()
    start = checkout / "start_server.sh"
    start.write_text('#!/bin/sh\necho "backend=$1"\nenv | grep -E "^(MODEL|SGLANG)_" || true\n')
    start.chmod(0o755)

    def run(name: str, **variables: str) -> set[str]:
        environ = {"PATH": "/usr/bin:/bin", "WORKSPACE_DIR": str(tmp_path), **variables}
        script = [str(BACKENDS / name / "launch.sh")]
        done = subprocess.run(script, env=environ, capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, done.stderr
        return set(done.stdout.splitlines())

    return run


@pytest.mark.parametrize("name", NAMES)
def test_it_starts_the_worker_of_its_own_backend(name, launch):
    assert f"backend={name}" in launch(name)


@pytest.mark.parametrize("name", ["vllm", "sglang", "tgi", "tei", "ollama"])
def test_a_model_that_is_named_is_the_model(name, launch):
    assert "MODEL_NAME=my/own" in launch(name, MODEL_NAME="my/own")
    assert any(line.startswith("MODEL_NAME=") for line in launch(name))


@pytest.mark.parametrize("name", ["vllm", "sglang"])
def test_beside_a_server_of_the_image_none_is_started(name, launch):
    told = launch(name, **{f"{name.upper()}_MODEL": "some/model"})
    assert f"MODEL_LOG=/var/log/portal/{name}.log" in told
    assert not any(line.startswith("MODEL_NAME=") for line in told)
