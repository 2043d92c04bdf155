"""status, ps, scale, drain, hold, release, drop, spend, why, events, keys: against a controller."""

from __future__ import annotations

import json
import os
import threading

import pytest
from click.testing import CliRunner

from vast_pyworker.cli import main
from vast_pyworker.controller.access import Right
from vast_pyworker.controller.fake_controller import FakeController


@pytest.fixture
def controller(tmp_path):
    folder = tmp_path / "state"
    folder.mkdir()
    with FakeController(folder) as running:
        running.tick(10, times=12)
        yield running


@pytest.fixture
def ask(controller, tmp_path):
    """Run a command as the administrator of the controller would."""
    cleared = {name: None for name in os.environ if name != "PATH"}

    def asked(*arguments, key=Right.ADMIN, **more):
        text = controller.keys[key] if isinstance(key, Right) else key
        environ = {"HOME": str(tmp_path), "CONTROLLER_KEY": text, "CONTROLLER_URL": controller.url}
        runner = CliRunner(env={**cleared, **environ, **more})
        result = runner.invoke(main, list(map(str, arguments)), catch_exceptions=False)
        assert "Traceback" not in result.output
        if text:
            assert text not in result.output
        return result

    return asked


def number(controller, index=0):
    return controller.parts.loop.fleet.members[index].intent.instance_id


def test_status_is_a_table_and_a_document(ask):
    told = ask("status")
    assert told.exit_code == 0
    first, titles, row = told.stdout.splitlines()
    assert first.startswith("fleet: 2 ready, 0 booting, 2 of at most 20 instances")
    assert titles.split()[:3] == ["GROUP", "POLICY", "WANTED"]
    assert row.split()[:4] == ["llm", "hold", "2", "2"]
    assert json.loads(ask("status", "--json").stdout)["groups"][0]["ready"] == 2


def test_ps_lists_every_instance_or_those_of_a_group(ask, controller):
    lines = ask("ps").stdout.splitlines()
    assert len(lines) == 3 and str(number(controller)) in lines[1] and "ready" in lines[1]
    assert len(json.loads(ask("ps", "llm", "--json").stdout)) == 2


def test_a_group_is_scaled_and_given_back(ask, controller):
    told = ask("scale", "llm", 3)
    assert told.exit_code == 0 and "is held at 3" in told.stdout
    assert controller.parts.desk.overlay.pins == {"llm": 3}
    assert json.loads(ask("scale", "llm", "auto", "--json").stdout)[0]["pinned"] is None
    assert controller.parts.desk.overlay.pins == {}


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("scale", "llm", "21"), 4),
        (("scale", "none", "1"), 1),
        (("scale", "llm", "many"), 2),
        (("scale", "llm", "-1"), 2),
        (("drain", "1"), 1),
        (("why", "none"), 1),
        (("ps", "none"), 1),
        (("ps", "none", "--json"), 1),
        (("logs", "999"), 1),
        (("logs", "999", "--daemon"), 2),
    ],
)
def test_what_is_refused_is_one_sentence_and_a_code(ask, arguments, code):
    told = ask(*arguments)
    assert told.exit_code == code
    assert told.stdout == "" and told.stderr.startswith(("Error: ", "Usage: "))


def test_instances_are_held_released_drained_and_dropped(ask, controller):
    first, second = number(controller), number(controller, 1)
    assert ask("hold", first, second).stdout.count("is held") == 2
    assert ask("drain", first).exit_code == 1
    assert ask("release", first).exit_code == 0
    told = ask("drain", first, second, "--seconds", 5)
    assert told.exit_code == 3
    assert f"{first} is drained" in told.stdout and f"{second} is held" in told.stderr
    ask("release", second)
    assert "is destroyed" in ask("drop", second, "--reason", "noisy").stdout


def test_spend_tells_the_windows_and_the_groups(ask):
    told = ask("spend").stdout
    assert "of at most 200.00 $" in told and "llm" in told
    assert json.loads(ask("spend", "--json").stdout)["usd_per_day_limit"] == 200.0


def test_why_explains_the_last_decision_with_its_inputs(ask):
    told = ask("why", "llm").stdout
    assert "want 2 (constant)" in told and "policy" in told and "max_instances 6" in told
    assert json.loads(ask("why", "llm", "--json").stdout)["inputs"]["policy"] == "hold"


def test_events_are_followed_until_the_limit(ask, controller):
    first = ask("events", "--after", 0, "--limit", 2)
    assert first.exit_code == 0 and len(first.stdout.splitlines()) == 2
    lines = ask("events", "--after", 0, "--limit", 2, "--json").stdout.splitlines()
    document = [json.loads(line) for line in lines]
    assert [each["id"] for each in document] == sorted(each["id"] for each in document)


def test_events_end_in_good_order_when_the_controller_ends(ask, controller):
    ended = threading.Thread(target=_end_when_read, args=(controller,))
    ended.start()
    told = ask("events")
    ended.join(10)
    assert told.exit_code == 0


def _end_when_read(controller):
    waited = threading.Event()
    for _ in range(500):
        if controller.parts.events.readers:
            break
        waited.wait(0.01)
    controller.parts.events.close()


def test_keys_are_made_listed_and_revoked(ask, controller):
    text = ask("keys", "create", "scripts", "--right", "operate").stdout.strip()
    assert controller.ledger.keys.check(text).right is Right.OPERATE
    rows = json.loads(ask("keys", "list", "--json").stdout)
    ident = next(each["id"] for each in rows if each["name"] == "scripts")
    assert ident in ask("keys", "list").stdout
    assert ask("keys", "revoke", ident).exit_code == 0
    assert controller.ledger.keys.check(text) is None


def test_a_key_that_may_not_is_told_so(ask):
    told = ask("scale", "llm", 1, key=Right.READ)
    assert told.exit_code == 1 and "may read" in told.stderr
    assert ask("status", key="x" * 64).exit_code == 2


def test_the_key_comes_from_the_file_that_the_controller_wrote(ask, controller, tmp_path):
    file = tmp_path / ".local/state/vast-pyworker/admin.key"
    assert "CONTROLLER_KEY" in ask("status", key="").stderr
    file.parent.mkdir(parents=True)
    file.write_text(controller.keys[Right.ADMIN])
    assert ask("status", key="").exit_code == 0


@pytest.mark.parametrize(
    ("url", "code"), [("http://127.0.0.1:9", 5), ("nonsense", 2), ("ftp://127.0.0.1", 2)]
)
def test_where_no_controller_answers_is_said_with_the_remedy(ask, url, code):
    told = ask("status", "--url", url)
    assert told.exit_code == code
    assert "http" in told.stderr and told.stdout == ""


def test_everything_that_is_refused_is_told_once(ask, controller):
    told = ask("hold", 1, 2, 1)
    assert told.exit_code == 1
    assert told.stderr.count("There is no instance 1 ") == 1
    assert told.stderr.count("There is no instance 2 ") == 1
    assert ask("hold", 1, 2, "--url", "http://127.0.0.1:9").stderr.count("No controller") == 1


def test_logs_come_through_the_controller_where_only_its_key_is_there(ask, controller):
    ident = number(controller)
    expected = controller.provider.logs(ident, 200)
    assert ask("logs", ident).stdout.strip() == expected.strip()
    told = ask("logs", ident, "--json", "--controller", VAST_API_KEY="of-the-account")
    assert json.loads(told.stdout) == {"id": ident, "log": expected}


def test_a_groups_file_with_a_fault_is_a_wrong_command_line(ask, tmp_path):
    file = tmp_path / "groups.toml"
    file.write_text("fleet = 1")
    told = ask("plan", "--groups", file)
    assert told.exit_code == 2 and "groups.toml:1: fleet: 1 is no name" in told.stderr
    assert ask("plan", "--groups", tmp_path / "none.toml").exit_code == 2
    assert ask("import", file).exit_code == 2
