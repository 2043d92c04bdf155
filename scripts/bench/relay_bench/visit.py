"""One candidate in one round: started, seen to answer rightly, measured step by step, ended.

All candidates of a round run beside each other, and each step is measured of one after the other:
what is compared lies seconds apart, not minutes, and an idle candidate costs the others nothing.
"""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from . import envelope
from .candidates import Candidate, Site, running
from .cpu import Pins, on_cpus, spent, tree, tree_cpu, tree_memory_mb
from .distance import Gauge
from .errors import BenchError, CandidateFailed
from .load import UNARY_PATH, Tools
from .plan import LATENCY_AT, MEMORY_AT, Profile, StreamLoad
from .processes import tail
from .results import Streams, Unary, Visit

READY_S = 40.0
ANSWER_BYTES = 1024

Sample = TypeVar("Sample", Unary, Streams)


@dataclass(frozen=True)
class Stage:
    """What all visits of a run share."""

    profile: Profile
    pins: Pins
    tools: Tools
    signer: envelope.Signer
    gauge: Gauge


class Bodies:
    """Body templates for one site, as files."""

    def __init__(self, site: Site, signature: str) -> None:
        self._site, self._signature = site, signature

    def template(self, **model_server: int) -> str:
        return envelope.body(self._site.url, self._signature, **model_server)

    def file(self, name: str, **model_server: int) -> Path:
        path = self._site.folder / f"{name}.json"
        path.write_text(self.template(**model_server))
        return path

    def streams(self, load: StreamLoad) -> Path:
        numbers = {"n_events": load.events, "interval_us": load.interval_us, "unique_head": 0}
        return self.file(f"streams-{load.streams}", **numbers)


@contextmanager
def opened(candidate: Candidate, site: Site, stage: Stage) -> Iterator[Subject]:
    """Start ``candidate`` and warm it up; CandidateFailed where it does not do its work."""
    bodies = Bodies(site, stage.signer.sign(site.url))
    with ExitStack() as stack:
        with on_cpus(stage.pins.candidate):
            pid = stack.enter_context(running(candidate, site))
        wait_until_right(site, pid, envelope.filled(bodies.template(unique_head=0), 1))
        if candidate.signed:
            expect_refusal(site, stage.signer)
        subject = Subject(candidate, site, stage, bodies, pid)
        subject.warm_up()
        yield subject


@dataclass(frozen=True)
class Step:
    """One thing that is measured of each candidate before the next thing is."""

    name: str
    measure: Callable[[Subject], None]


def steps(profile: Profile) -> list[Step]:
    """What is measured of each candidate, in this order.

    Streams first: what unary requests leave behind, reports of how each ended, is sent in the
    seconds after them, and would be counted as the cost of events.
    """
    return [
        *(
            Step(f"{load.streams:,} streams", partial(Subject.measure_streams, load=load))
            for load in profile.loads
        ),
        Step("unary requests", Subject.measure_unary),
        Step("unary requests, every head different", Subject.measure_varied),
    ]


@dataclass
class Subject:
    """A candidate that runs and answers rightly. Each ``measure_*`` raises CandidateFailed where
    the load cannot run, and is nothing where it is not for this candidate."""

    candidate: Candidate
    site: Site
    stage: Stage
    bodies: Bodies
    pid: int | None
    _unary: Unary | None = None
    _varied: Unary | None = None
    _streams: dict[str, Streams] = field(default_factory=dict)

    @property
    def visit(self) -> Visit:
        """What has been measured of it."""
        return Visit(self._unary, self._varied, dict(self._streams))

    def warm_up(self) -> None:
        with self._blamed():
            self.stage.tools.warm_up(self.site.port, self.bodies.file("warm", unique_head=0))

    def measure_unary(self) -> None:
        body = self.bodies.file("unary", unique_head=0)
        self._unary = self._measured(partial(self._load_unary, body, varied=False))

    def measure_varied(self) -> None:
        if self.candidate.varied:
            body = self.bodies.file("varied", unique_head=1)
            self._varied = self._measured(partial(self._load_unary, body, varied=True))

    def measure_streams(self, load: StreamLoad) -> None:
        # the model server alone is only needed for what the others add to its first byte
        if self.pid is not None or load.streams == LATENCY_AT:
            self._streams[str(load.streams)] = self._measured(partial(self._load_streams, load))

    def _load_unary(self, body: Path, *, varied: bool) -> Unary:
        time.sleep(self.stage.profile.settle_s)
        seconds = self.stage.profile.unary_s
        return self.stage.tools.unary(self.site.port, body, seconds, varied=varied)

    def _load_streams(self, load: StreamLoad) -> Streams:
        time.sleep(self.stage.profile.settle_s)
        pid, body = self.pid, self.bodies.streams(load)
        memory = partial(tree_memory_mb, pid) if pid and load.streams == MEMORY_AT else _no_memory
        pids = tree(pid) if pid else []
        return self.stage.tools.streams(self.site.port, body, load, pids, memory)

    def _measured(self, measure: Callable[[], Sample]) -> Sample:
        pid = self.pid
        with self._blamed():
            if pid is None:
                return measure()  # load and model server share a CPU
            return self.stage.gauge.measured(lambda: _with_cpu(pid, measure))

    @contextmanager
    def _blamed(self) -> Iterator[None]:
        """A load that cannot run fails this candidate, not the others."""
        try:
            yield
        except BenchError as exc:
            raise CandidateFailed(f"{exc}; its log ends: {tail(self.site.log)}") from exc


def _no_memory() -> float | None:
    return None


def _with_cpu(pid: int, measure: Callable[[], Sample]) -> Sample:
    before = tree_cpu(pid)
    sample = measure()
    return replace(sample, cpu_s=spent(before, tree_cpu(pid)))


def post(port: int, body: bytes) -> tuple[int, bytes]:
    """Status and body of one unary request."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("POST", UNARY_PATH, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def wait_until_right(site: Site, pid: int | None, body: bytes) -> None:
    """Wait until a good request gets the model server's answer."""
    deadline = time.monotonic() + READY_S
    said = "nothing answered"
    while time.monotonic() < deadline:
        if pid is not None and not tree(pid):
            raise CandidateFailed(f"it ended at start: {tail(site.log)}")
        try:
            status, answer = post(site.port, body)
        except (OSError, http.client.HTTPException) as exc:
            said = f"{type(exc).__name__}: {exc}"
        else:
            if status == 200 and len(answer) == ANSWER_BYTES:
                return
            said = f"status {status}, {answer[:200]!r}"
        time.sleep(0.05)
    raise CandidateFailed(f"no right answer in {READY_S:.0f} s ({said}): {tail(site.log)}")


def expect_refusal(site: Site, signer: envelope.Signer) -> None:
    """A grant with the signature of another worker's url must be refused with 401."""
    forged = envelope.body(site.url, signer.sign("http://127.0.0.1:1"), unique_head=0)
    status, _ = post(site.port, envelope.filled(forged, 2))
    if status != 401:
        raise CandidateFailed(
            f"it answered a forged grant with {status}, not 401: its signature check must be on"
        )
