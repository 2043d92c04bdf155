"""Ollama with one model pulled, loaded and kept in memory; says so on stderr, line by line.

Starts ``ollama serve`` where nothing answers at the address, else uses what does. Stays until
SIGTERM or SIGINT, or until the Ollama it started ends. It passes no request on.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn
from urllib.parse import urlsplit

import requests

ANSWER_TIMEOUT_S = 10.0
SILENCE_TIMEOUT_S = 900.0
"""A pull says nothing while it checks a digest, nor does a load while it reads a large model."""
POLL_S = 0.2
WATCH_S = 30.0
TERM_GRACE_S = 10.0


class Failed(Exception):
    """What cannot be mended here, as one sentence."""


def main(argv: Sequence[str] | None = None) -> int:
    """Start, pull, load, stay; 0 when told to stop, 1 where one of them is not possible."""
    options = parser().parse_args(argv)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    ollama = Ollama(options.url)
    child = None
    try:
        child = None if ollama.answers() else start(ollama.url, options.parallel)
        wait_until_up(ollama, child)
        bring_up(ollama, options.model)
        stay(ollama, options.model, child)
    except (Failed, requests.RequestException) as exc:
        say(f"it failed: {exc}")
        return 1
    finally:
        end(child)


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    options.add_argument("--url", default="http://127.0.0.1:11434")
    options.add_argument("--model", default="", help="name to pull and to keep in memory")
    options.add_argument("--parallel", type=int, default=4, help="requests at once")
    return options


class Ollama:
    """What is asked of one Ollama. Raises requests.RequestException, or Failed where it says no."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")

    def answers(self) -> bool:
        try:
            return requests.get(self.url, timeout=ANSWER_TIMEOUT_S).ok
        except requests.RequestException:
            return False

    def has(self, model: str) -> bool:
        """Whether the model is on disk."""
        return self._lists("/api/tags", model)

    def holds(self, model: str) -> bool:
        """Whether the model is in memory."""
        return self._lists("/api/ps", model)

    def pull(self, model: str) -> Iterator[tuple[int, int]]:
        """Download the model; yields the bytes that are there and those there will be."""
        layers: dict[str, tuple[int, int]] = {}
        with self._post("/api/pull", {"model": model}, stream=True) as answer:
            for line in answer.iter_lines():
                told = json.loads(line)
                if "error" in told:
                    raise Failed(f"{model} cannot be pulled: {told['error']}; correct MODEL_NAME.")
                if told.get("total"):
                    layers[str(told.get("digest"))] = (told.get("completed", 0), told["total"])
                    yield (
                        sum(done for done, _ in layers.values()),
                        sum(t for _, t in layers.values()),
                    )

    def load(self, model: str) -> None:
        """Read the model into memory, to stay; one that only embeds is asked to embed."""
        told = {"model": model, "keep_alive": -1}
        answer = self._post("/api/generate", {**told, "stream": False})
        if answer.status_code == 400 and "does not support generate" in answer.text:
            answer = self._post("/api/embed", {**told, "input": ""})
        if not answer.ok:
            raise Failed(f"{model} cannot be loaded: {answer.text[:200]}; see the lines above.")

    def _lists(self, path: str, model: str) -> bool:
        answer = requests.get(self.url + path, timeout=ANSWER_TIMEOUT_S)
        answer.raise_for_status()
        wanted = model if ":" in model.rpartition("/")[2] else f"{model}:latest"
        return wanted in [each.get("name") for each in answer.json().get("models") or ()]

    def _post(self, path: str, body: dict[str, Any], *, stream: bool = False) -> requests.Response:
        patience = (ANSWER_TIMEOUT_S, SILENCE_TIMEOUT_S)
        return requests.post(self.url + path, json=body, stream=stream, timeout=patience)


def start(url: str, parallel: int) -> subprocess.Popen[bytes] | None:
    """Start Ollama to listen at ``url``; None where it is not installed and others must."""
    program = shutil.which("ollama")
    if program is None:
        say(f"waiting for {url}: no ollama is installed here.")
        return None
    told = {"OLLAMA_HOST": urlsplit(url).netloc, "OLLAMA_NUM_PARALLEL": str(parallel)}
    return subprocess.Popen(
        [program, "serve"], env={"OLLAMA_KEEP_ALIVE": "-1", **os.environ, **told}
    )


def wait_until_up(ollama: Ollama, child: subprocess.Popen[bytes] | None) -> None:
    """Return when Ollama answers, whoever started it."""
    while not ollama.answers():
        if child is not None and child.poll() is not None:
            raise Failed(f"ollama serve ended with {child.returncode}; see the lines above.")
        time.sleep(POLL_S)


def bring_up(ollama: Ollama, model: str) -> None:
    """Have the model on disk and in memory, telling how far that is."""
    if not model:
        say("no model was named: each is loaded when it is asked for.")
        return
    if not ollama.has(model):
        pull(ollama, model)
    say(f"loading {model}")
    ollama.load(model)
    if not ollama.holds(model):
        raise Failed(f"{model} does not stay in memory; choose a smaller one by MODEL_NAME.")
    say(f"{model} is in memory")


def pull(ollama: Ollama, model: str) -> None:
    percent = -1
    for done, total in ollama.pull(model):
        if 100 * done // total != percent:
            percent = 100 * done // total
            say(f"pulling {model}: {percent}%, {done} of {total} bytes")


def stay(ollama: Ollama, model: str, child: subprocess.Popen[bytes] | None) -> NoReturn:
    """Keep the model in memory: an Ollama of somebody else forgets it after five idle minutes."""
    while True:
        _sleep_or_fail(child)
        try:
            if model and not ollama.holds(model):
                bring_up(ollama, model)
        except requests.RequestException as exc:  # the worker's own probe judges that
            say(f"could not ask whether {model} is in memory: {exc}")


def _sleep_or_fail(child: subprocess.Popen[bytes] | None) -> None:
    if child is None:
        time.sleep(WATCH_S)
        return
    try:
        raise Failed(f"ollama serve ended with {child.wait(WATCH_S)}; see the lines above.")
    except subprocess.TimeoutExpired:
        return


def stop(*_: object) -> NoReturn:
    raise SystemExit(0)


def end(child: subprocess.Popen[bytes] | None) -> None:
    """End the Ollama that was started here, and nobody else's."""
    if child is None:
        return
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    child.terminate()
    try:
        child.wait(TERM_GRACE_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def say(sentence: str) -> None:
    sys.stderr.write(f"ollama: {sentence}\n")


if __name__ == "__main__":
    sys.exit(main())
