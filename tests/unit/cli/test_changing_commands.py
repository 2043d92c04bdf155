"""start, stop, reboot, recycle, label, bid, destroy: done to each, told for each."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys

import pytest
from vast_rows import instance, listed

from vast_pyworker.vastai.fake_vast import Asked, FakeVast, Told

BUSY = {
    "success": False,
    "error": "resources_unavailable",
    "msg": "Required resources are currently unavailable, state change queued.",
}
DONE = {"success": True}


def absent(number: int) -> Told:
    msg = f"Instance {number} not found."
    return Told({"success": False, "error": "no_such_instance", "msg": msg}, 404)


@pytest.mark.parametrize(
    ("command", "path", "body"),
    [
        ("start", "/instances/{}/", {"state": "running"}),
        ("stop", "/instances/{}/", {"state": "stopped"}),
        ("reboot", "/instances/reboot/{}/", {}),
        ("recycle", "/instances/recycle/{}/", {}),
    ],
)
class TestEach:
    def test_it_is_done_once_to_each(self, command, path, body, vast, ask):
        vast.on("PUT *", DONE)
        result = ask(command, "7", "8", "7")
        assert result.exit_code == 0
        assert [line[:11] for line in result.stdout.splitlines()] == ["Instance 7:", "Instance 8:"]
        sent = [(asked.path, asked.body) for asked in vast.asked]
        assert sent == [(f"/api/v0{path.format(number)}", body) for number in (7, 8)]

    def test_json(self, command, path, body, vast, ask):
        vast.on("PUT *", DONE)
        document = json.loads(ask(command, "7", "8", "--json").stdout)
        assert document == {"done": [7, 8], "failed": [], "not_tried": []}

    def test_a_part_exits_with_3_and_names_the_rest(self, command, path, body, vast, ask):
        vast.on("PUT *", DONE, absent(8), DONE)
        result = ask(command, "7", "8", "9")
        assert result.exit_code == 3
        assert "Instance 8:" in result.stderr
        assert result.stderr.splitlines()[-1].endswith("as they were: 8.")

    def test_one_that_fails_is_one_sentence(self, command, path, body, vast, ask):
        vast.on("PUT *", absent(7))
        result = ask(command, "7")
        assert (result.exit_code, result.stdout) == (1, "")
        assert len(result.stderr.splitlines()) == 1

    def test_without_a_key_that_is_good_the_rest_is_not_tried(self, command, path, body, vast, ask):
        said = {"success": False, "error": "auth_error", "msg": "Invalid user key"}
        vast.on("PUT *", Told(said, 404))
        result = ask(command, "7", "8", "9", "--json")
        assert result.exit_code == 1
        assert json.loads(result.stdout)["not_tried"] == [8, 9]
        assert len(vast.asked) == 1


def test_a_start_that_is_queued_is_a_failure_that_says_how_to_cancel(vast, ask):
    vast.on("PUT *", BUSY)
    result = ask("start", "7")
    assert result.exit_code == 1
    assert "queued" in result.stderr
    assert "stop" in result.stderr


def test_many_are_told_as_they_go(vast, ask):
    vast.on("PUT *", DONE)
    told = ask("stop", *range(1, 21)).stderr.splitlines()
    assert told == ["stop: 10 of 20", "stop: 20 of 20"]


def test_label(vast, ask):
    vast.on("PUT /api/v0/instances/7/", DONE)
    assert ask("label", "7", "my own").exit_code == 0
    assert vast.asked[0].body == {"label": "my own"}


class TestBid:
    def test_it_is_sent(self, vast, ask):
        vast.on("PUT /api/v0/instances/bid_price/7/", DONE)
        assert ask("bid", "7", "0.25").exit_code == 0
        assert vast.asked[0].body == {"client_id": "me", "price": 0.25}

    def test_a_lost_answer_is_settled_by_looking(self, vast, ask):
        vast.on("PUT /api/v0/instances/bid_price/7/", Told({}, 502))
        vast.on("GET /api/v0/instances/7/", {"instances": instance(is_bid=True, dph_base=0.25)})
        assert ask("bid", "7", "0.25").exit_code == 0
        assert ask("bid", "7", "0.5").exit_code == 5
        assert len(vast.calls("PUT *")) == 2

    @pytest.mark.parametrize("price", ["0", "-1", "x", "nan"])
    def test_what_is_no_price_is_not_sent(self, price, vast, ask):
        assert ask("bid", "7", price).exit_code == 2
        assert vast.asked == []


class TestDestroy:
    def test_many_in_one_call_and_looked_at_again(self, vast, ask):
        vast.on("DELETE /api/v0/instances/", DONE)
        vast.on("GET /api/v1/instances/", listed(instance(99)))
        result = ask("destroy", "7", "8", "7", "-y")
        assert (result.exit_code, result.stdout) == (0, "Destroyed: 7, 8.\n")
        assert vast.calls("DELETE *")[0].body == {"instance_ids": [7, 8]}

    def test_one(self, vast, ask):
        vast.on("DELETE /api/v0/instances/7/", DONE, absent(7))
        assert ask("destroy", "7", "-y").stdout == "Destroyed: 7.\n"
        assert ask("destroy", "7", "-y").exit_code == 0  # gone already, which is what was wanted

    def test_a_part_exits_with_3_and_names_those_left(self, vast, ask):
        vast.on("DELETE /api/v0/instances/", Told({"msg": "no"}, 400))
        vast.on("DELETE /api/v0/instances/7/", DONE)
        vast.on("DELETE /api/v0/instances/8/", Told({"msg": "Not now."}, 400))
        vast.on("GET /api/v1/instances/", listed(instance(7), instance(8)))
        result = ask("destroy", "7", "8", "-y", "--json")
        assert result.exit_code == 3
        assert json.loads(result.stdout)["left"] == [8]
        assert "not destroyed, and billed: 8" in result.stderr.lower()

    def test_an_answer_that_cannot_be_read_is_not_called_left(self, vast, ask):
        vast.on("DELETE *", Told(b"<html>", 200))
        result = ask("destroy", "7", "-y", "--json", "--timeout", "0.01")
        assert json.loads(result.stdout)["unknown"] == [7]

    def test_what_nobody_can_tell_is_not_called_destroyed(self, vast, ask):
        vast.on("DELETE *", Told({}, 503))
        vast.on("GET *", Told({}, 503))
        result = ask("destroy", "7", "8", "-y", "--timeout", "0.01")
        assert (result.exit_code, result.stdout) == (5, "")
        assert "7, 8" in result.stderr

    def test_without_a_terminal_it_does_not_ask_and_does_nothing(self, vast, ask):
        result = ask("destroy", "7", stdin="y\n")
        assert result.exit_code == 2
        assert "-y" in result.stderr
        assert vast.asked == []

    @pytest.mark.parametrize(("answer", "code", "calls"), [("y\n", 0, 1), ("n\n", 1, 0)])
    def test_at_a_terminal_it_asks(self, answer, code, calls, vast, tmp_path):
        vast.on("DELETE /api/v0/instances/7/", DONE)
        assert at_a_terminal(vast, tmp_path, answer, "destroy", "7") == code
        assert len(vast.asked) == calls

    def test_hundreds_go_in_parts_and_are_told(self, vast, ask):
        left = {number: instance(number) for number in range(1, 101)}

        def destroyed(asked: Asked) -> dict:
            for number in asked.body["instance_ids"]:
                left.pop(number)
            return DONE

        vast.on("DELETE /api/v0/instances/", destroyed)
        vast.on("GET /api/v1/instances/", lambda _: listed(*left.values()))
        result = ask("destroy", *range(1, 101), "-y")
        assert result.exit_code == 0
        assert "destroyed: 64 of 100" in result.stderr
        assert left == {}


def at_a_terminal(vast: FakeVast, home, answer: str, *arguments: str) -> int:
    """The exit code of a command that can ask."""
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "vast_pyworker.cli", *arguments]
    environ = {"HOME": str(home), "VAST_API_KEY": "k", "VAST_URL": vast.url, "PATH": ""}
    process = subprocess.Popen(
        command, stdin=slave, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environ
    )
    os.close(slave)
    try:
        os.write(master, answer.encode())
        process.communicate(timeout=30)
    finally:
        os.close(master)
    return process.returncode
