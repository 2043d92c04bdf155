"""How the market says no: statuses and words. What goes on the wire is the HTTP layer's."""

from __future__ import annotations

from typing import Any

from vast_pyworker.errors import PyworkerError


class MarketRefusal(PyworkerError):
    """A call was understood and turned down; nothing has changed.

    ``status`` is the HTTP status (200 where Vast says no with 200), ``code`` Vast's own word for
    it ("" where it gives none), ``msg`` its sentence, ``extra`` what else stands in the object.
    ``shape`` tells how the answer is worded: "standard" has ``success``, ``error`` and ``msg``,
    "bare" no ``success``, "msg" no ``error``, "message" ``message`` for ``msg``, "error_msg" as
    the autoscaler's, "text" is no JSON.
    """

    def __init__(
        self, status: int, code: str, msg: str, *, shape: str = "standard", **extra: Any
    ) -> None:
        super().__init__(msg or code)
        self.status = status
        self.code = code
        self.msg = msg
        self.shape = shape
        self.extra = extra


def invalid(msg: str, code: str = "invalid_args") -> MarketRefusal:
    """What most calls say to arguments that cannot be."""
    return MarketRefusal(400, code, msg)
