"""One run: rounds of steps, each of candidates A B C, so that a slow moment touches all of them."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from . import table
from .autoscaler import autoscaler
from .candidates import INSTALL, Candidate, Site, nginx_path
from .cpu import Pins, choose_pins, on_cpus
from .distance import Gauge, look_with
from .envelope import Signer
from .errors import BenchError, CandidateFailed
from .load import Tools
from .official import official_python
from .plan import Profile
from .processes import first_line, free_port, run_bounded, started
from .results import Run, Visit
from .visit import Stage, Subject, opened, steps

BENCH = Path(__file__).parent.parent
SHOWN_PACKAGES = ("gunicorn", "uvloop", "flask", "requests")


@dataclass(frozen=True)
class Wish:
    """What the caller asked for. ``logs``: a folder to keep the run's files in."""

    profile: Profile
    candidates: Sequence[Candidate]
    official: str = "auto"
    logs: Path | None = None


def measure(wish: Wish, say: Callable[[str], None]) -> Run:
    """Do the run; BenchError where it cannot start. ``say`` gets a line for each thing done."""
    pins = choose_pins(os.sched_getaffinity(0))
    with ExitStack() as stack:
        folder = stack.enter_context(_folder(wish.logs))
        stack.enter_context(on_cpus(pins.load))
        signer = Signer.new()
        wrk, built = _wrk(), _built(folder)
        gauge = Gauge(look_with(built / "distance", pins), wish.profile.patience_s)
        stage = Stage(wish.profile, pins, Tools(wrk, str(built / "lg")), signer, gauge)
        pythons = _Pythons(wish.official, folder, say)
        addresses = (
            stack.enter_context(_model_server(folder)),
            stack.enter_context(autoscaler(signer.public_pem)),
        )
        began = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
        rounds = _Rounds(wish, stage, _Sites(folder, addresses, pythons), say)
        return Run(wish.profile.name, began, machine(pins), rounds.all(), rounds.failures)


class _Rounds:
    """Goes round the candidates; one that fails is left out from then on."""

    def __init__(self, wish: Wish, stage: Stage, sites: _Sites, say: Callable[[str], None]) -> None:
        self._wish, self._stage, self._sites, self._say = wish, stage, sites, say
        self.failures: dict[str, str] = {}

    def all(self) -> tuple[dict[str, Visit], ...]:
        return tuple(self._round(number) for number in range(1, self._wish.profile.rounds + 1))

    def _round(self, number: int) -> dict[str, Visit]:
        """Every step of every candidate; they all run until the round is over."""
        within = f"round {number}/{self._wish.profile.rounds}"
        subjects: dict[str, Subject] = {}
        with ExitStack() as stack:
            for candidate in self._wish.candidates:
                if candidate.name not in self.failures:
                    site = self._sites.new(candidate, number)
                    with self._blamed(within, candidate.name):
                        subject = stack.enter_context(opened(candidate, site, self._stage))
                        subjects[candidate.name] = subject
            for step in steps(self._stage.profile):
                self._say(f"{within}: {step.name}")
                for name, subject in subjects.items():
                    if name not in self.failures:
                        with self._blamed(within, name):
                            step.measure(subject)
        seen = {name: s.visit for name, s in subjects.items() if name not in self.failures}
        for name, visit in seen.items():
            self._say(f"{within} {name}: {table.visit_sentence(visit)}")
        return seen

    @contextmanager
    def _blamed(self, within: str, name: str) -> Iterator[None]:
        try:
            yield
        except CandidateFailed as exc:
            self.failures[name] = str(exc)
            self._say(f"{within} {name}: {exc}")


class _Pythons:
    """Finds the official worker's Python when it is first needed."""

    def __init__(self, choice: str, folder: Path, say: Callable[[str], None]) -> None:
        self._choice, self._folder, self._say = choice, folder, say
        self._found = ""

    def official(self) -> str:
        self._found = self._found or official_python(self._choice, self._folder, self._say)
        return self._found


class _Sites:
    """A new folder and port for each visit."""

    def __init__(self, folder: Path, addresses: tuple[str, str], pythons: _Pythons) -> None:
        self._folder, self._pythons = folder, pythons
        self._model_server, self._autoscaler = addresses

    def new(self, candidate: Candidate, number: int) -> Site:
        folder = self._folder / f"{number}-{candidate.name}"
        folder.mkdir()
        direct = candidate.program is None
        return Site(
            folder=folder,
            port=int(self._model_server.rsplit(":", 1)[1]) if direct else free_port(),
            model_server=self._model_server,
            autoscaler=self._autoscaler,
            official_python=self._pythons.official() if candidate.name == "official" else "",
        )


@contextmanager
def _folder(logs: Path | None) -> Iterator[Path]:
    if logs is None:
        with TemporaryDirectory(prefix="relay-bench-", ignore_cleanup_errors=True) as name:
            yield Path(name)
        return
    if logs.exists() and any(logs.iterdir()):
        raise BenchError(f"{logs} is not empty: name a new folder for the logs")
    logs.mkdir(parents=True, exist_ok=True)
    yield logs.resolve()


def _wrk() -> str:
    found = shutil.which("wrk")
    if not found:
        raise BenchError(f"wrk is missing, and it makes the unary load: {INSTALL}")
    return found


def _built(folder: Path) -> Path:
    run_bounded([str(BENCH / "build"), str(folder / "bin")], timeout_s=120)
    return folder / "bin"


@contextmanager
def _model_server(folder: Path) -> Iterator[str]:
    log = folder / "stub.log"
    with started([str(folder / "bin" / "stub"), "0"], cwd=folder, log=log) as process:
        yield f"http://127.0.0.1:{first_line(process, log).split()[1]}"


def machine(pins: Pins) -> Mapping[str, str]:
    """What the figures depend on, for the reader."""
    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    facts = {
        "cpu": f"{cpu[1] if cpu else platform.machine()}, {os.cpu_count()} CPUs",
        "pinned": "candidate on one CPU, load and model server on another"
        if pins.candidate
        else "no: there is one CPU for all",
        "kernel": platform.release(),
        "python": platform.python_version(),
    }
    return {**facts, **_versions()}


def _versions() -> dict[str, str]:
    found = {}
    for package in SHOWN_PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "absent"
    try:
        shown = run_bounded(["sh", "-c", 'exec "$0" -v 2>&1', nginx_path()], timeout_s=10)
        found["nginx"] = shown.strip().rsplit("/", 1)[-1]
    except BenchError:
        found["nginx"] = "absent"
    return found
