"""The commands of the client, against a server on a real socket that answers as it is told."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from click.testing import CliRunner, Result

from vast_pyworker.cli import main
from vast_pyworker.vastai.fake_vast import FakeVast

SECRET = "key-never-printed"


@pytest.fixture
def vast() -> Iterator[FakeVast]:
    with FakeVast() as vast:
        yield vast


@pytest.fixture
def ask(vast, tmp_path):
    """Run a command of the client as a user without a terminal would."""
    cleared = {name: None for name in os.environ if name != "PATH"}
    environ = {"HOME": str(tmp_path), "VAST_API_KEY": SECRET, "VAST_URL": vast.url}

    def asked(*arguments: str, stdin: str | None = None, **more: str | None) -> Result:
        runner = CliRunner(env={**cleared, **environ, **more})
        words = [*map(str, arguments), "--no-pacing"]
        result = runner.invoke(main, words, input=stdin, catch_exceptions=False)
        assert SECRET not in result.output
        assert "Traceback" not in result.output
        return result

    return asked
