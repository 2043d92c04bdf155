"""What the tests of the client share: a clock nobody waits for, rows, a server of bytes."""

from __future__ import annotations

import json
import random
import socket
import struct
import threading
from collections.abc import Callable
from typing import Any

from vast_pyworker.vastai.client import VastClient
from vast_pyworker.vastai.pacing import Pacing
from vast_pyworker.vastai.sending import Timeouts

KEY = "0123456789abcdef-the-key"


class Clock:
    """Seconds that pass only while somebody sleeps; ``slept`` keeps for how long."""

    def __init__(self, at: float = 1000.0) -> None:
        self.at = at
        self.slept: list[float] = []
        self._lock = threading.Lock()

    def now(self) -> float:
        return self.at

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self.slept.append(seconds)
            self.at += seconds

    @property
    def waited(self) -> float:
        return sum(self.slept)


class Longest(random.Random):
    """Jitter at its longest, so that a test can tell the bound."""

    def uniform(self, a: float, b: float) -> float:
        return b


def vast_client(url: str, clock: Clock, *, paced: bool = False, **more: Any) -> VastClient:
    """Without pacing of its own unless ``paced``."""
    pacing = Pacing(None, clock.now, clock.sleep) if paced else Pacing.off(clock.now, clock.sleep)
    given: dict[str, Any] = {
        "base_url": url,
        "pacing": pacing,
        "timeouts": Timeouts(connect_s=5, read_s=5, total_s=60),
        "now": clock.now,
        "sleep": clock.sleep,
        "wall": clock.now,
        "rng": Longest(),
    }
    return VastClient(KEY, **{**given, **more})


def row(instance_id: int, **fields: Any) -> dict[str, Any]:
    """A running on-demand instance."""
    known = {
        "id": instance_id,
        "label": None,
        "actual_status": "running",
        "intended_status": "running",
        "cur_state": "running",
        "next_state": "running",
        "is_bid": False,
        "disk_space": 20.0,
        "dph_total": 0.5,
        "start_date": 900.0,
        "extra_env": [["A", "1"]],
    }
    return {**known, **fields}


def page(
    rows: list[dict[str, Any]], total: int | None = None, token: str | None = None, **more: Any
) -> dict[str, Any]:
    """One page of a list. ``total`` is that of the rows unless given."""
    return {
        "success": True,
        "instances_found": len(rows),
        "total_instances": len(rows) if total is None else total,
        "next_token": token,
        "instances": rows,
        **more,
    }


def http(status: int, body: object, *headers: str) -> bytes:
    """An answer as bytes; ``body`` as JSON unless it is bytes."""
    return kept(status, body, "Connection: close", *headers)


def kept(status: int, body: object, *headers: str) -> bytes:
    """As ``http``, but the client may take it that the connection stays open."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = [f"HTTP/1.1 {status} Told", f"Content-Length: {len(content)}", *headers]
    return "\r\n".join([*head, "", ""]).encode() + content


def cut(answer: bytes, lost: int = 5) -> bytes:
    """An answer that ends too early."""
    return answer[:-lost]


RESET = b""  # instead of an answer, a reset

Script = bytes | Callable[[socket.socket], None]


class WireServer:
    """Answers one request per connection with the bytes of a script, then closes.

    The last entry of the script is used on. ``requests`` keeps the heads and bodies as they came.
    """

    def __init__(self, *script: Script) -> None:
        self._script = list(script)
        self.requests: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0.1)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="wire-server", daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> WireServer:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stopping.set()
        self._thread.join(5)
        self._listener.close()

    def _serve(self) -> None:
        while not self._stopping.is_set():
            try:
                connection, _ = self._listener.accept()
            except TimeoutError:
                continue
            with connection:
                connection.settimeout(5)
                self.requests.append(_request(connection))
                entry = self._script.pop(0) if len(self._script) > 1 else self._script[0]
                _answer(connection, entry)


def _answer(connection: socket.socket, entry: Script) -> None:
    if callable(entry):
        entry(connection)
    elif entry == RESET:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    else:
        connection.sendall(entry)


def _request(connection: socket.socket) -> bytes:
    """A request to its end."""
    found = b""
    while b"\r\n\r\n" not in found:
        found += connection.recv(65536)
    head, _, body = found.partition(b"\r\n\r\n")
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    length = int(lengths[0].split(b":")[1]) if lengths else 0
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


def closed_port() -> int:
    """A port of 127.0.0.1 on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
