from __future__ import annotations

import pytest
from bench_samples import run, streams, unary, visit
from relay_bench import ratios as r


def test_spread_is_median_least_and_greatest() -> None:
    assert r.spread([3.0, 1.0, 2.0]) == r.Spread(2.0, 1.0, 3.0)


def test_spread_of_nothing_is_unknown() -> None:
    assert r.spread([]) is None


def test_cpu_per_10k_is_scaled_by_requests() -> None:
    each = visit()
    assert r.cpu_per_10k(each) == 1.0
    assert r.cpu_per_10k(r.Visit(unary(1.0, requests=20_000), None, {})) == 0.5


def test_cpu_without_a_process_is_unknown_not_zero() -> None:
    assert r.cpu_per_10k(visit(None)) is None


def test_cpu_per_million_counts_the_window_only() -> None:
    assert r.cpu_per_million(500)(visit(s500=streams(500, 0.01))) == pytest.approx(10.0)


def test_cpu_per_million_is_unknown_without_that_load_or_its_window() -> None:
    assert r.cpu_per_million(100)(visit(s500=streams())) is None
    assert r.cpu_per_million(500)(visit(s500=streams(cpu_s=None))) is None


def test_ratios_are_taken_inside_each_round() -> None:
    slow, fast = (
        {"nginx": visit(1.0), "ours": visit(2.0)},
        {"nginx": visit(4.0), "ours": visit(4.0)},
    )
    assert r.ratios(run(slow, fast), "ours", "nginx", r.cpu_per_10k) == [2.0, 1.0]


def test_round_without_one_of_the_two_gives_no_ratio() -> None:
    halves = (
        {"nginx": visit(1.0)},
        {"ours": visit(2.0)},
        {"nginx": visit(2.0), "ours": visit(3.0)},
    )
    assert r.ratios(run(*halves), "ours", "nginx", r.cpu_per_10k) == pytest.approx([1.5])


def test_differences_may_be_negative() -> None:
    one = {"direct": visit(2.0), "ours": visit(1.5)}
    assert r.differences(run(one), "ours", "direct", r.cpu_per_10k) == pytest.approx([-0.5])


def test_far_measurements_are_left_out() -> None:
    near = visit(1.0, 80.0, s500=streams(ns=85.0))
    far = visit(2.0, 420.0, s500=streams(ns=90.0))
    whole = run({"nginx": near}, {"nginx": far})
    kept = r.comparable(whole)
    assert r.values(kept, "nginx", r.cpu_per_10k) == [1.0]
    assert len(r.values(kept, "nginx", r.cpu_per_million(500))) == 2
    assert r.comparable_share(whole) == (3, 4)
    assert r.usual_distance_ns(whole) == 80.0


def test_without_distances_everything_is_kept() -> None:
    whole = run({"nginx": visit()})
    assert r.comparable(whole) is whole
    assert r.usual_distance_ns(whole) is None
