from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from vast_pyworker.worker.starting.private_file import write_private


def test_only_the_owner_may_read_whatever_the_file_was_before(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "record.json"
    write_private(path, "one")
    path.chmod(0o666)
    write_private(path, "two")
    assert path.read_text() == "two"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_a_draft_of_a_killed_process_is_no_obstacle(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    (tmp_path / f".record.json.{os.getpid()}").write_text("half")
    write_private(path, "whole")
    assert path.read_text() == "whole"


def test_a_failed_write_leaves_the_old_file_and_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    write_private(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_private(path, "\ud800")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_in_place_of_the_folder_raises_oserror(tmp_path: Path) -> None:
    (tmp_path / "folder").write_text("")
    with pytest.raises(OSError, match="folder"):
        write_private(tmp_path / "folder" / "record.json", "text")
