"""gunicorn's access log, in gunicorn's format, for answers that never were gunicorn objects."""

from __future__ import annotations

import logging
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote_plus

from vast_pyworker.errors import BadRequest

from .answer import status_line
from .exchange import Exchange

log = logging.getLogger(__name__)

_SECRETS = frozenset(("api_key", "apikey", "token", "access_token", "signature"))


class GunicornAccessLog:
    """Writes through a gunicorn logger, so that ``--access-logformat`` means what it says."""

    def __init__(self, logger: Any) -> None:
        self._logger = logger

    def answered(self, exchange: Exchange, seconds: float) -> None:
        head = exchange.head
        headers = [(n.decode("latin-1"), v.decode("latin-1")) for n, v in head.headers]
        status = status_line(exchange.status or 499).split(b" ", 1)[1].decode().strip()
        response = SimpleNamespace(status=status, sent=exchange.bytes_sent, headers=[])
        request = SimpleNamespace(headers=headers)
        query = _without_secrets(head.query)
        environ = {
            "REQUEST_METHOD": head.method,
            "RAW_URI": f"{head.path}?{query}" if query else head.path,
            "PATH_INFO": head.path,
            "QUERY_STRING": query,
            "SERVER_PROTOCOL": f"HTTP/1.{head.minor}",
            "REMOTE_ADDR": exchange.peer or "-",
        }
        if (agent := head.get(b"user-agent")) is not None:
            environ["HTTP_USER_AGENT"] = agent.decode("latin-1")
        if (referer := head.get(b"referer")) is not None:
            page, mark, asked = referer.decode("latin-1").partition("?")
            environ["HTTP_REFERER"] = page + mark + _without_secrets(asked)
        self._logger.access(response, request, environ, timedelta(seconds=seconds))

    def refused(self, peer: str, refusal: BadRequest) -> None:
        log.info("Refused what %s sent (%d): %s", peer or "a client", refusal.status, refusal)


def _without_secrets(query: str) -> str:
    """The official client puts its key into the query of every request: it is not logged."""
    if "=" not in query:
        return query
    return "&".join(map(_without_secret, query.split("&")))


def _without_secret(part: str) -> str:
    name = unquote_plus(part.partition("=")[0]).strip()
    return f"{name}=***" if name.lower() in _SECRETS else part
