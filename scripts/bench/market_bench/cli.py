"""The command line of scripts/bench/market."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from relay_bench.errors import BenchError

from . import table
from .results import Run
from .run import FULL, QUICK, measure

ABOUT = """\
Measures the market with simulated instances: requests per second beside a constant answer through
the same engine and Flask in the same run, the memory of 10,000 instances, and how long it takes to
page through their list. Load goes to 127.0.0.1 only."""


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(prog="scripts/bench/market", description=ABOUT)
    p.add_argument("--quick", action="store_true", help="short loads and 1,000 instances")
    p.add_argument("--rounds", type=_positive, metavar="N", help="rounds, instead of the profile's")
    p.add_argument("--json", type=Path, metavar="FILE", help="write what was measured to FILE")
    p.add_argument("--read", type=Path, metavar="FILE", help="measure nothing, show such a FILE")
    return p


def _positive(text: str) -> int:
    count = int(text)
    if count < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return count


def main(arguments: Sequence[str]) -> int:
    """0: measured and shown; 1: could not be measured; 130: interrupted."""
    wish = parser().parse_args(arguments)
    try:
        run = _read(wish.read) if wish.read else _measured(wish)
        if wish.json:
            wish.json.write_text(run.to_json() + "\n")
    except (BenchError, OSError) as exc:
        print(f"scripts/bench/market: {exc}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("scripts/bench/market: interrupted; what it started has ended", file=sys.stderr)
        return 130
    print(table.document(run), end="")
    return 0


def _read(path: Path) -> Run:
    try:
        return Run.from_json(path.read_text())
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise BenchError(f"{path} is not a file that --json wrote: {exc!r}") from exc


def _measured(wish: argparse.Namespace) -> Run:
    if not sys.platform.startswith("linux"):
        raise BenchError("this benchmark reads Linux's /proc: run it on Linux")
    profile = QUICK if wish.quick else FULL
    return measure(replace(profile, rounds=wish.rounds or profile.rounds), _say)


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)
