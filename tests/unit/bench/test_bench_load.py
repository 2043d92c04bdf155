from __future__ import annotations

import json

import pytest
from relay_bench.errors import BenchError, CandidateFailed
from relay_bench.load import parse_streams, parse_unary

WRK = """Running 1s test @ http://127.0.0.1:1/generate
  1 threads and 32 connections
Requests/sec:  10000.00
RESULT {"requests":10000,"seconds":1.000100,"errors":2,"p50_us":466.0,"p99_us":619.0}
"""
LG = {
    "streams": 100, "done": 90, "short": 1, "refused": 2, "refused_status": 429, "broken": 3,
    "unfinished": 4, "events": 9000, "bytes": 1, "seconds": 2.5,
    "ttfb_us": {"p50": 63.0, "p90": 70.0, "p99": 132.0, "p999": 140.0, "max": 150.0},
    "event_us": {"p50": 9.0, "p90": 20.0, "p99": 63.0, "p999": 70.0, "max": 80.0},
}  # fmt: skip


def test_unary_result_is_read_from_among_the_words_of_wrk() -> None:
    unary = parse_unary(WRK)
    assert (unary.requests, unary.seconds, unary.errors) == (10_000, 1.0001, 2)
    assert (unary.p50_us, unary.p99_us) == (466.0, 619.0)
    assert unary.cpu_s is None


def test_output_without_a_result_is_an_error_that_names_the_remedy() -> None:
    with pytest.raises(BenchError, match="apt-get install nginx wrk"):
        parse_unary("Running 1s test\n")


def test_streams_that_were_short_refused_or_broken_count_as_failed() -> None:
    streams = parse_streams(json.dumps(LG))
    assert (streams.done, streams.failed, streams.unfinished) == (90, 6, 4)
    assert (streams.ttfb_p50_us, streams.ttfb_p99_us, streams.event_p99_us) == (63.0, 132.0, 63.0)


def test_window_is_unknown_where_lg_had_none() -> None:
    streams = parse_streams(json.dumps(LG))
    assert streams.window_events is None
    assert streams.window_cpu_s is None


def test_window_is_read_where_lg_had_one() -> None:
    streams = parse_streams(json.dumps({**LG, "window_events": 500, "window_cpu_s": 0.25}))
    assert (streams.window_events, streams.window_cpu_s) == (500, 0.25)


def test_no_event_at_all_fails_the_candidate_and_tells_what_came_instead() -> None:
    with pytest.raises(CandidateFailed, match=r"2 refused \(status 429\), 3 broken"):
        parse_streams(json.dumps({**LG, "events": 0}))
