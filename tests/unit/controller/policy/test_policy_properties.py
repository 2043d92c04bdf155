"""What holds for every policy, whatever it sees."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from policy_support import NOW, a_group

from vast_pyworker.controller.policy import POLICIES
from vast_pyworker.controller.policy.observation import Load, Observation
from vast_pyworker.model import Bounds

amounts = st.floats(0, 1e5)
maybe = st.none() | amounts
loads = st.builds(Load, maybe, maybe, maybe, maybe, maybe, maybe)
known_loads = st.builds(Load, amounts, amounts, amounts, amounts, amounts, amounts)


def observations(loads: st.SearchStrategy[Load]) -> st.SearchStrategy[Observation]:
    return st.builds(
        Observation,
        now=st.floats(NOW - 1e4, NOW + 1e4),
        load=loads,
        ready=st.integers(0, 30),
        hot=st.integers(0, 30),
        cold=st.integers(0, 30),
        perf_per_worker=st.none() | st.floats(0.1, 1e4),
    )


bounds_of_any_kind = st.tuples(st.integers(0, 20), st.integers(0, 20)).map(
    lambda pair: Bounds(min(pair), max(pair), 0.5)
)
histories = st.lists(observations(loads), max_size=5)


def remembered(name: str, bounds: Bounds, history: list[Observation]) -> Any:
    memory = None
    for each in history:
        _, memory = POLICIES[name].decide(a_group(name), bounds, each, memory)
    return memory


@pytest.mark.parametrize("name", POLICIES)
@given(bounds=bounds_of_any_kind, history=histories, last=observations(loads))
def test_never_outside_the_bounds(
    name: str, bounds: Bounds, history: list[Observation], last: Observation
) -> None:
    memory = remembered(name, bounds, history)
    want, _ = POLICIES[name].decide(a_group(name), bounds, last, memory)
    assert bounds.min_instances <= want.hot <= bounds.max_instances
    assert want.cold >= 0
    assert want.reason


@pytest.mark.parametrize("name", POLICIES)
@given(history=histories, last=observations(known_loads), more=amounts, data=st.data())
@settings(max_examples=200)
def test_more_load_never_wants_fewer(
    name: str, history: list[Observation], last: Observation, more: float, data: st.DataObject
) -> None:
    part = data.draw(st.sampled_from(["arrivals_60s", "arrivals_600s", "in_flight", "queued"]))
    fields = {**vars(last.load), part: getattr(last.load, part) + more}
    heavier = Observation(**{**vars(last), "load": Load(**fields)})
    bounds = Bounds(0, 20, 0.5)
    memory = remembered(name, bounds, history)
    light, _ = POLICIES[name].decide(a_group(name), bounds, last, memory)
    heavy, _ = POLICIES[name].decide(a_group(name), bounds, heavier, memory)
    assert heavy.hot >= light.hot
    assert heavy.hot + heavy.cold >= light.hot + light.cold


@pytest.mark.parametrize("name", POLICIES)
@given(
    history=st.lists(observations(loads), min_size=1, max_size=5),
    last=observations(loads),
    data=st.data(),
)
def test_the_unknown_never_wants_fewer(
    name: str, history: list[Observation], last: Observation, data: st.DataObject
) -> None:
    part = data.draw(st.sampled_from(["arrivals_60s", "in_flight", "queued"]))
    blind = Observation(**{**vars(last), "load": Load(**{**vars(last.load), part: None})})
    bounds = Bounds(0, 20, 0.5)
    memory = remembered(name, bounds, history[:-1])
    before, memory = POLICIES[name].decide(a_group(name), bounds, history[-1], memory)
    want, _ = POLICIES[name].decide(a_group(name), bounds, blind, memory)
    assert want.hot >= before.hot


@pytest.mark.parametrize("name", POLICIES)
@given(history=histories, last=observations(loads))
def test_the_same_again_wants_the_same(
    name: str, history: list[Observation], last: Observation
) -> None:
    bounds = Bounds(0, 20, 0.5)
    memory = remembered(name, bounds, [*history, last])
    first, memory = POLICIES[name].decide(a_group(name), bounds, last, memory)
    again, _ = POLICIES[name].decide(a_group(name), bounds, last, memory)
    assert first == again
