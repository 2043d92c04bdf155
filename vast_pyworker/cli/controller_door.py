"""A controller for the commands that ask one: where it is, the key to it, its refusals as exits.

The key comes from CONTROLLER_KEY, else from the file that the controller wrote when it first
started. It is never an option, since command lines are there for everybody to read.
"""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

import click
import requests

from .exits import FAILED, OVER_LIMITS, UNAVAILABLE, USAGE, ending, refuse

R = TypeVar("R")
DEFAULT_URL = "http://127.0.0.1:8555"
KEY_FILE = "admin.key"
_CONNECT_S = 5.0
_READ_S = 60.0
_SILENT_S = 3600.0  # between two events of a controller that ticks so rarely
_CODES = {400: USAGE, 401: USAGE, 413: USAGE, 422: USAGE, 502: UNAVAILABLE, 503: UNAVAILABLE}


class Controller:
    """``url`` is where it listens. Every method ends the command where it is refused."""

    def __init__(self, url: str, key: str, session: requests.Session) -> None:
        self.url = url
        self._session = session
        self._session.headers["Authorization"] = f"Bearer {key}"

    def get(self, path: str, **query: Any) -> Any:
        return self._asked("GET", path, params=query)

    def text(self, path: str, **query: Any) -> str:
        """An answer that is no JSON."""
        with self._send("GET", path, params=query, timeout=(_CONNECT_S, _READ_S)) as answer:
            return answer.text

    def post(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        return self._asked("POST", path, json=body or {})

    def delete(self, path: str) -> Any:
        return self._asked("DELETE", path)

    def events(self, after: int | None) -> Iterator[tuple[str, dict[str, Any]]]:
        """Kind and data of each event, until the controller ends."""
        query = {} if after is None else {"after": after}
        with self._send(
            "GET", "/events", params=query, stream=True, timeout=(_CONNECT_S, _SILENT_S)
        ) as answer:
            kind = ""
            try:
                for line in answer.iter_lines(decode_unicode=True):
                    name, _, value = line.partition(": ")
                    if name == "event":
                        kind = value
                    elif name == "data":
                        yield kind, json.loads(value)
            except requests.RequestException:
                raise ending(f"The controller at {self.url} has left.", UNAVAILABLE) from None

    def _asked(self, method: str, path: str, **more: Any) -> Any:
        with self._send(method, path, timeout=(_CONNECT_S, _READ_S), **more) as answer:
            try:
                return answer.json()
            except ValueError:
                raise self._strange() from None

    def _send(self, method: str, path: str, **more: Any) -> requests.Response:
        try:
            answer = self._session.request(method, self.url + path, **more)
        except requests.RequestException as exc:
            raise ending(
                f"No controller answers at {self.url} ({type(exc).__name__}): start one with "
                "`vast-pyworker controller`, or say with --url where it is.",
                UNAVAILABLE,
            ) from None
        if answer.status_code >= 400:
            raise self._refusal(answer)
        return answer

    def _refusal(self, answer: requests.Response) -> click.ClickException:
        with answer:
            try:
                told = answer.json()
                sentence = str(told["error"])
            except (ValueError, KeyError, TypeError):
                return self._strange()
        if told.get("refused_by") == "limits":
            return ending(sentence, OVER_LIMITS)
        return ending(sentence, _CODES.get(answer.status_code, FAILED))

    def _strange(self) -> click.ClickException:
        return ending(f"What answers at {self.url} is no controller; say --url.", UNAVAILABLE)


def asking(command: Callable[..., R]) -> Callable[..., R]:
    """Add ``--url`` and give ``command`` a controller as its first argument."""

    @click.option(
        "--url",
        envvar="CONTROLLER_URL",
        default=DEFAULT_URL,
        show_default=True,
        help="Where the controller is; CONTROLLER_URL says it too.",
    )
    @functools.wraps(command)
    def with_controller(*args: Any, url: str, **options: Any) -> R:
        with requests.Session() as session:
            return command(Controller(_base(url), _key(os.environ), session), *args, **options)

    return with_controller


@contextmanager
def opened() -> Iterator[Controller]:
    """The controller that the environment names, for commands that may do without one."""
    with requests.Session() as session:
        url = os.environ.get("CONTROLLER_URL") or DEFAULT_URL
        yield Controller(_base(url), _key(os.environ), session)


def has_key() -> bool:
    return bool(os.environ.get("CONTROLLER_KEY", "").strip()) or _file_of(os.environ).is_file()


def state_folder(environ: Mapping[str, str]) -> Path:
    """Where a controller keeps its ledger, its keys and its secrets unless told otherwise."""
    if chosen := environ.get("CONTROLLER_STATE"):
        return Path(chosen).expanduser()
    state = environ.get("XDG_STATE_HOME") or Path(environ.get("HOME") or "~", ".local", "state")
    return Path(state).expanduser() / "vast-pyworker"


def segment(text: str) -> str:
    """A name as one segment of a path."""
    return quote(text, safe="")


def _base(url: str) -> str:
    parts = urlsplit(url.strip())
    if parts.scheme not in ("http", "https") or not parts.hostname:
        refuse(f"The URL {url!r} is not one; it looks like {DEFAULT_URL}.")
    return url.strip().rstrip("/")


def _key(environ: Mapping[str, str]) -> str:
    path = _file_of(environ)
    key = environ.get("CONTROLLER_KEY", "").strip() or _key_in(path)
    if not key:
        refuse(f"There is no key: set CONTROLLER_KEY, or have the controller's key in {path}.")
    if not key.isascii() or not key.isprintable() or " " in key:
        refuse(f"The key is not one word of ASCII: look at CONTROLLER_KEY and at {path}.")
    return key


def _file_of(environ: Mapping[str, str]) -> Path:
    return state_folder(environ) / KEY_FILE


def _key_in(path: Path) -> str:
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as exc:
        refuse(f"The key cannot be read from {path} ({type(exc).__name__}); set CONTROLLER_KEY.")
