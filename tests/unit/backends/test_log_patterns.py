"""What a model server's log means to its backend: loaded, dead, or one request's trouble."""

from __future__ import annotations

from pathlib import Path

import pytest

from vast_pyworker.worker.modellog.patterns import Match, PatternTable

LOGS = Path(__file__).parents[2] / "data" / "model_logs"

ERRORS_IN = {
    "llamacpp_fatal": 8,
    "vllm_fatal": 6,  # all lines but the head of a traceback
    "sglang_fatal": 3,
    "tgi_fatal": 6,
    "tei_fatal": 2,
    "ollama_fatal": 1,
}


def names(ending: str) -> list[str]:
    return sorted(file.stem for file in LOGS.glob(f"*_{ending}*.log"))


@pytest.fixture
def meanings(backend):
    """What every line of a log means to the backend that the log is named after."""

    def read(log: str) -> list[tuple[str, Match | None]]:
        table = PatternTable(backend(log.partition("_")[0]).log_patterns)
        lines = (LOGS / f"{log}.log").read_text(encoding="utf-8").splitlines()
        return [(line, table.match(line, now=float(number))) for number, line in enumerate(lines)]

    return read


@pytest.mark.parametrize("log", names("start"))
def test_a_start_ends_in_the_line_that_says_loaded(log, meanings):
    actions = [match.action for _, match in meanings(log) if match]
    assert actions[-1] == "loaded"
    assert actions.count("loaded") == 1
    assert "error" not in actions
    assert {"loading", "progress"} & set(actions)


@pytest.mark.parametrize("log", names("fatal"))
def test_an_end_is_an_error(log, meanings):
    errors = [line for line, match in meanings(log) if match and match.action == "error"]
    assert len(errors) == ERRORS_IN[log], errors
    assert not [line for line, match in meanings(log) if match and match.action == "loaded"]


@pytest.mark.parametrize("log", names("requests"))
def test_the_trouble_of_one_request_is_nobody_elses(log, meanings):
    serious = [
        line for line, match in meanings(log) if match and match.action in ("error", "loaded")
    ]
    assert serious == []


@pytest.mark.parametrize(
    ("log", "capacity"),
    [("vllm_start", 188_640), ("sglang_start", 413_257), ("tgi_start", 63_312)],
)
def test_the_capacity_is_read_where_a_server_tells_it(log, capacity, meanings):
    told = [match.fields for _, match in meanings(log) if match and match.action == "capacity"]
    assert told == [{"capacity": capacity}]


def test_a_download_tells_how_far_it_is(meanings):
    shard = next(match for line, match in meanings("vllm_start") if "1.15G/4.98G" in line)
    assert shard.fields == {"percent": 23, "done": 1.15e9, "total": 4.98e9, "rate": 94.1e6}
    layer = next(match for line, match in meanings("ollama_start") if "41%" in line)
    assert layer.fields == {"percent": 41, "done": 163_106_740, "total": 397_821_319}


def test_out_of_memory_again_and_again_is_the_end_of_tgi(backend):
    table = PatternTable(backend("tgi").log_patterns)
    line = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB."
    found = [table.match(line, now=now) for now in (0.0, 100.0, 110.0, 120.0)]
    assert [match is not None for match in found] == [False, False, False, True]
