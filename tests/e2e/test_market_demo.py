"""Executes the demonstration of docs/market.md as it stands there, with the official command line.

The market, the instance and the worker in it are real processes; ports and directories are others
than a reader's, and the settings of whoever runs the tests are not passed on.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import IO

import psutil
import pytest
from outside_support import Outside, nothing_outside
from start_support import ROOT, wait_until

PAGE = ROOT / "docs" / "market.md"
PORT_OF_THE_PAGE = "8556"
LIMIT_S = 180.0

pytestmark = [
    pytest.mark.official,
    pytest.mark.skipif(find_spec("vastai") is None, reason="the official client is missing"),
]


def blocks() -> list[tuple[str, str]]:
    """(language, text) of each block of commands in the demonstration."""
    section = re.search(r"^## The demonstration\n(.*?)(?=^## )", PAGE.read_text(), re.M | re.S)
    assert section, "docs/market.md has no demonstration"
    return re.findall(r"^```(sh|console)\n(.*?)^```", section.group(1), re.M | re.S)


def typed_and_printed(block: str) -> list[tuple[str, str]]:
    """The commands of a console block with what they print, where ``...`` is anything."""
    return re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, re.M)


def as_pattern(printed: str) -> str:
    return ".*".join(re.escape(part) for part in printed.strip().split("..."))


class Terminal:
    """A bash that is typed into, with nothing of the settings of whoever runs the tests."""

    def __init__(self, folder: Path, outside: Outside) -> None:
        self._process = subprocess.Popen(
            ["bash"],
            cwd=ROOT,
            env=environ(folder) | outside.environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

        self._limit = threading.Timer(LIMIT_S, self._process.kill)

    def __enter__(self) -> Terminal:
        self._limit.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._limit.cancel()
        self._limit.join()
        self._process.kill()
        self._process.communicate(timeout=LIMIT_S)

    def type(self, commands: str) -> str:
        """What they print; fails where the last of them fails."""
        process = self._process
        assert process.stdin is not None
        process.stdin.write(f"{{ {commands}\n}} </dev/null\nprintf '\\n<ended with %s>\\n' $?\n")
        process.stdin.flush()
        printed, code = read_until(process.stdout, "<ended with ").rsplit("\n<ended with ", 1)
        assert code == "0>\n", f"{commands}\n{printed}"
        return printed


def environ(folder: Path) -> dict[str, str]:
    """What somebody has who has this checkout, python3 and the official client."""
    folder.mkdir()
    return {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "LANG": "C.UTF-8",
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "PYTHONPATH": str(ROOT),  # an environment may be shared by several checkouts
        "no_proxy": "127.0.0.1,localhost",
    }


def read_until(output: IO[str] | None, text: str) -> str:
    assert output is not None
    read = ""
    while text not in read:
        line = output.readline()
        assert line, f"it ended before it said {text!r}: {read}"
        read += line
    return read


@pytest.fixture
def outside() -> Iterator[Outside]:
    with nothing_outside() as made:
        yield made


@pytest.fixture
def market(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """The first block of the page, as the process of its last command."""
    *before, last = blocks()[0][1].splitlines()
    process = subprocess.Popen(
        ["bash", "-c", "\n".join([*before, f"exec {last} --port 0"])],
        cwd=ROOT,
        env=environ(tmp_path / "market"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate(timeout=LIMIT_S)


def of_instances(folder: Path) -> list[psutil.Process]:
    """Every process of an instance of the market with this temporary folder."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("TMPDIR", "").startswith(f"{folder}/market-"):
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


def type_block(terminal: Terminal, language: str, text: str) -> None:
    """A block of the page, command by command where it says what they print."""
    pairs = typed_and_printed(text) if language == "console" else [(text, "...")]
    for typed, printed in pairs:
        said = terminal.type(typed)
        assert re.fullmatch(as_pattern(printed), said.strip(), re.S), f"{typed}\n{said}"


def port_of(market: subprocess.Popen[str]) -> str:
    said = read_until(market.stdout, "vastai search")
    return said.split(" --url http://127.0.0.1:")[1].split()[0]


def test_the_demonstration_of_the_page_works(
    tmp_path: Path, market: subprocess.Popen[str], outside: Outside
) -> None:
    folder, port = tmp_path / "market", port_of(market)
    *to_type, last = [(lang, each.replace(PORT_OF_THE_PAGE, port)) for lang, each in blocks()[1:]]
    with Terminal(tmp_path / "home", outside) as terminal:
        for language, text in to_type:
            type_block(terminal, language, text)
        assert len(of_instances(folder)) >= 3, "a keeper, gunicorn's master and the worker"
        type_block(terminal, *last)
    wait_until(lambda: not of_instances(folder), "end of the instance")
    (instances,) = folder.glob("market-*")
    wait_until(lambda: not list(instances.iterdir()), "deletion of its directory")
    market.send_signal(signal.SIGINT)
    assert "The market ends." in market.communicate(timeout=LIMIT_S)[0]
    assert (market.returncode, list(folder.glob("market-*"))) == (0, [])


def test_a_rented_worker_does_not_outlive_a_killed_market(
    tmp_path: Path, market: subprocess.Popen[str], outside: Outside
) -> None:
    folder, port = tmp_path / "market", port_of(market)
    with Terminal(tmp_path / "home", outside) as terminal:
        for language, text in blocks()[1:3]:
            type_block(terminal, language, text.replace(PORT_OF_THE_PAGE, port))
    assert len(of_instances(folder)) >= 3
    market.kill()
    wait_until(lambda: not of_instances(folder), "end of the instance")
