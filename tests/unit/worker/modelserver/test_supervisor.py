"""The supervisor against real processes; only its clock is ours."""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path

import psutil
import pytest

from vast_pyworker.errors import ModelError
from vast_pyworker.worker.modelserver import life
from vast_pyworker.worker.modelserver.breaker import Breaker
from vast_pyworker.worker.modelserver.life import Life
from vast_pyworker.worker.modelserver.supervisor import Supervisor, model_folder, stop_recorded

FOREVER = ("sleep", "1000")
SAFETY_S = 20.0


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


class Place:
    """A folder with a worker's state and a model's log, and the supervisors made there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state_dir = folder / "state"
        self.log = folder / "logs" / "model.log"
        self.clock = Clock()
        self.made: list[Supervisor] = []

    def supervisor(
        self,
        *command: str,
        restarts: int = 5,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> Supervisor:
        made = Supervisor(
            command,
            env={"PATH": os.environ["PATH"], **(env or {})},
            cwd=cwd,
            log_path=self.log,
            state_dir=self.state_dir,
            breaker=Breaker(restarts),
            now=self.clock,
            stop_grace_s=5.0,
        )
        self.made.append(made)
        return made

    def shell(self, script: str, restarts: int = 5) -> Supervisor:
        return self.supervisor("sh", "-c", script, restarts=restarts)

    def wait_for_log(self, text: str) -> str:
        until(lambda: self.log.exists() and text in self.log.read_text())
        return self.log.read_text()

    def die_and_tick(self, supervisor: Supervisor) -> str:
        """Wait for the model to end, let the supervisor see it, pass the back-off."""
        until(lambda: supervisor.alive() is False)
        said = self.tick_until_something(supervisor)
        if supervisor.next_start_at is not None:
            self.clock.seconds = supervisor.next_start_at
        return said

    def tick_until_something(self, supervisor: Supervisor) -> str:
        said: list[str] = []

        def something() -> bool:
            sentence = supervisor.tick(self.clock())
            said.extend([sentence] if sentence else [])
            return sentence is not None and "ending what it left" not in sentence

        until(something)
        return said[-1]


def until(condition: Callable[[], bool]) -> None:
    give_up_at = time.monotonic() + SAFETY_S
    while not condition():
        assert time.monotonic() < give_up_at, "waited too long"
        time.sleep(0.01)


def runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    yield made
    for supervisor in made.made:
        supervisor.stop(0.0)
    stop_recorded(made.state_dir, 0.0)


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    """A process that is nobody's model, in a session of its own."""
    with subprocess.Popen(FOREVER, start_new_session=True) as process:
        yield process
        process.kill()


# Starting and stopping


def test_nothing_is_supervised_before_start_and_after_stop(place: Place) -> None:
    supervisor = place.supervisor(*FOREVER)
    assert supervisor.alive() is None
    assert supervisor.tick(place.clock()) is None
    supervisor.start()
    assert supervisor.alive() is True
    assert supervisor.exit_reason() is None
    pid = supervisor.pid
    supervisor.stop(5.0)
    assert supervisor.alive() is None
    assert pid is not None and not runs(pid)


def test_the_model_runs_in_a_session_of_its_own(place: Place) -> None:
    supervisor = place.supervisor(*FOREVER)
    supervisor.start()
    assert supervisor.pid is not None
    assert os.getsid(supervisor.pid) == os.getpgid(supervisor.pid) == supervisor.pid


def test_starting_twice_starts_one_model(place: Place) -> None:
    supervisor = place.supervisor(*FOREVER)
    supervisor.start()
    pid = supervisor.pid
    assert "already" in supervisor.start()
    assert supervisor.pid == pid


def test_output_is_appended_to_a_log_that_others_cannot_read(place: Place) -> None:
    place.log.parent.mkdir()
    place.log.write_text("of before\n")
    place.log.chmod(0o600)
    supervisor = place.shell("echo out; echo err >&2; exec sleep 1000")
    supervisor.start()
    assert place.wait_for_log("err").splitlines()[:2] == ["of before", "out"]
    assert supervisor.log_offset == len("of before\n")


def test_a_new_log_is_not_readable_by_the_world(place: Place) -> None:
    place.supervisor(*FOREVER).start()
    assert stat.S_IMODE(place.log.stat().st_mode) & ~0o640 == 0


def test_the_record_is_private_and_gone_after_a_stop(place: Place) -> None:
    supervisor = place.supervisor(*FOREVER)
    supervisor.start()
    record = place.state_dir / "model.json"
    assert stat.S_IMODE(record.stat().st_mode) == 0o600
    assert json.loads(record.read_text())["pid"] == supervisor.pid
    supervisor.stop(5.0)
    assert not record.exists()


def test_the_model_inherits_the_environment_without_secrets(place: Place) -> None:
    secret = dict.fromkeys(("MASTER_TOKEN", "PYWORKER_API_KEYS", "CONTAINER_API_KEY"), "hush")
    supervisor = place.supervisor(
        "sh", "-c", "env; echo end; exec sleep 1000", env={"HF_TOKEN": "needed", **secret}
    )
    supervisor.start()
    seen = place.wait_for_log("end")
    assert "HF_TOKEN=needed" in seen
    assert "hush" not in seen


def test_the_model_runs_in_the_given_folder(place: Place, tmp_path: Path) -> None:
    supervisor = place.supervisor("sh", "-c", "pwd; exec sleep 1000", cwd=tmp_path)
    supervisor.start()
    assert place.wait_for_log("\n").strip() == str(tmp_path)


def test_a_model_that_ignores_sigterm_is_killed_at_the_deadline(place: Place) -> None:
    supervisor = place.shell("trap '' TERM; echo deaf; while :; do sleep 0.05; done")
    supervisor.start()
    place.wait_for_log("deaf")
    pid = supervisor.pid
    supervisor.stop(0.2)
    assert pid is not None and not runs(pid)


def test_a_model_that_takes_sigterm_may_clean_up(place: Place) -> None:
    supervisor = place.shell("trap 'echo tidy; exit 0' TERM; echo up; while :; do sleep 0.05; done")
    supervisor.start()
    place.wait_for_log("up")
    supervisor.stop(SAFETY_S)
    assert "tidy" in place.log.read_text()


FAMILY = """
sleep 1000 & echo child $!
setsid sleep 1000 & echo daemon $!
env -i sleep 1000 & echo bare $!
( sleep 1000 & echo orphan $! )
echo all; {rest}
"""


def family(place: Place) -> list[int]:
    text = place.wait_for_log("all")
    return [int(line.split()[1]) for line in text.splitlines() if " " in line]


def test_a_stop_leaves_nothing_behind(place: Place) -> None:
    supervisor = place.shell(FAMILY.format(rest="wait"))
    supervisor.start()
    pids = family(place)
    assert len(pids) == 4 and all(map(runs, pids))
    supervisor.stop(5.0)
    assert not any(map(runs, pids))


def test_what_a_dead_model_left_is_ended_before_the_next_start(place: Place) -> None:
    supervisor = place.shell(FAMILY.format(rest="exit 7"))
    supervisor.start()
    pids = family(place)
    said = place.die_and_tick(supervisor)
    assert "exited with code 7" in said
    assert not any(map(runs, pids))


# What cannot start


def test_a_missing_program_is_one_sentence_and_no_loop(place: Place) -> None:
    supervisor = place.supervisor("no-such-model-server")
    with pytest.raises(ModelError, match=r"'no-such-model-server' was not found: install it"):
        supervisor.start()
    assert supervisor.gave_up
    assert supervisor.next_start_at is None
    place.clock.seconds += 1e6
    assert supervisor.tick(place.clock()) is None
    assert supervisor.alive() is False
    assert "not found" in (supervisor.exit_reason() or "")
    with pytest.raises(ModelError, match="not found"):
        supervisor.start()


@pytest.mark.parametrize(
    ("text", "mode", "said"),
    [
        ("#!/no/such/interpreter\n", 0o755, "interpreter .* was not found"),
        ("#!/bin/sh\n", 0o644, r"may not be executed: chmod \+x"),
        ("just text\n", 0o755, "cannot run"),
    ],
)
def test_a_program_that_cannot_run_says_why(
    place: Place, tmp_path: Path, text: str, mode: int, said: str
) -> None:
    program = tmp_path / "serve"
    program.write_text(text)
    program.chmod(mode)
    with pytest.raises(ModelError, match=said):
        place.supervisor(str(program)).start()


def test_a_missing_folder_and_an_empty_command_say_so(place: Place, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="nowhere, which is not a folder"):
        place.supervisor(*FOREVER, cwd=tmp_path / "nowhere").start()
    with pytest.raises(ModelError, match="set MODEL_COMMAND"):
        place.supervisor().start()


def test_a_log_that_cannot_be_written_says_so(place: Place) -> None:
    place.log.mkdir(parents=True)
    with pytest.raises(ModelError, match="correct MODEL_LOG"):
        place.supervisor(*FOREVER).start()


# Ends and restarts


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo RuntimeError: boom; exit 3", r"exited with code 3, saying 'RuntimeError: boom'"),
        ("exit 127", r"exited with code 127 \(command not found\)"),
        ("kill -SEGV $$", "killed by SIGSEGV"),
        ("kill -KILL $$", r"killed \(out of memory\?\)"),
        ("exit 0", "exited with code 0"),
    ],
)
def test_the_reason_of_an_end_tells_how(place: Place, script: str, said: str) -> None:
    supervisor = place.shell(script)
    supervisor.start()
    until(lambda: supervisor.alive() is False)
    before = supervisor.exit_reason()
    place.tick_until_something(supervisor)
    assert supervisor.exit_reason() == before
    assert before is not None
    assert re.search(said, before)


def test_words_of_an_earlier_life_are_not_quoted(place: Place) -> None:
    place.log.parent.mkdir()
    place.log.write_text("an old error\n")
    supervisor = place.shell("exit 1")
    supervisor.start()
    until(lambda: supervisor.alive() is False)
    assert supervisor.exit_reason() == "The model server exited with code 1"


def test_the_model_is_started_again_after_the_back_off_and_not_before(place: Place) -> None:
    supervisor = place.supervisor(*FOREVER)
    supervisor.start()
    first = supervisor.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    until(lambda: supervisor.alive() is False)
    assert "starting it again in 1 s" in place.tick_until_something(supervisor)
    assert supervisor.next_start_at == place.clock() + 1.0
    assert supervisor.tick(place.clock() + 0.9) is None
    assert "Started" in (supervisor.tick(place.clock() + 1.0) or "")
    assert supervisor.alive() is True
    assert supervisor.pid != first
    assert supervisor.restarts == 1
    assert supervisor.exit_reason() is None


def test_waits_double_until_the_breaker_opens_with_the_last_lines(place: Place) -> None:
    supervisor = place.shell("echo one; echo two; exit 1", restarts=2)
    supervisor.start()
    assert "again in 1 s" in place.die_and_tick(supervisor)
    supervisor.tick(place.clock())
    assert "again in 2 s" in place.die_and_tick(supervisor)
    supervisor.tick(place.clock())
    said = place.die_and_tick(supervisor)
    assert "gave up after 2 restarts" in said
    assert "one | two" in said
    assert supervisor.gave_up
    assert supervisor.exit_reason() == said
    assert supervisor.next_start_at is None
    assert supervisor.tick(place.clock() + 1e6) is None


def test_a_reset_tries_again(place: Place) -> None:
    supervisor = place.shell("exit 1", restarts=0)
    supervisor.start()
    place.die_and_tick(supervisor)
    assert supervisor.gave_up
    supervisor.reset()
    assert not supervisor.gave_up
    assert "Started" in (supervisor.tick(place.clock()) or "")


def test_a_restart_ends_the_model_first_and_does_not_wait(place: Place) -> None:
    supervisor = place.supervisor(*FOREVER)
    supervisor.start()
    first = supervisor.pid
    assert "no token for 120 s" in (supervisor.restart("no token for 120 s") or "")
    assert supervisor.alive() is False
    assert supervisor.restart("impatience") is None
    assert "starting it again in 1 s" in place.tick_until_something(supervisor)
    assert first is not None and not runs(first)
    assert "no token for 120 s" in (supervisor.exit_reason() or "")
    supervisor.tick(place.clock() + 1.0)
    assert supervisor.alive() is True


def test_a_restart_kills_what_ignores_sigterm_after_the_grace(place: Place) -> None:
    supervisor = place.shell("trap '' TERM; echo deaf; while :; do sleep 0.05; done")
    supervisor.start()
    place.wait_for_log("deaf")
    pid = supervisor.pid
    assert pid is not None
    supervisor.restart("hung")
    assert supervisor.tick(place.clock() + 4.9) is None
    assert runs(pid)
    supervisor.tick(place.clock() + 5.0)
    until(lambda: not runs(pid))
    assert "starting it again" in place.tick_until_something(supervisor)


def test_a_restart_of_a_model_that_is_already_dead_counts_once(place: Place) -> None:
    supervisor = place.shell("exit 9", restarts=1)
    supervisor.start()
    until(lambda: supervisor.alive() is False)
    supervisor.restart("the port is closed")
    if supervisor.next_start_at is None:
        place.tick_until_something(supervisor)
    assert not supervisor.gave_up
    assert "exited with code 9" in (supervisor.exit_reason() or "")


def test_restart_before_start_does_nothing(place: Place) -> None:
    assert place.supervisor(*FOREVER).restart("why not") is None


def test_a_program_removed_meanwhile_ends_the_restarts(place: Place, tmp_path: Path) -> None:
    program = tmp_path / "serve"
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    supervisor = place.supervisor(str(program))
    supervisor.start()
    place.die_and_tick(supervisor)
    program.unlink()
    assert "was not found" in (supervisor.tick(place.clock()) or "")
    assert supervisor.gave_up


# The next worker


WORKER = """
import os, sys
from vast_pyworker.worker.modelserver.breaker import Breaker
from vast_pyworker.worker.modelserver.supervisor import Supervisor
folder, log, *command = sys.argv[1:]
supervisor = Supervisor(command, env=dict(os.environ), cwd=None, log_path=log, state_dir=folder,
                        breaker=Breaker(5))
supervisor.start()
print(supervisor.pid, flush=True)
os._exit(1)  # a crash: nothing is tidied up
"""


def crash_a_worker(place: Place, *command: str) -> int:
    ran = subprocess.run(
        [sys.executable, "-c", WORKER, str(place.state_dir), str(place.log), *command],
        stdout=subprocess.PIPE,
        check=False,
        timeout=60,
    )
    return int(ran.stdout)


def test_a_new_worker_takes_over_the_running_model(place: Place) -> None:
    pid = crash_a_worker(place, *FOREVER)
    supervisor = place.supervisor(*FOREVER)
    assert "Took over" in supervisor.start()
    assert supervisor.pid == pid
    assert supervisor.alive() is True
    os.kill(pid, signal.SIGKILL)
    until(lambda: supervisor.alive() is False)
    assert "unknown exit code" in place.tick_until_something(supervisor)
    supervisor.tick(place.clock() + 1.0)
    assert supervisor.alive() is True
    assert supervisor.pid != pid


def test_a_model_taken_over_is_stopped_like_any_other(place: Place) -> None:
    pid = crash_a_worker(place, *FOREVER)
    supervisor = place.supervisor(*FOREVER)
    supervisor.start()
    supervisor.stop(5.0)
    assert not runs(pid)


def test_a_log_offset_is_handed_to_the_next_worker(place: Place) -> None:
    place.log.parent.mkdir()
    place.log.write_text("of before\n")
    crash_a_worker(place, "sh", "-c", "echo loaded; exec sleep 1000")
    place.wait_for_log("loaded")
    supervisor = place.supervisor("sh", "-c", "echo loaded; exec sleep 1000")
    supervisor.start()
    assert supervisor.log_offset == len("of before\n")


def test_a_model_of_another_command_is_ended_first(place: Place) -> None:
    pid = crash_a_worker(place, "sleep", "2000")
    supervisor = place.supervisor(*FOREVER)
    assert "Started" in supervisor.start()
    assert not runs(pid)
    assert supervisor.pid != pid


def test_a_model_whose_record_is_lost_is_found_by_its_label(place: Place) -> None:
    pid = crash_a_worker(place, *FOREVER)
    (place.state_dir / "model.json").write_text("{not json")
    supervisor = place.supervisor(*FOREVER)
    assert "Started" in supervisor.start()
    assert not runs(pid)


def test_two_workers_at_once_end_up_with_one_model(place: Place) -> None:
    script = [sys.executable, "-c", WORKER, str(place.state_dir), str(place.log), *FOREVER]
    both = [subprocess.Popen(script, stdout=subprocess.PIPE) for _ in range(2)]
    pids = [int(each.communicate(timeout=60)[0]) for each in both]
    assert pids[0] == pids[1]


@pytest.mark.parametrize("identity", ["", "another:1"])
@pytest.mark.parametrize("boot", ["this", "another"])
def test_a_recycled_number_is_never_touched(
    place: Place, stranger: subprocess.Popen[bytes], identity: str, boot: str
) -> None:
    supervisor = place.supervisor(*FOREVER)
    wanted = life.fingerprint_of(FOREVER, None)
    true = Life.of(stranger.pid, wanted, 0)
    told = Life(true.pid, identity, true.boot if boot == "this" else boot, wanted, 0)
    life.record(told, place.state_dir)
    assert "Started" in supervisor.start()
    assert supervisor.pid != stranger.pid
    life.record(told, place.state_dir)
    assert stop_recorded(place.state_dir, 5.0)
    assert runs(stranger.pid)


def test_records_that_make_no_sense_are_no_records(place: Place) -> None:
    place.state_dir.mkdir()
    record = place.state_dir / "model.json"
    fine = asdict(Life(12345, "", "", "", 0))
    senseless = [fine | {"pid": 0}, fine | {"pid": "1"}, fine | {"more": 1}, [], {"pid": 7}]
    for told in senseless:
        record.write_text(json.dumps(told))
        assert life.recorded(place.state_dir) is None
    record.write_text(json.dumps(fine))
    assert life.recorded(place.state_dir) is not None


def test_workers_on_two_ports_leave_each_other_s_models_alone(place: Place) -> None:
    shared = place.state_dir
    place.state_dir = model_folder(shared, 3000)
    pid = crash_a_worker(place, *FOREVER)
    place.state_dir = model_folder(shared, 3001)
    other = place.supervisor("sleep", "2000")
    assert "Started" in other.start()
    other.stop(5.0)
    assert runs(pid)
    assert stop_recorded(model_folder(shared, 3000), 5.0)
    assert not runs(pid)


def test_stop_recorded_ends_the_model_of_a_worker_that_is_gone(place: Place) -> None:
    crash_a_worker(place, "sh", "-c", FAMILY.format(rest="wait"))
    pids = family(place)
    assert stop_recorded(place.state_dir, 5.0)
    assert not any(map(runs, pids))
    assert not (place.state_dir / "model.json").exists()
    assert not stop_recorded(place.state_dir, 5.0)
