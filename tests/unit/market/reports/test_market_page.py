"""The page: words for times and amounts, and whatever a summary may hold."""

from __future__ import annotations

from typing import Any

import pytest

from vast_pyworker.market.reports.page import age, dollars, lasts, rate, render, when

SUMMARY: dict[str, Any] = {
    "now": 1_760_000_000.0,
    "seed": 1,
    "hosts": 3,
    "machines": 5,
    "machines_offline": 1,
    "gpus": 10,
    "gpus_rented": 2,
    "offers": 20,
    "instances": 0,
    "instances_by_status": {},
    "newest_instances": [],
    "accounts": [{"id": 1, "credit": 5.0, "usd_per_hour": 0.5, "usd_spent": 1.0}],
    "usd_spent": 1.0,
    "usd_per_hour": 0.5,
    "faults": [],
    "unknown_paths": [],
}
ROW = {
    "id": 20_000_001,
    "label": None,
    "gpu_name": "RTX 4090",
    "num_gpus": 2,
    "actual_status": None,
    "intended_status": "running",
    "is_bid": True,
    "image": None,
    "dph_total": 0.4567,
    "age_s": 61.0,
}


def page(**changes: Any) -> str:
    return render({**SUMMARY, **changes}, "http://127.0.0.1:1/").decode()


def test_an_empty_market_says_how_to_begin() -> None:
    shown = page()
    assert "Nothing is rented" in shown and "--url http://127.0.0.1:1 " in shown
    assert "1 offline" in shown and "lasts 10 h 0 min" in shown


def test_an_instance_without_label_status_or_image() -> None:
    shown = page(newest_instances=[ROW], instances=1)
    assert "creating" in shown and "interruptible" in shown and "$0.457" in shown
    assert "1 min 1 s" in shown


def test_place_and_ports_where_they_are_known() -> None:
    ports = {"8000/tcp": [{"HostIp": "0.0.0.0", "HostPort": "40123"}], "22/tcp": None}
    row = {**ROW, "geolocation": "Paris, FR", "ports": ports}
    shown = page(newest_instances=[row], instances=90)
    assert "Paris, FR" in shown and "8000/tcp → 40123" in shown
    assert "the newest 1 of 90" in shown


def test_many_ports_are_cut() -> None:
    ports = {f"{n}/tcp": [{"HostPort": str(n)}] for n in range(64)}
    assert "and 58 more" in page(newest_instances=[{**ROW, "ports": ports}])


def test_a_stop_that_is_under_way_is_told() -> None:
    row = {**ROW, "actual_status": "running", "intended_status": "stopped"}
    assert "to be stopped" in page(newest_instances=[row])


def test_what_is_no_character_is_replaced_and_what_is_html_escaped() -> None:
    shown = page(newest_instances=[{**ROW, "label": "\ud800<b>"}])
    assert "?&lt;b&gt;" in shown


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-5, "0 s"), (59.9, "59 s"), (60, "1 min 0 s"), (3661, "1 h 1 min"), (90_000, "1 d 1 h"),
     (1e9, "11,574 d 1 h")],
)  # fmt: skip
def test_ages(seconds: float, text: str) -> None:
    assert age(seconds) == text


def test_amounts() -> None:
    assert [dollars(x) for x in (0, 1234.5, -0.001, -3)] == [
        "$0.00",
        "$1,234.50",
        "$0.00",
        "-$3.00",
    ]
    assert rate(0.0567) == "$0.057"


@pytest.mark.parametrize(
    ("credit", "usd_per_hour", "text"),
    [
        (5, 0, "nothing is being spent"),
        (0, 1, "spent"),
        (-1, 1, "spent"),
        (1, 2, "lasts 30 min 0 s"),
    ],
)
def test_how_long_the_credit_lasts(credit: float, usd_per_hour: float, text: str) -> None:
    assert lasts({"credit": credit, "usd_per_hour": usd_per_hour}) == text


@pytest.mark.parametrize(
    ("fault", "text"),
    [({"count": 3}, "the first 3"), ({"script": [0, 1]}, "script 01"), ({}, "always"),
     ({"probability": 1.0}, "always"), ({"probability": 0.25}, "0.25 of calls")],
)  # fmt: skip
def test_when_a_fault_comes(fault: dict[str, Any], text: str) -> None:
    assert when(fault) == text
