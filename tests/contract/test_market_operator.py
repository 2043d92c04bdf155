"""Limits and the operator's own calls over real sockets; what a fault of the market looks like."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from market_site import Site, site

from vast_pyworker.market.calls.limits import FORMS, RateLimits


@pytest.fixture
def market() -> Iterator[Site]:
    with site() as made:
        yield made


# Limits


@pytest.mark.parametrize("form", FORMS)
def test_too_many_calls_are_told_in_the_chosen_form(form: str) -> None:
    limits = RateLimits(form=form, now=lambda: 1.0, wall=time.time)
    with site(limits) as market:
        answers = [market.call("GET", "/api/v1/instances/") for _ in range(2)]
        assert [answer.status_code for answer in answers] == [200, 429]
        assert "API requests too frequent" in answers[1].text
        assert ("Retry-After" in answers[1].headers) == (form == "bucket")
        assert market.call("GET", "/api/v1/instances/?api_key=x").status_code == 200
        assert market.call("GET", "/market/summary").status_code == 200


def test_a_limited_create_creates_nothing() -> None:
    limits = RateLimits(form="detail", now=lambda: 1.0, wall=time.time)
    with site(limits) as market:
        market.rent()
        path = "/api/v0/asks/5/"
        assert market.call("PUT", path, {"image": "i"}).status_code == 429
        assert market.market.summary()["instances"] == 1


# The operator's calls


def test_the_page_shows_what_is_there_and_loads_nothing(market: Site) -> None:
    number = market.rent(label="<script>alert(1)</script>")["new_contract"]
    market.fault("latency", "list", seconds=2)
    answer = market.call("GET", "/market/", key=None)
    assert answer.status_code == 200
    page = answer.content.decode()
    assert str(number) in page and "latency" in page and "prefers-color-scheme" in page
    assert "<script" not in page and "&lt;script&gt;" in page
    assert "src=" not in page and "https://" not in page
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


def test_faults_are_added_replaced_and_cleared(market: Site) -> None:
    one = {"kind": "latency", "probability": 0.5}
    assert len(market.json("POST", "/market/faults", one)["faults"]) == 1
    assert len(market.json("POST", "/market/faults", [one, one])["faults"]) == 3
    assert len(market.json("PUT", "/market/faults", {"faults": [one]})["faults"]) == 1
    refused = market.call("POST", "/market/faults", [one, {"kind": "boredom"}])
    assert refused.status_code == 400 and "boredom" in refused.json()["msg"]
    assert len(market.json("GET", "/market/faults")["faults"]) == 1
    assert market.json("DELETE", "/market/faults")["faults"] == []


def test_time_is_moved_by_hand(market: Site) -> None:
    before = market.json("GET", "/market/summary")["now"]
    assert market.json("POST", "/market/advance", {"seconds": 60})["now"] == before + 60
    for seconds in (-1, "1", None, True, 1e300):
        answer = market.call("POST", "/market/advance", {"seconds": seconds})
        assert answer.status_code == 400 and "seconds" in answer.json()["msg"]


def test_credit_is_added_to_an_account_that_exists(market: Site) -> None:
    assert market.json("POST", "/market/credit", {"usd": 5})["credit"] == pytest.approx(105.0)
    assert market.call("POST", "/market/credit", {"usd": 5, "account": 9}).status_code == 400


def test_pages_of_other_sites_are_not_answered(market: Site) -> None:
    bulk = "/api/v0/asks/bulk/?api_key=market"
    for headers in ({"Origin": "https://evil.example"}, {"Host": "evil.example"}):
        answer = market.call("POST", bulk, {"ids": [1], "image": "i"}, headers=headers)
        assert (answer.status_code, answer.json()["error"]) == (403, "not_authorized")
    own = market.call("GET", "/market/summary", headers={"Origin": market.url})
    assert own.status_code == 200


def test_a_fault_of_the_market_itself_is_500_as_json(
    market: Site, caplog: pytest.LogCaptureFixture
) -> None:
    market.built.parts.ssh_keys._rows = None  # type: ignore[assignment]
    answer = market.call("GET", "/api/v0/ssh/")
    assert (answer.status_code, answer.json()["error"]) == (500, "internal_error")
    assert "Traceback" not in answer.text
    assert "GET /api/v0/ssh/ failed." in caplog.text
