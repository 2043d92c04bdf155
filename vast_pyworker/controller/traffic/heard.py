"""One worker's reports put together: what it says of itself by now. Pure.

Here is what a report means beside the ones before it: which are late, which begin a new process,
which say only a part. What is not: whose word is trusted (``workers``), what follows from it.

A report that says a part (the kinds of 2024, the error of a start script) is laid over what was
said before, so an error said once stays until the same process says otherwise, or another begins.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from vast_pyworker.model import Report, State
from vast_pyworker.signature import form_of
from vast_pyworker.wire import ACCEPTING, infer_state

BOOTS_REMEMBERED = 4
ERROR_LENGTH = 2000

_DELTAS = frozenset(("new_load_delta", "rejected_load_delta", "served_load_delta"))
_LASTING = frozenset(
    (
        "load_time_s",
        "max_perf",
        "cur_load",
        "error_msg",
        "requests_working",
        "requests_received",
        "url",
        "disk_usage_gib",
    )
)
_WHOLE = _LASTING - {"disk_usage_gib"} | _DELTAS | {"working_request_idxs", "version"}


class Heard(NamedTuple):
    """What is known of one worker. ``received_at`` is Unix seconds, ``received_mono`` monotonic.

    ``perf`` is in units of work a second, ``load`` in units; None is unknown. ``lost`` counts
    reports that never came, ``processes`` how often it began anew. ``known`` are the fields of
    ``report`` that this process has said. ``loaded_at`` is 0.0 before it was ready.
    """

    report: Report
    received_at: float
    received_mono: float
    state: State
    error: str
    perf: float | None
    load: float | None
    in_flight: int | None
    known: frozenset[str]
    started_at: float
    loaded_at: float
    load_average: float
    boot_id: str | None = None
    seq: int | None = None
    earlier_boots: tuple[str, ...] = ()
    lost: int = 0
    processes: int = 1

    @property
    def ready(self) -> bool:
        return self.state in ACCEPTING


def hear(
    before: Heard | None, report: Report, stated: frozenset[str], now: float, mono: float
) -> Heard | None:
    """What is known after ``report``; None where it is older than what is known already."""
    if before is not None and _is_late(before, report):
        return None
    again = before is not None and _is_restart(before, report, stated)
    same = None if again else before
    if not stated >= _WHOLE:
        report = _laid_over(same.report if same else None, report, stated)
    known = stated if same is None or stated >= same.known else same.known | stated
    state = state_of(report)
    load = None if "cur_load" not in known or _load_is_rate(report, known) else report.cur_load
    held = max(load or 0.0, 0.0)
    loaded_at = same.loaded_at if same else 0.0
    return Heard(
        report=report,
        received_at=now,
        received_mono=mono,
        state=state,
        error=_error_of(report, state),
        perf=report.max_perf if report.max_perf > 0 else None,
        load=None if load is None else held,
        in_flight=max(report.requests_working, 0) if "requests_working" in known else None,
        known=known,
        started_at=same.started_at if same else now,
        loaded_at=loaded_at or (now if state in ACCEPTING else 0.0),
        load_average=same.load_average * 0.8 + held * 0.2 if same else held,
        boot_id=report.boot_id or (same.boot_id if same else None),
        seq=report.seq if report.seq is not None else (same.seq if same else None),
        earlier_boots=_earlier_boots(before, again),
        lost=before.lost + _gap(same, report) if before else 0,
        processes=before.processes + again if before else 1,
    )


def state_of(report: Report) -> State:
    """What a report means; ``wire.infer_state``, and what workers before 1.1.0 left out.

    Those said ``load_time_s`` once and 0 ever after, so a measured capacity is their readiness.
    """
    state = infer_state(report)
    unnamed = state is State.LOADING and report.state is None
    return State.READY if unnamed and report.max_perf > 0 and _is_of_old(report) else state


def _is_of_old(report: Report) -> bool:
    return form_of(report.version) != "url"


def _is_late(before: Heard, report: Report) -> bool:
    """Whether a report was overtaken, or came twice. Only reports that are numbered can tell."""
    if report.boot_id is None or report.seq is None:
        return False
    if report.boot_id == before.boot_id:
        return before.seq is not None and report.seq <= before.seq
    return report.boot_id in before.earlier_boots


def _is_restart(before: Heard, report: Report, stated: frozenset[str]) -> bool:
    """Whether another process speaks: by its boot id, else where its counts went back."""
    if report.boot_id is not None:
        return before.boot_id is not None and report.boot_id != before.boot_id
    if "requests_received" in stated and report.requests_received < before.report.requests_received:
        return True
    if report.state is State.LOADING:  # of 2024: said only before the model is loaded
        return before.state in ACCEPTING
    went_back = "load_time_s" in stated and report.load_time_s < before.report.load_time_s
    return went_back and not _is_of_old(report)


def _laid_over(before: Report | None, report: Report, stated: frozenset[str]) -> Report:
    if before is None:
        return report
    kept = _LASTING - stated
    if not report.url:  # a start script does not know it
        kept |= {"url"}
    fields = {name: getattr(before, name) for name in kept}
    return replace(report, version=before.version or report.version, **fields)


def _load_is_rate(report: Report, known: frozenset[str]) -> bool:
    """Before October 2025 the load was a rate, and there was neither a version nor new load."""
    return not report.version and "new_load_delta" not in known


def _error_of(report: Report, state: State) -> str:
    if report.error_msg:
        return report.error_msg[:ERROR_LENGTH]
    return "The worker says that it is in error, and not why." if state is State.ERROR else ""


def _earlier_boots(before: Heard | None, again: bool) -> tuple[str, ...]:
    if before is None:
        return ()
    if not again or before.boot_id is None:
        return before.earlier_boots
    return (*before.earlier_boots, before.boot_id)[-BOOTS_REMEMBERED:]


def _gap(same: Heard | None, report: Report) -> int:
    if same is None or same.seq is None or report.seq is None:
        return 0
    return report.seq - same.seq - 1
