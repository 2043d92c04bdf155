"""How instances live: every way into and out of running, on a clock moved by hand."""

from __future__ import annotations

import pytest
from small_market import Rig, alone, plain

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
