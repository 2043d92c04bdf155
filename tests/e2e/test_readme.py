"""Executes the commands of README's quick start, as they stand there, in a fresh copy.

Blocks marked ``sh`` must run without a failure; in blocks marked ``console``, lines that begin with
``$ `` are commands and what follows is what they print (``...`` stands for anything). Ports are
others than a reader's, so that a worker of whoever runs the tests is left alone; what stays until
it is interrupted is told to end by itself.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest
from start_support import ROOT, Terminal, copy_of_project, free_port, published

README = ROOT / "README.md"
HEADING = "Quick start"
RUNS_THIS = "scripts/test"  # executing it here would never end
STAYS = "scripts/up"
MODEL_BACKEND = "llamacpp"
LIMIT_S = 300.0


@dataclass(frozen=True)
class Command:
    """One command as the reader types it; ``prints`` is None where the text does not say."""

    line: str
    prints: str | None


def commands() -> Iterator[Command]:
    """Every command of the quick start, in order."""
    section = re.search(rf"^(#+) {HEADING}\n(.*?)(?=^\1 |\Z)", README.read_text(), re.M | re.S)
    assert section, f"README.md has no section {HEADING!r}"
    for language, block in re.findall(r"^```(\w+)\n(.*?)^```", section.group(2), re.M | re.S):
        if language in ("sh", "bash"):
            lines = block.replace("\\\n", "").splitlines()
            yield from (Command(line, None) for line in lines if line.strip())
        elif language == "console":
            for typed, printed in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, re.M):
                yield Command(typed, printed)


def as_pattern(printed: str) -> str:
    return ".*".join(re.escape(part) for part in printed.strip().split("..."))


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    checkout = copy_of_project(tmp_path / "vast-pyworker")
    terminal = Terminal(tmp_path, checkout, extra={"PYWORKER_GUNICORN_CONF": ""})
    yield terminal
    terminal.end()


def test_the_quick_start_of_the_readme_works(tmp_path: Path, terminal: Terminal) -> None:
    if not README.exists():
        pytest.skip("there is no README.md")
    todo = [each for each in commands() if each.line.strip() != RUNS_THIS]
    assert todo, "the quick start has no commands"
    if any(MODEL_BACKEND in each.line for each in todo) and find_spec("xllamacpp") is None:
        pytest.skip("xllamacpp is not installed: no wheel for this machine")
    repository = published(tmp_path / "published")
    urls = re.findall(r"git clone (\S+)", "\n".join(each.line for each in todo))
    instead = {"GIT_CONFIG_COUNT": str(len(urls))}
    for number, url in enumerate(urls):
        instead[f"GIT_CONFIG_KEY_{number}"] = f"url.{repository.as_uri()}.insteadOf"
        instead[f"GIT_CONFIG_VALUE_{number}"] = url
    with subprocess.Popen(
        ["bash"],
        cwd=terminal.checkout,
        env=terminal.environ(**instead),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as shell:
        script = "\n".join(spoken(each, number, terminal) for number, each in enumerate(todo))
        output, _ = shell.communicate(script, timeout=LIMIT_S)
    for number, each in enumerate(todo):
        found = re.search(
            rf"^<{number}>\n(.*?)\n?^<{number} ended with (\d+)>$", output, re.M | re.S
        )
        assert found and found.group(2) == "0", f"{each.line}\n{output}"
        if each.prints is not None:
            assert re.fullmatch(as_pattern(each.prints), found.group(1).strip(), re.S), each.line


def spoken(command: Command, number: int, terminal: Terminal) -> str:
    """The command between two marks, on our port, reading nothing of what follows."""
    line = command.line.replace("3000", str(terminal.port))
    if line.startswith(STAYS):
        line += f" --seconds 1 --port {free_port()}"
    before, after = f"echo '<{number}>'", f"printf '\\n<%s ended with %s>\\n' {number} $?"
    return f"{before}\n{{ {line}\n}} </dev/null\n{after}"
