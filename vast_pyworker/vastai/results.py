"""Reads what the API puts at an address of its own: logs, and the output of a command.

The address answers with an error until the text is there. It never gets the key, only http and
https are asked, redirects are not followed, and the text is bounded.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from vast_pyworker.errors import BadAnswer, ProviderUnreachable

from . import values
from .http import Endpoint, Transport
from .sending import Failed

MAX_TEXT_BYTES = 16 * 2**20
_FIRST_WAIT_S = 0.3
_LONGEST_WAIT_S = 3.0
_TRY_S = 10.0


def result_of(transport: Transport, answer: object, endpoint: Endpoint, timeout_s: float) -> str:
    """The text at the ``result_url`` of ``answer``.

    Raises BadAnswer where it names none, ProviderUnreachable where nothing is there in time.
    """
    url = _checked(values.mapping(answer), endpoint)
    until = transport.now() + timeout_s
    wait_s = _FIRST_WAIT_S
    while True:
        found = transport.fetch(url, timeout_s=_TRY_S, max_body_bytes=MAX_TEXT_BYTES)
        if not isinstance(found, Failed) and found.status == 200:
            return found.body.decode("utf-8", "replace")
        if transport.now() + wait_s > until:
            last = found.reason if isinstance(found, Failed) else f"HTTP {found.status}"
            raise ProviderUnreachable(
                f"The result of {endpoint.key} was not there after {timeout_s:g} s ({last}); "
                "ask again, with more time.",
                status=None if isinstance(found, Failed) else found.status,
                endpoint=endpoint.key,
            )
        transport.sleep(wait_s)
        wait_s = min(wait_s * 1.5, _LONGEST_WAIT_S)


def _checked(answer: object, endpoint: Endpoint) -> str:
    row = values.mapping(answer)
    url = values.text(row.get("result_url"))
    said = values.text(row.get("msg")) or "nothing"
    try:
        parts = urlsplit(url or "")
    except ValueError:
        parts = urlsplit("")
    if not url or parts.scheme not in ("http", "https") or not parts.hostname:
        raise BadAnswer(
            f"The answer to {endpoint.key} names no address for the result; it says: {said[:200]}.",
            status=200,
            endpoint=endpoint.key,
        )
    return url
