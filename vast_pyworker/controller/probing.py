"""Looks directly at workers that the other two sources disagree about.

A probe is one GET of the worker's liveness route. Any HTTP answer counts: something there speaks
HTTP. It proves life, never readiness; nothing is told to what answers, so its certificate does not
matter.
"""

from __future__ import annotations

import http.client
import ssl
from urllib.parse import urlsplit

TIMEOUT_S = 5.0
PATH = "/livez"


def answers(url: str, timeout_s: float = TIMEOUT_S) -> bool:
    """Whether the worker at ``url`` answers HTTP within ``timeout_s`` for each step."""
    try:
        parts = urlsplit(url)
        connection = _connection(parts.scheme, parts.hostname or "", parts.port, timeout_s)
    except ValueError:
        return False
    try:
        connection.request("GET", PATH)
        connection.getresponse().close()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return True


def _connection(
    scheme: str, host: str, port: int | None, timeout_s: float
) -> http.client.HTTPConnection:
    if scheme != "https":
        return http.client.HTTPConnection(host, port, timeout=timeout_s)
    tls = ssl.create_default_context()
    tls.check_hostname = False
    tls.verify_mode = ssl.CERT_NONE
    return http.client.HTTPSConnection(host, port, timeout=timeout_s, context=tls)
