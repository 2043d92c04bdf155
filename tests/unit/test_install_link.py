"""How a checkout is made importable in an environment that another may use too."""

from __future__ import annotations

from pathlib import Path

import pytest

from vast_pyworker.install import link
from vast_pyworker.packages import Wanted


@pytest.fixture
def venv(tmp_path: Path) -> Path:
    folder = tmp_path / "venv"
    (folder / "lib" / "python3.11" / "site-packages").mkdir(parents=True)
    (folder / "bin").mkdir()
    return folder


def checkout(folder: Path, venv: Path) -> Wanted:
    (folder / "vast_pyworker").mkdir(parents=True)
    return Wanted(folder, venv, ())


def linked(venv: Path) -> str:
    return (venv / "lib/python3.11/site-packages/vast_pyworker.pth").read_text().strip()


def test_a_checkout_becomes_importable_and_its_command_is_there(tmp_path: Path, venv: Path) -> None:
    link(checkout(tmp_path / "one", venv))
    assert linked(venv) == str(tmp_path / "one")
    assert (venv / "bin" / "vast-pyworker").stat().st_mode & 0o111


def test_an_environment_stays_with_the_checkout_that_has_it(tmp_path: Path, venv: Path) -> None:
    link(checkout(tmp_path / "one", venv))
    link(checkout(tmp_path / "two", venv))
    assert linked(venv) == str(tmp_path / "one")


def test_the_link_to_a_checkout_that_is_gone_is_replaced(tmp_path: Path, venv: Path) -> None:
    gone = checkout(tmp_path / "one", venv)
    link(gone)
    (gone.root / "vast_pyworker").rmdir()
    link(checkout(tmp_path / "two", venv))
    assert linked(venv) == str(tmp_path / "two")
