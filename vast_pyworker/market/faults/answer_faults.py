"""Does to a call or to its answer what the fault book draws: all that goes wrong on the wire.

The world's faults are not here. A fault before the call leaves the world as it was; one after it
happens to the answer of a call that was done.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from flask import Response

from vast_pyworker.market.calls import shapes
from vast_pyworker.market.calls.limits import too_many

from .book import Fault, FaultBook
from .cut_connection import CutConnection
from .row_faults import LIST_CALLS, Again, Question, RowFaults

HTML = "text/html"
_GATEWAY = "<html><head><title>{0}</title></head><body><center><h1>{0}</h1></center></body></html>"
_TITLES = {502: "502 Bad Gateway", 503: "503 Service Unavailable", 504: "504 Gateway Time-out"}


class AnswerFaults:
    """Carries calls out with the faults of ``book``; ``sleep`` is where latency is spent.

    ``wall`` is real epoch seconds, for headers.
    """

    def __init__(
        self,
        book: FaultBook,
        rows: RowFaults,
        *,
        sleep: Callable[[float], None],
        wall: Callable[[], float],
    ) -> None:
        self._book = book
        self._rows = rows
        self._sleep = sleep
        self._wall = wall

    def through(self, asked: Question, act: Again) -> Response:
        """The answer to one call, which ``act`` does."""
        drawn = {fault.kind: fault for fault in self._book.draw(asked.call)}
        if (late := drawn.get("latency")) is not None:
            self._sleep(late.params["seconds"])
        instead = self._instead(drawn)
        if instead is not None:
            return instead
        response = act()
        if "duplicate" in drawn and asked.call not in LIST_CALLS:
            act()
        response = self._rows.through(drawn, asked, response, act)
        return _after(drawn, response)

    def _instead(self, drawn: Mapping[str, Fault]) -> Response | None:
        """What is answered in place of a call that is not done."""
        if (fault := drawn.get("too_many")) is not None:
            return self._too_many(fault.params)
        if (fault := drawn.get("error_before")) is not None:
            return server_trouble(int(fault.params["status"]))
        if "reset_before" in drawn:
            return CutConnection()
        if (fault := drawn.get("refused_200")) is not None:
            said = {"error": fault.params["error"], "msg": fault.params["msg"]}
            return shapes.answer({"success": False, **said})
        return None

    def _too_many(self, params: Mapping[str, Any]) -> Response:
        threshold, wait = params["threshold_s"], params["retry_after_s"]
        told = too_many(
            params["form"], threshold, threshold if wait is None else wait, self._wall()
        )
        headers = dict(told.headers)
        if wait is not None:
            headers["Retry-After"] = f"{wait:g}"
        if isinstance(told.body, str):
            return shapes.text(told.body, 429, headers)
        return shapes.answer(told.body, 429, headers)


def _after(drawn: Mapping[str, Fault], response: Response) -> Response:
    """What becomes of the answer of a call that was done."""
    if "reset_after" in drawn:
        return CutConnection()
    if (fault := drawn.get("error_after")) is not None:
        return server_trouble(int(fault.params["status"]))
    if (fault := drawn.get("truncated")) is not None:
        data = response.get_data()
        kept = data[: min(int(len(data) * fault.params["keep"]), max(len(data) - 1, 0))]
        return Response(kept, response.status_code, content_type=response.content_type)
    if "not_json" in drawn:
        page = _GATEWAY.format("Just a moment...")
        return Response(page, 200, content_type=HTML)
    return response


def server_trouble(status: int) -> Response:
    """A 5xx as it comes: the gateways' as HTML, the service's own as text."""
    title = _TITLES.get(status)
    if title is not None:
        return Response(_GATEWAY.format(title), status, content_type=HTML)
    return shapes.text(f"{status} Internal Server Error\n\nServer got itself in trouble", status)
