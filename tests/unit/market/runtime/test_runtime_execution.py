"""What may be executed in the directory of an instance, and that it stays inside."""

from __future__ import annotations

from pathlib import Path

import pytest

from vast_pyworker.market.refusal import MarketRefusal
from vast_pyworker.market.runtime.execution import execute

ENVIRON = {"PATH": "/usr/bin:/bin"}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    (home / "data" / "deep").mkdir(parents=True)
    (home / "data" / "deep" / "file.txt").write_text("x" * 5000)
    (home / "two words").touch()
    (tmp_path / "outside.txt").write_text("not yours")
    (home / "link").symlink_to(tmp_path / "outside.txt")
    (home / "door").symlink_to(tmp_path)
    (home / "inner").symlink_to("data")
    (home / "loop").symlink_to("loop")
    return home


@pytest.mark.parametrize(
    ("command", "printed"),
    [
        ("ls data", "deep\n"),
        ("ls -l1a data/deep", "file.txt"),
        ("ls 'two words'", "two words\n"),
        ("ls inner/", "deep\n"),
        ("ls *", "ls: cannot access '*'"),
        ("ls missing", "ls: cannot access 'missing'"),
        ("ls $(echo data)", "ls: cannot access '$(echo'"),
        ("du -d1 -h data", "data\n"),
        ("du -d 1 data", "data\n"),
        ("du --max-depth=0 data", "data\n"),
        ("rm -rf data/deep", ""),
    ],
)
def test_what_is_allowed_runs(home: Path, command: str, printed: str) -> None:
    assert printed in execute(command, home, ENVIRON)


def test_rm_removes(home: Path) -> None:
    assert execute("rm -r data 'two words'", home, ENVIRON) == ""
    assert not (home / "data").exists() and not (home / "two words").exists()


@pytest.mark.parametrize(
    "command",
    [
        "", "  ", "cat data", "bash -c ls", "/bin/ls", "./ls", "ls 'open", "nvidia-smi", "ls\0",
        "ls /", "ls /etc", "ls ..", "ls data/../..", "rm -rf ../outside.txt", "ls ''/etc",
        "rm link", "ls door", "ls door/outside.txt", "du door/",
        "du --files0-from=/etc/passwd", "du -X /etc/passwd", "du -L .", "ls -L link", "ls -H door",
        "ls --dereference", "rm --no-preserve-root -rf x", "ls -- /etc", "ls -", "du -d/",
    ],
)  # fmt: skip
def test_what_leads_out_or_is_something_else_is_refused(home: Path, command: str) -> None:
    with pytest.raises(MarketRefusal) as refused:
        execute(command, home, ENVIRON)
    assert refused.value.status == 400
    assert (home / "data" / "deep" / "file.txt").exists() and (home / "link").is_symlink()


def test_deleting_a_directory_spares_what_links_in_it_lead_to(home: Path) -> None:
    (home / "data" / "out").symlink_to(home.parent)
    execute("rm -rf data", home, ENVIRON)
    assert (home.parent / "outside.txt").exists()
