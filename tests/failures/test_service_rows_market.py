"""Service rows that the market can bring about by HTTP: nulls, a fleet lost at once, slow calls.

What the controller does about each is said in ``test_service_rows``; here the market is the oracle.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from market_rig import group, market_rig

from vast_pyworker.model import Limits

HOUR_S = 3600.0
WIDE = Limits(instances=20, usd_per_hour=20.0, usd_per_day=400.0, usd_per_month=20_000.0)


def test_a03_an_hour_at_a_market_that_is_well_changes_nothing(tmp_path: Path) -> None:
    with market_rig(tmp_path / "m") as m:
        m.run(120)
        before = len(m.acts)
        m.run(HOUR_S)
        assert (len(m.acts), m.ready(), m.made()) == (before, 2, 2)


@pytest.mark.parametrize("back_s", [240.0, None])
def test_a10_a_fleet_that_is_lost_at_once(tmp_path: Path, back_s: float | None) -> None:
    """Where it stays lost, it is replaced slowly, and one after the other comes."""
    with market_rig(tmp_path / "m", group(min_instances=6), limits=WIDE) as m:
        m.run(300)
        fleet, before = set(m.there), len(m.acts)
        assert m.ready() == 6
        for each in fleet:
            if m.there[each].lost is None:
                m.strike("offline", each, unknown_s=30.0, back_s=back_s)
        said = m.run(220)
        assert any("6 of 6 turned suspect" in each for each in said)
        assert (len(m.acts), set(m.there)) == (before, fleet)
        m.run(200 if back_s else 2 * HOUR_S)
        assert m.ready() == 6
        assert (set(m.there) == fleet) is (back_s is not None)
        m.check_counted()


def test_a11_a_slow_market_holds_up_nothing_for_ever(tmp_path: Path) -> None:
    """Answers that come after the client hung up are no answers, and what they did is found."""
    with market_rig(tmp_path / "m") as m:
        m.ground.patient(False)
        m.suffer("latency", "create", times=1, seconds=45.0)
        m.run(60)
        m.suffer("latency", "list", times=2, seconds=45.0)
        m.run(60)
        m.heal()
        m.ground.patient(True)
        m.run(900)
        assert (len(m.there), m.ready(), len(m.ours)) == (2, 2, 2)
        m.check_counted()


@pytest.mark.parametrize("share", [0.05, 0.3, 1.0])
def test_a13_nulls_in_every_row_change_nothing(tmp_path: Path, share: float) -> None:
    with market_rig(tmp_path / "m") as m:
        m.run(120)
        fleet, before = set(m.there), [act for act in m.acts if act[0] != "reboot"]
        m.suffer("null_fields", "list", "show", share=share)
        m.run(HOUR_S)
        m.heal()
        m.run(120)
        acts = [act for act in m.acts if act[0] != "reboot"]
        assert (set(m.there), acts, m.ready()) == (fleet, before, 2)
        m.check_counted()
