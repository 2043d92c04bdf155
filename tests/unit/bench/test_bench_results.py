from __future__ import annotations

from bench_samples import run, streams, unary, visit
from relay_bench.results import Run, Visit


def test_run_survives_its_json_file() -> None:
    whole = run(
        {"nginx": visit(1.0, 80.0, s1000=streams(1000, memory_mb=26.5))},
        {"direct": Visit(unary(None), unary(0.5), {})},
        failures={"gthread": "why"},
    )
    assert Run.from_json(whole.to_json()) == whole
