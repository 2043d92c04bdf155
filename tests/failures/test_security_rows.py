"""Ways to lose control, row by row: what the controller does about each."""

from __future__ import annotations

import ast
import logging
import shlex
import subprocess
from pathlib import Path

import pytest
from http_rig import admin, call, controller, operations

import vast_pyworker
from vast_pyworker.controller.fake_controller import FakeController
from vast_pyworker.controller.listening import is_loopback
from vast_pyworker.controller.main import ControllerOptions
from vast_pyworker.providers.vast.onstart import start_script

SOURCES = Path(vast_pyworker.__file__).resolve().parent
BY_OTHER_MEANS = {
    "/login",
    "/logout",
    "/page/do",
    "/route/",
    "/worker_status/",
    "/delete_requests/",
}
"""A session's form token, the key of an endpoint, the token of a worker: each its own tests."""


def state_of(made: FakeController) -> tuple[object, ...]:
    ledger = made.ledger
    overlay, keys = ledger.notes.get("overlay"), len(ledger.keys.list())
    return ledger.intents.open(), overlay, keys, made.provider.mutations


def test_s01_nothing_is_changed_without_a_key(tmp_path: Path) -> None:
    """Every call that changes something needs a key with the right for it or the instance's own
    token, and without being told otherwise it listens on this machine alone."""
    assert is_loopback(ControllerOptions(Path("groups.toml"), tmp_path).host)
    with controller(tmp_path / "state") as made:
        before, tried = state_of(made), 0
        numbers = [each.intent.instance_id for each in made.parts.loop.fleet.members]
        for method, path, _ in operations(made):
            if method in ("GET", "HEAD") or path in BY_OTHER_MEANS:
                continue
            for number in numbers:
                for key in ("", "0" * 64):
                    asked = path.replace("/1", f"/{number}")
                    assert call(made, method, asked, {}, key=key).status_code == 401, asked
                    tried += 1
        assert tried > 40 and state_of(made) == before


def test_s02_a_get_changes_nothing_and_needs_a_key(tmp_path: Path) -> None:
    """A GET changes nothing, except magister's /verify by which an instance says that it is ready;
    it needs a key like any other, and no header about the sender's address is read."""
    headers = {"X-Forwarded-For": "127.0.0.1", "Forwarded": "for=127.0.0.1", "X-Real-IP": "::1"}
    with controller(tmp_path / "state") as made:
        before = state_of(made)
        number = made.parts.loop.fleet.members[0].intent.instance_id
        for method, path, operation in operations(made):
            if method != "GET" or path == "/events" or operation.get("x-needs") is None:
                continue
            asked = path.replace("/1", f"/{number}")
            assert call(made, "GET", asked, headers=headers).status_code == 401, asked
            assert call(made, "GET", asked, key=admin(made)).status_code < 500, asked
        for path in (f"/drop/{number}", f"/instances/{number}/drop", "/groups/llm/scale"):
            assert call(made, "GET", path, key=admin(made)).status_code == 405, path
        assert state_of(made) == before


def test_s03_one_socket_is_opened(tmp_path: Path) -> None:
    """There is one socket, behind keys, and no helper, file server or tunnel beside it; what an
    instance is told opens none either."""
    opening = []
    for path in (SOURCES / "controller").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and node.attr in ("bind", "create_server"):
                opening.append(path.relative_to(SOURCES).as_posix())
    assert opening == ["controller/listening.py"]
    with controller(tmp_path / "state") as made:
        for path in ("/admin.key", "/ledger.db", "/secret", "/page/../secret", "/static/secret"):
            assert call(made, "GET", path, key=admin(made)).status_code == 404, path


def test_s04_no_secret_goes_to_who_was_not_verified(tmp_path: Path) -> None:
    """An instance gets what it must know by the provider's create call over verified TLS, never by
    SSH, and the one connection whose certificate is not looked at carries no secret."""
    unverified = []
    for folder in ("controller", "providers", "vastai"):
        for path in (SOURCES / folder).rglob("*.py"):
            text = path.read_text()
            assert "StrictHostKeyChecking" not in text, path
            if "CERT_NONE" in text or "verify=False" in text:
                unverified.append(path.relative_to(SOURCES).as_posix())
                assert "Authorization" not in text and "token" not in text
    assert unverified == ["controller/probing.py"]


def test_s05_an_instance_holds_a_token_of_its_own_and_no_other_secret(tmp_path: Path) -> None:
    """Each instance is given a token that speaks for it alone and is worthless once it is gone; the
    account's key, people's keys and the signing key never leave the controller."""
    with controller(tmp_path / "state") as made:
        intents = [each.intent for each in made.parts.loop.fleet.members]
        told = [dict(made.provider.env_of(each.instance_id)) for each in intents]
        tokens = [each["MASTER_TOKEN"] for each in told]
        assert len(set(tokens)) == 2
        assert all(each.keys() == {"REPORT_ADDR", "MASTER_TOKEN"} for each in told)
        kept = [made.secrets.secret.hex(), *made.keys.values(), made.parts.endpoint_key("llm")]
        assert not [each for each in kept if each in str(told)]
        path = f"/drop/{intents[0].instance_id}"
        assert call(made, "DELETE", path, key=tokens[0]).status_code == 200
        made.tick(30, times=40)
        assert intents[0].instance_id not in made.provider.truth()
        for verb in ("GET", "DELETE"):
            asked = f"/{'verify' if verb == 'GET' else 'drop'}/{intents[0].id}"
            assert call(made, verb, asked, key=tokens[0]).status_code == 401


@pytest.mark.parametrize("name", ["llamacpp", "x; touch pwned", "$(touch pwned)", "'`\"\n&&|", ""])
def test_s06_no_command_is_glued_together(name: str, tmp_path: Path) -> None:
    """It runs no command; the one script it writes, an instance's onstart, has every word of its
    own quoted, and what an instance must know comes by its environment."""
    script = start_script(name, url=f"http://203.0.113.1/{name}")
    last = script.rpartition("|\n")[2]
    assert shlex.split(last) == ["bash", "-s", name]
    done = subprocess.run(
        ["bash", "-c", 'wget() { :; }; bash() { cat >/dev/null; printf %s "$2"; }; ' + script],
        cwd=tmp_path, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, name), done.stderr
    assert not list(tmp_path.iterdir())


def test_s07_no_log_holds_a_secret(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """No key, token or body of a request is logged or put into the journal, however much is
    logged."""
    caplog.set_level(logging.DEBUG)
    with controller(tmp_path / "state") as made:
        member = made.parts.loop.fleet.members[0].intent
        token = made.secrets.token_of(member.id)
        body = {"name": "a script", "right": "read"}
        new = call(made, "POST", "/keys", body, key=admin(made)).json()["key"]
        call(made, "GET", f"/groups?api_key={new}")
        call(made, "POST", "/groups/llm/scale", {"instances": "x", "api_key": admin(made)})
        call(made, "POST", "/worker_status/", {"id": member.instance_id, "mtoken": token, "x": 1})
        call(made, "POST", "/worker_status/", {"id": 1, "mtoken": token})
        call(made, "DELETE", f"/drop/{member.instance_id}", key=token)
        said = [each.sentence for each in made.ledger.journal.events(0, 1000)]
        secrets = [new, token, made.secrets.secret.hex(), *made.keys.values()]
        # What this test's own client logs is not the controller's.
        logged = [
            each.getMessage()
            for each in caplog.records
            if not each.name.startswith(("urllib3", "requests"))
        ]
        text = "\n".join([*said, *logged])
        assert said and not [each for each in secrets if each in text]
