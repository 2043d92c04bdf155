"""``send_data`` of 2024: one JSON message to the autoscaler or to the worker's own server.

Every call ends: a short timeout, three tries, a pause between them. The body carries the master
token, so it is never logged.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import requests

from . import environment
from .pinned import pinned_session

TIMEOUT_S = 3.0
TRIES = 3
PAUSE_S = 1.0

_log = logging.getLogger(__name__)
_observers: list[Callable[[str, Mapping[str, Any]], None]] = []


def observe(observer: Callable[[str, Mapping[str, Any]], None]) -> None:
    """Let the worker see, as (path, data), what a backend sends, just before it is sent."""
    _observers.append(observer)


def send_data(data: Mapping[str, Any], url: str, path: str, sender: str) -> None:
    """Post ``data`` to ``url`` + ``path``; a comma in ``url`` separates addresses to try in order.

    An empty ``url`` means that nobody wants reports. Never raises: a message that no address took
    is a line in the log.
    """
    for observer in _observers:
        observer(path, data)
    addresses = [address.strip().rstrip("/") for address in url.split(",") if address.strip()]
    taken = any(200 <= post_request(address + path, data) < 300 for address in addresses)
    if addresses and not taken:
        _log.warning("%s: nobody took the message for %s at %s", sender, path, url)


def post_request(full_path: str, data: Mapping[str, Any], max_retries: int = TRIES) -> int:
    """The status of the answer, or 0 after ``max_retries`` tries without one."""
    for attempt in range(max_retries):
        if attempt:
            time.sleep(PAUSE_S)
        try:
            with _session(full_path) as session:
                return session.post(full_path, json=data, timeout=TIMEOUT_S).status_code
        except (requests.RequestException, OSError, ValueError) as exc:
            _log.info("no answer from %s: %s", full_path, type(exc).__name__)
    return 0


def _session(url: str) -> requests.Session:
    own = environment.own_address()
    if own.startswith("https:") and url.startswith(own + "/"):
        return pinned_session(Path(environment.settings().cert_file))
    return requests.Session()
