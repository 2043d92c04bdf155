"""Changes of source files are seen, whatever changed, and nothing else is."""

from __future__ import annotations

import threading

import pytest

from vast_pyworker.worker.starting.watching import changes, is_source, stamps


@pytest.fixture
def seen(tmp_path):
    """The batches of changes in a folder that holds one file."""
    (tmp_path / "backend.py").write_text("a = 1\n")
    stop = threading.Event()
    batches = changes([tmp_path], stop)
    next(batches)  # the first look is the one that later ones are compared with
    yield batches
    stop.set()
    batches.close()


def batch_of(batches):
    """The first batch that is not empty."""
    return next(batch for _, batch in zip(range(60), batches, strict=False) if batch)


def test_an_edit_is_seen(seen, tmp_path):
    (tmp_path / "backend.py").write_text("a = 12\n")
    assert batch_of(seen) == {tmp_path / "backend.py"}


def test_a_new_file_in_a_new_folder_is_seen(seen, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "payloads.jsonl").write_text("{}")
    assert tmp_path / "data" / "payloads.jsonl" in batch_of(seen)


def test_a_file_that_went_is_seen(seen, tmp_path):
    (tmp_path / "backend.py").unlink()
    assert batch_of(seen) == {tmp_path / "backend.py"}


def test_nothing_changed_is_an_empty_batch(seen):
    assert next(seen) == set()


def test_it_ends_when_told_to(tmp_path):
    stop = threading.Event()
    stop.set()
    assert not any(changes([tmp_path], stop))


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("backend.py", True),
        ("launch.sh", True),
        ("payloads.jsonl", True),
        ("model.log", False),
        ("weights.gguf", False),
        ("__pycache__/backend.py", False),
    ],
)
def test_only_source_files_count(name, source, tmp_path):
    assert is_source(tmp_path / name) is source


def test_a_folder_that_is_not_there_has_no_files(tmp_path):
    assert stamps([tmp_path / "gone"]) == {}
