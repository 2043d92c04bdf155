"""Faults: how they are written, when they come, and what those of the world do."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_market import Rig, refused, refused_unchanged

from vast_pyworker.errors import SettingError
from vast_pyworker.market.faults.blows import _BLOWS
from vast_pyworker.market.faults.book import Fault, FaultBook, parse_fault, parse_faults
from vast_pyworker.market.faults.kinds import ANSWER_KINDS, CALLS, KINDS, WORLD_KINDS

WRONG: list[tuple[object, str]] = [
    ("x", "a fault is an object"),
    ({}, "there is no fault None; there are latency, "),
    ({"kind": "flood"}, "there is no fault 'flood'; there are latency, "),
    ({"kind": "latency", "calls": ["lists"]}, "there is no call 'lists'; there are *, search"),
    ({"kind": "latency", "calls": []}, "calls are a list"),
    ({"kind": "latency", "calls": 5}, "calls are a list"),
    ({"kind": "latency", "probability": 2}, "probability is a number from 0 to 1, not 2"),
    ({"kind": "latency", "probability": "1"}, "probability is a number"),
    ({"kind": "latency", "count": -1}, "count is a number of calls from 0 up"),
    ({"kind": "latency", "count": 1.5}, "count is a number of calls"),
    ({"kind": "latency", "script": "01"}, "script is a list of 0 and 1"),
    ({"kind": "latency", "script": [2]}, "script is a list of 0 and 1"),
    ({"kind": "latency", "script": [[1]]}, "script is a list of 0 and 1"),
    ({"kind": "latency", "count": 1, "probability": 1}, "give one of"),
    ({"kind": "latency", "when": 1}, "a fault has no when; it may have calls, count, kind"),
    ({"kind": "latency", "params": 1}, "params are an object"),
    ({"kind": "latency", "params": {"s": 1}}, "has no parameter s; it has seconds"),
    ({"kind": "latency", "params": {"seconds": -1}}, "seconds cannot be -1"),
    ({"kind": "latency", "params": {"seconds": "1"}}, "seconds cannot be '1'"),
    ({"kind": "exited", "params": {"after_s": float("inf")}}, "after_s cannot be inf"),
]


@pytest.mark.parametrize(("given_", "words"), WRONG)
def test_what_is_no_fault_is_refused_with_one_sentence(given_: object, words: str) -> None:
    with pytest.raises(SettingError) as caught:
        parse_fault(given_)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_kind_lists_every_kind() -> None:
    with pytest.raises(SettingError) as caught:
        parse_fault({"kind": "?"})
    assert all(kind in str(caught.value) for kind in KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_a_sentence_and_goes_through_json(kind: str) -> None:
    fault = parse_fault({"kind": kind, "calls": ["list", "show"], "script": [0, 1]})
    assert fault.params == {**KINDS[kind][1], **({"after_s": 0.0} if kind in WORLD_KINDS else {})}
    assert parse_fault(json.loads(json.dumps(fault.to_json()))) == fault
    assert KINDS[kind][0]


def test_faults_come_as_text_as_a_list_as_one_or_under_their_name() -> None:
    one = {"kind": "latency"}
    expected = [Fault("latency", params={"seconds": 1.0})]
    for form in (json.dumps([one]), json.dumps(one), json.dumps({"faults": [one]}), [one], one):
        assert parse_faults(form) == expected  # type: ignore[arg-type]
    for bad in ("{", "5", '"x"', 5):
        with pytest.raises(SettingError):
            parse_faults(bad)  # type: ignore[arg-type]


@given(st.text() | st.recursive(st.none() | st.booleans() | st.floats() | st.text(),
                                lambda c: st.lists(c) | st.dictionaries(st.text(), c)))  # fmt: skip
def test_nothing_raises_anything_else(given_: Any) -> None:
    with suppress(SettingError):
        parse_faults(given_)


def draws(book: FaultBook, calls: list[str]) -> list[int]:
    return [len(book.draw(call)) for call in calls]


def test_a_count_is_the_first_calls_and_a_script_one_by_one() -> None:
    book = FaultBook(0, [Fault("latency", count=2), Fault("not_json", script=(0, 1, 1))])
    assert [[fault.kind for fault in book.draw("list")] for _ in range(4)] == [
        ["latency"],
        ["latency", "not_json"],
        ["not_json"],
        [],
    ]


def test_only_the_named_calls_are_counted() -> None:
    book = FaultBook(0, [Fault("latency", ("list",), count=1)])
    assert draws(book, ["show", "create", "list", "list"]) == [0, 0, 1, 0]


def test_answer_faults_and_world_faults_are_drawn_apart() -> None:
    book = FaultBook(0, [Fault("latency", count=1), Fault("exited", count=1)])
    assert [fault.kind for fault in book.draw("list")] == ["latency"]
    assert [fault.kind for fault in book.draw("list", world=True)] == ["exited"]


def test_faults_that_replace_others_may_draw_by_a_seed_of_their_own() -> None:
    book, fault, calls = FaultBook(1), Fault("latency", probability=0.5), ["list"] * 40

    def drawn(seed: object) -> list[int]:
        book.replace([fault], seed=seed)
        return draws(book, calls)

    assert drawn("a") == drawn("a") == draws(FaultBook("a", [fault]), calls)
    assert drawn("a") != drawn("b")
    assert drawn("b") == drawn(None)


def test_chance_comes_from_the_seed_and_from_nothing_else() -> None:
    calls = ["list"] * 200

    def run(seed: int, *others: Fault) -> list[bool]:
        book = FaultBook(seed, [Fault("latency", probability=0.3), *others])
        return ["latency" in [fault.kind for fault in book.draw(call)] for call in calls]

    assert run(1) == run(1, Fault("not_json", probability=0.5)) != run(2)
    assert 30 < sum(run(1)) < 90


def test_a_cleared_book_begins_again() -> None:
    book = FaultBook(5)
    book.add(Fault("latency", probability=0.5))
    first = draws(book, ["list"] * 50)
    book.clear()
    assert draws(book, ["list"]) == [0]
    book.add(Fault("latency", probability=0.5))
    assert draws(book, ["list"] * 50) == first


def test_the_book_says_how_often_each_came() -> None:
    book = FaultBook(0, [Fault("latency", ("list",), script=(1, 0, 1))])
    draws(book, ["list", "list", "show"])
    [row] = book.to_json()
    assert (row["asked"], row["came"], row["script"]) == (2, 1, [1, 0, 1])
    assert parse_faults(book.to_json())[0].script == (1, 0, 1)


def test_every_world_fault_is_carried_out_somewhere() -> None:
    assert set(_BLOWS) | {"offer_gone", "credit_zero"} == set(WORLD_KINDS)
    assert not set(ANSWER_KINDS) & set(WORLD_KINDS)
    assert len(set(CALLS)) == len(CALLS)


@pytest.mark.parametrize("kind", WORLD_KINDS)
@pytest.mark.parametrize("call", ["create", "list", "show", "start", "bulk_destroy"])
def test_any_world_fault_at_any_call_leaves_a_whole_world(kind: str, call: str) -> None:
    for seed in range(5):
        rig = Rig(seed=seed, faults=[{"kind": kind, "calls": [call], "count": 1}])
        numbers = []
        for ask in rig.machines[0].asks[:2]:
            try:
                numbers.append(rig.create(ask, price=0.5))
            except Exception as error:  # only what a create may say
                assert getattr(error, "status", None) in (400, 410)
        rig.market.list_instances(rig.account)
        for number in numbers:
            rig.market.show(rig.account, number)
        rig.market.advance(600)
        rig.check_books()
        if numbers:
            rig.market.set_state_many(rig.account, numbers, "stopped")
            rig.market.destroy_many(rig.account, numbers)
        assert rig.market.list_instances(rig.account)["total_instances"] == 0
        assert rig.market.spend_rate(rig.account)["container_storage_cost_per_hour"] == 0
        rig.check_books()


def test_a_dearer_offer_makes_a_dearer_contract() -> None:
    rig = Rig(faults=[{"kind": "price_change", "calls": ["create"], "params": {"factor": 2}}])
    said = rig.market.search({"disable_bundling": True})[0]["dph_base"]
    number = rig.create()
    assert rig.row(number)["dph_base"] == 2 * said
    assert rig.market.search({"disable_bundling": True})[0]["dph_base"] == 2 * said


def test_an_offer_can_be_gone_at_its_create() -> None:
    rig = Rig(faults=[{"kind": "offer_gone", "calls": ["create"], "count": 1}])
    assert refused(rig.answer).status == 410
    assert rig.market.list_instances(rig.account)["total_instances"] == 0
    assert refused(rig.answer).status == 410
    assert rig.answer(rig.machines[0].asks[1])["success"] is True


def test_a_create_can_end_stopped_and_be_billed() -> None:
    rig = Rig(faults=[{"kind": "create_stopped", "calls": ["create"], "count": 1}])
    answer = rig.answer()
    assert answer["success"] is False
    assert set(rig.states(answer["new_contract"])[1:]) == {"stopped"}
    assert rig.market.spend_rate(rig.account)["container_storage_cost_per_hour"] > 0


def test_a_start_can_be_queued_until_the_gpus_are_free() -> None:
    fault = {"kind": "start_queued", "calls": ["start"], "count": 1, "params": {"free_s": 100}}
    rig = Rig(faults=[fault])
    number = rig.running()
    rig.market.set_state(rig.account, number, "stopped")
    answer = rig.market.set_state(rig.account, number, "running")
    assert answer["error"] == "resources_unavailable"
    rig.market.advance(99)
    assert rig.states(number)[2] == "stopped"
    rig.market.advance(600)
    assert rig.states(number)[0] == "running"


def test_ports_of_two_instances_can_change_places() -> None:
    rig = Rig()
    env = {"-p 80:80": "1"}
    first, second = (rig.running(ask, env=env) for ask in rig.machines[0].asks[:2])
    before = rig.row(first)["ports"], rig.row(second)["ports"]
    assert rig.market.strike("port_reuse", first)["done"] is True
    assert (rig.row(second)["ports"], rig.row(first)["ports"]) == before


def test_a_host_key_can_change() -> None:
    rig = Rig()
    number = rig.running()
    before = rig.market.logs(rig.account, number, daemon=True)
    rig.market.strike("host_key_change", number)
    assert rig.market.logs(rig.account, number, daemon=True) != before


def test_credit_can_be_gone_at_once() -> None:
    rig = Rig()
    number = rig.running()
    rig.market.strike("credit_zero", account=rig.account)
    assert rig.market.credit(rig.account) == 0
    assert set(rig.states(number)[1:]) == {"stopped"}
    rig.check_books()


def test_a_blow_can_come_later() -> None:
    rig = Rig()
    number = rig.running()
    struck = rig.market.strike("exited", number, params={"after_s": 100, "code": 3})
    assert struck == {"kind": "exited", "instance_id": number, "done": None}
    rig.market.advance(99)
    assert rig.states(number)[0] == "running"
    rig.market.advance(2)
    assert rig.row(number)["status_msg"] == "container exited with code 3\n"


def test_one_that_is_still_loading_exits_as_soon_as_it_runs() -> None:
    rig = Rig(faults=[{"kind": "exited", "calls": ["create"], "count": 1}])
    number = rig.create()
    rig.market.advance(3600)
    assert rig.states(number)[0] == "exited"


@pytest.mark.parametrize(
    ("kind", "number", "params"),
    [("latency", None, {}), (None, None, {}), ("exited", 7, {}), ("exited", None, {"x": 1})],
)
def test_only_a_fault_of_the_world_can_be_struck(
    kind: object, number: int | None, params: dict[str, Any]
) -> None:
    rig = Rig()
    rig.create()
    refusal = refused_unchanged(rig, lambda: rig.market.strike(kind, number, params=params))
    assert refusal.status == 400


def test_a_blow_that_does_not_fit_does_nothing() -> None:
    rig = Rig()
    assert rig.market.strike("exited")["done"] is False
    number = rig.running()
    before = rig.states(number)
    assert rig.market.strike("outbid", number)["done"] is False
    assert rig.states(number) == before


def test_another_accounts_number_does_not_draw_a_blow_on_it() -> None:
    rig = Rig(faults=[{"kind": "expired", "calls": ["show"], "count": 1}])
    other = rig.open("other", 10.0)
    number = rig.create(account=other)
    assert rig.market.show(rig.account, number) is None
    assert rig.row(number, other)["next_state"] == "running"
