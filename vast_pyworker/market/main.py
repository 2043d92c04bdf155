"""The market as a program: builds all of it, serves until it is told to end, and saves.

A composition root: sockets, threads, clocks, randomness and signals are settled here.
"""

from __future__ import annotations

import os
import secrets
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import FrameType

from vast_pyworker.engine.running import RunningServer
from vast_pyworker.errors import SettingError
from vast_pyworker.ports import bound, url_of

from .api.parts import Parts
from .app import Conduct, build_app
from .calls.limits import RateLimits
from .composing import MarketOptions, build, check
from .faults.book import FaultBook
from .runtime import Runtime
from .runtime.processes import ProcessRuntime
from .runtime.simulated import SimulatedRuntime
from .world.ticking import Ticking

__all__ = ["MarketOptions", "run"]

_HANDLER_THREADS = 16
OK, FAILED, USAGE = 0, 1, 2


def run(
    options: MarketOptions,
    *,
    environ: Mapping[str, str] | None = None,
    say: Callable[[str], None] | None = None,
    stop: threading.Event | None = None,
) -> int:
    """Serve until SIGINT, SIGTERM or ``stop``; the exit code: 0, 1 failed, 2 cannot be so.

    What people should read goes to ``say``, a line at a time; by default to standard output.
    Signals are only taken over where ``stop`` is None.
    """
    environ = os.environ if environ is None else environ
    say = _to_stdout if say is None else say
    try:
        with ExitStack() as held:
            _serve(options, environ, say, _stop_event(held) if stop is None else stop, held)
    except SettingError as error:
        sys.stderr.write(f"{error}\n")
        return USAGE
    except OSError as error:
        sys.stderr.write(f"The market could not go on: {error}.\n")
        return FAILED
    return OK


def _serve(
    options: MarketOptions,
    environ: Mapping[str, str],
    say: Callable[[str], None],
    stop: threading.Event,
    held: ExitStack,
) -> None:
    """Everything in the order in which it must end the other way round."""
    check(options)
    sock = bound(options.host, options.port)
    held.callback(sock.close)
    runtime = _runtime(options, environ, held)
    held.callback(runtime.close)
    built = build(options, runtime, epoch=time.time(), new_text=lambda: secrets.token_hex(32))
    held.callback(built.save)
    app = build_app(built.parts, _conduct(options, built.book))
    held.enter_context(RunningServer(app, threads=_HANDLER_THREADS, sock=sock))
    ticking = Ticking(built.parts.market.tick, built.save)
    ticking.start()
    held.callback(ticking.stop)
    _announce(built.parts, url_of(sock), say)
    stop.wait()
    say("The market ends.")


def _conduct(options: MarketOptions, book: FaultBook) -> Conduct:
    limits = RateLimits(
        form=options.limits_form,
        now=time.monotonic,
        wall=time.time,
        searches_a_day=options.searches_a_day,
    )
    return Conduct(
        book=book,
        limits=limits if options.limits else None,
        sleep=time.sleep,
        wall=time.time,
        seed=options.seed,
        any_host=options.allow_remote,
    )


def _runtime(options: MarketOptions, environ: Mapping[str, str], held: ExitStack) -> Runtime:
    if options.runtime == "none":
        return SimulatedRuntime()
    folder = options.folder
    if folder is None and options.state is not None:
        folder = options.state.with_name(f"{options.state.name}.instances")
    if folder is None:
        made = tempfile.TemporaryDirectory(prefix="market-", ignore_cleanup_errors=True)
        folder = Path(held.enter_context(made))
    return ProcessRuntime(folder, environ)


def _announce(parts: Parts, url: str, say: Callable[[str], None]) -> None:
    facts = parts.market.summary()
    say(f"{facts['gpus']} GPUs of {facts['hosts']} hosts are on offer at {url}")
    key = parts.accounts.primary_key(next(iter(parts.accounts)))
    say(f"Key: {key} (it is no secret)")
    say(f"Page: {url}/market/")
    # Two names of one place: the client sends some calls to VAST_URL and would take an equal --url
    # for its own default.
    local = url.replace("127.0.0.1", "localhost").replace("[::1]", "localhost")
    say(f"Try: VAST_URL={local} vastai search offers --url {url} --api-key {key}")


def _stop_event(held: ExitStack) -> threading.Event:
    """Set by SIGINT and SIGTERM, also where a shell had them ignored."""
    stop = threading.Event()

    def told(number: int, frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        held.callback(signal.signal, number, signal.signal(number, told))
    return stop


def _to_stdout(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
