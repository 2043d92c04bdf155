"""``python vast_pyworker/boot.py MODULE:FUNCTION ...``: a program, with this checkout's package.

``python -m`` would prefer what lies in the working directory, and an environment may be shared by
several checkouts. The working directory stays the caller's: relative paths mean what they say.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any


def main() -> int | None:
    """Put the checkout first on the path, import the module and call its function."""
    here = Path(__file__).resolve().parent
    root = str(here.parent)
    sys.path[:] = [root, *(each for each in sys.path if each not in ("", str(here), root))]
    importlib.import_module(here.name)
    del sys.argv[0]
    module, _, name = sys.argv[0].partition(":")
    try:
        return int(_function(module, name)() or 0)
    except KeyboardInterrupt:  # at a keyboard, before there is anybody to say more
        sys.stderr.write("Stopped by SIGINT.\n")
        return 128 + signal.SIGINT


def _function(module: str, name: str) -> Callable[[], Any]:
    """The function; where a package is missing or broken, one that says so and reports it."""
    from vast_pyworker.errors import NotStarted
    from vast_pyworker.failure import Exit, guarded

    try:
        function: Callable[[], Any] = getattr(importlib.import_module(module), name)
        return function
    except ImportError as exc:
        sentence = (
            f"The packages in {sys.prefix} cannot be used ({exc}): delete it and start again."
        )

    def fail() -> int:
        raise NotStarted(Exit.INSTALL_FAILED, sentence)

    return lambda: guarded(fail, os.environ)


if __name__ == "__main__":
    sys.exit(main())
