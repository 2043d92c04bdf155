from __future__ import annotations

import pytest
from policy_support import a_group, a_load, decided, seen


@pytest.mark.parametrize(
    ("least", "most", "options", "hot"),
    [
        (2, 5, {}, 2),
        (0, 5, {"instances": 3}, 3),
        (0, 5, {"instances": 0}, 0),
        (0, 2, {"instances": 3}, 2),
        (4, 5, {"instances": 3}, 4),
    ],
)
def test_it_wants_its_number_within_the_bounds(
    least: int, most: int, options: dict[str, int], hot: int
) -> None:
    group = a_group("hold", least=least, most=most, cold=1, **options)
    want = decided(group, seen(a_load(None)))
    assert (want.hot, want.cold) == (hot, 1)


def test_the_load_changes_nothing() -> None:
    group = a_group("hold", instances=3)
    assert decided(group, seen(a_load(1e6))) == decided(group, seen(a_load(0.0)))


def test_the_reason_names_the_bound_that_holds_it() -> None:
    assert decided(a_group("hold", most=2, instances=3), seen(a_load())).reason == (
        "constant, at most 2 allowed"
    )
