"""Results of logs and commands: there at the second fetch, the last ones only."""

from __future__ import annotations

import itertools

from vast_pyworker.market.instances.results import Results


def test_a_result_is_there_at_the_second_fetch() -> None:
    results = Results(lambda: "name")
    results.put("text")
    assert [results.fetch("name") for _ in range(3)] == [None, "text", "text"]
    assert results.fetch("other") is None


def test_only_the_last_results_are_kept() -> None:
    numbers = itertools.count()
    results = Results(lambda: str(next(numbers)), misses=0)
    for number in range(300):
        results.put(f"text {number}")
    assert results.fetch("0") is None and results.fetch("299") == "text 299"
