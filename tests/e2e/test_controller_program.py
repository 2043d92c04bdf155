"""The controller as a program, with a market beside it: start, plan, reload, second start, end."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
from click.testing import CliRunner

from vast_pyworker.cli import main as command_line
from vast_pyworker.controller.main import ADMIN_KEY_FILE, ControllerOptions, Told, run
from vast_pyworker.market.main import MarketOptions
from vast_pyworker.market.main import run as run_market

ROOT = Path(__file__).resolve().parents[2]
WAIT_S = 30.0
GROUPS = """
fleet = "test"

[limits]
instances = 4
usd_per_hour = 4.0

[group.demo]
query = "num_gpus=1"
max_usd_per_hour = 1.0
min_instances = {least}
max_instances = 3
on_shutdown = "destroy"

[group.demo.launch]
backend = "helloworld"
image = "demo:1"
"""


def until(true: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + WAIT_S
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


@pytest.fixture
def market() -> Iterator[str]:
    said: list[str] = []
    stop = threading.Event()
    options = MarketOptions(port=0, hosts=60, clock=60.0, limits=False)
    thread = threading.Thread(
        target=lambda: run_market(options, environ={}, say=said.append, stop=stop)
    )
    thread.start()
    until(lambda: len(said) > 3, "the market")
    yield said[0].rpartition(" ")[2]
    stop.set()
    thread.join(WAIT_S)


class Program:
    """A controller that runs in a thread."""

    def __init__(self, options: ControllerOptions) -> None:
        self.options = options
        self.said: list[str] = []
        self.told = Told()
        self.code: int | None = None
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        self.code = run(self.options, environ={}, say=self.said.append, told=self.told)

    def start(self) -> None:
        self._thread.start()
        until(lambda: self.code is not None or any("page: " in x for x in self.said), "the page")

    @property
    def url(self) -> str:
        return next(x for x in self.said if "page: " in x).partition("page: ")[2].rstrip("/")

    @property
    def key(self) -> str:
        return (self.options.state / ADMIN_KEY_FILE).read_text().strip()

    def get(self, path: str) -> dict:
        headers = {"Authorization": f"Bearer {self.key}"}
        with requests.get(self.url + path, headers=headers, timeout=WAIT_S) as answer:
            assert answer.status_code == 200, answer.text
            return answer.json()

    def end(self) -> int | None:
        self.told.end()
        self._thread.join(WAIT_S)
        return self.code


@contextmanager
def program(tmp_path: Path, market: str, **options) -> Iterator[Program]:
    chosen = {"port": 0, "every_s": 0.2, "shutdown_s": 20.0, **options}
    made = Program(
        ControllerOptions(
            tmp_path / "groups.toml", tmp_path / "state", api_key="market", market=market, **chosen
        )
    )
    made.start()
    try:
        yield made
    finally:
        made.end()
        made.told.end()


def instances(market: str) -> int:
    with requests.get(f"{market}/market/summary", timeout=WAIT_S) as answer:
        return int(answer.json()["instances"])


def test_it_rents_reloads_and_takes_everything_down(tmp_path, market):
    groups = tmp_path / "groups.toml"
    groups.write_text(GROUPS.format(least=1))
    with program(tmp_path, market) as running:
        key_file = tmp_path / "state" / ADMIN_KEY_FILE
        assert str(key_file) in running.said[0] and key_file.stat().st_mode & 0o777 == 0o600
        assert running.key not in "".join(running.said)
        until(lambda: running.get("/groups")["instances"] == 1, "one rented")
        groups.write_text("nonsense")
        running.told.read_again()
        until(lambda: "was not taken" in running.said[-1], "a refused reload")
        groups.write_text(GROUPS.format(least=2))
        running.told.read_again()
        until(lambda: running.get("/groups")["instances"] == 2, "two rented")
        assert instances(market) == 2
        assert running.end() == 0
    assert instances(market) == 0


def test_a_second_one_is_told_who_has_the_ledger(tmp_path, market, capsys):
    (tmp_path / "groups.toml").write_text(GROUPS.format(least=0))
    with program(tmp_path, market) as first, program(tmp_path, market) as second:
        assert second.code == 2
        assert "is in use by vast-pyworker controller" in capsys.readouterr().err
        assert first.code is None


def test_left_instances_are_adopted_at_the_next_start(tmp_path, market):
    text = GROUPS.format(least=1).replace('"destroy"', '"leave"')
    (tmp_path / "groups.toml").write_text(text)
    with program(tmp_path, market) as running:
        until(lambda: running.get("/members")["members"][:1], "one rented")
        until(lambda: running.get("/members")["members"][0]["id"], "its number")
        (row,) = running.get("/members")["members"]
        assert running.end() == 0
    assert instances(market) == 1
    with program(tmp_path, market) as again:
        until(lambda: again.get("/members")["members"], "adopted")
        assert [each["id"] for each in again.get("/members")["members"]] == [row["id"]]
        assert instances(market) == 1


def test_plan_prints_what_would_be_done_and_does_nothing(tmp_path, market):
    groups = tmp_path / "groups.toml"
    groups.write_text(GROUPS.format(least=2))
    words = ["plan", "--groups", str(groups), "--state", str(tmp_path / "none"), "--market", market]
    told = CliRunner().invoke(command_line, words, catch_exceptions=False)
    assert told.exit_code == 0, told.output
    assert "demo: want 2 (constant), have none: rent 2" in told.output
    assert told.output.count("  offer ") == 2 and "Nothing was done." in told.output
    assert instances(market) == 0 and not (tmp_path / "none").exists()
    with program(tmp_path, market) as running:
        until(lambda: instances(market) == 2, "two rented")
        state = ["--state", str(running.options.state)]
        words = ["plan", "--groups", str(groups), *state, "--market", market, "--json"]
        told = CliRunner().invoke(command_line, words, catch_exceptions=False)
        assert '"actions": []' in told.output and told.exit_code == 0


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"tls_cert": Path("/nowhere.pem")}, "--tls-cert"),
        ({"tls_key": Path("/nowhere.pem")}, "--tls-cert"),
        ({"worker_ca": Path("/nowhere.pem")}, "No such file or directory"),
        ({"worker_ca": Path(__file__)}, "it holds no certificate): name a PEM file"),
        ({"market": None, "vast_url": "https://vast.example"}, "--address"),
        ({"ledger": "postgresql://x/y"}, "ledger"),
    ],
)
def test_what_cannot_be_is_one_sentence_and_2_or_1(tmp_path, capsys, options, says):
    (tmp_path / "groups.toml").write_text(GROUPS.format(least=0))
    chosen = {"port": 0, "market": "http://127.0.0.1:9", "api_key": "market", **options}
    made = ControllerOptions(tmp_path / "groups.toml", tmp_path / "state", **chosen)
    assert run(made, environ={}, say=lambda _: None, told=Told()) in (1, 2)
    said = capsys.readouterr().err
    assert says in said and len(said.splitlines()) == 1


def test_a_port_that_is_taken_is_one_sentence(tmp_path, capsys):
    (tmp_path / "groups.toml").write_text(GROUPS.format(least=0))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        made = ControllerOptions(
            tmp_path / "groups.toml", tmp_path / "state", api_key="market",
            market="http://127.0.0.1:9", port=taken.getsockname()[1],
        )  # fmt: skip
        assert run(made, environ={}, say=lambda _: None, told=Told()) == 2
    assert "is taken" in capsys.readouterr().err


def test_signals_end_the_program(tmp_path, market):
    (tmp_path / "groups.toml").write_text(GROUPS.format(least=1))
    command = [sys.executable, str(ROOT / "scripts/controller.py"), "--groups",
               str(tmp_path / "groups.toml"), "--state", str(tmp_path / "state"), "--port", "0",
               "--market", market, "--every", "0.2"]  # fmt: skip
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as it:
        assert it.stdout is not None
        lines = [it.stdout.readline(), it.stdout.readline()]
        assert "page: http://" in lines[1]
        until(lambda: instances(market) == 1, "one rented")
        it.send_signal(signal.SIGTERM)
        rest = it.stdout.read()
        assert it.wait(WAIT_S) == 0
    assert "The controller ends." in rest
    assert instances(market) == 0
