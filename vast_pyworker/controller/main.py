"""The controller as a program: builds all of it, ticks and serves until it is told to end.

A composition root: files, sockets, threads, clocks and signals are settled here.
"""

from __future__ import annotations

import os
import signal
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from urllib.parse import urlsplit

from vast_pyworker.engine.limits import Limits
from vast_pyworker.engine.running import RunningServer
from vast_pyworker.errors import (
    LedgerError,
    LedgerLocked,
    ProviderError,
    PyworkerError,
    SettingError,
    WishError,
)
from vast_pyworker.providers.protocol import Provider
from vast_pyworker.providers.vast import VastProvider
from vast_pyworker.vastai.client import DEFAULT_URL, VastClient
from vast_pyworker.vastai.pacing import Pacing

from .access import ensure_admin_key
from .api.operating import reload
from .composing import Built, Surroundings, compose
from .desired.reading import read_wishes
from .executors import Threads
from .farewell import Deadline, Farewell
from .ledger.ledger import Ledger
from .listening import certificates, check_authority, is_loopback, listen_on, url_of
from .pauses import short_pauses
from .secrets import open_secrets
from .ticking import check_interval

OK, FAILED, USAGE, UNAVAILABLE = 0, 1, 2, 5
DEFAULT_PORT = 8555
ADMIN_KEY_FILE = "admin.key"
LEDGER_FILE = "ledger.sqlite"
TICK_S, MARKET_TICK_S = 5.0, 1.0
SHUTDOWN_S = 120.0
_PROVIDER_THREADS = 8
_HANDLER_THREADS = 8
_HTTP = Limits(body_bytes=4 * 1024 * 1024)
_EXECUTOR_S = 10.0


@dataclass(frozen=True)
class ControllerOptions:
    """What can be chosen. ``api_key`` and ``vast_url`` open the provider; ``market`` is the address
    of a local one instead. ``state`` is the folder of ledger, keys and secrets; ``ledger`` another
    place for the ledger. ``address`` is how workers reach this controller, by default where it
    listens. ``worker_ca`` is what else clients are to trust, for workers' certificates.
    ``every_s`` None: 5 s, or 1 s with a market."""

    groups: Path
    state: Path
    api_key: str = field(default="", repr=False)
    vast_url: str = ""
    market: str | None = None
    ledger: str | None = None
    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    address: str | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    worker_ca: Path | None = None
    every_s: float | None = None
    shutdown_s: float = SHUTDOWN_S
    open_magister: bool = False

    @property
    def base_url(self) -> str:
        return self.market or self.vast_url


class Told:
    """What signals said: ``stop`` once, ``hurry`` twice, and each SIGHUP by ``reload``."""

    def __init__(self) -> None:
        self.stop = threading.Event()
        self.hurry = threading.Event()
        self.reload = threading.Event()
        self.word = threading.Event()

    def end(self) -> None:
        """To end; said again, at once."""
        if self.stop.is_set():
            self.hurry.set()
        self.stop.set()
        self.word.set()

    def read_again(self) -> None:
        self.reload.set()
        self.word.set()


def run(
    options: ControllerOptions,
    *,
    environ: Mapping[str, str] | None = None,
    say: Callable[[str], None] | None = None,
    told: Told | None = None,
) -> int:
    """Tick and serve until SIGINT or SIGTERM; the exit code: 0, 1 failed, 2 cannot be so, 5 the
    provider cannot be had.

    What people should read goes to ``say``, by default to standard output. Signals are only taken
    over where ``told`` is None.
    """
    environ = os.environ if environ is None else environ
    say = _to_stdout if say is None else say
    try:
        with ExitStack() as held:
            _serve(options, environ, say, told or held.enter_context(_signals()), held)
    except (SettingError, WishError, LedgerLocked) as error:
        return _ended(str(error), USAGE)
    except ProviderError as error:
        return _ended(str(error), UNAVAILABLE)
    except (LedgerError, PyworkerError) as error:
        return _ended(str(error), FAILED)
    except OSError as error:
        return _ended(f"The controller could not go on: {error}.", FAILED)
    return OK


def _serve(
    options: ControllerOptions,
    environ: Mapping[str, str],
    say: Callable[[str], None],
    told: Told,
    held: ExitStack,
) -> None:
    """Everything in the order in which it must end the other way round."""
    wishes = read_wishes(options.groups, environ)
    usual = MARKET_TICK_S if options.market else TICK_S
    every_s = check_interval(usual if options.every_s is None else options.every_s)
    tls = _tls(options)
    if options.worker_ca is not None:
        check_authority(options.worker_ca)
    sock = listen_on(options.host, options.port)
    held.callback(sock.close)
    address = _address(options, sock, tls is not None)
    secrets = open_secrets(options.state)
    ledger = _ledger(options, held)
    key_file = options.state / ADMIN_KEY_FILE
    if ensure_admin_key(ledger.keys, key_file, time.time()):
        say(f"The key of the administrator is in {key_file}")
    provider = held.enter_context(provider_of(options))
    executor = Threads(_PROVIDER_THREADS)
    executor.start()
    held.callback(executor.close, _EXECUTOR_S)
    built = compose(
        lambda: read_wishes(options.groups, environ),
        provider, ledger, secrets, executor,
        _surroundings(options, address, every_s),
    )  # fmt: skip
    held.enter_context(
        RunningServer(built.app, limits=_HTTP, threads=_HANDLER_THREADS, sock=sock, tls=tls)
    )
    held.callback(built.parts.events.close)
    held.enter_context(short_pauses())
    built.ticking.start()
    held.callback(built.ticking.stop)
    count = "1 group" if len(wishes.groups) == 1 else f"{len(wishes.groups)} groups"
    say(f"{count} of fleet {wishes.fleet}; page: {url_of(sock, tls)}/")
    _obey(told, built, say)
    say("The controller ends.")
    built.ticking.stop()
    farewell = Farewell(
        built.parts, built.ears, executor,
        token_of=secrets.token_of, say=say, hurry=told.hurry,
    )  # fmt: skip
    farewell.run(Deadline(options.shutdown_s))


def _obey(told: Told, built: Built, say: Callable[[str], None]) -> None:
    """Wait for the end; read groups.toml again whenever that is said."""
    while not told.stop.is_set():
        told.word.wait()
        told.word.clear()
        if told.reload.is_set():
            told.reload.clear()
            say(reload(built.parts, "SIGHUP"))


def _surroundings(options: ControllerOptions, address: str, every_s: float) -> Surroundings:
    return Surroundings(
        address=address,
        every_s=every_s,
        now=time.time,
        mono=time.monotonic,
        certificates=lambda: certificates(options.tls_cert, options.worker_ca),
        open_magister=options.open_magister,
    )


def _ledger(options: ControllerOptions, held: ExitStack) -> Ledger:
    url = options.ledger or str(options.state / LEDGER_FILE)
    ledger = Ledger.open(url, holder="vast-pyworker controller", now=time.time)
    held.callback(ledger.close)
    return ledger


@contextmanager
def provider_of(options: ControllerOptions) -> Iterator[Provider]:
    """The account to rent with; its client is closed at the end."""
    pacing = Pacing.off() if options.market else None
    base_url = options.base_url or DEFAULT_URL
    with VastClient(options.api_key, base_url=base_url, pacing=pacing) as client:
        yield VastProvider(client)


def _tls(options: ControllerOptions) -> ssl.SSLContext | None:
    if options.tls_cert is None:
        if options.tls_key is not None:
            raise SettingError("--tls-key needs its certificate too: name it with --tls-cert.")
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(options.tls_cert, options.tls_key)
    except (OSError, ssl.SSLError) as error:
        raise SettingError(
            f"The certificate {options.tls_cert} cannot be used ({error}): name a PEM file of it "
            "with --tls-cert and of its key with --tls-key."
        ) from error
    return context


def _address(options: ControllerOptions, sock: socket.socket, tls: bool) -> str:
    """How workers reach this controller; refused where those of a real provider cannot."""
    address = (options.address or url_of(sock, tls)).rstrip("/")
    near = is_loopback(urlsplit(address).hostname or "")
    far = not options.market and not is_loopback(urlsplit(options.vast_url).hostname or "vast.ai")
    if near and far:
        raise SettingError(
            f"Rented workers cannot report to {address}: say with --address how they reach this "
            "controller."
        )
    return address


@contextmanager
def _signals() -> Iterator[Told]:
    """SIGINT, SIGTERM and SIGHUP, also where a shell had them ignored; given back at the end."""
    told = Told()
    handlers: dict[int, Callable[[], None]] = {
        signal.SIGINT: told.end,
        signal.SIGTERM: told.end,
        signal.SIGHUP: told.read_again,
    }

    def hear(number: int, frame: FrameType | None) -> None:
        handlers[number]()

    before = {number: signal.signal(number, hear) for number in handlers}
    try:
        yield told
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _ended(sentence: str, code: int) -> int:
    sys.stderr.write(f"{sentence}\n")
    return code


def _to_stdout(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
