"""A market or a controller as a program of its own, which ends with whoever started it.

    python -m soak_parts.program market|controller OPTIONS

OPTIONS are those of ``MarketOptions`` or ``ControllerOptions``, as JSON. It gets SIGTERM at the
end of its standard input: nothing is left where the starter was killed.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

_PATHS = ("folder", "state", "faults", "groups", "tls_cert", "tls_key", "worker_ca")


def main(argv: list[str]) -> int:
    name, options = argv
    threading.Thread(target=_end_with_starter, name="starter", daemon=True).start()
    return {"market": _market, "controller": _controller}[name](json.loads(options))


def _market(options: Mapping[str, Any]) -> int:
    from vast_pyworker.market.main import MarketOptions, run

    return run(MarketOptions(**_read(MarketOptions, options)))


def _controller(options: Mapping[str, Any]) -> int:
    from vast_pyworker.controller.main import ControllerOptions, run

    return run(ControllerOptions(**_read(ControllerOptions, options)))


def _read(kind: Any, options: Mapping[str, Any]) -> dict[str, Any]:
    known = {each.name for each in fields(kind)}
    assert known >= options.keys(), f"{kind.__name__} has no {', '.join(options.keys() - known)}"
    return {name: Path(given) if name in _PATHS else given for name, given in options.items()}


def _end_with_starter() -> None:
    while os.read(sys.stdin.fileno(), 1):  # no buffer: its lock would be held at our end
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
