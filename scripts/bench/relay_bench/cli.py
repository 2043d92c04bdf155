"""The command line of scripts/bench/relay."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

from . import documentation, table
from .candidates import ALL, NAMES, nginx_path
from .errors import BenchError
from .plan import FULL, QUICK
from .results import Run
from .run import Wish, measure

ABOUT = """\
Measures what a relay costs: nginx, our worker with forward() and with a Flask handler, the official
worker and gunicorn threads, each in front of the same stub model server, in interleaved rounds.
Needs gcc, and: apt-get install nginx wrk. Load goes to 127.0.0.1 only."""


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(prog="scripts/bench/relay", description=ABOUT)
    p.add_argument("--quick", action="store_true", help="one short round, one to two minutes")
    p.add_argument("--rounds", type=_positive, metavar="N", help="rounds, instead of the profile's")
    p.add_argument(
        "--only", type=_names, default=NAMES, metavar="NAMES",
        help=f"candidates, joined by commas, of: {', '.join(NAMES)}",
    )  # fmt: skip
    p.add_argument(
        "--official", default="auto", metavar="WHERE",
        help="Python with vastai 1.9.1: current, venv (a temporary one, from PyPI), a path, "
        "or auto: current, else venv",
    )  # fmt: skip
    p.add_argument("--json", type=Path, metavar="FILE", help="write what was measured to FILE")
    p.add_argument("--read", type=Path, metavar="FILE", help="measure nothing, show such a FILE")
    p.add_argument(
        "--write", type=Path, metavar="FILE", help="replace the tables in the document FILE"
    )
    p.add_argument("--logs", type=Path, metavar="FOLDER", help="keep logs in the new FOLDER")
    return p


def _names(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if unknown := set(names) - set(NAMES):
        known = ", ".join(NAMES)
        raise argparse.ArgumentTypeError(f"no candidate {sorted(unknown)[0]!r}; there are {known}")
    return names


def _positive(text: str) -> int:
    count = int(text)
    if count < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return count


def main(arguments: Sequence[str]) -> int:
    """0: measured and shown (targets may be missed); 1: could not be measured; 130: interrupted."""
    signal.signal(signal.SIGTERM, _terminated)
    wish = parser().parse_args(arguments)
    try:
        return _do(wish)
    except BenchError as exc:
        print(f"scripts/bench/relay: {exc}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("scripts/bench/relay: interrupted; what it started has ended", file=sys.stderr)
        return 130


def _terminated(signum: int, frame: object) -> NoReturn:
    raise SystemExit(128 + signum)


def _do(wish: argparse.Namespace) -> int:
    run = _read(wish.read) if wish.read else _measured(wish)
    if wish.json:
        wish.json.write_text(run.to_json() + "\n")
    print(table.document(run), end="")
    if wish.write:
        documentation.write(wish.write, table.document(run), "scripts/bench/relay")
    return 1 if run.failures else 0


def _read(path: Path) -> Run:
    try:
        return Run.from_json(path.read_text())
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise BenchError(f"{path} is not a file that --json wrote: {exc!r}") from exc


def _measured(wish: argparse.Namespace) -> Run:
    if not sys.platform.startswith("linux"):
        raise BenchError("this benchmark reads Linux's /proc: run it on Linux")
    profile = QUICK if wish.quick else FULL
    profile = replace(profile, rounds=wish.rounds or profile.rounds)
    chosen = [candidate for candidate in ALL if candidate.name in wish.only]
    if "nginx" in wish.only:
        nginx_path()
    return measure(Wish(profile, chosen, wish.official, wish.logs), _say)


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)
