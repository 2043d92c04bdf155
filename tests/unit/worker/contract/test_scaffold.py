"""A new backend directory passes the contract suite as it is written, and overwrites nothing."""

from __future__ import annotations

import os

import pytest

from vast_pyworker.errors import BackendError
from vast_pyworker.worker.contract.checking import check_backend
from vast_pyworker.worker.contract.scaffold import TEMPLATES, write_backend


@pytest.mark.parametrize("template", sorted(TEMPLATES))
def test_what_is_written_passes_the_contract_suite(template, tmp_path):
    write_backend("my-model", template, tmp_path)
    checks = list(check_backend("my-model", [tmp_path], {}))
    assert {each.name: each.fault for each in checks if not each.ok} == {}
    assert checks[-1].name == "answers"


@pytest.mark.parametrize("template", sorted(TEMPLATES))
def test_three_files_are_written_and_the_script_can_be_run(template, tmp_path):
    files = write_backend("mine", template, tmp_path / "backends")
    assert [file.name for file in files] == ["backend.py", "launch.sh", "README.md"]
    assert all(file.parent == tmp_path / "backends" / "mine" for file in files)
    assert os.access(files[1], os.X_OK)


def test_the_name_is_in_every_file(tmp_path):
    for file in write_backend("mine", "openai", tmp_path):
        assert "mine" in file.read_text().lower()


def test_a_directory_that_exists_is_left_alone(tmp_path):
    (tmp_path / "mine").mkdir()
    with pytest.raises(BackendError, match=r"mine exists; choose another name"):
        write_backend("mine", "plain", tmp_path)
    assert not list((tmp_path / "mine").iterdir())


@pytest.mark.parametrize("name", ["", "a/b", "../up", "1st", "with space", ".hidden", "a.b"])
def test_a_name_that_cannot_be_one_is_refused(name, tmp_path):
    with pytest.raises(BackendError, match="cannot name a backend"):
        write_backend(name, "plain", tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BackendError, match="cannot be written"):
        write_backend("mine", "plain", tmp_path / "file")
