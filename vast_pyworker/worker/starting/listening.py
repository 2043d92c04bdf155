"""Where the worker listens: is the place free, who has it, does it answer.

What is not here: listening itself, which is gunicorn's.
"""

from __future__ import annotations

import errno
import http.client
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path

from vast_pyworker.errors import NotStarted, SettingError
from vast_pyworker.failure import Exit
from vast_pyworker.ports import owner_of
from vast_pyworker.settings import Settings

ANSWER_TIMEOUT_S = 5.0
UNIX = "unix:"


@dataclass(frozen=True)
class Place:
    """One listening address. ``path`` is that of a Unix socket, else empty."""

    host: str
    port: int
    path: str
    tls: bool

    @property
    def local_host(self) -> str:
        """Where this machine reaches it."""
        return {"0.0.0.0": "127.0.0.1", "::": "::1", "*": "127.0.0.1"}.get(self.host, self.host)

    @property
    def url(self) -> str:
        """How this machine reaches it, for people."""
        if self.path:
            return f"{UNIX}{self.path}"
        host = f"[{self.local_host}]" if ":" in self.local_host else self.local_host
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}"

    def curl(self, target: str) -> str:
        """A command that asks for ``target``."""
        if self.path:
            return f"curl --unix-socket {self.path} http://localhost{target}"
        return f"curl {'--insecure ' if self.tls else ''}{self.url}{target}"


def place_of(settings: Settings) -> Place:
    """Where the worker of these settings listens."""
    host = settings.bind_host
    path = host.removeprefix(UNIX) if host.startswith(UNIX) else ""
    return Place(host.strip("[]"), settings.port, path, settings.use_ssl)


def check_free(place: Place) -> None:
    """Raise NotStarted, naming who has the port, unless it can be bound now."""
    if place.path:
        return
    family = socket.AF_INET6 if ":" in place.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((place.host, place.port))
        except OSError as exc:
            raise _why_not(place, exc) from exc


def status_of(place: Place, target: str = "/livez") -> int | None:
    """The HTTP status with which ``target`` is answered; None: nothing answered."""
    connection = _connection(place)
    try:
        connection.request("GET", target)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def _connection(place: Place) -> http.client.HTTPConnection:
    if place.path:
        return _UnixConnection(place.path)
    if place.tls:
        # Only whether our own worker answers is asked; the name on its certificate is not ours.
        context = ssl._create_unverified_context()
        return http.client.HTTPSConnection(
            place.local_host, place.port, timeout=ANSWER_TIMEOUT_S, context=context
        )
    return http.client.HTTPConnection(place.local_host, place.port, timeout=ANSWER_TIMEOUT_S)


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=ANSWER_TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(ANSWER_TIMEOUT_S)
        self.sock.connect(str(Path(self._path)))


def _why_not(place: Place, exc: OSError) -> Exception:
    where = f"{place.host}:{place.port}"
    if exc.errno == errno.EADDRINUSE:
        return NotStarted(
            Exit.PORT_TAKEN,
            f"Port {place.port} is taken by {owner_of(place.port)}: end it, or set WORKER_PORT.",
        )
    if exc.errno == errno.EACCES:
        return SettingError(f"{where} needs root: set WORKER_PORT to 1024 or more.")
    return SettingError(
        f"{where} cannot be listened on ({exc.strerror}): set PYWORKER_HOST to an own address."
    )
