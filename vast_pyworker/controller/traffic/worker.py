"""One published worker as the router sees it: what it said, and what was sent to it since.

For the loop's thread. Other threads read ``heard``, which is replaced whole and never changed, and
single numbers.
"""

from __future__ import annotations

import itertools
import re

from vast_pyworker.signature import Form, form_of

from .heard import Heard
from .places import Place
from .requests import COST, Request

UNSEEN_S = 5.0
"""A client that was sent to a worker and is not there after so long has not gone."""

PERF_UNKNOWN = 1.0
_URL = re.compile(r"https?://[!-~]{1,1000}\Z")


class Worker:
    """``load`` is the work it said it holds, ``unseen`` what was sent to it and is not in that yet.

    ``turn`` changes whenever its place in the order of workers does. ``room`` is the work that fits
    in before it is full, 0.0 where nothing may be sent to it; ``is_open`` whether it is not full.
    ``granted_at`` is when a client was last sent here, 0.0 for never.
    """

    __slots__ = (
        "_credit",
        "_reqnums",
        "form",
        "granted_at",
        "heard",
        "id",
        "is_open",
        "load",
        "place",
        "room",
        "signature",
        "state_shown",
        "token",
        "turn",
        "unseen",
        "unseen_work",
        "url",
        "wait_s",
    )

    def __init__(self, worker_id: int, place: Place, first_reqnum: int) -> None:
        self.id = worker_id
        self.place = place
        self.token = place.mtoken.encode()
        self.heard: Heard | None = None
        self.load = 0.0
        self.granted_at = 0.0
        self.unseen: dict[int, Request] = {}
        self.unseen_work = 0.0
        self._credit = 0.0
        self._reqnums = itertools.count(first_reqnum)
        self.url = ""
        self.form: Form = "url"
        self.signature: str | None = None
        self.turn = 0
        self.wait_s = 0.0
        self.room = 0.0
        self.is_open = False
        self.state_shown = ""

    @property
    def accepts(self) -> bool:
        """Whether a client may be sent to it now: by its place and by its own word."""
        return self.place.accepts and self.url != "" and self.heard is not None and self.heard.ready

    @property
    def perf(self) -> float:
        known = self.heard.perf if self.heard else None
        return PERF_UNKNOWN if known is None else known

    @property
    def held(self) -> float:
        """Units of work that it holds, or will in a moment."""
        return self.load + self.unseen_work

    def next_reqnum(self) -> int:
        """Rises by one with each grant of this worker's, which old forms tell replays by."""
        return next(self._reqnums)

    def send(self, request: Request, mono: float) -> None:
        """A client is told to come here with the request."""
        request.worker_id = self.id
        request.granted_at = self.granted_at = mono
        self.unseen[request.idx] = request
        self.unseen_work += request.cost
        self._credit += request.cost

    def since_grant(self, mono: float) -> float | None:
        """How long ago a client was last told to come here; None: never."""
        return max(mono - self.granted_at, 0.0) if self.granted_at else None

    def release(self, idx: int) -> None:
        """The request is waited for no longer: it has come, or never will."""
        request = self.unseen.pop(idx, None)
        if request is not None:
            self.unseen_work = self.unseen_work - request.cost if self.unseen else 0.0

    def hear(self, heard: Heard, mono: float) -> float:
        """Take what it said; the work it received that was not sent by us."""
        is_first = self.heard is None  # and tells of a time of which we do not know how long
        self.heard = heard
        self._take_address(heard)
        self.load = self._load_of(heard)
        if self.unseen:
            self._settle(heard.report.working_request_idxs, mono)
        uninvited = self._uninvited(heard.report.new_load_delta)
        return 0.0 if is_first else uninvited

    def _take_address(self, heard: Heard) -> None:
        url, form = heard.report.url, form_of(heard.report.version)
        if url != self.url or form != self.form:
            self.url = url if _URL.match(url) else ""
            self.form = form
            self.signature = None

    def _load_of(self, heard: Heard) -> float:
        """Workers that say no load in units are taken to hold the usual cost for each request."""
        return heard.load if heard.load is not None else COST * (heard.in_flight or 0)

    def _settle(self, idxs: tuple[int, ...], mono: float) -> None:
        """What the worker works on is in its load now; what is long not there never came, or has
        ended already."""
        for idx in self.unseen.keys() & idxs:
            self.release(idx)
        for idx, request in tuple(self.unseen.items()):
            if mono - request.granted_at <= UNSEEN_S:
                break
            self.release(idx)

    def _uninvited(self, new_load: float) -> float:
        """What came without us: more than was sent here and not yet said to have come."""
        credit = self._credit
        self._credit = max(credit - new_load, 0.0) if self.unseen else 0.0
        return max(new_load - credit, 0.0)
