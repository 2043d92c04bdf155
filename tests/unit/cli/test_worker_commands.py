"""The worker's commands print what they found, and their exit code says whether it is good."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from click.testing import CliRunner

from vast_pyworker.cli import main
from vast_pyworker.settings import TABLE

LEFT_ALONE = {"PATH", "HOME"}


@pytest.fixture
def run(tmp_path):
    """Run a command in an empty environment."""
    cleared = {name: None for name in os.environ if name not in LEFT_ALONE}

    def invoke(*arguments: str, **environ: str):
        runner = CliRunner(env={**cleared, "PYWORKER_STATE": str(tmp_path), **environ})
        return runner.invoke(main, arguments, catch_exceptions=False)

    return invoke


@pytest.fixture
def broken(tmp_path):
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "backend.py").write_text("class Backend: pass\n")
    return tmp_path / "broken"


class TestCheck:
    def test_a_good_backend_exits_with_0(self, run):
        result = run("check", "helloworld")
        assert result.exit_code == 0
        assert all(line.startswith("ok ") for line in result.output.splitlines())

    def test_a_broken_one_exits_with_1_and_says_why(self, run, broken):
        result = run("check", str(broken))
        assert result.exit_code == 1
        assert "fault   loads" in result.output
        assert "has no flask_dict" in result.output

    def test_json_holds_the_same(self, run, broken):
        result = run("check", "broken", "--json", PYWORKER_BACKENDS=str(broken.parent))
        assert result.exit_code == 1
        (check,) = json.loads(result.output)
        assert check["name"] == "loads"
        assert "has no flask_dict" in check["fault"]


class TestRoutes:
    def test_each_is_a_line(self, run):
        lines = run("routes", "helloworld").output.splitlines()
        assert lines[0].split()[:3] == ["POST", "/increment", "handler"]
        assert lines[0].endswith("to the count.")
        assert any("/pyworker/status" in line for line in lines)

    def test_json_is_a_list_of_them(self, run):
        first, *_ = json.loads(run("routes", "helloworld", "--json").output)
        assert (first["method"], first["path"]) == ("POST", "/increment")

    def test_an_unknown_backend_is_one_sentence_that_lists_those_there_are(self, run):
        result = run("routes", "helloword")
        assert result.exit_code == 1
        (line,) = result.output.splitlines()
        assert "There is no backend 'helloword'; there are:" in line
        assert "helloworld" in line


class TestInit:
    @pytest.mark.parametrize("template", ["plain", "forward", "openai"])
    def test_what_is_written_can_be_checked_as_told(self, template, run, tmp_path):
        result = run("init", "mine", "--template", template, "--directory", str(tmp_path))
        assert result.exit_code == 0
        *_, told = result.output.splitlines()
        assert told == f"Next: vast-pyworker check {tmp_path / 'mine'}"
        assert run("check", str(tmp_path / "mine")).exit_code == 0

    def test_nothing_is_overwritten(self, run, broken):
        result = run("init", "broken", "--directory", str(broken.parent))
        assert result.exit_code == 1
        assert "exists; choose another name" in result.output
        assert [file.name for file in broken.iterdir()] == ["backend.py"]


class TestDoctor:
    def test_what_is_wrong_exits_with_1(self, run):
        result = run("doctor", WORKER_PORT="http")
        assert result.exit_code == 1
        assert "fault   settings" in result.output

    def test_json_is_a_list_of_findings(self, run):
        result = run("doctor", "--json", WORKER_PORT="http")
        findings = json.loads(result.output)
        assert findings[0]["name"] == "settings"
        assert {"name", "level", "sentence"} == set(findings[0])


class TestSettings:
    def test_every_one_is_listed_with_its_sentence(self, run):
        told = run("settings").output
        for setting in TABLE:
            assert setting.name in told
            assert setting.sentence in told

    def test_json_has_types_and_defaults(self, run):
        settings = {each["name"]: each for each in json.loads(run("settings", "--json").output)}
        assert settings["WORKER_PORT"]["default"] == 3000
        assert settings["WORKER_PORT"]["aliases"] == ["AUTH_PORT"]
        assert settings["MASTER_TOKEN"]["secret"] is True
        assert settings["MASTER_TOKEN"]["default"] is None


def test_serve_says_why_it_cannot():
    command = [sys.executable, "-m", "vast_pyworker.cli", "serve", "helloword", "--port", "1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode not in (0, 2)
    assert "There is no backend 'helloword'" in done.stderr
    assert "Traceback" not in done.stderr


def test_dev_says_why_it_cannot(run, broken):
    result = run("dev", str(broken))
    assert result.exit_code == 1
    assert "has no flask_dict" in result.output
