"""How instances live: every way into and out of running, on a clock moved by hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from market_rig import LISTED_S, Rig, alone, plain, refused, refused_unchanged

STOPPED = ("stopped", "stopped", "stopped")


def test_a_new_instance_has_no_status_then_loads_then_runs() -> None:
    rig = Rig()
    answer = rig.answer()
    assert answer["success"] is True
    number = answer["new_contract"]
    assert rig.states(number)[0] is None
    history = rig.history(number, seconds=300)
    assert history in ([None, "loading", "running"], [None, "loading", "created", "running"])
    assert rig.states(number) == ("running", "running", "running", "running")
    assert rig.row(number)["status_msg"] == "success, running ubuntu:22.04/ssh\n"


def test_start_up_times_differ_and_come_from_the_seed() -> None:
    def times(seed: int) -> list[float]:
        rig = Rig(*[alone(n) for n in range(1, 30)], seed=seed)
        numbers = [rig.create(machine.asks[0]) for machine in rig.machines]
        rig.market.advance(3600)
        return [rig.clock.now() - rig.row(n)["uptime_mins"] * 60 - rig.row(n)["start_date"]
                for n in numbers]  # fmt: skip

    once, again, other = times(1), times(1), times(2)
    assert once == again != other
    assert len({round(each, 3) for each in once}) == len(once)
    assert 10 < sorted(once)[len(once) // 2] < 90


def test_a_large_image_over_a_thin_line_takes_longer() -> None:
    def seconds_to_run(mbit_s: float) -> float:
        rig = Rig(plain(inet_down_mbit_s=mbit_s))
        return 3600 - float(rig.row(rig.running())["uptime_mins"]) * 60

    assert seconds_to_run(20.0) > 2 * seconds_to_run(10_000.0)


def test_ports_are_there_only_while_it_runs_and_come_back_the_same() -> None:
    rig = Rig()
    number = rig.create(env={"-p 3000:3000": "1", "-p 53:53/udp": "1", "A": "b"})
    assert rig.row(number)["ports"] is None
    rig.market.advance(3600)
    ports = rig.row(number)["ports"]
    assert set(ports) == {"3000/tcp", "53/udp"}
    assert all(
        isinstance(bound[0]["HostPort"], str) and bound[0]["HostIp"] == "0.0.0.0"
        for bound in ports.values()
    )
    rig.market.set_state(rig.account, number, "stopped")
    assert rig.row(number)["ports"] is None
    rig.market.set_state(rig.account, number, "running")
    rig.market.advance(3600)
    assert rig.row(number)["ports"] == ports


def test_a_stopped_one_keeps_its_disk_and_starts_faster_than_at_first() -> None:
    rig = Rig()
    number = rig.running()
    assert rig.market.set_state(rig.account, number, "stopped") == {"success": True}
    actual, *rest = rig.states(number)
    assert actual in ("exited", "stopped")
    assert tuple(rest) == STOPPED
    assert rig.market.set_state(rig.account, number, "running") == {"success": True}
    assert rig.states(number) == ("loading", "running", "running", "running")
    rig.market.advance(60)
    assert rig.states(number)[0] == "running"
    assert rig.runtime.told == [("start", number), ("stop", number), ("start", number)]


@pytest.mark.parametrize("state", ["running", "stopped"])
def test_asking_for_the_state_it_is_in_changes_nothing(state: str) -> None:
    rig = Rig()
    number = rig.running()
    rig.market.set_state(rig.account, number, state)
    before = rig.states(number)
    assert rig.market.set_state(rig.account, number, state) == {"success": True}
    assert rig.states(number) == before


def test_a_reboot_takes_it_down_for_a_moment_on_the_same_gpus() -> None:
    rig = Rig()
    number = rig.running()
    assert rig.market.reboot(rig.account, number) == {"success": True}
    assert rig.states(number) == ("rebooting", "running", "running", "running")
    assert rig.history(number, seconds=120) == ["rebooting", "running"]
    assert rig.runtime.told[1:] == [("stop", number), ("start", number)]


def test_a_recycle_pulls_the_image_again_and_loses_the_directory() -> None:
    rig = Rig()
    number = rig.running()
    assert rig.market.recycle(rig.account, number) == {"success": True}
    assert rig.history(number, seconds=300)[-1] == "running"
    assert ("remove", number) in rig.runtime.told


@pytest.mark.parametrize("call", ["reboot", "recycle"])
def test_what_does_not_run_cannot_be_rebooted_or_recycled(call: str) -> None:
    rig = Rig()
    number = rig.running()
    rig.market.set_state(rig.account, number, "stopped")
    answer = getattr(rig.market, call)(rig.account, number)
    assert (answer["success"], answer["error"]) == (False, "invalid_id")
    assert rig.states(number)[1:] == STOPPED


def test_a_process_that_ends_leaves_the_container_exited_until_somebody_acts() -> None:
    rig = Rig()
    number = rig.running()
    rig.runtime.ended = [(number, 137)]
    rig.market.tick()
    assert rig.states(number) == ("exited", "running", "running", "running")
    assert rig.row(number)["status_msg"] == "container exited with code 137\n"
    rig.market.advance(86400)
    assert rig.states(number)[0] == "exited"
    rig.market.set_state(rig.account, number, "running")
    rig.market.advance(600)
    assert rig.states(number)[0] == "running"


def test_the_end_of_what_was_stopped_meanwhile_is_no_crash() -> None:
    rig = Rig()
    number = rig.running()
    rig.market.set_state(rig.account, number, "stopped")
    rig.runtime.ended = [(number, 0), (1, 0)]
    rig.market.tick()
    assert rig.states(number)[1:] == STOPPED


def test_an_oci_failure_says_created_and_never_runs() -> None:
    rig = Rig(faults=[{"kind": "oci_failure", "calls": ["create"], "count": 1}])
    number = rig.create()
    assert rig.history(number, seconds=3600, step=5.0)[-1] == "created"
    assert rig.row(number)["status_msg"].startswith(": OCI runtime create failed:")
    rig.market.recycle(rig.account, number)
    rig.market.advance(3600)
    assert rig.states(number)[0] == "created"
    assert rig.runtime.told == [("remove", number)]


def test_a_stuck_one_loads_for_ever_until_it_is_stopped_and_started() -> None:
    rig = Rig(faults=[{"kind": "stuck_loading", "calls": ["create"], "count": 1}])
    number = rig.create()
    rig.market.advance(7 * 86400)
    assert rig.states(number)[0] == "loading"
    rig.market.set_state(rig.account, number, "stopped")
    rig.market.set_state(rig.account, number, "running")
    rig.market.advance(3600)
    assert rig.states(number)[0] == "running"


def test_a_lost_host_is_unknown_then_offline_then_back() -> None:
    rig = Rig()
    number = rig.running()
    rig.market.strike("offline", number, params={"unknown_s": 60, "back_s": 600})
    assert rig.states(number) == ("unknown", "running", "running", "running")
    assert rig.row(number)["ports"] is None
    rig.market.advance(61)
    assert rig.states(number)[0] == "offline"
    assert rig.runtime.told[-1] == ("stop", number)
    assert rig.market.search({"type": "on-demand"}) == []
    assert refused(rig.answer).status == 410
    rig.market.advance(1200)
    assert rig.states(number)[0] == "running"
    assert rig.runtime.told[-1] == ("start", number)


def test_reports_that_were_only_late_interrupt_nothing() -> None:
    rig = Rig()
    number = rig.running()
    rig.market.strike("offline", number, params={"unknown_s": 60, "back_s": 10})
    rig.market.advance(11)
    assert rig.states(number)[0] == "running"
    rig.market.advance(600)
    assert rig.states(number)[0] == "running"
    assert rig.runtime.told == [("start", number)]


def test_what_was_asked_of_a_lost_host_is_done_when_it_is_back() -> None:
    rig = Rig()
    stopped, started = rig.running(), rig.running(rig.machines[0].asks[1])
    rig.market.set_state(rig.account, started, "stopped")
    rig.market.strike("offline", stopped, params={"unknown_s": 1, "back_s": 100})
    rig.market.advance(50)
    rig.market.set_state(rig.account, stopped, "stopped")
    answer = rig.market.set_state(rig.account, started, "running")
    assert answer["error"] == "resources_unavailable"
    rig.market.advance(3600)
    assert rig.states(stopped)[1:] == STOPPED
    assert rig.states(started)[0] == "running"


def test_a_contract_ends_with_its_offer_and_is_deleted_two_days_later() -> None:
    rig = Rig()
    number = rig.running()
    rig.market.advance(LISTED_S)
    assert rig.states(number)[1:] == STOPPED
    refusal = refused_unchanged(rig, lambda: rig.market.set_state(rig.account, number, "running"))
    assert (refusal.status, refusal.code) == (400, "invalid_args")
    rig.market.advance(46 * 3600)
    assert rig.market.show(rig.account, number) is not None
    rig.market.advance(3 * 3600)
    assert rig.market.show(rig.account, number) is None
    rig.check_books()


def test_without_credit_everything_stops_and_disks_are_still_billed() -> None:
    rig = Rig(credit=1.5)
    first, second = rig.create(), rig.create(rig.machines[0].asks[1])
    rig.market.advance(6 * 3600)
    assert {rig.states(first)[1:], rig.states(second)[1:]} == {STOPPED}
    left = rig.market.credit(rig.account)
    assert left < 0
    rig.market.advance(3600)
    assert rig.market.credit(rig.account) == pytest.approx(left - 2 * 20 * 0.72 / 720)
    for call in (
        lambda: rig.market.set_state(rig.account, first, "running"),
        lambda: rig.market.set_state_many(rig.account, [first], "running"),
        rig.answer,
    ):
        refusal = refused_unchanged(rig, call)
        assert refusal.status == 400
        assert "credit" in refusal.msg
    rig.market.add_credit(rig.account, 50)
    rig.market.advance(60)
    assert rig.states(first)[1:] == STOPPED
    assert rig.market.set_state(rig.account, first, "running") == {"success": True}
    rig.check_books()


def test_credit_runs_out_at_the_same_moment_however_seldom_one_looks() -> None:
    def left(step: float) -> float:
        rig = Rig(credit=1.5)
        rig.create()
        for _ in range(int(14400 / step)):
            rig.market.advance(step)
        return rig.market.credit(rig.account)

    assert left(14400) == left(1)


def test_a_destroyed_one_is_gone_at_once_and_its_gpus_are_free() -> None:
    rig = Rig()
    number = rig.running()
    key = rig.accounts.instance_key(rig.account, number, 0.0)
    assert rig.market.destroy(rig.account, number) == {"success": True}
    assert rig.market.show(rig.account, number) is None
    assert rig.market.list_instances(rig.account)["instances"] == []
    assert rig.accounts.caller(key) is None
    assert ("remove", number) in rig.runtime.told
    assert rig.answer()["success"] is True
    refusal = refused_unchanged(rig, lambda: rig.market.destroy(rig.account, number))
    assert (refusal.status, refusal.code) == (404, "no_such_instance")
    assert refusal.msg == f"Instance {number} not found."


Calls = Callable[[Rig, int], object]
STRANGE: list[tuple[Calls, int]] = [
    (lambda rig, n: rig.market.set_state(rig.account, n, "running"), 404),
    (lambda rig, n: rig.market.set_label(rig.account, n, "x"), 404),
    (lambda rig, n: rig.market.destroy(rig.account, n), 404),
    (lambda rig, n: rig.market.destroy_many(rig.account, [n]), 404),
    (lambda rig, n: rig.market.set_state_many(rig.account, [n], "stopped"), 404),
    (lambda rig, n: rig.market.reboot(rig.account, n), 400),
    (lambda rig, n: rig.market.change_bid(rig.account, n, 1.0), 404),
    (lambda rig, n: rig.market.update_template(rig.account, n, {"image": "x"}), 404),
    (lambda rig, n: rig.market.logs(rig.account, n), 404),
    (lambda rig, n: rig.market.execute(rig.account, n, "ls"), 404),
    (lambda rig, n: rig.market.ssh_list(rig.account, n), 200),
    (lambda rig, n: rig.market.ssh_attach(rig.account, n, "ssh-ed25519 AAAA"), 200),
    (lambda rig, n: rig.market.balance(rig.account, n), 404),
    (lambda rig, n: rig.market.prepay(rig.account, n, 1.0), 400),
]


@pytest.mark.parametrize(("call", "status"), STRANGE)
def test_what_is_unknown_or_somebody_elses_is_not_there(call: Calls, status: int) -> None:
    rig = Rig()
    other = rig.open("other", 100.0)
    number = rig.create(account=other)
    for each in (number, 7, -1):
        assert refused_unchanged(rig, lambda n=each: call(rig, n)).status == status
    assert rig.market.show(rig.account, number) is None


def test_many_are_started_stopped_and_destroyed_at_once() -> None:
    rig = Rig(plain(4))
    asks = [ask for ask in rig.machines[0].asks if ask.num_gpus == 1]
    numbers = [rig.running(ask) for ask in asks]
    assert rig.market.set_state_many(rig.account, numbers, "stopped") == {"success": True}
    assert {rig.states(number)[1:] for number in numbers} == {STOPPED}
    assert rig.market.set_state_many(rig.account, [*numbers, 5], "running") == {"success": True}
    assert rig.market.destroy_many(rig.account, [numbers[0], 99]) == {"success": True}
    assert rig.market.destroy_many(rig.account, numbers) == {"success": True}
    assert rig.market.list_instances(rig.account)["total_instances"] == 0


@pytest.mark.parametrize(
    ("call", "status", "msg"),
    [
        (lambda m, a: m.set_state_many(a, None, "running"), 400, "ids list required"),
        (lambda m, a: m.set_state_many(a, [1] * 65, "running"), 400, "chunk length of 65 > 64"),
        (lambda m, a: m.set_state_many(a, [1], "gone"), 400, "Invalid target state"),
        (lambda m, a: m.destroy_many(a, []), 400, "instance_ids array is required"),
        (lambda m, a: m.destroy_many(a, "1"), 400, "invalid request format"),
        (lambda m, a: m.destroy_many(a, [[1]]), 400, "invalid request format"),
        (lambda m, a: m.set_state_many(a, [[1]], "running"), 404, "Invalid instance ID list ids."),
    ],
)
def test_bulk_calls_refuse_what_is_no_list_of_instances(
    call: Callable[..., object], status: int, msg: str
) -> None:
    rig = Rig()
    rig.create()
    refusal = refused_unchanged(rig, lambda: call(rig.market, rig.account))
    assert (refusal.status, refusal.msg) == (status, msg)


@pytest.mark.parametrize("state", ["", None, "gone", 1, ["running"], {}])
def test_only_two_states_can_be_asked_for(state: object) -> None:
    rig = Rig()
    number = rig.create()
    refusal = refused_unchanged(rig, lambda: rig.market.set_state(rig.account, number, state))
    assert (refusal.status, refusal.msg) == (400, "Invalid target state")


def test_a_start_with_taken_gpus_is_queued_and_comes_by_itself() -> None:
    rig = Rig()
    first = rig.running()
    rig.market.set_state(rig.account, first, "stopped")
    second = rig.running()
    answer = rig.market.set_state(rig.account, first, "running")
    assert answer == {
        "success": False,
        "error": "resources_unavailable",
        "msg": "Required resources are currently unavailable, state change queued.",
    }
    assert rig.states(first)[1:] == ("running", "stopped", "running")
    rig.market.advance(86400)
    assert rig.states(first)[1:] == ("running", "stopped", "running")
    rig.market.destroy(rig.account, second)
    rig.market.advance(600)
    assert rig.states(first)[0] == "running"


def test_a_queued_start_is_cancelled_by_a_stop() -> None:
    rig = Rig()
    first = rig.running()
    rig.market.set_state(rig.account, first, "stopped")
    second = rig.running()
    rig.market.set_state(rig.account, first, "running")
    rig.market.set_state(rig.account, first, "stopped")
    rig.market.destroy(rig.account, second)
    rig.market.advance(86400)
    assert rig.states(first)[1:] == STOPPED


def test_a_template_given_later_is_what_the_next_start_runs() -> None:
    rig = Rig()
    number = rig.running(onstart="echo 1", env={"A": "1"})
    body = {"id": number, "image": "debian:12", "env": {"B": "2"}}
    assert rig.market.update_template(rig.account, number, body) == {"success": True}
    row = rig.row(number)
    assert (row["image_uuid"], row["extra_env"], row["onstart"]) == (
        "debian:12",
        [["B", "2"]],
        "echo 1",
    )
    rig.market.update_template(rig.account, number, {"recycle": True, "onstart": "echo 2"})
    rig.market.advance(600)
    assert rig.runtime.boxes[number].command == "echo 2"
    assert rig.states(number)[0] == "running"
