"""The table of commands: complete, imported on demand, and true to the commands' own help."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from vast_pyworker import __version__
from vast_pyworker.cli import main
from vast_pyworker.cli.catalogue import COMMANDS
from vast_pyworker.cli.exits import FAILED, UNAVAILABLE, USAGE, code_of
from vast_pyworker.errors import (
    BadAnswer,
    InvalidRequest,
    ProviderUnreachable,
    QueryError,
    QuotaExceeded,
    RateLimited,
)

IMPORTED = """
import sys
from vast_pyworker.cli import main
try:
    main({arguments!r}, standalone_mode=False)
except BaseException as exc:
    pass
print(*sorted(name for name in sys.modules if name.startswith("vast_pyworker.")))
"""


def run(*arguments: str):
    return CliRunner().invoke(main, arguments, catch_exceptions=False)


def imported_by(*arguments: str) -> set[str]:
    program = IMPORTED.format(arguments=list(arguments))
    command = [sys.executable, "-c", program]
    environ = {"HOME": "/nonexistent", "PATH": ""}
    done = subprocess.run(
        command, env=environ, check=True, capture_output=True, text=True, timeout=60
    )
    return set(done.stdout.splitlines()[-1].split())


def test_the_version_is_told():
    assert run("--version").output == f"vast-pyworker, version {__version__}\n"


def test_help_names_every_command_with_its_sentence():
    told = run("--help").output
    for entry in COMMANDS:
        assert f"  {entry.name} " in told
        assert entry.sentence in " ".join(told.split())


@pytest.mark.parametrize("entry", COMMANDS, ids=lambda entry: entry.name)
def test_the_table_says_what_the_command_says(entry):
    command = main.commands[entry.name]
    assert command.name == entry.name
    assert (command.help or "").splitlines()[0] == entry.sentence
    assert entry.sentence.endswith(".")


@pytest.mark.parametrize("entry", COMMANDS, ids=lambda entry: entry.name)
def test_every_option_has_a_sentence(entry):
    command = main.commands[entry.name]
    below = list(command.commands.values()) if isinstance(command, click.Group) else []
    for each in (command, *below):
        told = [p for p in each.params if isinstance(p, click.Option) and not p.help]
        assert told == []


@pytest.mark.parametrize("arguments", [["no-such-command"], ["check"], ["init", "--template", "x"]])
def test_a_wrong_command_line_exits_with_2(arguments):
    assert run(*arguments).exit_code == 2


def test_help_imports_no_command():
    rooms = ("vast_pyworker.worker", "vast_pyworker.vastai", "vast_pyworker.market")
    assert [name for name in imported_by("--help") if name.startswith(rooms)] == []


def test_the_client_does_not_import_the_worker():
    names = imported_by("offers")
    assert "vast_pyworker.vastai.client" in names
    assert [name for name in names if name.startswith("vast_pyworker.worker")] == []


def test_the_worker_does_not_import_the_client():
    names = imported_by("settings")
    assert "vast_pyworker.cli.worker" in names
    assert [name for name in names if name.startswith("vast_pyworker.vastai")] == []


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (QueryError("x"), USAGE),
        (InvalidRequest("x", status=400), FAILED),
        (BadAnswer("x", status=200), FAILED),
        (BadAnswer("x", status=502), UNAVAILABLE),
        (ProviderUnreachable("x"), UNAVAILABLE),
        (RateLimited("x", status=429), UNAVAILABLE),
        (QuotaExceeded("x", status=429), UNAVAILABLE),
    ],
)
def test_every_error_has_its_exit_code(error, code):
    assert code_of(error) == code
