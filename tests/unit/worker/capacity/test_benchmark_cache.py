from __future__ import annotations

import json
import logging
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from vast_pyworker.worker.capacity.benchmark_cache import (
    FORMAT,
    BenchmarkCache,
    Entry,
    Subject,
    files_of,
    key_of,
)

ENTRY = Entry(max_perf=120.5, unit="tokens", runs=(119.0, 120.5, 130.0), measured_at=1000.0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "benchmark.json"


def test_what_was_put_can_be_got_by_another_worker(path: Path) -> None:
    BenchmarkCache(path).put("one", ENTRY)
    assert BenchmarkCache(path).get("one") == ENTRY
    assert BenchmarkCache(path).get("two") is None
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_no_file_is_no_trouble(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert BenchmarkCache(path).get("one") is None
    BenchmarkCache(path).invalidate("one")
    assert not path.exists()
    assert not caplog.records


def test_only_the_invalid_entry_is_forgotten(path: Path) -> None:
    cache = BenchmarkCache(path)
    cache.put("one", ENTRY)
    cache.put("two", ENTRY)
    cache.invalidate("one")
    assert cache.get("one") is None
    assert cache.get("two") == ENTRY


def test_the_oldest_entries_make_room(path: Path) -> None:
    cache = BenchmarkCache(path, max_entries=2)
    for at in (3.0, 1.0, 2.0):
        cache.put(str(at), Entry(1.0, "tokens", (1.0,), at))
    assert [cache.get(key) is not None for key in ("1.0", "2.0", "3.0")] == [False, True, True]


def told(**changes: Any) -> str:
    entry = {"max_perf": 1.0, "unit": "x", "runs": [1.0], "measured_at": 1.0, **changes}
    return json.dumps({"format": FORMAT, "entries": {"one": entry}})


@pytest.mark.parametrize(
    "content",
    [
        "",
        "812.7",
        "{",
        "[]",
        '{"entries": {}}',
        '{"format": "another", "entries": {}}',
        json.dumps({"format": FORMAT, "entries": []}),
        told(max_perf=0),
        told(max_perf=-1),
        told(max_perf=float("nan")),
        told(max_perf=float("inf")),
        told(max_perf="fast"),
        told(max_perf=None),
        told(runs=None),
        "\ud800",
    ],
)
def test_what_cannot_be_believed_is_ignored_with_one_line(
    path: Path, caplog: pytest.LogCaptureFixture, content: str
) -> None:
    path.parent.mkdir()
    path.write_bytes(content.encode("utf-8", "surrogatepass"))
    cache = BenchmarkCache(path)
    with caplog.at_level(logging.WARNING):
        assert cache.get("one") is None
        cache.put("one", ENTRY)
    assert len(caplog.records) == 1
    assert "benchmark.json" in caplog.text
    assert cache.get("one") == ENTRY


def test_a_place_that_cannot_be_written_costs_a_line_and_no_more(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path.parent.write_text("a file where the folder should be")
    BenchmarkCache(path).put("one", ENTRY)
    assert "cannot be written" in caplog.text


def test_a_key_depends_on_everything_and_on_nothing_else() -> None:
    subject = Subject("llamacpp", "smol", "0.1.0", 98_000_000, 5.0, ("H200",), "570")
    base = key_of(subject, payloads="abc", concurrency=4)
    assert key_of(subject, concurrency=4, payloads="abc") == base
    others = {
        key_of(Subject(**{**vars(subject), **change}), payloads="abc", concurrency=4)
        for change in (
            {"backend": "vllm"},
            {"model": "large"},
            {"version": "0.2.0"},
            {"model_bytes": 1},
            {"model_changed_at": 6.0},
            {"gpus": None},
            {"driver": None},
        )
    }
    others |= {key_of(subject, payloads="abd", concurrency=4), key_of(subject, payloads="abc")}
    assert len(others) == 9
    assert base not in others


def test_a_model_is_its_files(tmp_path: Path) -> None:
    (tmp_path / "model" / "deep").mkdir(parents=True)
    one, two = tmp_path / "model" / "one.gguf", tmp_path / "model" / "deep" / "two.gguf"
    one.write_bytes(b"123")
    two.write_bytes(b"4567")
    os.utime(one, (50.0, 50.0))
    os.utime(two, (40.0, 40.0))
    assert files_of(one) == (3, 50.0)
    assert files_of(tmp_path / "model") == (7, 50.0)


def test_a_model_without_files_has_an_unknown_size(tmp_path: Path) -> None:
    assert files_of(tmp_path / "nowhere") == (None, None)
    assert files_of(tmp_path) == (None, None)
