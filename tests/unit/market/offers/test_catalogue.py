from __future__ import annotations

import statistics
from collections import Counter
from dataclasses import replace

import pytest
from market_parts import DAY_S, EPOCH, drawn

from vast_pyworker.market.offers.catalogue import FIRST_CONTRACT_ID, Catalogue, generate
from vast_pyworker.market.supply.gpus import MODELS
from vast_pyworker.market.supply.hardware import DRIVERS, cuda_range, driver_number
from vast_pyworker.market.supply.machines import Machine
from vast_pyworker.market.supply.places import PLACES

CUDA_OF = {driver.version: driver.cuda for driver in DRIVERS}


def of_model(name: str) -> list[Machine]:
    return [machine for machine in drawn(2000) if machine.gpu.name == name]


def test_a_seed_gives_one_market() -> None:
    assert generate(7, 30, epoch=EPOCH) == generate(7, 30, epoch=EPOCH)
    assert generate(7, 30, epoch=EPOCH) != generate(8, 30, epoch=EPOCH)


def test_more_hosts_leave_the_first_ones_as_they_are() -> None:
    few = generate(7, 30, epoch=EPOCH)
    assert generate(7, 60, epoch=EPOCH)[: len(few)] == few


def test_the_epoch_moves_the_dates_alone() -> None:
    now, later = generate(7, 30, epoch=EPOCH), generate(7, 30, epoch=EPOCH + 1000)
    moved = [
        replace(one, listed_from=one.listed_from + 1000, listed_until=one.listed_until + 1000)
        for one in now
    ]
    assert tuple(moved) == later


def test_ids_are_unique_and_below_those_of_contracts() -> None:
    machines = drawn(2000)
    asks = [ask.id for machine in machines for ask in machine.asks]
    assert len(set(asks)) == len(asks)
    assert max(asks) < FIRST_CONTRACT_ID
    assert len({machine.machine_id for machine in machines}) == len(machines)
    assert len({machine.host_id for machine in machines}) == 2000


@pytest.mark.parametrize("hosts", [0, -3, 50_001])
def test_refuses_a_senseless_number_of_hosts(hosts: int) -> None:
    with pytest.raises(ValueError, match="hosts"):
        generate(1, hosts, epoch=EPOCH)


@pytest.mark.parametrize("seed", range(5))
def test_even_one_host_has_something_to_rent(seed: int) -> None:
    first = generate(seed, 1, epoch=EPOCH)[0]
    assert first.verification == "verified"
    assert not first.held_gpus


def test_drivers_know_their_gpu_and_their_cuda() -> None:
    for machine in drawn(2000):
        first, last = cuda_range(machine.gpu.compute_cap)
        assert machine.cuda_max_good == CUDA_OF[machine.driver_version]
        assert first <= machine.cuda_max_good <= last
    blackwell = of_model("RTX 5090")
    assert min(machine.cuda_max_good for machine in blackwell) >= 12.8


def test_driver_numbers_are_as_the_query_language_writes_them() -> None:
    assert driver_number("550.54.15") == 550054015
    assert driver_number("565.77") == 565077000


def test_the_same_model_reports_different_memory() -> None:
    assert {machine.gpu.ram_mb for machine in of_model("RTX 4090")} == {24564, 24576, 24217}


def test_prices_lie_around_what_the_model_costs() -> None:
    for model in MODELS:
        machines = [
            machine
            for machine in of_model(model.name)
            if machine.verification == "verified" and machine.gpu.ram_mb == model.ram_mb[0]
        ]
        if len(machines) >= 30:
            median = statistics.median(machine.usd_per_gpu_hour for machine in machines)
            assert 0.8 * model.usd_per_hour < median < 1.4 * model.usd_per_hour, model.name


def test_trust_and_racks_cost_more() -> None:
    def median(verification: str, hosting_type: int) -> float:
        return statistics.median(
            machine.usd_per_gpu_hour
            for machine in of_model("RTX 4090")
            if (machine.verification, machine.hosting_type) == (verification, hosting_type)
        )

    assert median("deverified", 0) < median("unverified", 0) < median("verified", 0)
    assert median("verified", 0) < median("verified", 1)


def test_shares_look_like_the_market() -> None:
    machines = drawn(2000)
    whole = len(machines)
    kinds = Counter(machine.verification for machine in machines)
    assert kinds["verified"] > kinds["unverified"] > kinds["deverified"] > whole * 0.01
    assert Counter(machine.gpu.name for machine in machines).most_common(1)[0][0] == "RTX 4090"
    countries = Counter(machine.country_code for machine in machines)
    assert countries.most_common(1)[0][0] == "US"
    assert len(countries) > 25
    assert 0.98 < statistics.median(machine.reliability for machine in machines) < 0.999
    assert all(0 < machine.reliability <= 1 for machine in machines)
    bids = [machine.min_bid_per_gpu / machine.usd_per_gpu_hour for machine in machines]
    assert 0.45 < statistics.median(bids) < 0.55
    assert max(bids) <= 1


def test_listings_end_in_days_or_months_and_some_soon() -> None:
    days = [(machine.listed_until - EPOCH) / DAY_S for machine in drawn(2000)]
    assert min(days) > 0
    assert sum(day < 3 for day in days) > len(days) * 0.04
    assert 10 < statistics.median(days) < 60
    assert max(days) < 370


def test_two_hosts_at_most_have_very_many_gpus() -> None:
    gpus: Counter[int] = Counter()
    for machine in drawn(2000):
        gpus[machine.host_id] += machine.num_gpus
    assert sum(count > 150 for count in gpus.values()) == 2


def test_places_are_city_and_country() -> None:
    for place in PLACES:
        city, code = place.name.split(", ")
        assert city and len(code) == 2 and code.isupper()


def test_addresses_are_nobodys() -> None:
    assert all(machine.public_ipaddr.startswith(("198.18.", "198.19.")) for machine in drawn(2000))


def test_finds_machines_and_asks_by_id() -> None:
    catalogue = Catalogue(drawn())
    machine = drawn()[3]
    assert len(catalogue) == len(drawn()) and tuple(catalogue) == drawn()
    assert catalogue.machine(machine.machine_id) == machine
    assert catalogue.ask(machine.asks[0].id) == (machine, machine.asks[0])
    assert catalogue.machine(-1) is None
    assert catalogue.ask(-1) is None


def test_replace_puts_in_a_new_price_and_keeps_the_asks() -> None:
    catalogue = Catalogue(drawn())
    dearer = replace(drawn()[3], usd_per_gpu_hour=9.0)
    catalogue.replace(dearer)
    assert catalogue.ask(dearer.asks[0].id) == (dearer, dearer.asks[0])
    with pytest.raises(ValueError, match="asks"):
        catalogue.replace(replace(dearer, asks=dearer.asks[:1] * 2))
    with pytest.raises(KeyError):
        catalogue.replace(replace(dearer, machine_id=-1))
