"""Every shape of report and of ended requests there ever was, read; today's, written."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vast_pyworker import wire
from vast_pyworker.errors import Invalid
from vast_pyworker.model import Outcome, Report, RequestEnd, State

FIRST_AFTER_READY = json.loads("""
{"id":123,"mtoken":"mtokenmtokenmtoken","version":"1.1.0","loadtime":15.82059907913208,"cur_load":0,
 "rej_load":0,"new_load":0,"error_msg":"","max_perf":192.94535451254237,"cur_perf":0,
 "cur_capacity":0,"max_capacity":0,"num_requests_working":0,"num_requests_recieved":0,
 "additional_disk_usage":0.2516,"disk_usage":27.11,"working_request_idxs":[],
 "url":"http://127.0.0.1:18810"}
""")

_amounts = st.floats(0, 1e12)
_counts = st.integers(0, 2**53)
_json = st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5), max_size=3)


def _maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


_reports = st.builds(
    Report,
    worker_id=st.integers(0, 2**40),
    version=st.text(max_size=8),
    state=_maybe(st.sampled_from(State)),
    url=st.text(max_size=20),
    mtoken=st.text(max_size=20),
    error_msg=st.text(max_size=20),
    load_time_s=_amounts,
    max_perf=_amounts,
    cur_load=_amounts,
    new_load_delta=_amounts,
    rejected_load_delta=_amounts,
    served_load_delta=_amounts,
    requests_working=_counts,
    requests_received=_counts,
    working_request_idxs=st.lists(_counts, max_size=4).map(tuple),
    disk_usage_gib=_maybe(_amounts),
    additional_disk_gib=_maybe(st.floats(-1e6, 1e6)),
    boot_id=_maybe(st.text(max_size=8)),
    seq=_maybe(_counts),
    queue_depth=_maybe(_counts),
    queue_wait_s=_maybe(_amounts),
    progress=_maybe(_json),
    gpus=_maybe(st.lists(_json, max_size=2).map(tuple)),
)


@given(_reports)
def test_an_extended_report_comes_back_as_it_went(report: Report) -> None:
    sent = json.loads(json.dumps(wire.encode_report(report, extended=True)))
    assert wire.decode_report(sent) == report


@given(_reports)
def test_a_classic_report_comes_back_without_what_it_cannot_say(report: Report) -> None:
    sent = json.loads(json.dumps(wire.encode_report(report)))
    unsaid: dict[str, Any] = dict.fromkeys(
        ("state", "boot_id", "seq", "queue_depth", "queue_wait_s", "progress", "gpus")
    )
    expected = dataclasses.replace(report, **unsaid)
    if report.state not in (None, State.READY, State.BUSY):
        expected = dataclasses.replace(expected, load_time_s=0.0, max_perf=0.0)
    elif report.state is not None and not report.max_perf:
        expected = dataclasses.replace(expected, max_perf=wire.ASSUMED_PERF)
    assert wire.decode_report(sent) == expected


def test_a_classic_report_has_the_keys_of_the_reference_and_no_other() -> None:
    report = Report(1, "1.1.0", State.READY, disk_usage_gib=1.0, additional_disk_gib=0.0)
    assert set(wire.encode_report(report)) == set(FIRST_AFTER_READY)


def test_what_is_unknown_is_left_out() -> None:
    sent = wire.encode_report(Report(1, "1.1.0"), extended=True)
    assert {"disk_usage", "additional_disk_usage", "gpus", "state"}.isdisjoint(sent)


@pytest.mark.parametrize("state", [s for s in State if s not in (State.READY, State.BUSY)])
def test_a_worker_that_takes_no_requests_looks_like_a_loading_one_to_vast(state: State) -> None:
    report = Report(1, "1.1.0", state, load_time_s=9.0, max_perf=100.0, cur_load=5.0)
    sent = wire.encode_report(report)
    assert (sent["loadtime"], sent["max_perf"], sent["cur_load"]) == (0.0, 0.0, 5.0)
    assert wire.infer_state(wire.decode_report(sent)) is State.LOADING
    told = wire.decode_report(wire.encode_report(report, extended=True))
    assert (told.state, told.max_perf) == (state, 100.0)


def test_a_worker_that_serves_without_a_benchmark_is_loaded_to_vast() -> None:
    report = Report(1, "1.1.0", State.READY, load_time_s=9.0)
    assert wire.infer_state(wire.decode_report(wire.encode_report(report))) is State.READY
    told = wire.decode_report(wire.encode_report(report, extended=True))
    assert told.max_perf == 0, "to whoever has a word for the state, unknown stays unknown"


def test_the_first_report_after_readiness_is_read() -> None:
    report = wire.decode_report(FIRST_AFTER_READY)
    assert wire.infer_state(report) is State.READY
    assert (report.worker_id, report.max_perf) == (123, 192.94535451254237)
    assert report.disk_usage_gib == 27.11
    assert report.boot_id is None


def test_a_report_of_september_2024_has_neither_token_nor_version() -> None:
    old = {"id", "loadtime", "cur_load", "error_msg", "max_perf", "cur_perf", "cur_capacity"}
    old |= {"max_capacity", "num_requests_working", "num_requests_recieved", "url"}
    old |= {"additional_disk_usage"}
    data = {name: value for name, value in FIRST_AFTER_READY.items() if name in old}
    report = wire.decode_report(data)
    assert (report.version, report.mtoken, report.disk_usage_gib) == ("", "", None)
    assert "disk_usage_gib" not in wire.stated(data)


BASH = {"id": 123, "mtoken": "t", "version": "0", "error_msg": "Failed to clone", "url": ""}


@pytest.mark.parametrize(
    ("data", "state", "says"),
    [
        (BASH, State.ERROR, {"error_msg": "Failed to clone", "version": "0"}),
        (
            {"id": 1, "mtoken": "t", "message": "loading update", "disk_usage": 10.5},
            State.LOADING,
            {"state": State.LOADING, "disk_usage_gib": 10.5},
        ),
        (
            {
                "id": 1,
                "mtoken": "t",
                "message": "data update",
                "num_requests_working": 2,
                "overloaded": False,
                "num_requests_recieved": 40,
                "cur_perf": 12.5,
                "error": False,
                "loadtime": 30.0,
                "max_perf": 99.0,
                "cur_load": 3.0,
                "url": "http://1.2.3.4:1",
                "cur_capacity": 4096,
                "max_capacity": 8192,
                "curr_tokens_per_second": 11.0,
            },
            State.READY,
            {"requests_working": 2, "requests_received": 40, "max_perf": 99.0},
        ),
        (
            {"id": 1, "message": "data update", "error": True, "num_requests_working": 0},
            State.ERROR,
            {"state": State.ERROR},
        ),
        (
            {
                "id": "77",
                "mtoken": "t",
                "loaded": True,
                "loadtime": 12.0,
                "cur_perf": 0.0,
                "max_perf": 50.0,
                "avg_latency": 0.3,
            },
            State.READY,
            {"worker_id": 77, "load_time_s": 12.0},
        ),
        (
            {"id": "77", "mtoken": "t", "max_batch_prefill_tokens": 4096, "max_capacity": 8192},
            State.LOADING,
            {"worker_id": 77},
        ),
        ({"id": "77", "mtoken": "t", "error_msg": "CUDA"}, State.ERROR, {"error_msg": "CUDA"}),
        ({"id": 5, "mtoken": "t", "loadtime": 1.0, "max_perf": 2.0}, State.READY, {}),
        ({"id": 5, "cur_load": 1.0, "num_requests_recieved": 2}, State.LOADING, {"cur_load": 1.0}),
    ],
    ids=[
        "bash",
        "loading update",
        "data update",
        "error flag",
        "loaded",
        "capacity",
        "error",
        "notify.loaded",
        "notify.update",
    ],
)
def test_older_and_partial_messages_are_read(
    data: dict[str, Any], state: State, says: dict[str, Any]
) -> None:
    report = wire.decode_report(data)
    assert wire.infer_state(report) is state
    for field, value in says.items():
        assert getattr(report, field) == value
        assert field in wire.stated(data)


@pytest.mark.parametrize("value", [None, float("nan"), float("inf")])
def test_null_and_numbers_that_are_none_are_unknown(value: float | None) -> None:
    data = {"id": 1, "cur_load": value, "disk_usage": value}
    assert wire.stated(data) == {"worker_id"}
    assert wire.decode_report(data).disk_usage_gib is None


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"id": None},
        {"id": "twelve"},
        {"id": []},
        {"id": 1, "cur_load": "much"},
        {"id": 1, "cur_load": "nan"},
        {"id": 1, "working_request_idxs": 5},
        {"id": 1, "working_request_idxs": ["x"]},
        {"id": 1, "error_msg": {}},
        {"id": 1, "state": "sleeping"},
        {"id": 1, "gpus": [1]},
    ],
)
def test_a_report_that_cannot_be_what_it_says_is_refused(data: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        wire.decode_report(data)


_values = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.text())


@given(st.dictionaries(st.sampled_from([*FIRST_AFTER_READY, "state", "gpus", "message"]), _values))
def test_any_object_is_either_read_or_refused(data: dict[str, Any]) -> None:
    try:
        report = wire.decode_report(data)
    except Invalid:
        return
    assert isinstance(report.worker_id, int)
    assert isinstance(wire.infer_state(report), State)


_ends = st.builds(
    RequestEnd,
    request_idx=_counts,
    outcome=st.sampled_from(Outcome),
    entered_at=_amounts,
    started_at=_amounts,
    completed_at=_amounts,
)


@given(_counts, st.text(), st.lists(_ends, max_size=5).map(tuple))
def test_ended_requests_come_back_as_they_went(
    worker_id: int, mtoken: str, ends: tuple[RequestEnd, ...]
) -> None:
    sent = json.loads(json.dumps(wire.encode_ends(worker_id, mtoken, ends)))
    assert wire.decode_ends(sent) == wire.Ends(worker_id, mtoken, ends)


@pytest.mark.parametrize(
    ("outcome", "success", "status"),
    [
        (Outcome.FINISHED, True, "Success"),
        (Outcome.CANCELLED, True, "Cancelled"),
        (Outcome.FAILED, False, "Error"),
        (Outcome.REJECTED, False, "Rejected"),
    ],
)
def test_outcomes_have_the_words_of_the_reference(
    outcome: Outcome, success: bool, status: str
) -> None:
    (row,) = wire.encode_ends(1, "t", (RequestEnd(122, outcome, 1.0, 2.0, 3.0),))["requests"]
    assert row == {
        "request_idx": 122,
        "success": success,
        "status": status,
        "entered_queue_at": 1.0,
        "work_started_at": 2.0,
        "work_completed_at": 3.0,
    }


@pytest.mark.parametrize(
    ("success", "outcome"),
    [
        ({"success": True}, Outcome.FINISHED),
        ({"success": False}, Outcome.FAILED),
        ({}, Outcome.FINISHED),
    ],
)
def test_ends_of_2025_are_a_list_of_numbers(success: dict[str, bool], outcome: Outcome) -> None:
    ends = wire.decode_ends({"worker_id": 1, "mtoken": "t", "request_idxs": [4, 5], **success})
    assert [(e.request_idx, e.outcome) for e in ends.ends] == [(4, outcome), (5, outcome)]


def test_an_end_of_unknown_status_goes_by_its_success() -> None:
    rows = [{"request_idx": 1, "status": "Started", "success": False}]
    (end,) = wire.decode_ends({"worker_id": 1, "requests": rows}).ends
    assert end.outcome is Outcome.FAILED


@pytest.mark.parametrize(
    "data",
    [{}, {"worker_id": 1}, {"worker_id": 1, "requests": [3]}, {"requests": [], "mtoken": "t"}],
)
def test_ends_that_are_neither_shape_are_refused(data: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        wire.decode_ends(data)
