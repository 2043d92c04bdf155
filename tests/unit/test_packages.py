"""Installing into a virtual environment, with real environments and tiny packages."""

from __future__ import annotations

import fcntl
import json
import shutil
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import pytest

from vast_pyworker.errors import NotStarted
from vast_pyworker.failure import Exit
from vast_pyworker.installers import tools
from vast_pyworker.packages import LOCK, MARK, STAMP, Wanted, check_room, ensure, satisfied


def package(folder: Path, name: str, version: str = "1.0", needs: str = "") -> str:
    """A requirement line for a wheel of one module, made here."""
    path = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    needed = f"Requires-Dist: {needs}\n" if needs else ""
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(f"{name}.py", f"version = {version!r}\n")
        head = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needed}"
        wheel.writestr(f"{info}/METADATA", head)
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(
            f"{info}/RECORD", f"{name}.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n"
        )
    return f"{name} @ {path.as_uri()}\n"


@pytest.fixture
def wanted(tmp_path: Path) -> Wanted:
    (tmp_path / "requirements.txt").write_text(package(tmp_path, "tiny_one"))
    return Wanted(tmp_path, tmp_path / "venv", (tmp_path / "requirements.txt",))


def says(wanted: Wanted, code: str) -> str:
    done = subprocess.run(
        [wanted.python, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout.strip()


def silent(sentence: str) -> None:
    pass


def test_packages_are_installed_once(wanted: Wanted) -> None:
    said: list[str] = []
    assert not satisfied(wanted)
    assert ensure(wanted, said.append) is True
    assert says(wanted, "import tiny_one; print(tiny_one.version)") == "1.0"
    assert said == [f"Installing into {wanted.venv}."]
    assert ensure(wanted, said.append) is False
    assert len(said) == 1


def test_a_changed_file_is_installed_over_the_old(wanted: Wanted, tmp_path: Path) -> None:
    ensure(wanted, silent)
    wanted.files[0].write_text(package(tmp_path, "tiny_one", "2.0"))
    assert ensure(wanted, silent) is True
    assert says(wanted, "import tiny_one; print(tiny_one.version)") == "2.0"


def test_what_another_start_wants_stays_installed(wanted: Wanted, tmp_path: Path) -> None:
    ensure(wanted, silent)
    more = tmp_path / "more.txt"
    more.write_text(package(tmp_path, "tiny_two"))
    wider = Wanted(tmp_path, wanted.venv, (*wanted.files, more))
    assert ensure(wider, silent) is True
    assert ensure(wanted, silent) is False and ensure(wider, silent) is False


def test_an_installation_killed_midway_is_written_again(wanted: Wanted) -> None:
    ensure(wanted, silent)
    module = next(wanted.venv.glob("lib/*/site-packages/tiny_one.py"))
    module.unlink()
    (wanted.venv / MARK).touch()
    assert not satisfied(wanted)
    assert ensure(wanted, silent) is True
    assert module.exists() and not (wanted.venv / MARK).exists()


def test_a_package_that_was_removed_is_installed_again(wanted: Wanted) -> None:
    ensure(wanted, silent)
    shutil.rmtree(next(wanted.venv.glob("lib/*/site-packages/tiny_one-*")))
    assert ensure(wanted, silent) is True


def test_an_environment_whose_python_is_gone_is_made_anew(wanted: Wanted) -> None:
    ensure(wanted, silent)
    wanted.python.unlink()
    wanted.python.symlink_to("/nowhere/python3")
    (wanted.venv / "bin" / "python3").unlink(missing_ok=True)
    assert ensure(wanted, silent) is True
    assert says(wanted, "import tiny_one; print('here')") == "here"


def test_bare_files_are_installed_without_their_dependencies(tmp_path: Path) -> None:
    bare = tmp_path / "bare.txt"
    bare.write_text(package(tmp_path, "tiny_three", needs="no-such-package-of-anyone"))
    wanted = Wanted(tmp_path, tmp_path / "venv", (), (bare,))
    assert ensure(wanted, silent) is True
    assert says(wanted, "import tiny_three; print('here')") == "here"


def test_a_package_that_cannot_be_had_is_one_sentence_and_no_stamp(wanted: Wanted) -> None:
    wanted.files[0].write_text("tiny_four @ file:///nowhere/tiny_four-1.0-py3-none-any.whl\n")
    with pytest.raises(NotStarted) as caught:
        ensure(wanted, silent)
    assert caught.value.code == Exit.INSTALL_FAILED
    assert "\n" not in str(caught.value)
    assert not (wanted.venv / STAMP).exists() and (wanted.venv / MARK).exists()


def test_a_folder_with_something_else_in_it_is_refused(wanted: Wanted) -> None:
    wanted.venv.mkdir()
    (wanted.venv / "thesis.txt").touch()
    with pytest.raises(NotStarted, match="holds something else"):
        ensure(wanted, silent)
    assert [path.name for path in wanted.venv.iterdir()] == ["thesis.txt"]


def test_a_full_disk_is_said_before_anything_is_written(wanted: Wanted) -> None:
    with pytest.raises(NotStarted) as caught:
        ensure(wanted, silent, room_mib=1 << 40)
    assert caught.value.code == Exit.NO_DISK
    assert not wanted.python.exists()
    check_room(wanted.root, 0)


def test_an_unreadable_stamp_counts_as_none(wanted: Wanted) -> None:
    for text in ("", "[]", "{}", '{"files": 3, "packages": []}', json.dumps({"files": {}})):
        wanted.venv.mkdir(exist_ok=True)
        (wanted.venv / STAMP).write_text(text)
        assert not satisfied(wanted)


def test_a_second_installation_waits_for_the_first(wanted: Wanted) -> None:
    ensure(wanted, silent)
    (wanted.venv / STAMP).rename(wanted.root / "stamp")
    with (wanted.venv / LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done: list[bool] = []
        waiting = threading.Thread(
            target=lambda: done.append(ensure(wanted, silent)), name="second"
        )
        waiting.start()
        waiting.join(0.3)
        assert waiting.is_alive()
        (wanted.root / "stamp").rename(wanted.venv / STAMP)
        fcntl.flock(lock, fcntl.LOCK_UN)
        waiting.join(30)
    assert done == [False], "what the first has installed is not installed again"


def test_the_quickest_tool_comes_first(tmp_path: Path) -> None:
    every = tools(tmp_path, uv="/bin/uv", pip=True, ensurepip=True)
    assert [tool.create[0] for tool in every] == ["/bin/uv", sys.executable, sys.executable]
    assert [tool.inside for tool in every] == [False, False, True]
    assert tools(tmp_path, uv=None, pip=False, ensurepip=False) == []


@pytest.mark.parametrize("kind", ["uv", "pip of its own"])
def test_every_tool_installs(kind: str, wanted: Wanted) -> None:
    beside = Path(sys.executable).with_name("uv")
    uv = shutil.which("uv") or (str(beside) if beside.exists() else None)
    if kind == "uv" and uv is None:
        pytest.skip("there is no uv")
    every = tools(wanted.venv, uv=uv if kind == "uv" else None, pip=False, ensurepip=kind != "uv")
    for command in (every[0].create, (*every[0].install, "-r", str(wanted.files[0]))):
        subprocess.run(command, check=True, capture_output=True, timeout=120)
    assert says(wanted, "import tiny_one; print('here')") == "here"
