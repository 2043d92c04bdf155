"""A Python that has the official worker: this one, a given one, or a temporary environment."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from .errors import CandidateFailed
from .processes import run_bounded

VERSION = "1.9.1"
INSTALL_S = 300.0
PROBE = """
import importlib.metadata, vastai.serverless.server.worker
print(importlib.metadata.version("vastai"))
"""


def has_official(python: str) -> bool:
    """Whether ``python`` can run the official worker in the version compared with."""
    try:
        done = subprocess.run(
            [python, "-c", PROBE], capture_output=True, text=True, timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.stdout.strip() == VERSION


def official_python(choice: str, folder: Path, say: Callable[[str], None]) -> str:
    """``choice``: auto, current, venv (made in ``folder``), or the path of a Python."""
    if choice in ("auto", "current") and has_official(sys.executable):
        return sys.executable
    if choice in ("auto", "venv"):
        say(f"installing vastai=={VERSION} into a temporary environment")
        return _install(folder / "official")
    python = sys.executable if choice == "current" else choice
    if choice != "current" and has_official(python):
        return python
    raise CandidateFailed(
        f"{python} has no vastai {VERSION}: install it there with pip install vastai=={VERSION}, "
        "or use --official venv"
    )


def _install(venv: Path) -> str:
    python = str(venv / "bin" / "python")
    run_bounded([sys.executable, "-m", "venv", str(venv)], timeout_s=INSTALL_S)
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    run_bounded([*pip, f"vastai=={VERSION}", "setuptools"], timeout_s=INSTALL_S)
    if not has_official(python):
        raise CandidateFailed(f"vastai {VERSION} was installed but cannot be imported by {python}")
    return python
