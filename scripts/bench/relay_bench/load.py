"""The load: wrk for unary requests, lg for streams, and reading what they print."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from .candidates import INSTALL
from .errors import BenchError, CandidateFailed
from .plan import CONNECTIONS, WARM_UP_ANSWERS, StreamLoad
from .processes import run_bounded
from .results import Streams, Unary

UNARY_PATH, STREAM_PATH = "/generate", "/generate_stream"
SCRIPT = Path(__file__).parent.parent / "src" / "unary.lua"
MARK = "RESULT "


@dataclass(frozen=True)
class Tools:
    """Where the load generators are."""

    wrk: str
    lg: str

    def unary(self, port: int, body: Path, seconds: int, *, varied: bool = False) -> Unary:
        """Load for whole ``seconds`` with the body template in the file ``body``."""
        command = [self.wrk, "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--timeout", "10s"]
        command += ["-s", str(SCRIPT), f"http://127.0.0.1:{port}{UNARY_PATH}"]
        command += ["--", str(body), "varied" if varied else "plain"]
        return parse_unary(run_bounded(command, timeout_s=seconds + 30))

    def warm_up(self, port: int, body: Path) -> None:
        """A fixed number of unary requests, so that every candidate has run its code."""
        load = StreamLoad(CONNECTIONS, 0, 0, 0)
        command = self._lg(port, UNARY_PATH, body, load, WARM_UP_ANSWERS, 10.0)
        run_bounded(command, timeout_s=20)

    def streams(
        self,
        port: int,
        body: Path,
        load: StreamLoad,
        pids: Sequence[int],
        while_open: Callable[[], float | None],
    ) -> Streams:
        """Load with streams, which also reads the CPU time of ``pids``; ``while_open`` is called
        once, when all of them are open, and gives the candidate's memory."""
        command = self._lg(port, STREAM_PATH, body, load, 1, load.timeout_s)
        if pids:
            command += map(str, (*load.window_s, *pids))
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                memory_mb = _at(process, load.all_open_s, while_open)
                output, _ = process.communicate(timeout=load.timeout_s + 20)
            except subprocess.TimeoutExpired as exc:
                raise BenchError(f"lg did not end in {load.timeout_s + 20:.0f} s") from exc
            finally:
                process.kill()
        return replace(parse_streams(output), memory_mb=memory_mb)

    def _lg(
        self, port: int, path: str, body: Path, load: StreamLoad, loops: int, timeout_s: float
    ) -> list[str]:
        numbers = (load.streams, load.ramp_ms, loops, timeout_s, load.events)
        return [self.lg, str(port), path, str(body), *map(str, numbers)]


def _at(
    process: subprocess.Popen[str], seconds: float, call: Callable[[], float | None]
) -> float | None:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return call()
    return None  # the load ended before all streams were open: there was nothing to look at


def parse_unary(text: str) -> Unary:
    """The line that the lua script prints at the end."""
    for line in text.splitlines():
        if line.startswith(MARK):
            return Unary(**json.loads(line.removeprefix(MARK)))
    raise BenchError(f"wrk printed no result; is it wrk 4.1 or newer? {INSTALL}")


def parse_streams(text: str) -> Streams:
    """The line of JSON that lg prints."""
    raw = json.loads(text)
    if not raw["events"]:
        raise CandidateFailed(
            f"no event of {raw['streams']} streams came through: {raw['refused']} refused (status "
            f"{raw['refused_status']}), {raw['broken']} broken, {raw['unfinished']} unfinished"
        )
    return Streams(
        streams=raw["streams"],
        done=raw["done"],
        failed=raw["short"] + raw["refused"] + raw["broken"],
        unfinished=raw["unfinished"],
        events=raw["events"],
        seconds=raw["seconds"],
        ttfb_p50_us=raw["ttfb_us"]["p50"],
        ttfb_p99_us=raw["ttfb_us"]["p99"],
        event_p99_us=raw["event_us"]["p99"],
        window_events=raw.get("window_events"),
        window_cpu_s=raw.get("window_cpu_s"),
    )
