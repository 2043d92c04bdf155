"""Ways to lose the service, row by row: what the controller does about each."""

from __future__ import annotations

import ast
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from http_rig import Time, admin, call, controller
from loop_rig import START, group, rig

import vast_pyworker
from vast_pyworker.cli import main
from vast_pyworker.controller.executors import Threads
from vast_pyworker.controller.fake_controller import FakeController
from vast_pyworker.controller.ledger.ledger import Ledger
from vast_pyworker.controller.traffic.places import Place
from vast_pyworker.controller.traffic.switchboard import Switchboard
from vast_pyworker.errors import LedgerLocked, Unauthorized
from vast_pyworker.model import Phase, Stage
from vast_pyworker.providers.fake import FakeProvider
from vast_pyworker.providers.vast.rows import instance_of
from vast_pyworker.signature import new_private_key
from vast_pyworker.vastai import records
from vast_pyworker.vastai.sending import Timeouts

WAIT_S = 10.0
SOURCES = Path(vast_pyworker.__file__).resolve().parent


def test_a02_no_word_makes_a_worker_healthy(tmp_path: Path) -> None:
    """A worker is ready by the fields of its own report, and the provider's "running" or the words
    of an error count for nothing."""
    with rig(tmp_path) as made:
        made.tick()
        silent, failing = sorted(made.provider.truth())
        made.ears.silent.add(silent)
        made.ears.errors[failing] = "model loaded: healthy, ready, running, 200 OK"
        made.run(120)
        assert made.provider.truth()[silent].phase is Phase.RUNNING
        assert made.ready() == 0


def test_a03_the_healthy_are_left_alone(tmp_path: Path) -> None:
    """Nothing is done to an instance that is as it is wanted, however often it is looked at."""
    with rig(tmp_path) as made:
        made.run(120)
        before = made.provider.mutations
        made.run(3600.0, 15.0)
        assert (made.provider.mutations, made.ready()) == (before, 2)


def test_a04_a_worker_that_has_done_nothing_yet_is_waited_for(tmp_path: Path) -> None:
    """Who loads its model has its own time limit for that, `ready_s`, and who has served nothing
    yet is no worse for it."""
    with rig(tmp_path) as made:
        made.ears.warm_s = 1500.0
        made.run(1400, 20.0)
        assert (made.ready(), made.provider.mutations) == (0, 2)
        made.run(300, 20.0)
        assert (made.ready(), made.provider.mutations) == (2, 2)


@pytest.fixture
def threads() -> Iterator[Threads]:
    made = Threads(2)
    made.start()
    yield made
    made.close(WAIT_S)


def test_a05_the_same_work_is_never_under_way_twice(threads: Threads, tmp_path: Path) -> None:
    """Each intent and each group has at most one call under way, on a fixed number of threads, and
    one ledger lets one controller run."""
    go_on, done = threading.Event(), []
    assert threads.run("intent", lambda: done.append(go_on.wait(WAIT_S)))
    assert [threads.run("intent", lambda: done.append(False)) for _ in range(500)] == [False] * 500
    go_on.set()
    threads.close(WAIT_S)
    assert done == [True]
    with rig(tmp_path), pytest.raises(LedgerLocked):
        Ledger.open(str(tmp_path / "ledger.db"), holder="another", now=lambda: 0.0)


def test_a06_one_that_hangs_holds_up_no_other(threads: Threads) -> None:
    """Calls about different instances run side by side on a few threads, and one that hangs keeps
    its own thread and no other."""
    go_on, others = threading.Event(), threading.Semaphore(0)
    assert threads.run("hangs", lambda: _wait(go_on))
    for number in range(20):
        assert threads.run(f"other {number}", lambda: _release(others))
    for _ in range(20):
        assert others.acquire(timeout=WAIT_S)
    assert threads.busy("hangs")
    go_on.set()


def _wait(event: threading.Event) -> None:
    event.wait(WAIT_S)


def _release(semaphore: threading.Semaphore) -> None:
    semaphore.release()


def test_a07_no_host_key_says_anything_about_life() -> None:
    """Nothing is reached by SSH: a worker is known by the token of its report, and its life by
    reports, the provider's list and a GET of the worker itself."""
    for folder in ("controller", "providers"):
        for path in (SOURCES / folder).rglob("*.py"):
            found = _imported(path) & {"subprocess", "paramiko", "asyncssh", "fabric", "pty"}
            assert not found, (path, found)


def _imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {each.name.partition(".")[0] for each in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add((node.module or "").partition(".")[0])
    return names


def test_a08_one_leads_and_strangers_are_not_believed(tmp_path: Path) -> None:
    """Who holds the ledger's lock leads and nobody else starts, and a report without the token of
    its instance is shown as a stranger's and believed by nobody."""
    with rig(tmp_path), pytest.raises(LedgerLocked):
        Ledger.open(str(tmp_path / "ledger.db"), holder="another", now=lambda: START + 1e9)
    board = Switchboard(
        new_private_key(), lambda key, endpoint: False, now=lambda: START, mono=lambda: 0.0
    )
    board.publish({7: Place("llm", "llm", "intent", "its token")})
    report = {"id": 7, "mtoken": "a guess", "url": "http://203.0.113.1:1", "loadtime": 1.0}
    with pytest.raises(Unauthorized):
        board.take_report(json.dumps(report).encode())
    board.take_report(json.dumps({**report, "id": 8}).encode())
    assert not board.hearings(0.0)
    told = {(each.id, each.why) for each in board.strangers()}
    assert told == {(7, "wrong token"), (8, "unknown id")}


def test_a09_only_the_controller_judges(tmp_path: Path) -> None:
    """An instance speaks for itself alone, and the time limits that others are judged by stand in
    one place, the group's `deadlines`."""
    with controller(tmp_path / "state") as made:
        first, second = (each.intent for each in made.parts.loop.fleet.members)
        token = made.secrets.token_of(first.id)
        before = made.ledger.intents.open()
        for method, verb in (("DELETE", "drop"), ("GET", "verify")):
            path = f"/{verb}/{second.instance_id}"
            assert call(made, method, path, key=token).status_code == 401
        assert made.ledger.intents.open() == before


def test_a10_when_all_look_dead_at_once_nothing_is_done(tmp_path: Path) -> None:
    """When more than two and more than a fifth turn bad within five minutes, nothing is rented,
    drained or destroyed and a person is told."""
    with rig(tmp_path, group(min_instances=6)) as made:
        made.run(240)
        assert made.ready() == 6
        before = made.provider.mutations
        made.ears.silent.update(made.provider.truth())
        said = made.run(200)
        assert made.stages() == [Stage.SUSPECT] * 6
        assert any("6 of 6 turned suspect" in each for each in said)
        assert made.provider.mutations == before
        made.ears.silent.clear()
        made.run(30)
        assert (made.ready(), made.provider.mutations) == (6, before)


def test_a11_a_call_that_hangs_leaves_the_rest_answering(tmp_path: Path) -> None:
    """Every call to the provider has a time limit, and none is made under a lock that an answer to
    people or workers needs."""
    assert all(0 < each < 600 for each in vars(Timeouts()).values())
    hang, hangs, go_on = threading.Event(), threading.Event(), threading.Event()

    def watch(moment: str, name: str) -> None:
        if hang.is_set() and (moment, name) == ("before", "instances"):
            hangs.set()
            go_on.wait(WAIT_S)

    def provider(now: Time) -> FakeProvider:
        return FakeProvider(now, watch=watch)

    with controller(tmp_path / "state", provider=provider) as made:
        number = made.parts.loop.fleet.members[0].intent.instance_id
        hang.set()
        ticking = threading.Thread(target=made.tick, daemon=True)
        ticking.start()
        try:
            assert hangs.wait(WAIT_S)
            for method, path in (
                ("GET", "/groups"), ("GET", f"/verify/{number}"), ("DELETE", f"/drop/{number}"),
                ("GET", "/livez"),
            ):  # fmt: skip
                assert call(made, method, path, key=admin(made)).status_code == 200, path
            assert ticking.is_alive()
        finally:
            go_on.set()
            ticking.join(WAIT_S)


def test_a12_who_was_just_created_is_known_already(tmp_path: Path) -> None:
    """It listens before the first thing is rented, and what is rented is written down first, so an
    instance is answered from its first moment on."""
    answers: list[int] = []
    running: list[FakeController] = []

    def watch(moment: str, name: str) -> None:
        if (moment, name) == ("after", "create"):
            made = running[0]
            for intent in made.ledger.intents.open().values():
                token = made.secrets.token_of(intent.id)
                answers.append(call(made, "GET", f"/verify/{intent.id}", key=token).status_code)

    def provider(now: Time) -> FakeProvider:
        return FakeProvider(now, watch=watch)

    with controller(tmp_path / "state", provider=provider, settled=False) as made:
        running.append(made)
        made.tick()
        assert len(answers) >= 2 and set(answers) == {200}


def test_a13_a_field_that_is_null_is_unknown() -> None:
    """A field that is null, absent or of another kind is unknown, one nobody knows is kept, and
    the rest of the row is read."""
    names = ("actual_status", "intended_status", "dph_total", "gpu_name", "num_gpus", "ports")
    for value in (None, "", [], {}, "x" * 9):
        row = {"id": 7, "label": "fleet/llm/1", **dict.fromkeys(names, value), "new_field": value}
        read = records.Instance.of(row, 0.0)
        assert read is not None and read.raw["new_field"] == value
        found = instance_of(read)
        assert (found.id, found.label) == (7, "fleet/llm/1")
        assert found.usd_per_hour is None and found.phase is not Phase.RUNNING


def test_a14_every_failure_has_an_exit_code_of_its_own(tmp_path: Path) -> None:
    """A command exits with 0 only where all was done: 1 failed, 2 usage, 3 partial, 4 limits, 5 not
    to be reached."""
    with controller(tmp_path / "state") as made:
        codes = [
            _exit_code(made, *arguments)
            for arguments in (
                ("status",), ("scale", "none", "1"), ("scale", "llm", "x"), ("scale", "llm", "21"),
                ("status", "--url", "http://127.0.0.1:1"),
            )
        ]  # fmt: skip
        assert codes == [0, 1, 2, 4, 5]


def _exit_code(made: FakeController, *arguments: str) -> int:
    cleared = {name: None for name in os.environ if name != "PATH"}
    around = {"CONTROLLER_KEY": admin(made), "CONTROLLER_URL": made.url, "HOME": str(made.folder)}
    return CliRunner(env={**cleared, **around}).invoke(main, list(arguments)).exit_code


def test_a15_who_comes_back_is_believed_again(tmp_path: Path) -> None:
    """A worker that was silent for longer than its lease is suspect, gets no requests, and is ready
    again with its next report; a controller that starts anew hears it the same way."""
    with rig(tmp_path) as made:
        made.run(120)
        before = made.provider.mutations
        away = min(made.provider.truth())
        made.ears.silent.add(away)
        made.run(110)
        assert made.stages() == [Stage.READY, Stage.SUSPECT]
        made.ears.silent.clear()
        made.run(10)
        made.restart()
        made.run(10)
        assert (made.ready(), made.provider.mutations) == (2, before)
