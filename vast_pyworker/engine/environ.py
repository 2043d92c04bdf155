"""The WSGI environment of a request (PEP 3333), and what the engine adds to it.

Reads the exchange, changes nothing. What the head alone says is made once and remembered.
"""

from __future__ import annotations

import io
import sys
from typing import Any

from .exchange import Exchange
from .head import RequestHead

EXCHANGE = "pyworker.exchange"
HANDLER = "pyworker.handler"
REQUEST_ID = "pyworker.request_id"


def environ_of(exchange: Exchange) -> dict[str, Any]:
    """The WSGI environment of a request; what the head alone says is remembered beside it."""
    head = exchange.head
    base = head.memo.get(environ_of)
    if base is None:
        base = head.memo[environ_of] = _base_environ(head)
    environ: dict[str, Any] = base.copy()
    for name, value in head.varying:
        environ[_key_of(name.lower())] = value.decode("latin-1")
    body = exchange.body_file
    environ["wsgi.input"] = io.BytesIO(body) if isinstance(body, bytes) else body
    environ["wsgi.url_scheme"] = exchange.scheme
    environ["REMOTE_ADDR"] = exchange.peer
    environ["REMOTE_PORT"] = str(exchange.peer_port)
    environ[EXCHANGE] = exchange
    environ[REQUEST_ID] = exchange.request_id.decode("latin-1")
    if head.chunked:
        environ["CONTENT_LENGTH"] = str(_size(environ["wsgi.input"]))
    return environ


def _base_environ(head: RequestHead) -> dict[str, Any]:
    environ: dict[str, Any] = {
        "REQUEST_METHOD": head.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": head.decoded_path,
        "QUERY_STRING": head.query,
        "RAW_URI": head.target,
        "REQUEST_URI": head.target,
        "SERVER_PROTOCOL": f"HTTP/1.{head.minor}",
        "SERVER_SOFTWARE": "vast-pyworker",
        "wsgi.version": (1, 0),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "wsgi.input_terminated": True,
    }
    host = (head.get(b"host") or b"127.0.0.1").decode("latin-1")
    server, _, port = host.rpartition(":")
    environ["SERVER_NAME"] = server if port.isdigit() and server else host
    environ["SERVER_PORT"] = port if port.isdigit() and server else "80"
    varying = {name.lower() for name, _ in head.varying}
    for name, value in head.fields.items():
        # X_Forwarded_For would pass for X-Forwarded-For
        if b"_" not in name and name not in varying:
            environ[_key_of(name)] = value.decode("latin-1")
    return environ


def _key_of(name: bytes) -> str:
    key = name.decode("latin-1").upper().replace("-", "_")
    return key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else "HTTP_" + key


def _size(file: Any) -> int:
    file.seek(0, io.SEEK_END)
    size = int(file.tell())
    file.seek(0)
    return size
