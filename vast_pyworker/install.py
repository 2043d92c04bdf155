"""First step of ``start_server.sh``: install what the backend needs, then become the start.

Runs under any Python 3.10 or newer with nothing installed. The second step is
``worker.start``, in the environment made here. ``scripts/install`` calls ``develop``,
``scripts/up`` calls ``show``.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from .errors import NotStarted
from .failure import Exit, guarded, hold_signals
from .packages import Wanted, ensure, has_python
from .settings import Settings

ROOT = Path(__file__).resolve().parents[1]
STARTING = ("start", "foreground")
OLDEST_PYTHON = (3, 10)

_COMMAND = """#!{python}
import sys

from vast_pyworker.cli import main

sys.exit(main())
"""


def main(argv: Sequence[str] | None = None) -> int:
    """``install.py ACTION [BACKEND]``; returns only where the start cannot follow."""
    action, *rest = sys.argv[1:] if argv is None else argv
    environ = dict(os.environ)
    return guarded(lambda: _step(action, rest, environ), environ, reports=action in STARTING)


def develop() -> int:
    """Install everything that development and the tests need into ``.venv``."""
    tests = ROOT / "tests"
    wanted = Wanted(
        ROOT,
        venv_folder(os.environ),
        (ROOT / "requirements.txt", tests / "requirements.txt"),
        (tests / "requirements-no-deps.txt",),
    )
    return guarded(lambda: _installed(wanted), os.environ, reports=False)


def show(argv: Sequence[str]) -> int:
    """Install what a controller and the backend named in ``argv`` need, and become ``up.main``."""
    environ = dict(os.environ)
    return guarded(lambda: _show(list(argv), environ), environ, reports=False)


def venv_folder(environ: Mapping[str, str]) -> Path:
    """Where the packages go: PYWORKER_VENV, else ``.venv`` in the checkout."""
    return Path(environ.get("PYWORKER_VENV") or ROOT / ".venv").absolute()


def wanted_for(backend: str, environ: Mapping[str, str]) -> Wanted:
    """The worker's packages and the backend's own, if its folder names some."""
    folders = [
        Path(each).absolute() for each in environ.get("PYWORKER_BACKENDS", "").split(":") if each
    ]
    places = [folder / backend for folder in (*folders, ROOT / "backends")]
    place = next((each for each in places if (each / "backend.py").exists()), places[-1])
    own, bare = place / "requirements.txt", place / "requirements-no-deps.txt"
    return Wanted(
        ROOT,
        venv_folder(environ),
        (ROOT / "requirements.txt", *((own,) if own.exists() else ())),
        (bare,) if bare.exists() else (),
    )


def _step(action: str, rest: Sequence[str], environ: dict[str, str]) -> int:
    if sys.version_info < OLDEST_PYTHON:
        raise NotStarted(Exit.BAD_PYTHON, f"{sys.executable} is older than Python 3.10.")
    wanted = wanted_for(rest[0] if rest else "", environ)
    if action in STARTING:
        Settings.from_env(environ)  # a wrong setting is said before minutes are spent
        _installed(wanted)
    elif not has_python(wanted.venv):
        return _nothing_there(action, wanted.venv)
    hold_signals()
    boot = str(Path(__file__).with_name("boot.py"))
    command = [str(wanted.python), boot, "vast_pyworker.worker.start:main", action, *rest]
    os.execve(wanted.python, command, environ)


def _show(argv: list[str], environ: dict[str, str]) -> int:
    backend = next((each for each in argv if not each.startswith("-")), "")
    wanted = wanted_for(backend, environ)
    wanted = replace(wanted, files=(*wanted.files, ROOT / "requirements-controller.txt"))
    _installed(wanted)
    boot = str(Path(__file__).with_name("boot.py"))
    command = [str(wanted.python), boot, "vast_pyworker.up.main:main", *argv]
    os.execve(wanted.python, command, environ)


def _installed(wanted: Wanted) -> int:
    if ensure(wanted, _say):
        link(wanted)
    return 0


def link(wanted: Wanted) -> None:
    """Make the checkout importable in the environment, and ``vast-pyworker`` a command.

    An environment that another checkout made its own stays that one's while it is there.
    """
    link = next(wanted.venv.glob("lib/python3*/site-packages")) / "vast_pyworker.pth"
    if not (link.exists() and Path(link.read_text().strip(), "vast_pyworker").is_dir()):
        link.write_text(f"{wanted.root}\n")
    command = wanted.venv / "bin" / "vast-pyworker"
    command.write_text(_COMMAND.format(python=wanted.python))
    command.chmod(0o755)


def _nothing_there(action: str, venv: Path) -> int:
    sentence = f"No worker runs: nothing is installed in {venv}."
    if action != "stop":
        raise NotStarted(Exit.NOT_RUNNING, sentence)
    _say(sentence)
    return 0


def _say(sentence: str) -> None:
    sys.stdout.write(f"{sentence}\n")
    sys.stdout.flush()
