"""``vast-pyworker market``: its options arrive, and the other commands rent from it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
from click.testing import CliRunner

from vast_pyworker import errors
from vast_pyworker.cli import main
from vast_pyworker.vastai.client import VastClient


@pytest.fixture(scope="module")
def market(tmp_path_factory) -> Iterator[str]:
    """The address of a market of its own."""
    with serving(tmp_path_factory.mktemp("home"), "--clock", "100") as url:
        yield url


@contextmanager
def serving(home: Path, *options: str) -> Iterator[str]:
    command = [sys.executable, "-m", "vast_pyworker.cli", "market", "--port", "0", "--seed", "3"]
    command += ["--hosts", "60", "--no-limits", *options]
    environ = {"PATH": os.environ["PATH"], "HOME": str(home)}
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True) as it:
        try:
            assert it.stdout is not None
            found = re.search(r"http://127\.0\.0\.1:\d+", it.stdout.readline())
            assert found is not None
            yield found.group()
        finally:
            it.send_signal(signal.SIGTERM)
            assert it.wait(20) == 0


@pytest.fixture
def use(market, tmp_path):
    cleared = {name: None for name in os.environ if name != "PATH"}
    environ = {**cleared, "HOME": str(tmp_path), "VAST_API_KEY": "market", "VAST_URL": market}

    def used(*arguments: str):
        words = [*map(str, arguments), "--no-pacing"]
        return CliRunner(env=environ).invoke(main, words, catch_exceptions=False)

    return used


def wait_for(true, timeout_s: float = 30.0) -> None:
    until = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < until
        time.sleep(0.05)


def read(result):
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--clock", "slow"],
        ["--clock", "-1"],
        ["--clock", "nan"],
        ["--runtime", "docker"],
        ["--port", "65536"],
        ["--hosts", "0"],
        ["--loading", "0"],
        ["--loading", "soon"],
    ],
)
def test_what_cannot_be_is_refused(arguments):
    assert CliRunner().invoke(main, ["market", *arguments]).exit_code == 2


def test_the_time_that_images_load_is_the_users(tmp_path):
    with serving(tmp_path, "--clock", "0", "--loading", "90000") as url:
        environ = {name: None for name in os.environ if name != "PATH"}
        environ |= {"HOME": str(tmp_path), "VAST_API_KEY": "market", "VAST_URL": url}

        def used(*arguments: str):
            return CliRunner(env=environ).invoke(main, [*arguments, "--no-pacing", "--json"])

        (made,) = read(used("rent", "num_gpus=1", "--image", "i"))["rented"]
        requests.post(f"{url}/market/advance", json={"seconds": 900}, timeout=10).close()
        assert read(used("show", str(made["instance_id"])))["state"] in ("creating", "loading")


def test_it_is_not_shown_to_other_machines_by_accident():
    command = [sys.executable, "-m", "vast_pyworker.cli", "market", "--host", "0.0.0.0"]
    done = subprocess.run(
        [*command, "--port", "0"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert "--allow-remote" in done.stderr


def test_a_life_from_search_to_destruction(use):
    found = read(use("offers", "num_gpus=1", "--order", "dph_total", "--json"))
    planned = read(use("rent", "num_gpus=1", "--image", "i", "--dry-run", "--json", "--count", "2"))
    assert planned["would_rent"][0]["usd_per_hour"] <= found[0]["dph_total"] * 1.01
    assert read(use("instances", "--json")) == []

    made = read(use("rent", "num_gpus=1", "--image", "ubuntu", "--count", "2", "--json"))
    one, two = (each["instance_id"] for each in made["rented"])
    assert made["usd_per_hour"] == pytest.approx(planned["usd_per_hour"], rel=0.05)
    assert {row["id"] for row in read(use("instances", "--json"))} == {one, two}

    assert use("label", one, "mine").exit_code == 0
    assert [row["id"] for row in read(use("instances", "--label", "mine", "--json"))] == [one]
    wait_for(lambda: read(use("show", one, "--json"))["state"] == "running")
    assert use("stop", one, two).exit_code == 0
    assert use("execute", one, "ls").exit_code == 0
    assert use("logs", two).exit_code == 0
    assert read(use("balance", "--json"))["usd_per_hour"] > 0

    assert read(use("destroy", one, two, "-y", "--json"))["destroyed"] == [one, two]
    assert read(use("instances", "--json")) == []
    assert use("show", one).exit_code == 1


def test_a_bid_is_rented_and_changed(use):
    made = read(
        use("rent", "num_gpus=1", "--image", "i", "--price", "9", "--json", "--label", "bids")
    )
    (rented,) = made["rented"]
    number = rented["instance_id"]
    assert rented["label"] == "bids"
    assert use("bid", number, "8.5").exit_code == 0
    assert read(use("show", number, "--json"))["is_bid"] is True
    assert use("destroy", number, "-y").exit_code == 0


def test_keys_templates_endpoints_and_groups(use):
    added = read(use("ssh-keys", "add", "ssh-ed25519 AAAAC3Nza me@here", "--json"))
    assert [key["id"] for key in read(use("ssh-keys", "list", "--json"))] == [added["id"]]
    assert use("ssh-keys", "remove", added["id"]).exit_code == 0

    made = read(use("templates", "create", "mine", "--image", "img", "--env", "-e A=1", "--json"))
    new = read(use("templates", "update", made["hash_id"], "--image", "img2", "--json"))
    assert new["hash_id"] != made["hash_id"]
    (kept,) = read(use("templates", "list", "--name", "mine", "--json"))
    assert (kept["image"], kept["env"]) == ("img2", "-e A=1")

    assert read(use("endpoints", "list", "--json")) == []
    endpoint = read(use("endpoints", "create", "llm", "--max-workers", "3", "--json"))["id"]
    arguments = ["--endpoint", "llm", "--template", new["hash_id"], "--query", "gpu_ram>=23"]
    group = read(use("workergroups", "create", *arguments, "--json"))["id"]
    before = read(use("workergroups", "show", group, "--json"))
    assert use("workergroups", "update", group, "--gpu-ram", "40").exit_code == 0
    after = read(use("workergroups", "show", group, "--json"))
    assert after["search_query"] == before["search_query"]
    assert after["gpu_ram"] == 40
    assert use("endpoints", "update", endpoint, "--state", "suspended").exit_code == 0
    shown = read(use("endpoints", "show", endpoint, "--json"))
    assert (shown["endpoint_state"], shown["max_workers"]) == ("suspended", 3)
    assert "api_key" not in shown
    for command, number in (("workergroups", group), ("endpoints", endpoint)):
        assert use(command, "list").exit_code == 0
        assert read(use(command, "delete", number, "--json"))["deleted"] is True
    assert use("templates", "delete", new["hash_id"]).exit_code == 0


class TestThePage:
    """What docs/vast.md says is done as it says."""

    PAGE = (Path(__file__).parents[3] / "docs/vast.md").read_text()

    def test_its_commands_work(self, market, tmp_path):
        (_, block) = re.findall(r"```sh\n(.*?)```", self.PAGE, re.DOTALL)[:2]
        block = block.replace("http://127.0.0.1:8556", market)
        script = (
            f'set -e\nvast-pyworker() {{ {sys.executable} -m vast_pyworker.cli "$@"; }}\n{block}'
        )
        environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
        done = subprocess.run(
            ["bash", "-c", script],
            env=environ,
            cwd=Path(__file__).parents[3],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert "Nothing was rented." in done.stdout
        assert "Destroyed: " in done.stdout

    def test_its_program_works(self, market, capsys):
        (program,) = re.findall(r"```python\n(.*?)```", self.PAGE, re.DOTALL)
        program = program.replace("http://127.0.0.1:8556", market)
        exec(compile(program, "docs/vast.md", "exec"), {"api_key": "market"})
        assert "running" in capsys.readouterr().out

    def test_it_names_every_method_and_every_error(self):
        told = set(re.findall(r"`(\w+)", self.PAGE))
        with VastClient("key") as client:
            rooms = [value for value in vars(client).values() if value is not client.transport]
        methods = {name for room in rooms for name in dir(room) if not name.startswith("_")}
        assert methods - told == set()
        provider = {
            name
            for name, each in vars(errors).items()
            if isinstance(each, type) and issubclass(each, errors.ProviderError)
        }
        assert provider - told == set()
