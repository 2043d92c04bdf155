"""The fake: time, failures, lists and watchers, each on demand."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from fake_rig import LAUNCH, FakeSite, offer

from vast_pyworker.errors import (
    AuthError,
    BadAnswer,
    CreatedStopped,
    InvalidRequest,
    NoCredit,
    NotFound,
    OfferGone,
    OutcomeUnknown,
    ProviderUnreachable,
    RateLimited,
    ResourcesUnavailable,
)
from vast_pyworker.model import Phase
from vast_pyworker.providers.fake import Act, Times, make_offers


@pytest.fixture
def site() -> FakeSite:
    return FakeSite()


def phase(site: FakeSite, number: int) -> Phase:
    instance = site.fake.show(number)
    assert instance is not None
    return instance.phase


# Time


def test_an_instance_comes_step_by_step() -> None:
    site = FakeSite(times=Times(creating_s=2.0, loading_s=10.0))
    number = site.rent()
    seen = []
    for _ in range(12):
        seen.append(phase(site, number))
        site.pass_time(1.0)
    assert seen == [Phase.CREATING] * 2 + [Phase.LOADING] * 8 + [Phase.RUNNING] * 2


def test_what_happened_between_two_calls_happened_at_its_time(site: FakeSite) -> None:
    number = site.rent()
    site.pass_time(100_000.0)
    first, second, third = site.fake.billed_lines(number)
    assert (first.phase, second.phase, third.phase) == (
        Phase.CREATING,
        Phase.LOADING,
        Phase.RUNNING,
    )
    assert third.since - first.since == 30_000_000


def test_a_clock_that_goes_back_changes_nothing(site: FakeSite) -> None:
    number = site.running()
    billed = site.fake.billed(number)
    site.pass_time(-3600.0)
    assert phase(site, number) is Phase.RUNNING
    assert site.fake.billed(number) == billed
    site.pass_time(3599.0)
    assert site.fake.billed(number) == billed


def test_times_may_change_while_it_runs(site: FakeSite) -> None:
    number = site.running()
    site.fake.times = Times(reboot_s=100.0)
    site.fake.reboot(number)
    site.pass_time(99.0)
    assert phase(site, number) is Phase.REBOOTING
    site.pass_time(1.0)
    assert phase(site, number) is Phase.RUNNING


def test_a_contract_ends_and_is_deleted_two_days_later() -> None:
    site = FakeSite(offers=[offer(1, available_s=3600.0)])
    number = site.running()
    instance = site.fake.show(number)
    assert instance is not None and instance.ends_at == instance.created_at + 3600.0  # type: ignore[operator]
    site.pass_time(3600.0)
    assert phase(site, number) is Phase.EXPIRED
    with pytest.raises(InvalidRequest):
        site.fake.start(number)
    site.pass_time(48 * 3600.0)
    assert site.fake.show(number) is None and site.fake.instances("") == []


def test_the_same_seed_is_the_same_market() -> None:
    assert make_offers(50, seed=3) == make_offers(50, seed=3) != make_offers(50, seed=4)


# GPUs


def test_gpus_are_on_offer_again_when_an_instance_stops_or_goes(site: FakeSite) -> None:
    def on_offer() -> set[int]:
        return {each.id for each in site.fake.offers("", disk_gb=20.0)}

    number = site.running()
    assert on_offer() == {2, 3}
    site.fake.stop(number)
    assert on_offer() == {1, 2, 3}
    site.fake.start(number)
    assert on_offer() == {2, 3}
    site.fake.destroy(number)
    assert on_offer() == {1, 2, 3}


def test_a_stopped_one_waits_while_another_has_its_gpus() -> None:
    site = FakeSite(offers=[offer(1)])
    first = site.running("fleet/g/1")
    site.fake.stop(first)
    second = site.running("fleet/g/2")
    with pytest.raises(ResourcesUnavailable):
        site.fake.start(first)
    assert phase(site, first) is Phase.SCHEDULING
    site.fake.destroy(second)
    site.pass_time(5.0)
    assert phase(site, first) is Phase.RUNNING


def test_a_stranger_on_its_gpus_goes_again(site: FakeSite) -> None:
    number = site.running()
    site.fake.stop(number)
    site.fake.outside.occupy(number)
    with pytest.raises(ResourcesUnavailable):
        site.fake.start(number)
    site.fake.outside.recover(number)
    site.pass_time(5.0)
    assert phase(site, number) is Phase.RUNNING


def test_one_that_is_outbid_comes_back_by_itself(site: FakeSite) -> None:
    number = site.running(bid_usd_per_hour=0.3)
    assert site.fake.outside.befall(number, Phase.OUTBID)
    assert phase(site, number) is Phase.OUTBID
    site.fake.outside.recover(number)
    site.pass_time(5.0)
    assert phase(site, number) is Phase.RUNNING


def test_nobody_loses_gpus_to_a_blow_on_another() -> None:
    site = FakeSite(offers=[offer(1)])
    first = site.running("fleet/g/1")
    site.fake.stop(first)
    second = site.running("fleet/g/2")
    assert not site.fake.outside.befall(first, Phase.EXITED)
    assert site.fake.outside.befall(first, Phase.SCHEDULING)
    assert (phase(site, first), phase(site, second)) == (Phase.SCHEDULING, Phase.RUNNING)


def test_too_large_a_disk_finds_no_offer(site: FakeSite) -> None:
    assert site.fake.offers("", disk_gb=501.0) == []


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("gpu_name=RTX_4090", {1, 2, 3, 4}),
        ("gpu_name in [RTX_3090,A100]", set()),
        ("num_gpus>1", {4}),
        ("gpu_ram>=24 gpu_ram<25", {1, 2, 3, 4}),
        ("dph_total<0.5 verified=true cuda_vers>12", {1, 2, 3}),
        ("machine_id notin [1001,1002]", {3, 4}),
        ("dlperf>0", {4}),
        ("id!=4", {1, 2, 3}),
    ],
)
def test_queries_choose_by_what_the_offers_say(query: str, found: set[int]) -> None:
    offers = [offer(n) for n in (1, 2, 3)] + [offer(4, 0.8, num_gpus=2, dlperf=80.0)]
    site = FakeSite(offers=offers)
    assert {each.id for each in site.fake.offers(query, disk_gb=10.0)} == found


# What happens without a call


@pytest.mark.parametrize("to", [Phase.OFFLINE, Phase.UNKNOWN])
def test_a_lost_machine_comes_back_as_it_was(site: FakeSite, to: Phase) -> None:
    number = site.running()
    site.fake.outside.befall(number, to)
    assert phase(site, number) is to
    site.fake.outside.recover(number)
    assert phase(site, number) is Phase.RUNNING


@pytest.mark.parametrize("stuck", [Phase.CREATING, Phase.LOADING, Phase.REBOOTING])
def test_one_can_be_stuck(site: FakeSite, stuck: Phase) -> None:
    number = site.rent()
    site.fake.outside.befall(number, stuck)
    site.pass_time(1e6)
    assert phase(site, number) is stuck


def test_others_may_rent_and_destroy(site: FakeSite) -> None:
    number = site.fake.outside.put("fleet/g/9", phase=Phase.STOPPED, offer_id=2)
    assert [each.id for each in site.fake.instances("fleet/")] == [number]
    site.fake.outside.vanish(number)
    assert site.fake.show(number) is None
    with pytest.raises(NotFound):
        site.fake.outside.vanish(number)
    assert site.fake.mutations == 0


def test_prices_change(site: FakeSite) -> None:
    number = site.running()
    site.fake.outside.reprice(number, 0.9)
    site.fake.outside.reprice_offer(2, 0.7)
    assert site.fake.truth()[number].usd_per_hour == 0.9
    dear = {each.id: each.usd_per_hour for each in site.fake.offers("", disk_gb=20.0)}
    assert dear == {2: 0.704, 3: 0.404}


def test_a_withdrawn_offer_stays_with_who_has_it(site: FakeSite) -> None:
    number = site.running()
    site.fake.outside.withdraw_offer(1)
    assert phase(site, number) is Phase.RUNNING
    site.fake.destroy(number)
    assert {each.id for each in site.fake.offers("", disk_gb=20.0)} == {2, 3}


def test_what_is_gone_wants_no_more_money(site: FakeSite) -> None:
    number = site.running()
    site.fake.outside.ask_more(number, 0.9)
    site.fake.destroy(number)
    assert site.fake.price_increases() == []


# Calls that go wrong


@pytest.mark.parametrize(
    ("how", "error"),
    [
        ("unreachable", ProviderUnreachable),
        ("rate_limited", RateLimited),
        ("auth", AuthError),
        ("no_credit", NoCredit),
        ("invalid", InvalidRequest),
        ("offer_gone", OfferGone),
        ("before_effect", OutcomeUnknown),
    ],
)
def test_a_create_that_fails_makes_nothing(site: FakeSite, how: Any, error: Any) -> None:
    site.fake.fail("create", how)
    with pytest.raises(error) as caught:
        site.rent()
    assert site.fake.truth() == {}
    if error is OutcomeUnknown:
        assert caught.value.label == "fleet/g/1"
    assert site.rent()


def test_a_create_may_exist_all_the_same(site: FakeSite) -> None:
    site.fake.fail("create", "after_effect")
    with pytest.raises(OutcomeUnknown) as unknown:
        site.rent("fleet/g/1")
    assert unknown.value.label == "fleet/g/1"
    site.fake.fail("create", "stopped")
    with pytest.raises(CreatedStopped) as stopped:
        site.rent("fleet/g/2")
    truth = site.fake.truth()
    assert {each.label for each in truth.values()} == {"fleet/g/1", "fleet/g/2"}
    assert truth[stopped.value.instance_id].phase is Phase.STOPPED


def test_a_price_may_rise_between_search_and_create(site: FakeSite) -> None:
    site.fake.fail("create", "dearer")
    number = site.rent()
    assert site.fake.truth()[number].usd_per_hour == 0.604


@pytest.mark.parametrize(("call", "after"), [("stop", Phase.STOPPED), ("reboot", Phase.REBOOTING)])
def test_a_call_may_be_done_and_its_answer_lost(site: FakeSite, call: Any, after: Phase) -> None:
    number = site.running()
    site.fake.fail(call, "after_effect")
    with pytest.raises(OutcomeUnknown if call == "reboot" else ProviderUnreachable):
        getattr(site.fake, call)(number)
    assert phase(site, number) is after


def test_a_destroy_may_be_accepted_and_not_done_a_few_times(site: FakeSite) -> None:
    number = site.running()
    site.fake.fail("destroy", "ignored", times=3)
    for _ in range(3):
        site.fake.destroy(number)
        assert phase(site, number) is Phase.RUNNING
    site.fake.destroy(number)
    assert site.fake.show(number) is None


@pytest.mark.parametrize("call", ["start", "stop", "reboot"])
def test_other_calls_may_be_accepted_and_not_done(site: FakeSite, call: Any) -> None:
    number = site.running()
    if call == "start":
        site.fake.stop(number)
    before = phase(site, number)
    site.fake.fail(call, "ignored")
    getattr(site.fake, call)(number)
    assert phase(site, number) is before


def test_faults_come_after_good_calls_and_end(site: FakeSite) -> None:
    site.fake.fail("instances", "unreachable", times=2, skip=1)
    assert site.fake.instances("") == []
    for _ in range(2):
        with pytest.raises(ProviderUnreachable):
            site.fake.instances("")
    assert site.fake.instances("") == []


def test_faults_without_end_are_healed(site: FakeSite) -> None:
    site.fake.fail("*", "unreachable", times=None)
    for _ in range(3):
        with pytest.raises(ProviderUnreachable):
            site.fake.credit()
    site.fake.heal("*")
    assert site.fake.credit() is None


def test_any_error_can_be_given(site: FakeSite) -> None:
    given = BadAnswer("as told")
    site.fake.fail("offers", given)
    with pytest.raises(BadAnswer, match="as told"):
        site.fake.offers("", disk_gb=10.0)


@pytest.mark.parametrize(
    ("call", "how"), [("show", "lost_page"), ("create", "ignored"), ("fly", "auth"), ("show", "x")]
)
def test_what_a_call_cannot_suffer_is_refused(site: FakeSite, call: Any, how: Any) -> None:
    with pytest.raises(ValueError):
        site.fake.fail(call, how)


# Lists


def test_lists_lag_and_a_direct_look_does_not() -> None:
    site = FakeSite(list_lag_s=10.0)
    number = site.rent()
    assert site.fake.show(number) is not None
    site.pass_time(9.0)
    assert site.fake.instances("") == [] == site.fake.find("fleet/g/1")
    site.pass_time(1.0)
    (row,) = site.fake.instances("")
    assert row.phase is Phase.CREATING and phase(site, number) is Phase.LOADING
    site.fake.destroy(number)
    assert [each.id for each in site.fake.find("fleet/g/1")] == [number]
    site.pass_time(10.0)
    assert site.fake.instances("") == []


def test_lists_go_wrong_on_demand(site: FakeSite) -> None:
    ours = [site.rent(f"fleet/g/{n}") for n in range(3)]
    site.fake.fail("instances", "lost_page")
    with pytest.raises(BadAnswer):
        site.fake.instances("fleet/")
    counts = {}
    for how in ("duplicates", "partial", "empty"):
        site.fake.fail("instances", how)  # type: ignore[arg-type]
        counts[how] = len(site.fake.instances("fleet/"))
    assert counts == {"duplicates": 6, "partial": 2, "empty": 0}
    assert [each.id for each in site.fake.instances("fleet/")] == ours


# What a test looks at


def test_calls_are_counted_and_changes_remembered(site: FakeSite) -> None:
    number = site.running()
    site.fake.fail("stop", "unreachable")
    with pytest.raises(ProviderUnreachable):
        site.fake.stop(number)
    site.fake.instances("")
    assert site.fake.calls == {"offers": 1, "create": 1, "stop": 1, "instances": 1}
    assert site.fake.acts == [
        Act(site.at - 60.0, "create", "fleet/g/1"),
        Act(site.at, "stop", number),
    ]
    assert site.fake.mutations == 2


class Crash(BaseException):
    """Stands for a kill."""


@pytest.mark.parametrize(("moment", "done"), [("before", False), ("after", True)])
def test_a_watcher_can_crash_the_caller_around_the_effect(
    site: FakeSite, moment: str, done: bool
) -> None:
    def watch(now: str, call: str) -> None:
        if (now, call) == (moment, "create"):
            raise Crash

    site.fake.watch = watch
    with pytest.raises(Crash):
        site.rent()
    site.fake.watch = None
    assert bool(site.fake.truth()) is done
    assert site.rent("fleet/g/2")


def test_many_threads_may_call() -> None:
    wide = FakeSite(offers=make_offers(64))
    offers = wide.fake.offers("", disk_gb=20.0)

    def rent(part: int) -> None:
        for n in range(part, 64, 4):
            wide.fake.create(offers[n], LAUNCH, f"fleet/g/{n}", {})
            wide.fake.instances("fleet/")

    threads = [threading.Thread(target=rent, args=(part,)) for part in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(wide.fake.instances("fleet/")) == 64 == wide.fake.mutations
