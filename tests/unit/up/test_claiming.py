"""Folders of runs: nobody else's while one runs, cleared away after one that was killed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from vast_pyworker.up.claiming import LOCK, claimed, sweep

KILLED = """
import os, signal, subprocess, sys
from pathlib import Path
from vast_pyworker.up.claiming import claimed

with claimed(Path(sys.argv[1]), keep=sys.argv[2] == "keep") as folder:
    home = folder / "instances" / "1" / "home"
    home.mkdir(parents=True)
    sleeper = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(600)"],
        env={"HOME": str(home)}, start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )
    print(folder, sleeper.pid, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def killed(above: Path, keep: str = "") -> tuple[Path, psutil.Process]:
    """The folder of a run that was killed, and a process that it left."""
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(above), keep],
        capture_output=True, text=True, timeout=60, check=False, cwd=Path(__file__).parents[3],
    )  # fmt: skip
    folder, number = done.stdout.split()
    return Path(folder), psutil.Process(int(number))


def test_a_folder_is_its_runs_alone_and_goes_with_it(tmp_path: Path) -> None:
    with claimed(tmp_path) as folder:
        assert folder.parent == tmp_path and (folder / LOCK).exists()
        assert sweep(tmp_path) == [] and folder.is_dir()
    assert not folder.exists()


def test_what_is_to_be_kept_stays(tmp_path: Path) -> None:
    with claimed(tmp_path, keep=True) as folder:
        pass
    assert folder.is_dir()
    assert sweep(tmp_path) == [] and folder.is_dir()


def test_what_a_killed_run_left_is_ended_and_cleared_away(tmp_path: Path) -> None:
    folder, process = killed(tmp_path)
    bystander = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(600)"], env={"HOME": f"{folder}-other"}
    )
    try:
        assert folder.is_dir() and process.is_running()
        assert sweep(tmp_path) == [folder]
        assert not folder.exists()
        assert not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


@pytest.mark.parametrize("left", ["folder", "link", "keep"])
def test_what_is_no_runs_folder_is_left_alone(tmp_path: Path, left: str) -> None:
    above = tmp_path / "above"
    above.mkdir()
    if left == "keep":
        folder, process = killed(above, "keep")
        process.kill()
    else:
        folder = above / "up-mine"
        folder.mkdir()
        if left == "link":
            (tmp_path / "file").touch()
            (folder / LOCK).symlink_to(tmp_path / "file")
    assert sweep(above) == []
    assert folder.is_dir()
