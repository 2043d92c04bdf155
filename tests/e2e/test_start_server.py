"""start_server.sh as a person, a launch script and an autoscaler meet it: real processes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from start_support import (
    ROOT,
    Autoscaler,
    Terminal,
    copy_of_project,
    free_port,
    published,
    wait_until,
)

TOKEN = 'tok"en\\with-quotes'


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    terminal = Terminal(tmp_path)
    yield terminal
    terminal.end()


@pytest.fixture
def autoscaler() -> Iterator[Autoscaler]:
    with Autoscaler() as autoscaler:
        yield autoscaler


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return published(tmp_path_factory.mktemp("published") / "vast-pyworker")


def only_report(autoscaler: Autoscaler) -> dict[str, object]:
    assert len(autoscaler.reports) == 1, autoscaler.reports
    return autoscaler.reports[0]


def programs(folder: Path, *names: str) -> str:
    """A PATH that holds nothing but these programs."""
    folder.mkdir()
    for name in names:
        found = shutil.which(name)
        assert found, name
        (folder / name).symlink_to(found)
    return str(folder)


def read(path: Path) -> str:
    return path.read_text().strip() if path.exists() else ""


def stub(folder: Path, name: str, body: str) -> None:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.unlink(missing_ok=True)
    path.write_text(f"#!/bin/bash\n{body}\n")
    path.chmod(0o755)


# --- starting, once -------------------------------------------------------------------------


def test_start_returns_once_the_worker_answers_and_prints_a_curl_that_works(
    terminal: Terminal,
) -> None:
    done = terminal.run("helloworld")
    assert (done.returncode, done.stderr) == (0, "")
    said, where, curl = done.stdout.splitlines()
    assert said.startswith(f"helloworld answers at {terminal.url} (pid {terminal.pid()}, log ")
    assert where.startswith("Not on a Vast.ai instance (no CONTAINER_ID): for this machine only")
    assert "no reports" in where
    assert terminal.shell(["bash", "-c", f"{curl} -sS --fail"]).stdout == "ok\n"


def test_the_backend_may_come_from_the_environment(terminal: Terminal) -> None:
    assert terminal.run(BACKEND="helloworld").returncode == 0


def test_a_second_start_does_not_start_a_second_worker(terminal: Terminal) -> None:
    assert terminal.run("helloworld").returncode == 0
    first = terminal.pid()
    again = terminal.run("helloworld")
    assert again.returncode == 0
    assert again.stdout == f"helloworld runs already at {terminal.url} (pid {first}).\n"
    assert terminal.pid() == first


def test_two_starts_at_once_start_one_worker(terminal: Terminal) -> None:
    with terminal.running("helloworld") as one, terminal.running("helloworld") as other:
        said = sorted(each.communicate(timeout=60)[0] for each in (one, other))
        assert [one.returncode, other.returncode] == [0, 0]
    assert "answers at" in said[0] and "runs already" in said[1]


def test_another_backend_on_the_same_port_is_refused(terminal: Terminal) -> None:
    assert terminal.run("helloworld").returncode == 0
    done = terminal.run("helloautoscaler")
    assert done.returncode == 66
    assert "taken by our helloworld worker" in done.stderr


def test_status_stop_and_logs_do_what_they_say(terminal: Terminal) -> None:
    assert terminal.run("helloworld").returncode == 0
    pid = terminal.pid()
    seen = terminal.run("--status")
    assert seen.returncode == 0
    assert seen.stdout == f"The helloworld worker (pid {pid}) at {terminal.url} is ready.\n"
    assert "Booting worker" in terminal.run("--logs").stdout
    assert terminal.run("--stop").stdout == f"The helloworld worker (pid {pid}) has ended.\n"
    assert not psutil.pid_exists(pid)
    assert terminal.run("--stop").stdout == f"No worker runs on port {terminal.port}.\n"
    gone = terminal.run("--status")
    assert (gone.returncode, gone.stderr) == (3, f"No worker runs on port {terminal.port}.\n")


def test_foreground_is_the_worker_itself(terminal: Terminal) -> None:
    with terminal.running("--foreground", "helloworld") as process:
        wait_until(lambda: terminal.run("--status").stdout.endswith("is ready.\n"), "worker")
        assert terminal.pid() == process.pid
        assert "runs already" in terminal.run("helloworld").stdout
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0
    assert terminal.run("--status").returncode == 3


def test_a_number_that_another_process_has_got_is_left_alone(terminal: Terminal) -> None:
    assert terminal.run("helloworld").returncode == 0
    record = terminal.state / f"worker-{terminal.port}.json"
    told = json.loads(record.read_text())
    with subprocess.Popen(["sleep", "60"]) as other:
        record.write_text(json.dumps({**told, "pid": other.pid}))
        assert terminal.run("--stop").stdout.startswith("No worker runs")
        assert other.poll() is None
        other.kill()
    record.write_text(json.dumps(told))


def test_the_hello_world_of_the_guide_word_for_word(terminal: Terminal) -> None:
    terminal.extra = {"PYWORKER_GUNICORN_CONF": ""}
    done = terminal.run("helloworld")
    assert (done.returncode, done.stderr) == (0, "")
    increment = (
        f"curl -sS -X POST localhost:{terminal.port}/increment "
        """-H 'content-type: application/json' -d '{"amount": 2}'"""
    )
    assert terminal.shell(["bash", "-c", increment]).stdout == "Incremented"
    value = terminal.shell(["curl", "-sS", f"localhost:{terminal.port}/value"]).stdout
    assert value.strip() == '{"value":2}'
    status = terminal.shell(["bash", "-c", f"{done.stdout.splitlines()[-1]} -sS --fail"])
    assert json.loads(status.stdout)["state"] == "ready"


def test_launch_script_of_the_guide(tmp_path: Path, terminal: Terminal) -> None:
    checkout = copy_of_project(tmp_path / "workspace" / "vast-pyworker")
    done = terminal.shell(["bash", str(checkout / "backends/helloworld/launch.sh")])
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("helloworld answers at")


def test_the_function_of_the_guide(terminal: Terminal) -> None:
    script = f". {ROOT}/scripts/util.sh; start_server {ROOT} helloworld"
    assert terminal.shell(["bash", "-c", script]).stdout.startswith("helloworld answers at")


def test_what_lies_in_the_working_directory_is_not_taken_for_the_project(
    tmp_path: Path, terminal: Terminal
) -> None:
    for name in ("vast_pyworker", "gunicorn", "flask"):
        (tmp_path / "here" / name).mkdir(parents=True)
        (tmp_path / "here" / name / "__init__.py").write_text("raise SystemExit('the wrong one')")
    done = terminal.shell([terminal.script, "helloworld"], cwd=tmp_path / "here")
    assert done.returncode == 0, done.stderr


# --- on an instance -------------------------------------------------------------------------


def test_on_an_instance_a_certificate_is_signed_and_nothing_secret_is_readable(
    tmp_path: Path, terminal: Terminal, autoscaler: Autoscaler
) -> None:
    cert, key = tmp_path / "instance.crt", tmp_path / "instance.key"
    instance = {
        "CONTAINER_ID": "123",
        "MASTER_TOKEN": TOKEN,
        "REPORT_ADDR": autoscaler.url,
        "VAST_API_URL": autoscaler.url,
        "PYWORKER_CERT": str(cert),
        "PYWORKER_KEY": str(key),
        "PYWORKER_HOST": "127.0.0.1",
    }
    done = terminal.run("helloworld", **instance)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 1
    assert f"answers at https://127.0.0.1:{terminal.port} " in done.stdout
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert stat.S_IMODE(terminal.state.stat().st_mode) == 0o700
    for path in terminal.state.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
        assert TOKEN not in path.read_text()
    terminal.run("--stop", **instance)
    assert terminal.run("helloworld", **instance).returncode == 0
    assert autoscaler.sign_requests == 1, "a certificate that still serves is kept"
    terminal.run("--stop", **instance)
    assert autoscaler.reports == []


# --- failures: one sentence, one exit code, one report ----------------------------------------


def test_unknown_backend_lists_those_there_are_and_is_reported(
    terminal: Terminal, autoscaler: Autoscaler
) -> None:
    done = terminal.run("nosuch", REPORT_ADDR=autoscaler.url, CONTAINER_ID="77", MASTER_TOKEN=TOKEN)
    assert done.returncode == 65
    assert done.stderr.startswith("There is no backend 'nosuch'; there are: ")
    assert "helloworld" in done.stderr and done.stderr.count("\n") == 1
    assert only_report(autoscaler) == {
        "id": 77,
        "mtoken": TOKEN,
        "version": "0",
        "error_msg": done.stderr.strip(),
        "url": "",
    }


def test_every_address_hears_of_a_failure_though_one_is_dead(
    terminal: Terminal, autoscaler: Autoscaler
) -> None:
    dead = f"http://127.0.0.1:{free_port()}"
    done = terminal.run("nosuch", REPORT_ADDR=f"{dead},{autoscaler.url}/", CONTAINER_ID="77")
    assert done.returncode == 65
    assert only_report(autoscaler)["id"] == 77


@pytest.mark.parametrize("arguments", [("--bogus", "helloworld"), ()])
def test_a_wrong_command_line_is_refused(terminal: Terminal, arguments: tuple[str, ...]) -> None:
    done = terminal.run(*arguments)
    assert done.returncode == 64
    assert done.stderr.count("\n") == 1


def test_help_needs_nothing(terminal: Terminal, tmp_path: Path) -> None:
    done = terminal.run("--help", PATH=programs(tmp_path / "bin", "bash", "env", "cat"))
    assert done.returncode == 0
    assert "Exit codes: 0" in done.stdout


def test_a_port_that_is_taken_names_who_has_it(terminal: Terminal, autoscaler: Autoscaler) -> None:
    with socket.create_server(("127.0.0.1", terminal.port)):
        done = terminal.run("helloworld", REPORT_ADDR=autoscaler.url)
    assert done.returncode == 66
    assert f"Port {terminal.port} is taken by " in done.stderr
    assert f"(pid {os.getpid()})" in done.stderr
    assert only_report(autoscaler)["error_msg"] == done.stderr.strip()


def test_a_bad_setting_is_one_sentence(terminal: Terminal) -> None:
    done = terminal.run("helloworld", WORKER_PORT="many")
    assert done.returncode == 73
    assert done.stderr.startswith("WORKER_PORT cannot be 'many'")


def test_a_worker_that_fails_to_boot_gives_its_last_words(
    terminal: Terminal, autoscaler: Autoscaler
) -> None:
    done = terminal.run("helloworld", STAND_IN_FAILS="no such weights", REPORT_ADDR=autoscaler.url)
    assert done.returncode == 72
    assert "RuntimeError: no such weights" in done.stderr
    assert done.stderr.count("\n") == 1
    assert "no such weights" in str(only_report(autoscaler)["error_msg"])
    assert terminal.run("--status").returncode == 3


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_start_that_is_killed_reports_and_leaves_no_worker(
    terminal: Terminal, autoscaler: Autoscaler, number: signal.Signals
) -> None:
    slow = {"STAND_IN_SLEEPS": "60", "REPORT_ADDR": autoscaler.url}
    with terminal.running("helloworld", **slow) as process:
        record = terminal.state / f"worker-{terminal.port}.json"
        wait_until(record.exists, "pid file")
        worker = terminal.pid()
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
        assert process.returncode == 128 + number
    assert said == f"The start was stopped by {number.name}; start it again.\n"
    assert only_report(autoscaler)["error_msg"] == said.strip()
    assert not psutil.pid_exists(worker) and not record.exists()


def test_a_start_that_is_killed_while_it_installs_reports_and_leaves_no_installer(
    tmp_path: Path, terminal: Terminal, autoscaler: Autoscaler
) -> None:
    tools = tmp_path / "tools"
    stub(tools, "uv", f"echo $$ > {tmp_path}/begun; exec sleep 60")
    slow = {
        "PATH": f"{tools}:{terminal.environ()['PATH']}",
        "PYWORKER_VENV": str(tmp_path / "venv"),
        "REPORT_ADDR": autoscaler.url,
    }
    with terminal.running("helloworld", **slow) as process:
        installer = int(wait_until(lambda: read(tmp_path / "begun"), "installer"))
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)
        assert process.returncode == 128 + signal.SIGTERM
    assert "SIGTERM" in str(only_report(autoscaler)["error_msg"])
    assert not psutil.pid_exists(installer)


def test_packages_that_cannot_be_had_are_one_sentence(
    tmp_path: Path, terminal: Terminal, autoscaler: Autoscaler
) -> None:
    terminal.checkout = copy_of_project(tmp_path / "project")
    missing = "nothing @ file:///nowhere/nothing-1.0-py3-none-any.whl"
    (terminal.checkout / "requirements.txt").write_text(f"{missing}\n")
    venv = str(tmp_path / "venv")
    done = terminal.run("helloworld", PYWORKER_VENV=venv, REPORT_ADDR=autoscaler.url)
    assert done.returncode == 68
    assert done.stderr.count("\n") == 1
    assert only_report(autoscaler)["error_msg"] == done.stderr.strip()


def test_no_python_is_reported_too(
    tmp_path: Path, terminal: Terminal, autoscaler: Autoscaler
) -> None:
    tools = tmp_path / "bin"
    path = programs(tools, "bash", "env", "dirname", "readlink", "curl")
    for name in ("python3", "python3.10", "python3.11", "python3.12", "python3.13"):
        stub(tools, name, "exit 1")
    done = terminal.run("helloworld", PATH=path, REPORT_ADDR=autoscaler.url)
    assert done.returncode == 70
    assert done.stderr.startswith("Python 3.10 or newer is needed")
    assert only_report(autoscaler)["error_msg"] == done.stderr.strip()


def test_a_state_folder_that_cannot_be_made_is_no_disk(terminal: Terminal, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = terminal.run("helloworld", PYWORKER_STATE=str(tmp_path / "file" / "state"))
    assert done.returncode == 67, done.stderr
    assert done.stderr.count("\n") == 1


OTHER_USER = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]


@contextmanager
def folder_of_another_user() -> Iterator[Path]:
    """A folder with a space in its name that user 65534 owns and can reach."""
    if os.geteuid() != 0 or not shutil.which("setpriv"):
        pytest.skip("only root can become another user, with setpriv")
    folder = Path(tempfile.mkdtemp(prefix="pyworker test "))
    try:
        copy_of_project(folder / "vast-pyworker")
        folder.chmod(0o755)
        subprocess.run(["chown", "-R", "65534:65534", str(folder)], check=True)
        yield folder
    finally:
        shutil.rmtree(folder)


def test_runs_without_being_root() -> None:
    with folder_of_another_user() as folder:
        terminal = Terminal(folder, folder / "vast-pyworker", extra={"HOME": str(folder)})
        probe = [*OTHER_USER, "bash", "-c", f"'{sys.executable}' -c 'import flask'"]
        if terminal.shell(probe).returncode != 0:
            pytest.skip("another user cannot reach the Python that these tests run with")
        done = terminal.shell([*OTHER_USER, terminal.script, "helloworld"])
        assert (done.returncode, done.stderr) == (0, "")
        assert terminal.shell([*OTHER_USER, terminal.script, "--stop"]).returncode == 0


@pytest.mark.skipif(
    not os.environ.get("PYWORKER_SLOW_TESTS"), reason="installs everything: PYWORKER_SLOW_TESTS=1"
)
def test_installs_from_nothing_as_another_user_and_resumes_when_killed() -> None:
    with folder_of_another_user() as folder:
        venv = folder / "venv"
        extra = {"HOME": str(folder), "PYWORKER_VENV": str(venv), "PATH": "/usr/bin:/bin"}
        terminal = Terminal(folder, folder / "vast-pyworker", extra=extra)
        command = [*OTHER_USER, terminal.script, "helloworld"]
        with subprocess.Popen(command, env=terminal.environ(), stdout=subprocess.DEVNULL) as first:
            wait_until(lambda: list(venv.glob("lib/*/site-packages/flask/app.py")), "package")
            first.kill()
        done = terminal.shell(command)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith(f"Installing into {venv}.\nhelloworld answers at ")
        assert "runs already" in terminal.shell(command).stdout
        assert terminal.shell([*OTHER_USER, terminal.script, "--stop"]).returncode == 0


# --- through a pipe -------------------------------------------------------------------------


def piped(terminal: Terminal, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    script = (ROOT / "start_server.sh").read_text()
    return terminal.shell(["bash", "-s", "--", *arguments], stdin=script, **more)


def test_through_a_pipe_the_project_is_cloned_once(
    tmp_path: Path, terminal: Terminal, repository: Path
) -> None:
    terminal.extra = {"WORKSPACE_DIR": str(tmp_path / "work space")}
    done = piped(terminal, "helloworld", PYWORKER_REPO=repository.as_uri())
    assert done.returncode == 0, done.stderr
    clone = tmp_path / "work space" / "vast-pyworker"
    assert done.stdout.splitlines()[0] == f"Cloning {repository.as_uri()} (main) to {clone}."
    assert stat.S_IMODE(clone.stat().st_mode) == 0o755
    assert [path.name for path in clone.parent.iterdir()] == ["vast-pyworker"]
    again = piped(terminal, "helloworld", PYWORKER_REPO="/nowhere")
    assert again.stdout.startswith("helloworld runs already")
    assert "has ended" in piped(terminal, "--stop").stdout


def test_a_commit_can_be_named(tmp_path: Path, terminal: Terminal, repository: Path) -> None:
    head = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=repository, check=True, capture_output=True, text=True
    ).stdout.strip()
    done = piped(terminal, "helloworld", PYWORKER_REPO=str(repository), PYWORKER_REF=head)
    assert done.returncode == 0, done.stderr


def test_a_clone_that_fails_is_reported_with_every_sign_escaped(
    tmp_path: Path, terminal: Terminal, autoscaler: Autoscaler
) -> None:
    done = piped(
        terminal,
        "helloworld",
        PYWORKER_REPO='/no "such"\\place',
        REPORT_ADDR=autoscaler.url,
        CONTAINER_ID="5",
        MASTER_TOKEN=TOKEN,
    )
    assert done.returncode == 71
    sentence = done.stderr.splitlines()[-1]
    assert sentence.startswith('/no "such"\\place could not be cloned at main')
    report = only_report(autoscaler)
    assert (report["id"], report["mtoken"], report["error_msg"]) == (5, TOKEN, sentence)
    assert list((tmp_path / "workspace").iterdir()) == []


def test_the_token_is_on_no_command_line(tmp_path: Path, terminal: Terminal) -> None:
    tools = tmp_path / "tools"
    stub(tools, "curl", f"printf '%s\\n' \"$@\" > {tmp_path}/arguments; cat > {tmp_path}/body")
    path = f"{tools}:{terminal.environ()['PATH']}"
    done = piped(
        terminal, PYWORKER_REPO="/no", REPORT_ADDR="http://x", MASTER_TOKEN=TOKEN, PATH=path
    )
    assert done.returncode == 71
    assert json.loads((tmp_path / "body").read_text())["mtoken"] == TOKEN
    assert "tok" not in (tmp_path / "arguments").read_text()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_shell_that_is_killed_while_it_clones_reports_at_once(
    tmp_path: Path, terminal: Terminal, autoscaler: Autoscaler, number: signal.Signals
) -> None:
    tools = tmp_path / "tools"
    stub(tools, "git", f"touch {tmp_path}/begun; exec sleep 60")
    lone = tmp_path / "lone"
    lone.mkdir()
    terminal.checkout = lone
    shutil.copy2(ROOT / "start_server.sh", lone)
    slow = {"PATH": f"{tools}:{terminal.environ()['PATH']}", "REPORT_ADDR": autoscaler.url}
    with terminal.running("helloworld", **slow) as process:
        wait_until((tmp_path / "begun").exists, "git")
        process.send_signal(number)
        process.communicate(timeout=20)
        assert process.returncode == 128 + number
    assert number.name in str(only_report(autoscaler)["error_msg"])
    assert list((tmp_path / "workspace").iterdir()) == []


def test_no_room_for_a_clone_is_no_disk(tmp_path: Path, terminal: Terminal) -> None:
    tools = tmp_path / "tools"
    stub(tools, "df", "printf 'Filesystem x\\n/dev/a 10 9 1 90%% /\\n'")
    done = piped(terminal, "helloworld", PATH=f"{tools}:{terminal.environ()['PATH']}")
    assert done.returncode == 67
    assert done.stderr.startswith("No room for a clone in ")


def test_what_is_in_the_place_of_the_clone_is_not_touched(
    tmp_path: Path, terminal: Terminal
) -> None:
    mine = tmp_path / "workspace" / "vast-pyworker" / "mine.txt"
    mine.parent.mkdir(parents=True)
    mine.touch()
    done = piped(terminal, "helloworld")
    assert done.returncode == 71 and mine.exists()


def test_a_download_that_was_cut_short_does_nothing(terminal: Terminal) -> None:
    script = (ROOT / "start_server.sh").read_text()
    half = script[: script.rindex('main "$@"')]
    done = terminal.shell(["bash", "-s", "helloworld"], stdin=half)
    assert (done.stdout, done.stderr) == ("", "")
