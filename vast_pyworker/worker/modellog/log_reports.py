"""The ``/report_*`` messages of a log watch that is another process, in both directions.

Since 2024 a log watch tells the worker what it saw by posting to the worker's own server. Here a
match becomes such a message, and such a message, whoever sent it, becomes a match again. What is
not here: HTTP on the worker's side (``built_in``), and what follows (``lifecycle``).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from .patterns import LOG_ERROR, Match, shown

log = logging.getLogger(__name__)

MEASURING = "measuring"
"""The action of a message that says: loaded, and the log watch itself measures it now."""

REPEAT_INTERVAL_S = 1.0

Message = tuple[str, dict[str, Any]]  # path and JSON object, without the token
Post = Callable[[str, Mapping[str, Any]], int]  # path, JSON object; the status, 0 for no answer


def message_of(match: Match) -> Message | None:
    """What to post for ``match``; None: it concerns nobody."""
    fields = dict(match.fields)
    if match.action in ("loading", "progress"):
        return "/report_loading", {"message": match.reason, "progress": fields}
    if match.action == "loaded":
        load_time = {"loadtime": fields["load_time"]} if "load_time" in fields else {}
        return "/report_loaded", {"loaded": True, **load_time}
    if match.action == "error":
        return "/report_error", {"error_msg": match.reason}
    if match.action == "capacity" and "capacity" in fields:
        return "/report_capacity", {"max_capacity": fields["capacity"]}
    return None


def match_of(kind: str, body: Mapping[str, Any]) -> Match | None:
    """What the message ``/report_KIND`` with this body means; None: nothing for readiness.

    ``loaded`` with ``cur_perf`` but neither ``max_perf`` nor ``measured`` is the first of the two
    that a 2024 log watch posts: it measures in between.
    """
    read = _READERS.get(kind)
    return read(body) if read else None


def _loading(body: Mapping[str, Any]) -> Match:
    told = body.get("progress")
    fields = _numbers(told, told) if isinstance(told, Mapping) else {}
    reason = shown(str(body.get("message") or "the log watch says that the model is loading"))
    return Match("progress" if fields else "loading", reason, fields)


def _loaded(body: Mapping[str, Any]) -> Match:
    fields = _numbers(body, ("max_perf", "loadtime"))
    if "loadtime" in fields:
        fields["load_time"] = fields.pop("loadtime")
    is_first_of_two = "cur_perf" in body and not body.get("measured") and "max_perf" not in fields
    action = MEASURING if is_first_of_two else "loaded"
    return Match(action, "the log watch says that the model has loaded", fields)


def _error(body: Mapping[str, Any]) -> Match:
    """What a log watch says of an error is most often a line of the log, so it is quoted."""
    told = str(body.get("error_msg") or "").removeprefix(LOG_ERROR)
    return Match("error", f"{LOG_ERROR}{shown(told)}" if told else "the log watch reports an error")


def _capacity(body: Mapping[str, Any]) -> Match | None:
    told = _numbers(body, ("max_capacity", "max_batch_tokens"))
    amount = told.get("max_capacity", told.get("max_batch_tokens"))
    return None if amount is None else Match("capacity", fields={"capacity": amount})


_READERS: Mapping[str, Callable[[Mapping[str, Any]], Match | None]] = {
    "loading": _loading,
    "loaded": _loaded,
    "error": _error,
    "capacity": _capacity,
}


def _numbers(body: Mapping[str, Any], names: Any) -> dict[str, float]:
    """Those of ``names`` that are numbers of 0 or more in ``body``."""
    found = {str(name): body.get(name) for name in names}
    return {
        name: float(value)
        for name, value in found.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e18
    }


class LogReporter:
    """Posts matches to the worker: of many alike in a row, one a second. ``now`` is in seconds."""

    def __init__(self, post: Post, master_token: str) -> None:
        self._post = post
        self._token = master_token
        self._last = ("", 0.0)  # action and time of what was posted last

    def tell(self, match: Match, now: float) -> bool:
        """Whether the worker has taken it, or need not be told."""
        message = message_of(match)
        action, at = self._last
        if message is None or (match.action == action and now - at < REPEAT_INTERVAL_S):
            return True
        self._last = (match.action, now)
        path, body = message
        status = self._post(path, {**body, "mtoken": self._token})
        if 200 <= status < 300:
            return True
        log.warning("The worker did not take %s (%s); is it up?", path, status or "no answer")
        return False
