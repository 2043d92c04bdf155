"""Looks directly at workers that the other two sources disagree about.

A probe is one GET of the worker's liveness route. Any HTTP answer counts: something there speaks
HTTP. It proves life, never readiness; nothing is told to what answers, so its certificate does not
matter. Where thousands are in doubt they are looked at a few at a time, each of them less and less
often, so that the calls to the provider find a free thread.
"""

from __future__ import annotations

import http.client
import ssl
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit
from zlib import crc32

from vast_pyworker.controller.executors import Executor
from vast_pyworker.model import Member, Stage

TIMEOUT_S = 5.0
PATH = "/livez"
AGAIN_S = 10.0  # after the first look at one; twice as long after each further one
LONGEST_S = 160.0
SPREAD = 0.5  # waits differ by up to this part, so that those who fell at once are not asked so
PER_TICK = 64
AT_ONCE = 4

_SUSPECT = Stage.SUSPECT  # as an attribute of an Enum it is slow to read


@dataclass(frozen=True)
class _Looked:
    count: int
    again_at: float


class Probing:
    """``look`` is for the loop's thread; the looks run on the executor. ``note`` hears from any
    thread what was found at the address of an intent's worker. ``mono`` never jumps."""

    def __init__(
        self,
        executor: Executor,
        probe: Callable[[str], bool],
        note: Callable[[str, bool], None],
        mono: Callable[[], float],
    ) -> None:
        self._executor = executor
        self._probe = probe
        self._note = note
        self._mono = mono
        self._looked: dict[str, _Looked] = {}
        self._waiting: deque[tuple[str, str]] = deque()

    def look(self, members: Iterable[Member]) -> None:
        """Have those in doubt looked at whose turn it is, those looked at least first."""
        doubted = [
            each
            for each in members
            if each.stage is _SUSPECT and each.report is not None and each.report.url
        ]
        ids = {each.intent.id for each in doubted}
        self._looked = {key: each for key, each in self._looked.items() if key in ids}
        room = PER_TICK - len(self._waiting)
        if not doubted or room <= 0:
            return
        queued, mono = {key for key, _ in self._waiting}, self._mono()
        due = [
            each
            for each in doubted
            if each.intent.id not in queued and mono >= self._turn(each.intent.id).again_at
        ]
        due.sort(key=lambda each: (self._turn(each.intent.id).count, each.since))
        for each in due[:room]:
            assert each.report is not None
            self._waiting.append((each.intent.id, each.report.url))
            self._note_turn(each.intent.id, mono)
        for lane in range(min(AT_ONCE, len(self._waiting))):
            self._executor.run(f"probe {lane}", self._work)

    def _turn(self, intent_id: str) -> _Looked:
        return self._looked.get(intent_id, _NEVER)

    def _note_turn(self, intent_id: str, mono: float) -> None:
        count = self._turn(intent_id).count
        wait_s = min(AGAIN_S * 2**count, LONGEST_S)
        wait_s *= 1.0 + SPREAD * (crc32(intent_id.encode()) % 1000) / 1000
        self._looked[intent_id] = _Looked(count + 1, mono + wait_s)

    def _work(self) -> None:
        while self._waiting:
            try:
                intent_id, url = self._waiting.popleft()  # a deque is safe between threads
            except IndexError:
                return
            self._note(intent_id, self._probe(url))


_NEVER = _Looked(0, float("-inf"))


def answers(url: str, timeout_s: float = TIMEOUT_S) -> bool:
    """Whether the worker at ``url`` answers HTTP within ``timeout_s`` for each step."""
    try:
        parts = urlsplit(url)
        connection = _connection(parts.scheme, parts.hostname or "", parts.port, timeout_s)
    except ValueError:
        return False
    try:
        connection.request("GET", PATH)
        connection.getresponse().close()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return True


def _connection(
    scheme: str, host: str, port: int | None, timeout_s: float
) -> http.client.HTTPConnection:
    if scheme != "https":
        return http.client.HTTPConnection(host, port, timeout=timeout_s)
    tls = ssl.create_default_context()
    tls.check_hostname = False
    tls.verify_mode = ssl.CERT_NONE
    return http.client.HTTPSConnection(host, port, timeout=timeout_s, context=tls)
