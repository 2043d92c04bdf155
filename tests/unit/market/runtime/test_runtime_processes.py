"""Instances as processes: what they are given, what ends them, and that all of them ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from runtime_support import (
    ROOT,
    children_of_this_process,
    ends,
    keeper_of,
    printed,
    running_with,
    runtime_in,
    wait_until,
    wait_until_none,
)

from vast_pyworker.market.runtime import Box
from vast_pyworker.market.runtime.processes import ProcessRuntime

LASTING = "echo begun; sleep 1000"
DAEMONS = "setsid sleep 1000 & (setsid setsid sleep 1000 &); (nohup sleep 1000 &); echo begun"


@pytest.fixture
def runtime(tmp_path: Path) -> Iterator[ProcessRuntime]:
    before = children_of_this_process()
    runtime = runtime_in(tmp_path / "instances")
    yield runtime
    runtime.close()
    assert children_of_this_process() == before, "a process or a zombie is left"


@pytest.fixture
def mark() -> str:
    return uuid.uuid4().hex


def box(number: int, command: str, mark: str = "", **more: object) -> Box:
    return Box(number, command, {"TEST_MARK": mark}, **more)  # type: ignore[arg-type]


def test_a_script_runs_in_a_directory_of_its_own_and_its_output_is_the_log(
    runtime: ProcessRuntime, tmp_path: Path
) -> None:
    runtime.start(box(7, 'pwd; echo wrong >&2; echo "$HOME" > file; echo done'))
    home = tmp_path / "instances" / "7" / "home"
    assert printed(runtime, 7, "done") == f"{home}\nwrong\ndone\n"
    assert (home / "file").read_text() == f"{home}\n"
    assert (home.parent.stat().st_mode & 0o777) == 0o700


def test_an_instance_goes_on_when_its_onstart_script_has_ended(
    runtime: ProcessRuntime, mark: str
) -> None:
    runtime.start(box(1, "echo begun; exit 3", mark))
    printed(runtime, 1, "begun")
    wait_until(lambda: "status 3" in runtime.logs(1, daemon=True), "end of the script")
    assert runtime.reap() == []
    assert running_with("TEST_MARK", mark) != []


@pytest.mark.parametrize(
    ("command", "status"), [("exit 0", 0), ("exit 3", 3), ("kill -9 $$", 137), ("nonsense", 127)]
)
def test_an_instance_ends_with_its_main_process(
    runtime: ProcessRuntime, mark: str, command: str, status: int
) -> None:
    runtime.start(box(1, f"{DAEMONS}\n{command}", mark, is_main=True))
    assert ends(runtime) == [(1, status)]
    assert running_with("TEST_MARK", mark) == []
    assert runtime.reap() == [], "an end is told once"


def test_stop_ends_also_what_has_left_the_session(runtime: ProcessRuntime, mark: str) -> None:
    runtime.start(box(1, DAEMONS, mark))
    printed(runtime, 1, "begun")
    wait_until(lambda: len(running_with("TEST_MARK", mark)) == 4, "three daemons and a keeper")
    runtime.stop(1)
    wait_until_none("TEST_MARK", mark)
    assert runtime.reap() == [], "a stop that was asked for is no end by itself"


def test_stop_kills_what_does_not_mind_being_asked(runtime: ProcessRuntime, mark: str) -> None:
    runtime.start(box(1, "trap 'echo asked' TERM; echo begun; while :; do sleep 0.05; done", mark))
    printed(runtime, 1, "begun")
    runtime.stop(1)
    wait_until_none("TEST_MARK", mark)
    assert "asked" in runtime.logs(1)


def test_stop_lets_finish_what_minds_being_asked(tmp_path: Path, mark: str) -> None:
    runtime = runtime_in(tmp_path, grace_s=20.0)
    runtime.start(box(1, "trap 'echo bye; exit' TERM; echo begun; sleep 1000 & wait", mark))
    printed(runtime, 1, "begun")
    runtime.stop(1)
    assert printed(runtime, 1, "bye").endswith("bye\n")
    wait_until_none("TEST_MARK", mark)
    runtime.close()


def test_ports_and_directory_are_the_same_after_stop_and_start(runtime: ProcessRuntime) -> None:
    instance = box(1, "echo again >> file; cat file; echo $VAST_TCP_PORT_22 .; sleep 1000",
                   ports=((22, "tcp"), (8080, "tcp")))  # fmt: skip
    first = runtime.start(instance)
    printed(runtime, 1, ".")
    runtime.stop(1)
    assert runtime.start(instance) == first, "also while it is still being stopped"
    wait_until(lambda: [runtime.reap(), runtime.logs(1).count(".")][1] == 2, "second start")
    assert "again\nagain\n" in runtime.logs(1)
    assert runtime.logs(1).count(f"{first[22, 'tcp']} .") == 2


def test_a_second_start_of_what_runs_does_nothing(runtime: ProcessRuntime, mark: str) -> None:
    instance = box(1, LASTING, mark)
    runtime.start(instance)
    printed(runtime, 1, "begun")
    runtime.start(instance)
    runtime.reap()
    assert runtime.logs(1).count("begun") == 1


def test_remove_deletes_the_directory(runtime: ProcessRuntime, tmp_path: Path, mark: str) -> None:
    runtime.start(box(1, f"mkdir -p a/b; chmod 000 a; {LASTING}", mark))
    printed(runtime, 1, "begun")
    runtime.remove(1)
    assert runtime.logs(1) == ""
    wait_until(lambda: [runtime.reap(), not (tmp_path / "instances/1").exists()][1], "deletion")
    assert running_with("TEST_MARK", mark) == []
    runtime.remove(1)


def test_remove_and_start_is_a_recycling(runtime: ProcessRuntime, tmp_path: Path) -> None:
    instance = box(1, "echo x >> file; cat file; echo begun; sleep 1000", ports=((3000, "tcp"),))
    first = runtime.start(instance)
    printed(runtime, 1, "begun")
    (tmp_path / "instances/1/home/old").touch()
    runtime.remove(1)
    assert runtime.start(instance) == first
    wait_until(lambda: [runtime.reap(), runtime.logs(1) == "x\nbegun\n"][1], "a new beginning")
    assert not (tmp_path / "instances/1/home/old").exists()


def test_a_stopped_instance_is_removed_at_once(runtime: ProcessRuntime, tmp_path: Path) -> None:
    runtime.start(box(1, "echo begun", is_main=True))
    assert ends(runtime) == [(1, 0)]
    runtime.remove(1)
    assert not (tmp_path / "instances/1").exists()


def test_a_killed_keeper_takes_its_instance_along(runtime: ProcessRuntime, mark: str) -> None:
    runtime.start(box(1, DAEMONS, mark))
    runtime.start(box(2, LASTING, "another"))
    printed(runtime, 1, "begun")
    printed(runtime, 2, "begun")
    keeper = next(
        p for p in running_with("TEST_MARK", mark) if "keeper.py" in " ".join(p.cmdline())
    )
    keeper.send_signal(signal.SIGKILL)
    assert ends(runtime) == [(1, 137)]
    assert running_with("TEST_MARK", mark) == []
    assert len(running_with("TEST_MARK", "another")) == 3


def test_what_cannot_be_started_is_told(tmp_path: Path) -> None:
    (tmp_path / "1").write_text("a file where a directory is wanted")
    runtime = runtime_in(tmp_path)
    assert list(runtime.start(box(1, "true", ports=((22, "tcp"),)))) == [(22, "tcp")]
    assert runtime.reap() == [(1, 127)]
    runtime.close()


def test_close_ends_everything(tmp_path: Path, mark: str) -> None:
    runtime = runtime_in(tmp_path)
    for number in range(5):
        runtime.start(box(number, f"trap '' TERM; {DAEMONS}; sleep 1000", mark))
        printed(runtime, number, "begun")
    runtime.close()
    assert running_with("TEST_MARK", mark) == []


def test_fifty_at_once(runtime: ProcessRuntime, mark: str) -> None:
    ports = {
        port
        for number in range(50)
        for port in runtime.start(box(number, LASTING, mark, ports=((22, "tcp"),))).values()
    }
    assert len(ports) == 50
    for number in range(50):
        printed(runtime, number, "begun")
    for number in range(50):
        runtime.remove(number)
    wait_until_none("TEST_MARK", mark)


def test_the_output_is_bounded(tmp_path: Path) -> None:
    runtime = runtime_in(tmp_path, log_bytes=200_000)
    runtime.start(box(1, "for i in $(seq 200000); do echo line $i; done; echo last"))
    kept = printed(runtime, 1, "last")
    assert len(kept) <= 400_000
    assert kept.endswith("line 200000\nlast\n")
    assert sum(each.stat().st_size for each in (tmp_path / "1").glob("output*")) <= 400_000
    runtime.close()


def test_the_environment_is_as_documented_and_nothing_of_the_markets(
    runtime: ProcessRuntime, tmp_path: Path
) -> None:
    instance = Box(
        4711, "env -0; echo", {"A": "b c"}, ((3000, "tcp"), (53, "udp")), "label", "the key"
    )
    ports = runtime.start(instance)
    pairs = printed(runtime, 4711, "\n").rstrip("\n").split("\0")[:-1]
    of_bash = ("PWD", "SHLVL", "_", "OLDPWD")
    found = dict(pair.split("=", 1) for pair in pairs)
    folder, worker, dns = tmp_path / "instances/4711", ports[3000, "tcp"], ports[53, "udp"]
    mark = found.pop("VAST_MARKET_MARK")
    assert len(mark) == 32
    assert {name: value for name, value in found.items() if name not in of_bash} == {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "HOME": f"{folder}/home",
        "TMPDIR": f"{folder}/tmp",
        "A": "b c",
        "CONTAINER_ID": "4711",
        "CONTAINER_API_KEY": "the key",
        "VAST_CONTAINERLABEL": "C.4711",
        "PUBLIC_IPADDR": "127.0.0.1",
        "VAST_TCP_PORT_3000": str(worker),
        "VAST_UDP_PORT_53": str(dns),
        "WORKER_PORT": str(worker),
        f"VAST_TCP_PORT_{worker}": str(worker),
    }


def test_signals_have_their_usual_meaning_inside(runtime: ProcessRuntime) -> None:
    runtime.start(box(1, "yes | head -1; grep -E 'Sig(Blk|Ign)' /proc/self/status; echo begun"))
    said = printed(runtime, 1, "begun")
    assert said.startswith("y\n")
    masks = [line.split(":")[1].strip() for line in said.splitlines() if line.startswith("Sig")]
    assert masks == ["0" * 16] * 2


def test_nobody_reads_secrets_from_a_command_line(runtime: ProcessRuntime, mark: str) -> None:
    secret = "s3cret"
    runtime.start(Box(1, LASTING, {"TEST_MARK": mark, "TOKEN": secret}, api_key=secret))
    printed(runtime, 1, "begun")
    lines = [" ".join(each.cmdline()) for each in running_with("TEST_MARK", mark)]
    assert lines != [] and not any(secret in line for line in lines)


HOLDER = """
import os, sys, time
from pathlib import Path
from vast_pyworker.market.runtime import Box
from vast_pyworker.market.runtime.processes import ProcessRuntime

runtime = ProcessRuntime(Path(sys.argv[1]), os.environ)
for number in range(3):
    runtime.start(Box(number, sys.argv[3], {"TEST_MARK": sys.argv[2]}))
while not all("begun" in runtime.logs(number) for number in range(3)):
    time.sleep(0.02)
print("ready", flush=True)
time.sleep(1000)
"""


def test_nothing_outlives_a_killed_market(tmp_path: Path, mark: str) -> None:
    stubborn = f"trap '' TERM; {DAEMONS}; sleep 1000"
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path), mark, stubborn],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    ) as market:
        assert market.stdout is not None and market.stdout.readline() == "ready\n"
        assert len(running_with("TEST_MARK", mark)) >= 3 * 5
        market.kill()
    wait_until_none("TEST_MARK", mark)


def test_a_keeper_that_hangs_is_killed_at_the_close(tmp_path: Path, mark: str) -> None:
    runtime = runtime_in(tmp_path, close_s=0.5)
    runtime.start(box(1, DAEMONS, mark))
    printed(runtime, 1, "begun")
    keeper_of(mark).suspend()
    runtime.close()
    assert running_with("TEST_MARK", mark) == []
