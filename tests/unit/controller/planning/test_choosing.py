from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from planning_support import BOUNDS, GROUP

from vast_pyworker.controller.planning.choosing import choose
from vast_pyworker.model import Bounds, Group, Offer, Preferences


@dataclass
class Scores:
    machines: dict[int, float] = field(default_factory=dict)
    hosts: dict[int, float] = field(default_factory=dict)

    def machine(self, machine_id: int) -> float:
        return self.machines.get(machine_id, 0.0)

    def host(self, host_id: int) -> float:
        return self.hosts.get(host_id, 0.0)


def an_offer(number: int, usd: float = 0.3, **fields: Any) -> Offer:
    """An offer of its own machine and host."""
    offer = Offer(number, number, number, "RTX 4090", 1, 24576.0, usd, 0.01, 100.0, 0.99, 100.0)
    return replace(offer, **fields)


def chosen(
    *offers: Offer,
    group: Group = GROUP,
    bounds: Bounds = BOUNDS,
    scores: Scores | None = None,
    machines: frozenset[int] = frozenset(),
    hosts: frozenset[int] = frozenset(),
    count: int = 9,
) -> list[int]:
    found = choose(
        offers, group, bounds, scores or Scores(),
        taken_machines=machines, taken_hosts=hosts, count=count,
    )  # fmt: skip
    return [each.id for each in found]


def preferring(**names: set[int]) -> Group:
    return replace(
        GROUP, preferences=Preferences(**{name: frozenset(ids) for name, ids in names.items()})
    )


def test_never_above_the_cap_of_the_hour() -> None:
    night, day = Bounds(0, 10, 0.5), Bounds(0, 10, 0.3)
    offers = (an_offer(1, 0.3), an_offer(2, 0.31), an_offer(3, float("nan")))
    assert chosen(*offers, bounds=night) == [1, 2]
    assert chosen(*offers, bounds=day) == [1]


def test_bad_hosts_and_machines_are_never_taken() -> None:
    group = preferring(bad_hosts={1}, bad_machines={2})
    assert chosen(an_offer(1), an_offer(2), an_offer(3), group=group) == [3]


def test_a_fresh_strike_bars_a_machine_and_two_a_host_until_they_fade() -> None:
    offers = (an_offer(1), an_offer(2), an_offer(3))
    fresh = Scores(machines={1: 0.99, 2: 0.49}, hosts={1: 0.99, 2: 0.49, 3: 1.9})
    assert chosen(*offers, scores=fresh) == [2]


def test_good_ones_come_first_whatever_they_cost() -> None:
    group = preferring(good_hosts={2}, good_machines={3})
    dear = (an_offer(1, 0.1), an_offer(2, 0.5), an_offer(3, 0.4))
    assert chosen(*dear, group=group) == [3, 2, 1]


def test_performance_for_a_dollar_decides_and_price_where_it_is_unknown() -> None:
    assert chosen(an_offer(1, 0.2, dlperf=50.0), an_offer(2, 0.4, dlperf=200.0)) == [2, 1]
    assert chosen(an_offer(1, 0.4, dlperf=None), an_offer(2, 0.2, dlperf=None)) == [2, 1]
    assert chosen(an_offer(1, 0.1, dlperf=None), an_offer(2, 0.4)) == [2, 1]
    assert chosen(an_offer(1, 0.1), an_offer(2, 0.0)) == [2, 1]


def test_they_spread_over_hosts_and_machines() -> None:
    same_host = (an_offer(1, 0.1, host_id=7), an_offer(2, 0.11, host_id=7), an_offer(3, 0.4))
    assert chosen(*same_host, count=2) == [1, 3]
    same_machine = (an_offer(1, 0.1), an_offer(2, 0.11, machine_id=1, host_id=1), an_offer(3, 0.4))
    assert chosen(*same_machine) == [1, 3, 2]


def test_a_machine_taken_already_is_the_last_resort_even_a_good_one() -> None:
    group = preferring(good_machines={1})
    assert chosen(an_offer(1, 0.1), an_offer(2, 0.5), group=group, machines=frozenset({1})) == [
        2,
        1,
    ]


def test_what_does_not_stay_is_last_and_what_ends_before_it_pays_is_out() -> None:
    offers = (
        an_offer(1, 0.1, available_s=4000.0),
        an_offer(2, 0.1, available_s=5 * 3600.0),
        an_offer(3, 0.5, available_s=7 * 3600.0),
        an_offer(4, 0.45, available_s=None),
    )
    assert chosen(*offers) == [4, 3, 2]
    assert chosen(*offers, group=replace(GROUP, max_lifetime_s=4 * 3600.0))[0] == 2


some_offers = st.lists(
    st.builds(
        Offer,
        id=st.integers(1, 50),
        machine_id=st.integers(1, 8),
        host_id=st.integers(1, 4),
        gpu_name=st.just("RTX 4090"),
        num_gpus=st.just(1),
        gpu_ram_mb=st.none(),
        usd_per_hour=st.floats(0.0, 1.0),
        usd_per_hour_stopped=st.none(),
        disk_gb=st.none(),
        reliability=st.none(),
        dlperf=st.none() | st.floats(0.0, 500.0),
        available_s=st.none() | st.floats(0.0, 1e6),
    ),
    max_size=30,
    unique_by=lambda offer: offer.id,
)


@given(offers=some_offers, count=st.integers(0, 12), data=st.data())
def test_whatever_is_offered(offers: list[Offer], count: int, data: st.DataObject) -> None:
    group = preferring(bad_hosts={1}, bad_machines={2, 3}, good_machines={5})
    found = chosen(*offers, group=group, count=count)
    shuffled = data.draw(st.permutations(offers))
    assert found == chosen(*shuffled, group=group, count=count)
    by_id = {each.id: each for each in offers}
    assert len(found) == len(set(found)) <= count
    assert all(by_id[each].usd_per_hour <= 0.5 for each in found)
    assert not any(by_id[each].host_id == 1 or by_id[each].machine_id in (2, 3) for each in found)
