"""A price that a host wants: what the ledger says of it, whatever comes of the answer."""

from __future__ import annotations

from pathlib import Path

from loop_rig import Rig, rig

from vast_pyworker.controller.watching import WATCHED_EVERY_S

MORE = 1.2  # within the cap of 1.5


def one_asks(made: Rig) -> int:
    made.provider.fail("charges", "unreachable", times=None)
    made.settle()
    asking = min(made.provider.truth())
    made.provider.outside.ask_more(asking, MORE)
    return asking


def price_of(made: Rig, instance_id: int) -> float | None:
    opened = made.ledger.intents.open().values()
    return next(each.usd_per_hour for each in opened if each.instance_id == instance_id)


def test_a_price_agreed_to_is_in_the_ledger_though_the_answer_was_lost(tmp_path: Path) -> None:
    """The call took effect and failed, and then no list can be read: the money counted is that of
    the new price."""
    with rig(tmp_path) as made:
        asking = one_asks(made)
        made.provider.fail("accept_price_increase", "after_effect")
        while not made.provider.calls["accept_price_increase"]:
            made.tick(WATCHED_EVERY_S / 10)
        assert price_of(made, asking) == MORE
        made.provider.fail("instances", "unreachable", times=None)
        made.run(3600.0, 60.0)
        assert made.ledger.spend.by_instance()[asking] >= made.provider.billed(asking) - 1


def test_a_price_that_was_not_changed_after_all_is_lowered_by_the_next_list(
    tmp_path: Path,
) -> None:
    with rig(tmp_path) as made:
        asking = one_asks(made)
        paid = price_of(made, asking)
        made.provider.fail("accept_price_increase", "unreachable")
        while not made.provider.calls["accept_price_increase"]:
            made.tick(WATCHED_EVERY_S / 10)
        assert price_of(made, asking) == MORE
        made.run(60.0)
        assert price_of(made, asking) == paid
        made.run(2 * WATCHED_EVERY_S, 30.0)
        assert price_of(made, asking) == MORE  # asked for again, and agreed to


def test_a_price_turned_down_changes_nothing(tmp_path: Path) -> None:
    with rig(tmp_path) as made:
        made.settle()
        asking = min(made.provider.truth())
        paid = price_of(made, asking)
        made.provider.outside.ask_more(asking, 9.0)
        made.run(2 * WATCHED_EVERY_S, 30.0)
        assert made.provider.calls["reject_price_increase"] == 1
        assert price_of(made, asking) == paid
