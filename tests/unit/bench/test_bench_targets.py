from __future__ import annotations

from bench_samples import run, streams, visit
from relay_bench.results import Round
from relay_bench.targets import at_least, at_most, open_streams, verdicts


def one_round(ours_cpu_s: float) -> Round:
    return {
        "nginx": visit(1.0, s100=streams(100, 0.010), s500=streams(500, 0.010)),
        "forward": visit(ours_cpu_s, s100=streams(100, 0.011), s500=streams(500, 0.013)),
        "official": visit(60.0, s100=streams(100, 0.040)),
    }


def test_median_decides_whether_a_bound_is_kept() -> None:
    assert at_most("x", [1.0, 1.9, 9.0], 2.0).word == "met"
    assert at_most("x", [1.0, 2.1, 2.2], 2.0).word == "missed"
    assert at_least("x", [24.0, 26.0, 90.0], 25.0).word == "met"


def test_bound_without_measurements_is_not_measured() -> None:
    assert at_most("x", [], 2.0).word == "not measured"
    assert at_least("x", [], 2.0).word == "not measured"


def test_verdicts_name_the_bound_and_show_the_ratio() -> None:
    found = {v.target: (v.measured, v.word) for v in verdicts(run(one_round(1.5)))}
    assert found["forward(): CPU per unary request at most 2 x nginx"] == (
        "1.50 (1.50-1.50)",
        "met",
    )
    assert found["forward(): CPU per event, 100 streams at most 1.2 x nginx"][1] == "met"
    assert found["forward(): CPU per event, 500 streams at most 1.2 x nginx"][1] == "missed"
    assert found["official worker: CPU per unary request at least 25 x forward()"][1] == "met"
    assert found["Flask handler returning Relay: CPU per unary request at most 8 x nginx"] == (
        "-",
        "not measured",
    )


def test_open_streams_need_all_done_none_failed_and_memory_below_the_limit() -> None:
    def word(failed: int, memory_mb: float | None) -> str:
        each = visit(s1000=streams(1000, failed=failed, memory_mb=memory_mb))
        return open_streams(run({"forward": each}), "forward", "x").word

    assert word(0, 60.0) == "met"
    assert word(1, 60.0) == "missed"
    assert word(0, 101.0) == "missed"
    assert word(0, None) == "not measured"


def test_one_bad_round_is_enough_to_miss_the_open_streams() -> None:
    good = {"forward": visit(s1000=streams(1000, memory_mb=50.0))}
    bad = {"forward": visit(s1000=streams(1000, failed=2, memory_mb=50.0))}
    verdict = open_streams(run(good, bad), "forward", "x")
    assert verdict.measured == "at least 998 done, 2 failed, at most 50.0 MB"
    assert verdict.met is False
