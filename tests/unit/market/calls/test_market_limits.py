"""How often calls may be made: intervals, identities, the four forms of a 429, the daily quota."""

from __future__ import annotations

import pytest

from vast_pyworker.market.calls.limits import FORMS, RateLimits, too_many


class Time:
    def __init__(self) -> None:
        self.now = 100.0
        self.wall = 1_700_000_000.0


@pytest.fixture
def time() -> Time:
    return Time()


def limits(time: Time, form: str = "detail", quota: int | None = None) -> RateLimits:
    return RateLimits(form=form, now=lambda: time.now, wall=lambda: time.wall, searches_a_day=quota)


def test_a_second_call_within_the_interval_is_too_many(time: Time) -> None:
    limit = limits(time)
    assert limit.check("create", "a") is None
    time.now += 4.4
    refused = limit.check("create", "a")
    assert refused is not None
    assert refused.body == {"detail": "API requests too frequent endpoint threshold=4.5"}


def test_after_the_interval_it_may_be_made_again(time: Time) -> None:
    limit = limits(time)
    limit.check("create", "a")
    time.now += 4.5
    assert limit.check("create", "a") is None


def test_a_refused_call_does_not_prolong_the_wait(time: Time) -> None:
    limit = limits(time)
    limit.check("destroy", "a")
    for _ in range(5):
        time.now += 0.5
        assert limit.check("destroy", "a") is not None
    time.now += 0.5
    assert limit.check("destroy", "a") is None


def test_identities_and_calls_do_not_hinder_each_other(time: Time) -> None:
    limit = limits(time)
    assert limit.check("create", "a") is None
    assert limit.check("create", "b") is None
    assert limit.check("destroy", "a") is None


def test_a_call_without_a_threshold_is_free(time: Time) -> None:
    limit = limits(time)
    assert [limit.check("user", "a") for _ in range(3)] == [None] * 3


@pytest.mark.parametrize("form", FORMS)
def test_every_form_says_it_in_its_own_way(form: str) -> None:
    told = too_many(form, 3.0, 1.2, 1000.5)
    assert "API requests too frequent" in str(told.body)
    assert (form == "bucket") == ("Retry-After" in told.headers)
    assert isinstance(told.body, str) == (form == "text")


def test_the_bucket_says_how_long_to_wait_in_whole_seconds(time: Time) -> None:
    limit = limits(time, "bucket")
    limit.check("bid", "a")
    time.now += 1.2
    refused = limit.check("bid", "a")
    assert refused is not None
    assert refused.headers["Retry-After"] == "5"
    assert refused.headers["X-RateLimit-Reset"] == "1700000005"
    assert refused.body == {
        "error": "HTTPTooManyRequests",
        "msg": "API requests too frequent",
        "retry_after": 5,
        "limit": 1,
        "remaining": 0,
    }


def test_the_search_quota_is_of_a_day_and_says_when_it_ends(time: Time) -> None:
    limit = limits(time, quota=2)
    for _ in range(2):
        assert limit.check("search", "a") is None
        time.now += 10
    refused = limit.check("search", "a")
    assert refused is not None
    assert isinstance(refused.body, dict)
    assert refused.body["error"] == "search_quota_exceeded"
    reset = int(refused.headers["X-RateLimit-Reset"])
    assert reset % 86_400 == 0 and 0 < reset - time.wall <= 86_400
    time.now, time.wall = time.now + 10, float(reset)
    assert limit.check("search", "a") is None


def test_only_the_newest_of_many_identities_are_remembered(time: Time) -> None:
    limit = limits(time)
    for number in range(25_000):
        time.now += 0.01
        limit.check("create", str(number))
    assert len(limit._allowed_at) < 11_000


def test_an_unknown_form_is_named(time: Time) -> None:
    with pytest.raises(ValueError, match="'html' is no form of a rate limit"):
        limits(time, "html")
