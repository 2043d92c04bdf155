from __future__ import annotations

import pytest
from relay_bench.plan import FULL, MEMORY_AT, QUICK, Profile


@pytest.mark.parametrize("profile", [QUICK, FULL], ids=lambda profile: profile.name)
def test_all_streams_are_open_in_the_window(profile: Profile) -> None:
    for load in profile.loads:
        begin, end = load.window_s
        assert load.ramp_ms / 1e3 < load.all_open_s < begin
        assert begin + 0.5 < end < load.length_s < load.timeout_s


@pytest.mark.parametrize("profile", [QUICK, FULL], ids=lambda profile: profile.name)
def test_loads_have_100_500_and_1000_streams(profile: Profile) -> None:
    assert [load.streams for load in profile.loads] == [100, 500, MEMORY_AT]


def test_loads_send_the_same_events_per_second_at_500_and_1000() -> None:
    rates = [load.streams * 1e6 / load.interval_us for load in FULL.loads]
    assert rates == [5_000, 10_000, 10_000]
