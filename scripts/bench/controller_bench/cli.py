"""The command line of scripts/bench/controller."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

from relay_bench import documentation
from relay_bench.cpu import choose_pins, on_cpus
from relay_bench.errors import BenchError
from relay_bench.run import machine
from relay_bench.table import markdown

from .measures import MEASURES
from .program import Site
from .shapes import QUICK, Profile, Table

PROGRAM = "scripts/bench/controller"
ABOUT = """\
Measures what the controller takes in and answers on one core, and how long its loop takes, beside
the machine's own limits. Needs: apt-get install wrk. Load goes to 127.0.0.1 only."""


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(prog=PROGRAM, description=ABOUT)
    p.add_argument("--quick", action="store_true", help="short loads, about five minutes")
    p.add_argument(
        "--only", type=_names, default=tuple(MEASURES), metavar="NAMES",
        help=f"measures, joined by commas, of: {', '.join(MEASURES)}",
    )  # fmt: skip
    p.add_argument("--json", type=Path, metavar="FILE", help="write what was measured to FILE")
    p.add_argument(
        "--write", type=Path, metavar="FILE", help="replace the tables in the document FILE"
    )
    return p


def _names(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if unknown := set(names) - set(MEASURES):
        known = ", ".join(MEASURES)
        raise argparse.ArgumentTypeError(f"no measure {sorted(unknown)[0]!r}; there are {known}")
    return names


def main(arguments: Sequence[str]) -> int:
    """0: measured, all targets met; 1: one was missed, or it could not be measured."""
    wish = parser().parse_args(arguments)
    try:
        text, tables = _measured(wish.only, QUICK if wish.quick else Profile())
        if wish.json:
            wish.json.write_text(json.dumps([asdict(each) for each in tables], indent=1) + "\n")
        if wish.write:
            documentation.write(wish.write, text, PROGRAM)
    except (BenchError, OSError) as exc:
        print(f"{PROGRAM}: {exc}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"{PROGRAM}: interrupted; what it started has ended", file=sys.stderr)
        return 130
    return 0 if all(each.met for table in tables for each in table.targets) else 1


def _measured(names: Sequence[str], profile: Profile) -> tuple[str, list[Table]]:
    """What was printed of the measures, and their tables."""
    if not sys.platform.startswith("linux"):
        raise BenchError("this benchmark reads Linux's /proc: run it on Linux")
    wrk = shutil.which("wrk")
    if not wrk:
        raise BenchError("wrk is missing, and it makes the load: apt-get install wrk")
    pins = choose_pins(os.sched_getaffinity(0))
    with ExitStack() as stack:
        folder = stack.enter_context(TemporaryDirectory(prefix="controller-bench-"))
        stack.enter_context(on_cpus(pins.load))
        site = Site(Path(folder), wrk, pins)
        parts: list[str] = []

        def show(part: str) -> None:
            parts.append(part)
            print(part, flush=True)

        began = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
        facts = "; ".join(f"{name}: {value}" for name, value in machine(pins).items())
        show(f"Run of {began}, profile {profile.name}. {facts}.\n")
        tables = []
        for name in names:
            tables.append(MEASURES[name](site, profile, _say))
            show(f"{tables[-1].title}\n\n{markdown(tables[-1].header, tables[-1].rows)}\n")
        show(_targets(tables))
        return "\n".join(parts), tables


def _targets(tables: Sequence[Table]) -> str:
    targets = [each for table in tables for each in table.targets]
    rows = [(each.what, each.measured, "met" if each.met else "missed") for each in targets]
    return f"Targets:\n\n{markdown(('target', 'measured', 'met or missed'), rows)}\n"


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)
