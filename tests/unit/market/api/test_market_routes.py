"""The table of calls: each has a name for faults, and the interval that the service gives it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from vast_pyworker.market.api.door import Route
from vast_pyworker.market.app import FAMILIES
from vast_pyworker.market.calls.guard import is_local_name
from vast_pyworker.market.calls.limits import THRESHOLDS_S
from vast_pyworker.market.composing import MarketOptions, build
from vast_pyworker.market.faults.kinds import CALLS
from vast_pyworker.market.runtime.simulated import SimulatedRuntime

FREE = {"user", "other", "result"}


def routes() -> Iterator[tuple[str, Route]]:
    built = build(MarketOptions(hosts=2), SimulatedRuntime(), epoch=1e9, new_text=lambda: "k")
    for _, prefix, made in FAMILIES:
        for route in made(built.parts):
            yield prefix, route


def names(route: Route) -> set[str]:
    if isinstance(route.name, str):
        return {route.name}
    bodies = ({"label": "x"}, {"state": "running"}, {"state": "stopped"}, {})
    return {route.name(dict(body)) for body in bodies}


def test_every_call_has_a_name_that_faults_know() -> None:
    used = {name for _, route in routes() for name in names(route)}
    assert used <= set(CALLS)
    assert set(CALLS) - used == set()


def test_every_interval_is_used_and_every_call_that_has_one_knows_it() -> None:
    used = {route.limit or name for _, route in routes() for name in names(route)}
    assert set(THRESHOLDS_S) - used == set()
    assert used - set(THRESHOLDS_S) == FREE


def test_no_call_is_there_twice() -> None:
    places = [(route.method, prefix + route.path) for prefix, route in routes()]
    assert len(places) == len(set(places))


def test_only_harmless_calls_need_no_key() -> None:
    public = {prefix + route.path for prefix, route in routes() if route.public}
    assert public == {
        "/api/v0/bundles/",
        "/api/v0/search/asks/",
        "/api/v0/gpu_names/unique/",
        "/api/v0/gpu_types/",
        "/instance_results/<name>.log",
    }


def test_an_instance_may_be_seen_changed_and_destroyed_by_itself() -> None:
    own = {(route.method, route.path) for _, route in routes() if route.own_instance}
    assert own == {(method, "/instances/<ident>/") for method in ("GET", "PUT", "DELETE")}


@pytest.mark.parametrize(
    ("name", "local"),
    [("localhost", True), ("a.localhost", True), ("127.0.0.1", True), ("::1", True),
     ("10.1.2.3", True), ("evil.example", False), ("localhost.evil.example", False), ("", False)],
)  # fmt: skip
def test_names_that_cannot_be_another_sites(name: str, local: bool) -> None:
    assert is_local_name(name) is local
