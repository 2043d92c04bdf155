"""Which bounds hold when: windows on plain days, past midnight and where the clocks change."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vast_pyworker.controller.desired.windows import bounds_at, is_open, moment
from vast_pyworker.model import Bounds, Group, Launch, Window

DAYS = {name: day for day, name in enumerate(["mon", "tue", "wed", "thu", "fri", "sat", "sun"])}
EVERY_DAY = frozenset(range(7))
BERLIN = ZoneInfo("Europe/Berlin")
FORWARD, BACK = date(2025, 3, 30), date(2025, 10, 26)  # Sundays; 02:00 -> 03:00 and 03:00 -> 02:00


def window(hours: str, days: str = "", zone: str = "Europe/Berlin", **bounds: float) -> Window:
    since, until = (time.fromisoformat(each) for each in hours.split("-"))
    chosen = frozenset(DAYS[each] for each in days.split()) or EVERY_DAY
    return Window(chosen, since, until, zone, **bounds)  # type: ignore[arg-type]


def group(*windows: Window) -> Group:
    return Group("g", "g", Launch("b"), "", 0.5, 1, 4, windows=windows)


def at(text: str, zone: str = "Europe/Berlin", fold: int = 0) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).timestamp()


def open_utc(tested: Window, day: date) -> list[str]:
    """When it opens and closes within two days, in UTC, by the minute."""
    start = datetime.combine(day - timedelta(1), time(12), timezone.utc)
    minutes = [start + timedelta(minutes=each) for each in range(48 * 60)]
    states = [is_open(tested, each.timestamp()) for each in minutes]
    pairs = zip(minutes, states, states[1:], strict=False)
    return [
        (each + timedelta(minutes=1)).strftime("%H:%M") for each, now, then in pairs if now != then
    ]


def test_without_a_window_the_groups_own_bounds_hold() -> None:
    assert bounds_at(group(), 0.0) == Bounds(1, 4, 0.5)


def test_what_a_window_leaves_open_is_the_groups() -> None:
    night = window("22:00-06:00", max_usd_per_hour=0.3)
    assert bounds_at(group(night), at("2025-06-02T23:00")) == Bounds(1, 4, 0.3)
    none = window("22:00-06:00", min_instances=0, max_instances=0)
    assert bounds_at(group(none), at("2025-06-02T23:00")) == Bounds(0, 0, 0.5)


def test_the_first_window_that_is_open_holds() -> None:
    both = group(window("10:00-12:00", max_instances=9), window("11:00-13:00", max_instances=8))
    found = [bounds_at(both, at(f"2025-06-02T{hour}:30")).max_instances for hour in (9, 10, 11, 12)
             if hour != 9]  # fmt: skip
    assert found == [9, 9, 8]


@pytest.mark.parametrize(
    ("moment_", "is_in"),
    [
        ("2025-06-06T21:59:59", False),
        ("2025-06-06T22:00", True),
        ("2025-06-07T00:00", True),
        ("2025-06-07T05:59:59", True),
        ("2025-06-07T06:00", False),
        ("2025-06-06T03:00", False),  # the night before began on Thursday
        ("2025-06-07T22:30", False),
    ],
)
def test_a_night_belongs_to_the_day_on_which_it_begins(moment_: str, is_in: bool) -> None:
    assert is_open(window("22:00-06:00", "fri"), at(moment_)) is is_in


def test_hours_are_those_of_the_zone_and_not_of_this_machine() -> None:
    tokyo = window("09:00-10:00", "mon", "Asia/Tokyo")
    assert is_open(tokyo, datetime(2025, 6, 2, 0, 30, tzinfo=timezone.utc).timestamp())
    assert not is_open(tokyo, datetime(2025, 6, 2, 9, 30, tzinfo=timezone.utc).timestamp())
    assert is_open(window("09:00-10:00", zone="UTC"), 9.5 * 3600)


def test_a_window_from_a_time_to_itself_is_a_whole_day() -> None:
    whole = window("00:00-00:00", "mon")
    assert is_open(whole, at("2025-06-02T00:00"))
    assert is_open(whole, at("2025-06-02T23:59:59"))
    assert not is_open(whole, at("2025-06-03T00:00"))


@pytest.mark.parametrize(
    ("hours", "day", "expected"),
    [
        ("02:30-03:30", FORWARD, ["01:00", "01:30"]),  # from the change, when 03:00 is shown
        ("02:00-02:30", FORWARD, []),
        ("01:30-02:30", FORWARD, ["00:30", "01:00"]),
        ("03:00-04:00", FORWARD, ["01:00", "02:00"]),
        ("02:30-03:30", BACK, ["00:30", "02:30"]),  # two hours: 02:30 to 03:00 comes twice
        ("02:00-03:00", BACK, ["00:00", "02:00"]),
        ("01:30-02:30", BACK, ["23:30", "00:30"]),
        ("03:00-04:00", BACK, ["02:00", "03:00"]),
    ],
)
def test_where_the_clocks_change_a_window_stays_one_piece(
    hours: str, day: date, expected: list[str]
) -> None:
    assert open_utc(window(hours, "sun"), day) == expected


def test_a_day_that_a_zone_left_out_has_no_windows() -> None:
    skipped = date(2011, 12, 30)  # Samoa went over the date line
    samoa = ZoneInfo("Pacific/Apia")
    first, last = moment(skipped, time(0), samoa), moment(skipped, time(23, 59), samoa)
    assert first == last == moment(skipped + timedelta(1), time(0), samoa)


ZONES = st.sampled_from(
    [
        "Europe/Berlin",
        "America/New_York",
        "Australia/Lord_Howe",
        "Pacific/Apia",
        "Asia/Kathmandu",
        "America/St_Johns",
        "Africa/Casablanca",
        "UTC",
        "Pacific/Chatham",
    ]
)
TIMES = st.builds(time, st.integers(0, 23), st.integers(0, 59))
NOWS = st.one_of(
    st.floats(0, 4e9),
    # around the changes of Berlin, New York and Lord Howe
    st.builds(
        lambda base, shift: base + shift,
        st.sampled_from([1743296400.0, 1761440400.0, 1741503600.0, 1762063200.0, 1743865200.0]),
        st.floats(-90_000, 90_000),
    ),
)
SOME_DAYS = st.frozensets(st.integers(0, 6), min_size=1)


@given(NOWS, TIMES, TIMES, ZONES)
@settings(max_examples=400, deadline=None)
def test_two_windows_that_meet_twice_divide_every_day(
    now: float, one: time, other: time, zone: str
) -> None:
    first, second = Window(EVERY_DAY, one, other, zone), Window(EVERY_DAY, other, one, zone)
    if one != other:
        assert is_open(first, now) is not is_open(second, now)


@given(NOWS, TIMES, TIMES, ZONES, SOME_DAYS)
@settings(max_examples=400, deadline=None)
def test_one_day_or_another_is_either_of_them(
    now: float, since: time, until: time, zone: str, days: frozenset[int]
) -> None:
    whole = is_open(Window(days, since, until, zone), now)
    assert whole == any(is_open(Window(frozenset({day}), since, until, zone), now) for day in days)


@given(NOWS, TIMES, TIMES, ZONES, SOME_DAYS)
@settings(max_examples=400, deadline=None)
def test_far_from_a_change_it_is_the_clock_on_the_wall_that_counts(
    now: float, since: time, until: time, zone: str, days: frozenset[int]
) -> None:
    local = datetime.fromtimestamp(now, ZoneInfo(zone))
    near = {(local + timedelta(days=each)).utcoffset() for each in (-2, -1, 0, 1, 2)}
    if len(near) > 1:
        return
    shown, today = local.time(), local.weekday()
    if until > since:
        expected = since <= shown < until and today in days
    else:
        expected = (shown >= since and today in days) or (shown < until and (today - 1) % 7 in days)
    assert is_open(Window(days, since, until, zone), now) is expected


@given(st.dates(date(2000, 1, 1), date(2037, 1, 1)), TIMES, TIMES, ZONES)
@settings(max_examples=400, deadline=None)
def test_a_later_time_of_a_day_is_never_an_earlier_moment(
    day: date, one: time, other: time, zone: str
) -> None:
    earlier, later = sorted((one, other))
    first, last = (moment(day, each, ZoneInfo(zone)) for each in (earlier, later))
    assert first <= last <= moment(day + timedelta(1), time(0), ZoneInfo(zone))
