"""Vast's serverless JSON on one side, the model's values on the other.

What is here: reports and ends of requests, in today's shape and every older one, with all of the
wire's own spelling (``num_requests_recieved`` and its like live here and nowhere else). What is
not: sending (``worker.reports.reporter``), grants (``signature``).

A field that is absent, null or NaN is unknown: it is left at the model's default, and ``stated``
tells which fields a message really carried. Extra fields for our own controller are written only
where it announced, by the header ``X-Pyworker-Extended: 1`` on its answers, that it takes them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .errors import Invalid
from .model import Outcome, Report, RequestEnd, State

PROTOCOL_VERSION = "1.1.0"
REPORT_PATH = "/worker_status/"
ENDS_PATH = "/delete_requests/"
PUBKEY_PATH = "/pubkey/"
EXTENDED_HEADER = "X-Pyworker-Extended"

# An autoscaler of Vast's knows loading, loaded and errored. These are loaded to it.
ACCEPTING = frozenset((State.READY, State.BUSY))

ASSUMED_PERF = 100.0
"""Units of work per second that a worker without a benchmark says in the classic shape: one request
of the default worth each second. There, 0 reads as loading, and nothing would be routed to it."""

_STATUS = {
    Outcome.FINISHED: "Success",
    Outcome.FAILED: "Error",
    Outcome.CANCELLED: "Cancelled",
    Outcome.REJECTED: "Rejected",
}
_OUTCOME = {status: outcome for outcome, status in _STATUS.items()}
_FINISHED, _CANCELLED = Outcome.FINISHED, Outcome.CANCELLED  # an enum is slow at looking up


def encode_report(report: Report, extended: bool = False) -> dict[str, Any]:
    """The body of ``/worker_status/``.

    The classic shape has no word for a worker that is draining or degraded: such a worker, like
    any that takes no requests, says what a loading one says, ``loadtime`` and ``max_perf`` 0, so
    that nothing is routed to it. Extended, both keep their values and ``state`` says the rest; a
    ``max_perf`` of 0 is then a capacity that is not known.
    """
    takes_requests = extended or report.state is None or report.state in ACCEPTING
    is_unmeasured = not extended and report.state in ACCEPTING and report.max_perf == 0
    max_perf = ASSUMED_PERF if is_unmeasured else report.max_perf
    body: dict[str, Any] = {
        "id": report.worker_id,
        "mtoken": report.mtoken,
        "version": report.version,
        "loadtime": report.load_time_s if takes_requests else 0.0,
        "cur_load": report.cur_load,
        "rej_load": report.rejected_load_delta,
        "new_load": report.new_load_delta,
        "error_msg": report.error_msg,
        "max_perf": max_perf if takes_requests else 0.0,
        "cur_perf": report.served_load_delta,
        "cur_capacity": 0,
        "max_capacity": 0,
        "num_requests_working": report.requests_working,
        "num_requests_recieved": report.requests_received,
        "additional_disk_usage": report.additional_disk_gib,
        "disk_usage": report.disk_usage_gib,
        "working_request_idxs": list(report.working_request_idxs),
        "url": report.url,
    }
    if extended:
        body |= _extension(report)
    return {name: value for name, value in body.items() if value is not None}


def _extension(report: Report) -> dict[str, Any]:
    return {
        "state": None if report.state is None else report.state.value,
        "boot_id": report.boot_id,
        "seq": report.seq,
        "queue_depth": report.queue_depth,
        "queue_wait": report.queue_wait_s,
        "progress": report.progress,
        "gpus": None if report.gpus is None else list(report.gpus),
    }


def decode_report(data: Mapping[str, Any]) -> Report:
    """Read any report there ever was, from 2024's kinds of message to the extended shape.

    Only ``id`` is required; Invalid (422) where it is missing or a field cannot be what it is.
    ``cur_load`` was a rate before October 2025: the version tells (``""`` where there was none).
    """
    read = {attr: reader(name, data[name]) for name, (attr, reader) in _known(data).items()}
    if "worker_id" not in read:
        raise Invalid("A report needs the worker's id; send CONTAINER_ID as `id`.")
    if "state" not in read and (state := _state_of_2024(data)) is not None:
        read["state"] = state
    read.setdefault("version", "")
    return Report(**read)


def stated(data: Mapping[str, Any]) -> frozenset[str]:
    """The fields of ``Report`` that a message carries; what the others hold is not known."""
    fields = {attr for attr, _ in _known(data).values()}
    return frozenset(fields if _state_of_2024(data) is None else fields | {"state"})


def infer_state(report: Report) -> State:
    """What a report means: the state it names, else errored, loaded or loading by its numbers."""
    if report.state is not None:
        return report.state
    if report.error_msg:
        return State.ERROR
    return State.READY if report.load_time_s > 0 and report.max_perf > 0 else State.LOADING


@dataclass(frozen=True)
class Ends:
    """One ``/delete_requests/`` message: who sent it and what has ended."""

    worker_id: int
    mtoken: str
    ends: tuple[RequestEnd, ...]


def encode_ends(worker_id: int, mtoken: str, ends: tuple[RequestEnd, ...]) -> dict[str, Any]:
    """The body of ``/delete_requests/``, today's shape."""
    return {
        "worker_id": worker_id,
        "mtoken": mtoken,
        "requests": [
            {
                "request_idx": end.request_idx,
                "success": end.outcome is _FINISHED or end.outcome is _CANCELLED,
                "status": _STATUS[end.outcome],
                "entered_queue_at": end.entered_at,
                "work_started_at": end.started_at,
                "work_completed_at": end.completed_at,
            }
            for end in ends
        ],
    }


def decode_ends(data: Mapping[str, Any]) -> Ends:
    """Read both shapes of ``/delete_requests/``; Invalid (422) where it is neither."""
    if "requests" in data:
        ends = tuple(_end(row) for row in _read_list("requests", data["requests"]))
    else:
        outcome = Outcome.FAILED if data.get("success") is False else Outcome.FINISHED
        idxs = _read_list("request_idxs", data.get("request_idxs"))
        ends = tuple(RequestEnd(_integer("request_idxs", idx), outcome, 0.0) for idx in idxs)
    return Ends(
        _integer("worker_id", data.get("worker_id")),
        _text("mtoken", data.get("mtoken") or ""),
        ends,
    )


def _end(row: Any) -> RequestEnd:
    if not isinstance(row, Mapping):
        raise Invalid("Each of `requests` must be an object.")
    fallback = Outcome.FAILED if row.get("success") is False else Outcome.FINISHED
    times = (row.get(name) for name in ("entered_queue_at", "work_started_at", "work_completed_at"))
    entered_at, started_at, completed_at = (_number("requests", at or 0.0) for at in times)
    return RequestEnd(
        request_idx=_integer("request_idx", row.get("request_idx")),
        outcome=_OUTCOME.get(str(row.get("status")), fallback),
        entered_at=entered_at,
        started_at=started_at,
        completed_at=completed_at,
    )


def _known(data: Mapping[str, Any]) -> dict[str, tuple[str, _Reader]]:
    """The rows of the table that a message fills; null and numbers that are none fill nothing."""
    return {
        name: row
        for name, row in _FIELDS.items()
        if (value := data.get(name)) is not None
        and not (isinstance(value, float) and not math.isfinite(value))
    }


def _state_of_2024(data: Mapping[str, Any]) -> State | None:
    """What the kinds of message of 2024 say beyond their numbers."""
    if data.get("error") is True:
        return State.ERROR
    return State.LOADING if data.get("message") == "loading update" else None


def _wrong(name: str, what: str) -> Invalid:
    return Invalid(f"The field `{name}` must be {what}.", body={name: f"must be {what}"})


def _number(name: str, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise _wrong(name, "a number") from None
    if not math.isfinite(number):
        raise _wrong(name, "a finite number")
    return number


def _integer(name: str, value: Any) -> int:
    try:
        return int(value)  # 2024's log watch sent its id as text
    except (TypeError, ValueError, OverflowError):
        raise _wrong(name, "a whole number") from None


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise _wrong(name, "a text")
    return value


def _read_list(name: str, value: Any) -> list[Any]:
    if not isinstance(value, list | tuple):
        raise _wrong(name, "a list")
    return list(value)


def _state(name: str, value: Any) -> State:
    try:
        return State(value)
    except ValueError:
        raise _wrong(name, f"one of {', '.join(State)}") from None


def _objects(name: str, value: Any) -> tuple[dict[str, Any], ...]:
    return tuple(_object(name, item) for item in _read_list(name, value))


def _object(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise _wrong(name, "an object")
    return dict(value)


def _integers(name: str, value: Any) -> tuple[int, ...]:
    return tuple(_integer(name, item) for item in _read_list(name, value))


_Reader = Callable[[str, Any], Any]
_FIELDS: dict[str, tuple[str, _Reader]] = {
    "id": ("worker_id", _integer),
    "mtoken": ("mtoken", _text),
    "version": ("version", _text),
    "loadtime": ("load_time_s", _number),
    "cur_load": ("cur_load", _number),
    "rej_load": ("rejected_load_delta", _number),
    "new_load": ("new_load_delta", _number),
    "error_msg": ("error_msg", _text),
    "max_perf": ("max_perf", _number),
    "cur_perf": ("served_load_delta", _number),
    "num_requests_working": ("requests_working", _integer),
    "num_requests_recieved": ("requests_received", _integer),
    "additional_disk_usage": ("additional_disk_gib", _number),
    "disk_usage": ("disk_usage_gib", _number),
    "working_request_idxs": ("working_request_idxs", _integers),
    "url": ("url", _text),
    "state": ("state", _state),
    "boot_id": ("boot_id", _text),
    "seq": ("seq", _integer),
    "queue_depth": ("queue_depth", _integer),
    "queue_wait": ("queue_wait_s", _number),
    "progress": ("progress", _object),
    "gpus": ("gpus", _objects),
}
