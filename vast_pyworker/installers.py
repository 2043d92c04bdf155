"""The programs that make virtual environments and fill them: uv, pip, and apt for the latter.

What is here: which of them work on this machine, and how one is run so that it can neither hang
nor outlive us. What is not: what is installed, and whether it has to be (``packages``). Standard
library only.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path

from .errors import NotStarted
from .failure import Exit

STEP_TIMEOUT_S = 900.0
QUIET_PIP = ("-q", "--no-compile", "--no-user", "--no-input", "--disable-pip-version-check")
OLDEST_PIP = (22, 3)  # the first that installs into another environment


@dataclass(frozen=True)
class Tool:
    """One way to make an environment (``create``) and to install into it (``install``).

    ``again`` is the option that writes packages anew; ``inside`` says that the tool lives in the
    environment, so that one made by another tool is made once more.
    """

    create: tuple[str, ...]
    install: tuple[str, ...]
    again: str
    inside: bool = False


def tools(venv: Path, *, uv: str | None, pip: bool, ensurepip: bool) -> list[Tool]:
    """The ways that work here, quickest first."""
    base, target = sys.executable, str(venv / "bin" / "python")
    pip_install = ("-m", "pip", "--python", target, "install", *QUIET_PIP)
    found = []
    if uv:
        create = (uv, "venv", "--quiet", "--allow-existing", "--python", base, str(venv))
        found.append(Tool(create, (uv, "pip", "install", "-q", "--python", target), "--reinstall"))
    if pip:
        make = (base, "-m", "venv", "--without-pip", str(venv))
        found.append(Tool(make, (base, *pip_install), "--force-reinstall"))
    if ensurepip:
        whole = (base, "-m", "venv", str(venv))
        found.append(Tool(whole, (target, *pip_install), "--force-reinstall", inside=True))
    return found


def tools_here(venv: Path) -> list[Tool]:
    """The ways that work on this machine with this Python."""
    return tools(
        venv,
        uv=shutil.which("uv"),
        pip=_pip_version() >= OLDEST_PIP,
        ensurepip=util.find_spec("ensurepip") is not None,
    )


def _pip_version() -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in re.findall(r"\d+", metadata.version("pip"))[:2])
    except metadata.PackageNotFoundError:
        return ()


def tools_by_apt(venv: Path, lock: int) -> list[Tool]:
    """Without uv, pip or ensurepip (Debian parts it from Python), ask apt for the last."""
    package = f"python3.{sys.version_info.minor}-venv"
    if os.geteuid() == 0 and shutil.which("apt-get"):
        run(("apt-get", "update", "-q"), lock)
        run(("env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-qy", package), lock)
        return tools(venv, uv=None, pip=False, ensurepip=True)
    raise NotStarted(
        Exit.INSTALL_FAILED,
        f"{sys.executable} has neither pip nor ensurepip and there is no uv: "
        f"install uv, or as root run apt-get install {package}.",
    )


def run(command: Sequence[str], lock: int) -> None:
    """Run one step; a failure is one sentence. The step dies with us, or keeps our lock."""
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
        pass_fds=(lock,),
        cwd="/",  # what lies in the working directory must not shadow pip's modules
    )
    try:
        output, _ = process.communicate(timeout=STEP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        _kill(process)
        output = f"no end after {STEP_TIMEOUT_S:.0f} seconds"
    except BaseException:  # stopped by a signal: leave nothing behind that still writes
        _kill(process)
        raise
    if process.returncode != 0:
        raise _explained(command, output)


def _kill(process: subprocess.Popen[str]) -> None:
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if process.stdout:
        process.stdout.close()


def _explained(command: Sequence[str], output: str) -> NotStarted:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    blamed = [line for line in lines if re.match(r"(error|e)\b\s*:", line, re.IGNORECASE)]
    reason = (blamed or lines or ["no output"])[-1][:300]
    if "No space left on device" in output:
        return NotStarted(Exit.NO_DISK, f"The disk is full ({reason}): free some and start again.")
    step = " ".join(Path(part).name if i == 0 else part for i, part in enumerate(command[:3]))
    remedy = "see that the package index can be reached, and start again"
    return NotStarted(Exit.INSTALL_FAILED, f"{step} failed ({reason}): {remedy}.")
