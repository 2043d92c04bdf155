"""Where the API is and which key opens it; the client that a command is given.

The key comes from VAST_API_KEY, else from the file in which the official client keeps it. It is
never an option, since the command lines of a machine are there for everybody to read.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import click

from vast_pyworker.vastai.client import DEFAULT_URL, VastClient
from vast_pyworker.vastai.pacing import Pacing
from vast_pyworker.vastai.sending import Timeouts

from .exits import refuse

R = TypeVar("R")


def connected(command: Callable[..., R]) -> Callable[..., R]:
    """Add the options of a connection and give ``command`` an open client as its first argument."""

    @click.option(
        "--url",
        envvar="VAST_URL",
        default=DEFAULT_URL,
        show_default=True,
        help="Where the API is; VAST_URL says it too.",
    )
    @click.option(
        "--timeout",
        type=click.FloatRange(0, min_open=True),
        default=Timeouts.total_s,
        show_default=True,
        help="Seconds for all tries of a call.",
    )
    @click.option(
        "--no-pacing", is_flag=True, help="Do not space the calls: for a market without limits."
    )
    @functools.wraps(command)
    def with_client(*args: Any, url: str, timeout: float, no_pacing: bool, **options: Any) -> R:
        with VastClient(
            api_key(os.environ),
            base_url=base_url(url),
            timeouts=Timeouts(read_s=min(Timeouts.read_s, timeout), total_s=timeout),
            pacing=Pacing.off() if no_pacing else None,
        ) as client:
            return command(client, *args, **options)

    return with_client


def base_url(url: str) -> str:
    """``url`` without what the client adds itself; ends the command where it is none."""
    parts = urlsplit(url.strip())
    if parts.scheme not in ("http", "https") or not parts.hostname:
        refuse(
            f"The URL {url!r} is not one; it begins with http:// or https://, like {DEFAULT_URL}."
        )
    return url.strip().rstrip("/")


def api_key(environ: Mapping[str, str]) -> str:
    """The key of the account; ends the command where there is none."""
    path = key_file(environ)
    key = environ.get("VAST_API_KEY", "").strip() or _key_in(path)
    if not key:
        refuse(f"There is no API key: set VAST_API_KEY, or write the key into {path}.")
    if not key.isascii() or not key.isprintable() or " " in key:
        refuse(f"The API key is not one word of ASCII: look at VAST_API_KEY and at {path}.")
    return key


def has_key() -> bool:
    return bool(os.environ.get("VAST_API_KEY", "").strip()) or key_file(os.environ).is_file()


def key_file(environ: Mapping[str, str]) -> Path:
    """Where the official client keeps the key."""
    config = environ.get("XDG_CONFIG_HOME") or Path(environ.get("HOME") or "~", ".config")
    return Path(config).expanduser() / "vastai" / "vast_api_key"


def from_environment(name: str) -> str:
    """The value of a variable of ours; ends the command where it is not set."""
    value = os.environ.get(name)
    if value is None:
        refuse(f"--env {name} takes the value of the variable {name}, which is not set; set it.")
    return value


def _key_in(path: Path) -> str:
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as exc:
        refuse(f"The API key cannot be read from {path} ({type(exc).__name__}); set VAST_API_KEY.")
