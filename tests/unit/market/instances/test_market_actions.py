"""What an owner may ask of instances, one or many: to start, stop, end. Of strange ones nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from small_market import Rig, plain, refused_unchanged

STOPPED = ("stopped", "stopped", "stopped")


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
