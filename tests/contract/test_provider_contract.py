"""What the controller relies on, held by every provider: the fake, and Vast's client over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from provider_rigs import CREDIT_USD, RIGS, Rig

from vast_pyworker.errors import (
    BadAnswer,
    CreatedStopped,
    InvalidRequest,
    NoCredit,
    NotFound,
    OfferGone,
    OutcomeUnknown,
    ProviderError,
    ProviderUnreachable,
    QueryError,
    ResourcesUnavailable,
)
from vast_pyworker.model import Instance, Launch, Offer, Phase

LAUNCH = Launch(
    backend="helloworld",
    image="ubuntu:22.04",
    disk_gb=20.0,
    env={"-p 3000:3000": "1", "MODEL": "small", "LEVEL": "launch"},
)
COMING = (Phase.CREATING, Phase.LOADING)
STANDING = (Phase.STOPPED, Phase.SCHEDULING)
MISSING_ID = 1_999_999


@pytest.fixture(params=RIGS)
def rig(request: pytest.FixtureRequest) -> Iterator[Rig]:
    with RIGS[request.param]() as made:
        yield made


def offers_of(rig: Rig, query: str = "verified=any", **more: Any) -> list[Offer]:
    return rig.provider.offers(query, **{"disk_gb": LAUNCH.disk_gb, **more})


def one_of_each_machine(rig: Rig) -> list[Offer]:
    """Offers of one machine may be for the same GPUs."""
    return list({each.machine_id: each for each in offers_of(rig)}.values())


def rent(rig: Rig, label: str = "fleet/g/1", launch: Launch = LAUNCH, **env: str) -> int:
    bid = launch.bid_usd_per_hour
    offer = offers_of(rig, bid_usd_per_hour=bid)[0]
    rented = rig.provider.create(offer, launch, label, env)
    assert rented.started
    return rented.instance_id


def running(rig: Rig, label: str = "fleet/g/1", launch: Launch = LAUNCH) -> int:
    number = rent(rig, label, launch)
    rig.until_it_has_come()
    assert shown(rig, number).phase is Phase.RUNNING
    return number


def shown(rig: Rig, number: int) -> Instance:
    instance = rig.provider.show(number)
    assert instance is not None
    return instance


# Offers


def test_offers_say_what_choosing_needs(rig: Rig) -> None:
    offers = offers_of(rig)
    assert len({each.id for each in offers}) == len(offers) > 10
    for each in offers:
        assert each.machine_id and each.host_id and each.gpu_name and each.num_gpus > 0
        assert 0 < (each.usd_per_hour_stopped or 0) < each.usd_per_hour
        assert each.reliability is None or 0 < each.reliability <= 1
        assert each.disk_gb is None or each.disk_gb >= LAUNCH.disk_gb


def test_the_price_is_with_the_disk(rig: Rig) -> None:
    small = {each.id: each for each in offers_of(rig, disk_gb=10.0)}
    large = {each.id: each for each in offers_of(rig, disk_gb=110.0)}
    both = [(small[number], large[number]) for number in small.keys() & large.keys()]
    assert len(both) > 10
    for one, other in both:
        assert one.usd_per_hour_stopped and other.usd_per_hour_stopped
        assert other.usd_per_hour_stopped == pytest.approx(11 * one.usd_per_hour_stopped, rel=1e-3)
        more = other.usd_per_hour - one.usd_per_hour
        assert more == pytest.approx(10 * one.usd_per_hour_stopped, rel=1e-3)


def test_a_query_narrows_and_finds_nothing_where_there_is_nothing(rig: Rig) -> None:
    double = offers_of(rig, "num_gpus=2 verified=any")
    assert double and all(each.num_gpus == 2 for each in double)
    cheap = offers_of(rig, "dph<0.4 verified=any")
    assert cheap and all(each.usd_per_hour < 0.4 for each in cheap)
    assert offers_of(rig, "num_gpus>1000") == []


def test_a_query_that_cannot_be_read_is_refused(rig: Rig) -> None:
    with pytest.raises((QueryError, InvalidRequest)):
        offers_of(rig, "num_gpus !!! 4")


def test_a_bid_finds_what_it_wins_at_its_own_price(rig: Rig) -> None:
    low, high = 0.12, 0.5
    at_low = offers_of(rig, bid_usd_per_hour=low)
    at_high = offers_of(rig, bid_usd_per_hour=high)
    assert 0 < len(at_low) < len(at_high)
    for each in at_high:
        assert each.usd_per_hour_stopped is not None
        assert each.usd_per_hour == pytest.approx(high + each.usd_per_hour_stopped)


def test_what_is_rented_is_no_longer_on_offer(rig: Rig) -> None:
    offer = offers_of(rig)[0]
    rig.provider.create(offer, LAUNCH, "fleet/g/1", {})
    assert offer.id not in {each.id for each in offers_of(rig)}


# Creating


def test_a_create_is_found_by_its_label_and_tells_its_price(rig: Rig) -> None:
    offer = offers_of(rig)[0]
    rented = rig.provider.create(offer, LAUNCH, "fleet/g/1", {})
    found = rig.provider.find("fleet/g/1")
    assert [each.id for each in found] == [rented.instance_id]
    assert found == rig.provider.instances("fleet/")
    one = found[0]
    assert one == shown(rig, rented.instance_id)
    assert one.phase in COMING and one.label == "fleet/g/1" and one.reason
    assert (one.machine_id, one.host_id) == (offer.machine_id, offer.host_id)
    assert (one.gpu_name, one.num_gpus) == (offer.gpu_name, offer.num_gpus)
    assert one.place == offer.place and one.disk_gb == LAUNCH.disk_gb and not one.is_bid
    assert one.usd_per_hour == pytest.approx(offer.usd_per_hour, abs=1e-6)
    assert one.usd_per_hour_stopped == pytest.approx(offer.usd_per_hour_stopped, abs=1e-6)
    assert one.usd_per_hour_now == pytest.approx(one.usd_per_hour_stopped)


def test_it_comes_to_run_with_its_ports(rig: Rig) -> None:
    number = rent(rig)
    assert shown(rig, number).ports == {}
    rig.until_it_has_come()
    one = shown(rig, number)
    assert one.phase is Phase.RUNNING
    assert one.usd_per_hour_now == pytest.approx(one.usd_per_hour)
    host, _, port = one.ports["3000/tcp"].rpartition(":")
    assert host and 0 < int(port) < 65_536


def test_the_given_environment_goes_over_the_launchs(rig: Rig) -> None:
    env = rig.env_of(rent(rig, LEVEL="ours", REPORT_ADDR="http://127.0.0.1:8555"))
    wanted = {"MODEL": "small", "LEVEL": "ours", "REPORT_ADDR": "http://127.0.0.1:8555"}
    assert wanted.items() <= env.items() and env["-p 3000:3000"] == "1"


def test_an_offer_can_be_rented_once(rig: Rig) -> None:
    offer = offers_of(rig)[0]
    rig.provider.create(offer, LAUNCH, "fleet/g/1", {})
    with pytest.raises(OfferGone):
        rig.provider.create(offer, LAUNCH, "fleet/g/2", {})
    assert len(rig.provider.instances("")) == 1


def test_an_offer_that_is_withdrawn_or_never_was_makes_nothing(rig: Rig) -> None:
    offer = offers_of(rig)[0]
    rig.break_call("create", "offer_gone")
    for each in (offer, replace(offer, id=MISSING_ID)):
        with pytest.raises(OfferGone):
            rig.provider.create(each, LAUNCH, "fleet/g/1", {})
    assert rig.provider.instances("") == []


@pytest.mark.parametrize(
    "launch",
    [
        replace(LAUNCH, image=None),
        replace(LAUNCH, disk_gb=0.0),
    ],
)
def test_a_launch_that_cannot_be_makes_nothing(rig: Rig, launch: Launch) -> None:
    with pytest.raises(InvalidRequest):
        rig.provider.create(offers_of(rig)[0], launch, "fleet/g/1", {})
    assert rig.provider.instances("") == []


def test_one_that_comes_up_stopped_is_told_by_its_id(rig: Rig) -> None:
    rig.break_call("create", "create_stopped")
    with pytest.raises(CreatedStopped) as caught:
        rent(rig)
    rig.until_it_has_come()
    one = shown(rig, caught.value.instance_id)
    assert one.phase is Phase.STOPPED and one.label == "fleet/g/1"
    assert (one.usd_per_hour_now or 0) > 0


def test_a_create_cut_off_after_its_effect_is_found_by_its_label(rig: Rig) -> None:
    rig.break_call("create", "after")
    with pytest.raises(OutcomeUnknown) as caught:
        rent(rig)
    assert caught.value.label == "fleet/g/1"
    assert len(rig.provider.find("fleet/g/1")) == 1 == len(rig.provider.instances(""))


def test_a_create_cut_off_before_its_effect_is_not_found(rig: Rig) -> None:
    rig.break_call("create", "before")
    with pytest.raises(OutcomeUnknown) as caught:
        rent(rig)
    assert caught.value.label == "fleet/g/1"
    assert rig.provider.find("fleet/g/1") == []


def test_a_bid_below_the_least_makes_nothing(rig: Rig) -> None:
    offer = offers_of(rig)[-1]
    with pytest.raises(OfferGone):
        rig.provider.create(offer, replace(LAUNCH, bid_usd_per_hour=0.002), "fleet/g/1", {})
    assert rig.provider.instances("") == []


def test_a_bid_is_rented_at_its_price(rig: Rig) -> None:
    one = shown(rig, running(rig, launch=replace(LAUNCH, bid_usd_per_hour=0.5)))
    assert one.is_bid and one.usd_per_hour_stopped is not None
    assert one.usd_per_hour == pytest.approx(0.5 + one.usd_per_hour_stopped, abs=1e-6)


# Lists


def test_a_list_is_complete_over_pages_and_holds_ours_only(rig: Rig) -> None:
    offers = one_of_each_machine(rig)[:31]
    ours = {
        rig.provider.create(offer, LAUNCH, f"fleet/g/{n}", {}).instance_id
        for n, offer in enumerate(offers[:28])
    }
    for label, offer in zip(("other/g/1", "flee", "fleet"), offers[28:], strict=True):
        rig.provider.create(offer, LAUNCH, label, {})
    assert {each.id for each in rig.provider.instances("fleet/")} == ours
    assert len(rig.provider.instances("")) == 31
    assert [each.label for each in rig.provider.find("fleet/g/2")] == ["fleet/g/2"]
    assert rig.provider.find("fleet/g/99") == []


def test_a_list_that_cannot_be_read_raises(rig: Rig) -> None:
    rent(rig)
    rig.break_call("instances", "unreachable")
    with pytest.raises(ProviderUnreachable):
        rig.provider.instances("fleet/")


def test_a_list_that_lacks_a_page_raises(rig: Rig) -> None:
    for n, offer in enumerate(one_of_each_machine(rig)[:27]):
        rig.provider.create(offer, LAUNCH, f"fleet/g/{n}", {})
    rig.break_call("instances", "lost_page")
    with pytest.raises(BadAnswer):
        rig.provider.instances("fleet/")


@pytest.mark.parametrize("call", ["offers", "show", "find"])
def test_no_other_read_takes_a_failure_for_nothing(rig: Rig, call: str) -> None:
    number = rent(rig)
    rig.break_call(call, "unreachable")
    reads = {
        "offers": lambda: offers_of(rig),
        "show": lambda: rig.provider.show(number),
        "find": lambda: rig.provider.find("fleet/g/1"),
    }
    with pytest.raises(ProviderUnreachable):
        reads[call]()


def test_what_never_was_is_gone(rig: Rig) -> None:
    assert rig.provider.show(MISSING_ID) is None


# Starting and stopping


def test_a_stopped_one_keeps_its_disk_and_starts_again(rig: Rig) -> None:
    number = running(rig)
    for _ in range(2):
        rig.provider.stop(number)
        one = shown(rig, number)
        assert one.phase is Phase.STOPPED and one.ports == {}
        assert one.usd_per_hour_now == pytest.approx(one.usd_per_hour_stopped)
    for _ in range(2):
        rig.provider.start(number)
        assert shown(rig, number).phase in COMING
    rig.until_it_has_come()
    assert shown(rig, number).phase is Phase.RUNNING
    rig.provider.start(number)
    assert shown(rig, number).phase is Phase.RUNNING


def test_a_start_without_its_gpu_is_queued_and_can_be_taken_back(rig: Rig) -> None:
    number = running(rig)
    rig.provider.stop(number)
    rig.break_call("start", "start_queued")
    with pytest.raises(ResourcesUnavailable):
        rig.provider.start(number)
    one = shown(rig, number)
    assert one.phase is Phase.SCHEDULING
    assert one.usd_per_hour_now == pytest.approx(one.usd_per_hour_stopped)
    rig.provider.stop(number)
    assert shown(rig, number).phase is Phase.STOPPED


def test_a_reboot_comes_back(rig: Rig) -> None:
    number = running(rig)
    rig.provider.reboot(number)
    assert shown(rig, number).phase is Phase.REBOOTING
    rig.until_it_has_come()
    assert shown(rig, number).phase is Phase.RUNNING


def test_a_reboot_of_what_does_not_run_is_refused(rig: Rig) -> None:
    number = running(rig)
    rig.provider.stop(number)
    with pytest.raises(InvalidRequest):
        rig.provider.reboot(number)
    assert shown(rig, number).phase is Phase.STOPPED


def test_a_reboot_cut_off_is_not_said_to_be_done(rig: Rig) -> None:
    number = running(rig)
    rig.break_call("reboot", "after")
    with pytest.raises(OutcomeUnknown):
        rig.provider.reboot(number)
    assert shown(rig, number).phase is Phase.REBOOTING


def test_one_that_is_gone_cannot_be_started_stopped_or_rebooted(rig: Rig) -> None:
    for verb in (rig.provider.start, rig.provider.stop):
        with pytest.raises(NotFound):
            verb(MISSING_ID)
    with pytest.raises((NotFound, InvalidRequest)):
        rig.provider.reboot(MISSING_ID)


# Destroying


def test_what_is_destroyed_is_gone_and_may_be_destroyed_again(rig: Rig) -> None:
    number = running(rig)
    for _ in range(2):
        rig.provider.destroy(number)
        assert rig.provider.show(number) is None
    assert rig.provider.instances("") == [] == rig.provider.find("fleet/g/1")
    rig.provider.destroy(MISSING_ID)


def test_a_destroy_that_cannot_be_asked_for_leaves_it_there(rig: Rig) -> None:
    number = running(rig)
    rig.break_call("destroy", "before")
    with pytest.raises(ProviderError):
        rig.provider.destroy(number)
    assert shown(rig, number).phase is Phase.RUNNING


# What happens by itself


@pytest.mark.parametrize("phase", [Phase.EXITED, Phase.OFFLINE, Phase.EXPIRED, Phase.STOPPED])
def test_what_befalls_an_instance_is_seen(rig: Rig, phase: Phase) -> None:
    number = running(rig)
    rig.befall(number, phase)
    one = shown(rig, number)
    assert one.phase is phase and one.reason
    assert one.ports == {}
    assert [each.phase for each in rig.provider.instances("fleet/")] == [phase]


def test_an_outbid_is_seen(rig: Rig) -> None:
    number = running(rig, launch=replace(LAUNCH, bid_usd_per_hour=0.5))
    rig.befall(number, Phase.OUTBID)
    one = shown(rig, number)
    assert one.phase is Phase.OUTBID
    assert one.usd_per_hour_now == pytest.approx(one.usd_per_hour_stopped)


def test_an_expired_one_cannot_be_started(rig: Rig) -> None:
    number = running(rig)
    rig.befall(number, Phase.EXPIRED)
    with pytest.raises(InvalidRequest):
        rig.provider.start(number)


# Money


def test_charges_are_what_was_billed_also_of_what_is_gone(rig: Rig) -> None:
    first, second = running(rig, "fleet/g/1"), running(rig, "fleet/g/2")
    rig.provider.stop(first)
    rig.advance(1800.0)
    rig.provider.destroy(second)
    rig.advance(1800.0)
    charges = rig.provider.charges()
    assert charges is not None and set(charges) == {first, second}
    assert charges == pytest.approx(rig.bill(), abs=1e-9)
    assert all(each > 0 for each in charges.values())


def test_charges_follow_the_rate_of_each_phase(rig: Rig) -> None:
    number = running(rig)
    before = (rig.provider.charges() or {})[number]
    rig.advance(3600.0)
    after = (rig.provider.charges() or {})[number]
    rate = shown(rig, number).usd_per_hour
    assert rate and rate <= after - before + 1e-9 <= 1.1 * rate  # traffic comes on top
    rig.provider.stop(number)
    rig.advance(3600.0)
    end = (rig.provider.charges() or {})[number]
    assert end - after == pytest.approx(shown(rig, number).usd_per_hour_stopped, rel=1e-6)


def test_credit_falls_by_what_is_charged(rig: Rig) -> None:
    assert rig.provider.credit() == pytest.approx(CREDIT_USD)
    running(rig)
    rig.advance(3600.0)
    left, charged = rig.provider.credit(), sum((rig.provider.charges() or {}).values())
    assert left == pytest.approx(CREDIT_USD - charged, abs=1e-6)


def test_without_credit_all_stands_still_and_nothing_can_be_rented(rig: Rig) -> None:
    number, offer = running(rig), offers_of(rig)[0]
    rig.spend_all_credit()
    assert shown(rig, number).phase is Phase.STOPPED
    with pytest.raises(NoCredit):
        rig.provider.start(number)
    with pytest.raises(NoCredit):
        rig.provider.create(offer, LAUNCH, "fleet/g/2", {})
    rig.advance(3600.0)
    left = rig.provider.credit()
    assert left is not None and left < 0
    assert len(rig.provider.instances("")) == 1


def test_a_price_increase_waits_for_its_answer(rig: Rig) -> None:
    number = running(rig)
    assert rig.provider.price_increases() == []
    rig.ask_more(number)
    before = shown(rig, number).usd_per_hour
    (wish,) = rig.provider.price_increases()
    assert before and wish.instance_id == number
    assert wish.usd_per_hour and wish.usd_per_hour > before
    rig.provider.reject_price_increase(wish.id)
    assert rig.provider.price_increases() == []
    assert shown(rig, number).usd_per_hour == pytest.approx(before)


def test_an_accepted_price_is_paid(rig: Rig) -> None:
    number = running(rig)
    rig.ask_more(number)
    (wish,) = rig.provider.price_increases()
    rig.provider.accept_price_increase(wish.id)
    assert shown(rig, number).usd_per_hour == pytest.approx(wish.usd_per_hour, abs=1e-6)
    for settle in (rig.provider.accept_price_increase, rig.provider.reject_price_increase):
        with pytest.raises(NotFound):
            settle(wish.id)


def test_logs_are_text(rig: Rig) -> None:
    number = running(rig)
    text = rig.provider.logs(number)
    assert text.strip()
    assert rig.provider.logs(number, tail=1).strip() in text
