"""The program behind ``scripts/up``: starts a market and a controller, shows, takes all down.

A composition root. Everything is local: instances of the market are processes of this machine, and
whatever is left of them ends with this process, also when it is killed.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path

import requests

from vast_pyworker.controller.main import ADMIN_KEY_FILE, ControllerOptions, Told
from vast_pyworker.controller.main import run as run_controller
from vast_pyworker.errors import PyworkerError
from vast_pyworker.market.main import MarketOptions
from vast_pyworker.market.main import run as run_market

from .asking import Controller, billed
from .claiming import claimed, sweep
from .examples import Example, curl, example_of, snippet
from .load import Clients
from .options import read_options
from .place import Place
from .story import Story

ROOT = Path(__file__).resolve().parents[2]
MARKET_KEY = "market"
LOOK_EVERY_S = 1.0
ANSWERS_WITHIN_S = 30.0
READY_WITHIN_S = 900.0
ENDS_WITHIN_S = 60.0
DOWN_AFTER_S = 10.0
OK, FAILED, INTERRUPTED = 0, 1, 130


class NotUp(PyworkerError):
    """The demonstration cannot go on; the message says why."""


def main(argv: Sequence[str] | None = None) -> int:
    """``scripts/up BACKEND [--load N] [--port P] [--most N] [--seconds S]``; the exit code."""
    options = read_options(argv)
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    try:
        with ExitStack() as held:
            return _show(options, stopped, held)
    except (NotUp, PyworkerError, requests.RequestException, OSError) as exc:
        sys.stderr.write(f"{exc}\n")
        return FAILED


def _show(options: argparse.Namespace, stopped: threading.Event, held: ExitStack) -> int:
    place = held.enter_context(_place(options))
    place.write(options.most, DOWN_AFTER_S)
    example = example_of(options.backend)
    if options.load and example is None:
        raise NotUp(f"There is no example of a request for {options.backend}: leave --load out.")
    market = held.enter_context(_market(place))
    controller = held.enter_context(_controller(place, options.port or _free_port(), market))
    story = Story(_say)
    begun = time.monotonic()
    if not _until_ready(controller, place.name, story, stopped):
        return INTERRUPTED
    _say(f"Ready after {time.monotonic() - begun:.0f} s.")
    key = controller.endpoint_key(place.name)
    _explain(controller, place, example, key)
    if options.load and example is not None:
        held.enter_context(_load(options, example, controller.url, place.name, key))
    _follow(controller, story, stopped, options.seconds)
    return OK


@contextmanager
def _place(options: argparse.Namespace) -> Iterator[Place]:
    """A folder of its own for each run, deleted at the end."""
    if not (ROOT / "backends" / options.backend / "backend.py").exists():
        known = sorted(each.parent.name for each in ROOT.glob("backends/*/backend.py"))
        raise NotUp(f"There is no backend {options.backend}; there are {', '.join(known)}.")
    above = ROOT / ".pyworker"
    above.mkdir(exist_ok=True)
    for left in sweep(above):
        _say(f"{left.name}, which was killed, is cleared away.")
    with claimed(above, keep=options.keep) as folder:
        (folder / "controller").mkdir(mode=0o700)
        threads = max((os.cpu_count() or 1) // max(options.most, 1), 1)
        yield Place(folder, ROOT, Path(sys.prefix), options.backend, threads)
        if options.keep:
            _say(f"Kept in {folder}.")


@contextmanager
def _market(place: Place) -> Iterator[str]:
    """A market whose instances are processes; its address."""
    port = _free_port()
    options = MarketOptions(
        port=port,
        runtime="process",
        folder=place.market_folder,
        limits=False,
        loading_median_s=3.0,
        key=MARKET_KEY,
    )
    over = threading.Event()
    url = f"http://127.0.0.1:{port}"
    with _running("market", lambda: run_market(options, say=_nothing, stop=over), over.set) as end:
        _until_answers(f"{url}/market/summary", "The market", end)
        _say(f"A market on this machine: {url}/market/")
        yield url


@contextmanager
def _controller(place: Place, port: int, market: str) -> Iterator[Controller]:
    """A controller on the market; at its end everything that it rented is destroyed."""
    told = Told()
    options = ControllerOptions(
        groups=place.groups_file, state=place.state, api_key=MARKET_KEY, market=market, port=port,
    )  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    run = partial(run_controller, options, told=told, say=_nothing)
    with _running("controller", run, told.end) as end:
        _until_answers(f"{url}/livez", "The controller", end)
        key = (place.state / ADMIN_KEY_FILE).read_text().strip()
        controller = Controller(url, key)
        _say(f"A controller, which rents there: {url}/")
        _say(f"  its key: {key}")
        try:
            yield controller
        finally:
            _say("Taking everything down.")
            controller.close()
    _farewell(market)


@contextmanager
def _running(
    name: str, work: Callable[[], int], end: Callable[[], None]
) -> Iterator[threading.Event]:
    """Run a service on a thread until the context ends, and have it end in order. The event is set
    once it has ended."""
    ended = threading.Event()

    def serve() -> None:
        try:
            work()
        finally:
            ended.set()

    thread = threading.Thread(target=serve, name=name, daemon=True)
    thread.start()
    try:
        yield ended
    finally:
        end()
        if not ended.wait(ENDS_WITHIN_S):
            sys.stderr.write(f"The {name} did not end within {ENDS_WITHIN_S:.0f} s.\n")


@contextmanager
def _load(
    options: argparse.Namespace, example: Example, url: str, endpoint: str, key: str
) -> Iterator[None]:
    """Clients that ask until the context ends, or their time is over."""

    asked = {"endpoint": endpoint, "cost": example.cost, "api_key": key}

    def route(request_idx: int) -> dict[str, object]:
        with requests.post(
            f"{url}/route/", json={**asked, "request_idx": request_idx}, timeout=10.0
        ) as answer:
            answer.raise_for_status()
            return dict(answer.json())

    clients = Clients(options.load, example, route)
    clients.start(options.load_seconds)
    _say(f"{options.load} clients ask without a pause.")
    if not example.signed:
        _say(f"{endpoint} measures nothing, so they do not make it grow: a model's backend does.")
    try:
        yield
    finally:
        clients.stop()
        _say(f"{clients.answered} requests were answered, {clients.failed} failed.")


def _until_ready(controller: Controller, name: str, story: Story, stopped: threading.Event) -> bool:
    """Show the way to the first ready worker; False where someone stopped it."""
    deadline = time.monotonic() + READY_WITHIN_S
    while not stopped.wait(LOOK_EVERY_S):
        rows = controller.members()
        story.members(rows)
        if any(row["stage"] == "ready" for row in rows):
            return True
        if time.monotonic() > deadline:
            raise NotUp(f"No worker of {name} is ready after {READY_WITHIN_S:.0f} s.")
    return False


def _follow(
    controller: Controller, story: Story, stopped: threading.Event, seconds: float | None
) -> None:
    """Tell what happens until it is stopped, or its time is over."""
    deadline = None if seconds is None else time.monotonic() + seconds
    while not stopped.wait(LOOK_EVERY_S):
        story.members(controller.members())
        story.sentences(controller.sentences(story.last_event))
        if deadline is not None and time.monotonic() > deadline:
            return


def _explain(controller: Controller, place: Place, example: Example | None, key: str) -> None:
    url = controller.url
    _say(f"\nThe page:      {url}/\nEndpoint:      {place.name}\nEndpoint key:  {key}")
    if example is None:
        return
    _say(f"\nAsk it with curl:\n\n{curl(example, url, place.name, key)}\n")
    python = snippet(example, url, place.name, key)
    if python is not None:
        _say(f"or with the official client (pip install vastai==1.9.1):\n\n{python}")
    _say("Ctrl-C ends it all.\n")


def _farewell(market: str) -> None:
    """Say what the market's own bill comes to, and whether anything is left on it."""
    try:
        usd, left = billed(market)
    except (requests.RequestException, KeyError, ValueError) as exc:
        sys.stderr.write(f"What it cost could not be read: {exc}\n")
        return
    rest = f"; {left} instances are left, and end with the market" if left else ""
    _say(f"It cost ${usd:.4f} in the market's money{rest}.")


def _until_answers(url: str, who: str, ended: threading.Event) -> None:
    deadline = time.monotonic() + ANSWERS_WITHIN_S
    while time.monotonic() < deadline and not ended.is_set():
        with suppress(requests.RequestException), requests.get(url, timeout=5.0) as answer:
            if answer.ok:  # a stranger who has the port answers something else
                return
        ended.wait(0.1)
    raise NotUp(f"{who} does not answer at {url}; what it said stands above.")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _nothing(line: str) -> None:
    """What a service says to its own operator: here the demonstration speaks for it."""
