"""What a request is worth on a route: before it runs, and measured after.

The route's own calculator comes first, then the Backend's ``workload`` hook, then a constant.
"""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Callable, Mapping
from math import inf
from typing import Any

from vast_pyworker.errors import Invalid

from .settling import settle_tokens
from .token_work import Tokens
from .workload import checked

log = logging.getLogger(__name__)

DEFAULT_WORK = 100.0
PAYLOADLESS = frozenset(("GET", "HEAD", "OPTIONS", "DELETE"))
"""Methods whose requests have no payload to measure."""
Payload = Mapping[str, Any]
Calculator = Callable[[Payload], float]


class Work:
    """``before(payload)`` gives units or raises Invalid; ``after(payload, tail)`` units or None."""

    checked = staticmethod(checked)

    __slots__ = ("_backend_settles", "_calculate", "_default", "measures")

    def __init__(self, workload: Calculator | None, backend: object, *, has_payload: bool) -> None:
        hook = getattr(backend, "workload", None)
        self._calculate = workload or (hook if callable(hook) and has_payload else None)
        self._default = DEFAULT_WORK if has_payload else 0.0
        settles = getattr(backend, "settle", None)
        self._backend_settles = settles if callable(settles) and has_payload else None
        self.measures = self._backend_settles is not None or isinstance(self._calculate, Tokens)

    @property
    def reads_payload(self) -> bool:
        """Whether ``before`` looks at the payload at all."""
        return self._calculate is not None

    def before(self, payload: Payload) -> float:
        calculate = self._calculate
        if calculate is None:
            return self._default
        try:
            value = calculate(payload)
        except Invalid:
            raise
        except Exception as exc:  # a calculator is a fork's code, fed with a stranger's payload
            log.debug("workload() failed on a payload: %s.", _fault_of(exc))
            raise Invalid(f"The payload's work cannot be told: {exc!r}.") from exc
        if type(value) is float and value >= 0.0 and value < inf:
            return value
        return checked(value)

    def after(self, payload: Payload, tail: bytes) -> float | None:
        """Measured work from the last bytes of the answer; None: unknown, the estimate stands."""
        if self._backend_settles is None:
            return settle_tokens(tail)
        try:
            return checked(self._backend_settles(payload, last_json(tail)))
        except Exception as exc:  # the same fork's code, after the answer is out
            log.warning("settle() failed; the estimate stands: %s.", _fault_of(exc))
            return None


def _fault_of(exc: Exception) -> str:
    """What was raised and where; not its text, which may quote a prompt."""
    place = traceback.extract_tb(exc.__traceback__)[-1]
    return f"{type(exc).__name__} at {place.filename}:{place.lineno}"


def last_json(tail: bytes) -> dict[str, Any]:
    """The last whole JSON object in the end of an answer: unary, SSE or lines; {} for none."""
    for line in (tail, *reversed(tail.splitlines())):
        text = line.strip().removeprefix(b"data:").strip()
        if not text.startswith(b"{"):
            continue
        try:
            value = json.loads(text)
        except ValueError:
            continue
        if isinstance(value, dict):
            return value
    return {}
