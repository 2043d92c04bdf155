"""An answer that is none: the connection ends without a byte of it."""

from __future__ import annotations

from typing import Any

from flask import Response

from vast_pyworker.engine.environ import HANDLER
from vast_pyworker.engine.exchange import Exchange


class CutConnection(Response):
    """Under the engine the connection is reset; elsewhere the call raises."""

    def __call__(self, environ: Any, start_response: Any) -> Any:
        if "pyworker.exchange" in environ:
            environ[HANDLER] = cut
            return ()
        raise ConnectionResetError("A fault was asked for: this answer is cut off.")


def cut(exchange: Exchange) -> None:
    """On the engine's loop: end the connection at once."""
    exchange.cut(gently=False)
