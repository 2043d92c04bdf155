"""One candidate in one round: start it, see that it answers rightly, measure it, end it."""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from . import envelope
from .candidates import Candidate, Site, running
from .cpu import Pins, on_cpus, spent, tree, tree_cpu, tree_pss_mb
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


def visit(candidate: Candidate, site: Site, stage: Stage) -> Visit:
    """Measure ``candidate`` once; CandidateFailed where it does not do its work."""
    bodies = Bodies(site, stage.signer.sign(site.url))
    with ExitStack() as stack:
        with on_cpus(stage.pins.candidate):
            pid = stack.enter_context(running(candidate, site))
        wait_until_right(site, pid, envelope.filled(bodies.template(unique_head=0), 1))
        if candidate.signed:
            expect_refusal(site, stage.signer)
        try:
            return _measure(candidate, site, stage, bodies, pid)
        except BenchError as exc:  # a load that cannot run fails this candidate, not the others
            raise CandidateFailed(f"{exc}; its log ends: {tail(site.log)}") from exc


def _measure(
    candidate: Candidate, site: Site, stage: Stage, bodies: Bodies, pid: int | None
) -> Visit:
    profile, tools = stage.profile, stage.tools
    plain, varied = bodies.file("unary", unique_head=0), bodies.file("varied", unique_head=1)

    def unary(body: Path) -> Unary:
        time.sleep(profile.settle_s)
        return tools.unary(site.port, body, profile.unary_s, varied=body is varied)

    def streams(load: StreamLoad) -> Streams:
        time.sleep(profile.settle_s)
        pids = tree(pid) if pid else []
        memory = partial(tree_pss_mb, pid) if pid and load.streams == MEMORY_AT else _no_memory
        return tools.streams(site.port, bodies.streams(load), load, pids, memory)

    def measured(measure: Callable[[], Sample]) -> Sample:
        if pid is None:
            return measure()  # load and model server share a CPU
        return stage.gauge.measured(lambda: _with_cpu(pid, measure))

    tools.warm_up(site.port, plain)
    # the model server alone is only needed for what the others add to its first byte
    loads = [load for load in profile.loads if pid or load.streams == LATENCY_AT]
    return Visit(
        unary=measured(lambda: unary(plain)),
        varied=measured(lambda: unary(varied)) if candidate.varied else None,
        streams={str(load.streams): measured(partial(streams, load)) for load in loads},
    )


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
