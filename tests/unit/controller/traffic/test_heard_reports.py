"""Every shape of report there ever was, and what it means beside the ones before it."""

from __future__ import annotations

from typing import Any

import pytest
from desk import URL, Desk

from vast_pyworker.errors import Invalid

SEPTEMBER_2024: dict[str, Any] = {
    "id": 1,
    "loadtime": 0.0,
    "cur_load": 12.5,
    "error_msg": "",
    "max_perf": 0.0,
    "cur_perf": 0.0,
    "cur_capacity": 0,
    "max_capacity": 0,
    "num_requests_working": 2,
    "num_requests_recieved": 9,
    "additional_disk_usage": 0.1,
    "url": URL + "1",
}


@pytest.fixture
def desk() -> Desk:
    desk = Desk()
    desk.publish([1, 2])
    return desk


def say_2024(desk: Desk, **fields: Any) -> None:
    desk.say({"id": 1, "mtoken": "token-1", **fields})


def test_today_loading_loaded_and_errored_are_told_by_their_numbers(desk: Desk) -> None:
    desk.report(loadtime=0.0, max_perf=0.0)
    assert not desk.hearing().ready and desk.hearing().perf is None
    desk.report(cur_load=250, num_requests_working=3)
    assert desk.hearing().ready
    assert (desk.hearing().perf, desk.hearing().load, desk.hearing().in_flight) == (100.0, 250.0, 3)
    desk.report(error_msg="No successful responses from benchmark", max_perf=0.0)
    assert not desk.hearing().ready
    assert desk.hearing().error == "No successful responses from benchmark"


def test_the_extended_shape_says_its_state(desk: Desk) -> None:
    said = (("ready", True), ("busy", True), ("draining", False), ("loading", False))
    for seq, (state, ready) in enumerate(said):
        desk.report(state=state, boot_id="a", seq=seq)
        assert desk.hearing().report.state == state
        assert desk.hearing().ready is ready


def test_an_extended_error_is_cleared_by_a_later_ready(desk: Desk) -> None:
    desk.report(state="error", error_msg="CUDA error", boot_id="a", seq=1)
    assert desk.hearing().error == "CUDA error"
    desk.report(state="ready", boot_id="a", seq=2)
    assert desk.hearing().error == "" and desk.hearing().ready


def test_a_state_of_error_without_a_text_is_an_error(desk: Desk) -> None:
    desk.report(state="error", boot_id="a", seq=1)
    assert desk.hearing().error


def test_reports_of_september_2024_say_that_they_are_loaded_once(desk: Desk) -> None:
    said = {**SEPTEMBER_2024, "mtoken": "token-1"}
    desk.say(said)
    assert not desk.hearing().ready
    desk.say({**said, "loadtime": 20.0, "max_perf": 50.0})
    assert desk.hearing().ready
    desk.say({**said, "max_perf": 50.0})
    assert desk.hearing().ready
    assert desk.hearing().load is None  # a rate then, and no load
    assert desk.hearing().in_flight == 2


def test_a_worker_of_old_is_ready_also_where_its_one_loaded_report_was_lost(desk: Desk) -> None:
    desk.say({**SEPTEMBER_2024, "mtoken": "token-1", "max_perf": 50.0})
    assert desk.hearing().ready
    desk.report(2, version="1.0.0", loadtime=0.0)
    assert desk.hearing(2).ready


def test_the_messages_of_july_2024_are_laid_one_over_the_other(desk: Desk) -> None:
    say_2024(desk, message="loading update", disk_usage=10.0, additional_disk_usage=0.5)
    assert not desk.hearing().ready and desk.hearing().in_flight is None
    desk.say({"id": "1", "mtoken": "token-1", "loaded": True, "loadtime": 60.0, "cur_perf": 0.0,
              "max_perf": 800.0, "avg_latency": 2.0})  # fmt: skip
    assert desk.hearing().ready and desk.hearing().perf == 800.0
    say_2024(desk, message="data update", num_requests_working=2, overloaded=False, error=False,
             num_requests_recieved=5, cur_perf=3.0, cur_load=40, url=URL + "1")  # fmt: skip
    say_2024(desk, max_batch_prefill_tokens=1, max_batch_tokens=2, max_capacity=3)
    hearing = desk.hearing()
    assert hearing.ready and hearing.in_flight == 2 and hearing.perf == 800.0
    assert hearing.report.url == URL + "1" and hearing.report.disk_usage_gib == 10.0


def test_an_error_said_once_stays_until_the_process_begins_anew(desk: Desk) -> None:
    say_2024(desk, loadtime=60.0, max_perf=800.0, num_requests_recieved=5)
    say_2024(desk, error_msg="ERROR in shard 0")
    say_2024(desk, message="data update", num_requests_recieved=6, error=False)
    assert desk.hearing().error == "ERROR in shard 0" and not desk.hearing().ready
    say_2024(desk, message="data update", num_requests_recieved=0, error=False)
    assert desk.hearing().error == ""


def test_the_minimal_messages_that_were_documented(desk: Desk) -> None:
    say_2024(desk, loadtime=9.0, max_perf=10.0)
    assert desk.hearing().ready
    say_2024(desk, cur_load=5.0, num_requests_recieved=1)
    assert desk.hearing().ready
    say_2024(desk, error=True)
    assert desk.hearing().error and not desk.hearing().ready


def test_loading_after_loaded_is_a_new_process_of_2024(desk: Desk) -> None:
    say_2024(desk, loadtime=9.0, max_perf=10.0)
    say_2024(desk, message="loading update")
    assert not desk.hearing().ready and desk.hearing().perf is None


def test_the_error_of_a_start_script_says_a_part_and_takes_nothing_away(desk: Desk) -> None:
    desk.report(num_requests_recieved=4)
    desk.say(
        {"id": 1, "mtoken": "token-1", "version": "0", "error_msg": "Failed to clone", "url": ""}
    )
    hearing = desk.hearing()
    assert hearing.error == "Failed to clone" and not hearing.ready
    assert hearing.report.url == URL + "1" and hearing.report.version == "1.1.0"
    desk.report(loadtime=0.0, max_perf=0.0)
    assert desk.hearing().error == ""


def test_the_error_of_a_start_script_may_be_the_first_word(desk: Desk) -> None:
    desk.say({"id": 1, "mtoken": "token-1", "version": "0", "error_msg": "No backend", "url": ""})
    assert desk.hearing().error == "No backend" and desk.hearing().in_flight is None


@pytest.mark.parametrize(
    "anew",
    [{"num_requests_recieved": 0}, {"loadtime": 3.0, "num_requests_recieved": 50}],
)
def test_counts_that_go_back_tell_of_a_new_process(desk: Desk, anew: dict[str, Any]) -> None:
    desk.report(num_requests_recieved=50)
    desk.pass_time(100)
    desk.report(num_requests_recieved=51)
    started = desk.board.endpoint_workers("demo")[0]["started_at"]
    desk.report(**anew)
    assert desk.board.endpoint_workers("demo")[0]["started_at"] == started + 100


def test_numbered_reports_that_come_late_or_twice_are_not_taken(desk: Desk) -> None:
    desk.report(boot_id="a", seq=2, cur_load=2)
    desk.report(boot_id="a", seq=1, cur_load=1)
    desk.report(boot_id="a", seq=2, cur_load=9)
    assert desk.hearing().load == 2
    desk.report(boot_id="b", seq=1, cur_load=3)
    desk.report(boot_id="a", seq=3, cur_load=4)  # of the process before
    assert desk.hearing().load == 3


def test_a_new_boot_may_begin_with_a_report_that_has_no_number(desk: Desk) -> None:
    desk.report(boot_id="a", seq=9, num_requests_recieved=5)
    desk.report(loadtime=0.0, max_perf=0.0)
    desk.report(boot_id="a", seq=10, cur_load=7)  # overtaken by the one before
    assert desk.hearing().load == 0
    desk.report(boot_id="b", seq=2, cur_load=8)
    assert desk.hearing().load == 8


def test_reports_that_never_came_are_counted(desk: Desk) -> None:
    for seq in (1, 2, 5, 9):
        desk.report(boot_id="a", seq=seq)
    assert desk.board.lost_reports(1) == 5


def test_numbers_that_are_none_are_unknown(desk: Desk) -> None:
    desk.report(max_perf=float("nan"), cur_load=None, num_requests_working=None)
    assert desk.hearing().perf is None and desk.hearing().load is None
    assert desk.hearing().in_flight is None
    desk.report(cur_load=-5, new_load=-3, num_requests_working=-1)
    assert desk.hearing().load == 0.0 and desk.hearing().in_flight == 0


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{",
        b"\xff\xfe",
        b'{"mtoken": "token-1"}',
        b'{"id": {}}',
        b'{"id": 1, "mtoken": "token-1", "url": 3}',
        b'{"id": 1, "mtoken": "token-1", "cur_load": "much"}',
        b'{"id": 1, "mtoken": "token-1", "state": "happy"}',
        b'{"id": 1, "mtoken": "token-1", "cur_load": 1' + b"0" * 400 + b"}",
        b'{"id": 1, "mtoken": "\\ud800"}',
        b"[" * 100_000,
    ],
)
def test_what_is_no_report_is_refused_in_one_sentence(desk: Desk, body: bytes) -> None:
    with pytest.raises(Invalid) as refused:
        desk.board.take_report(body)
    assert str(refused.value).endswith(".") and "\n" not in str(refused.value)
    assert desk.board.hearings(desk.mono) == {}


def test_errors_are_kept_at_a_length_that_can_be_shown(desk: Desk) -> None:
    desk.report(error_msg="x" * 100_000)
    assert len(desk.hearing().error) == 2000


def test_the_token_is_not_kept_in_what_is_shown(desk: Desk) -> None:
    desk.report()
    assert "token-1" not in repr(desk.hearing())
    assert "token-1" not in repr(desk.board.endpoint_workers("demo"))
