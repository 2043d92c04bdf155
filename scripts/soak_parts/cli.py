"""``scripts/soak``: a market with faults, a controller that is killed, workers that crash, load.

What it does not: prove. It is seeded, but real processes keep their own time.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from vast_pyworker.worker.fake_model import FakeModel

from .blows import FAULTS, Blows
from .groups import Group, groups_text
from .load import Clients
from .services import Controller, Market, wait_until
from .verdicts import CENT, Bill, Sighting, table, verdicts

BACKENDS = Path(__file__).with_name("backends")
KILLED_EVERY_S = 60.0
STRUCK_EVERY_S = 12.0
LOOK_S = 0.5
ENDS_WITHIN_S = 240.0
READ_WITHIN_S = 20.0
INSTANCES, CLIENTS = 4, 3
FLEET, NAME = "soak", "soak"

Say = Callable[[str], None]


def main(argv: Sequence[str]) -> int:
    options = _parser().parse_args(argv)
    folder = Path(tempfile.mkdtemp(prefix="soak-"))
    try:
        holds = _soak(options, folder, _say)
    except BaseException:
        _say(f"Logs and the ledger are in {folder}.")
        raise
    if holds and not options.keep:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        _say(f"Logs and the ledger are in {folder}.")
    return 0 if holds else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/soak",
        description="A hostile hour, or some minutes of it: a market that fails, workers that "
        "crash, a controller that is killed every minute, and clients all the while. Ends with "
        "a table of what holds; exit code 1 where something does not.",
    )
    parser.add_argument("--minutes", type=float, default=60.0, metavar="M", help="how long (60)")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of faults and blows (1)")
    parser.add_argument("--keep", action="store_true", help="leave logs and the ledger behind")
    return parser


def _soak(options: argparse.Namespace, folder: Path, say: Say) -> bool:
    with ExitStack() as held:
        model = held.enter_context(FakeModel())
        market = Market(folder / "market", seed=options.seed, credit=10_000.0)
        held.enter_context(market)
        group = _group(model.url)
        controller = Controller(folder / "controller", market, _text(group))
        held.enter_context(controller)
        controller.await_ready(NAME, INSTANCES, limit_s=120)
        say(f"{INSTANCES} workers are ready; the hostile part begins.")
        storm = Storm(market, controller, options.seed, say)
        clients = Clients(CLIENTS, storm.route, "/generate")
        clients.start()
        storm.rage(options.minutes * 60.0)
        market.suffer()
        say("It is over; who waits may still be answered.")
        _stop(clients, storm)
        bill, left = _settle(controller, market, say)
        controller.close()
        wait_until(lambda: not market.processes(), "end of the instances' processes", 30)
        came = ", ".join(f"{what} {count}" for what, count in sorted(storm.blows.came.items()))
        say(f"Controller killed {storm.kills} times; {came}; {storm.faults} faults of the market.")
        rows = verdicts(clients.outcomes, storm.sightings, bill, left)
        say(table(rows))
        return all(each.holds for each in rows)


def _group(model: str) -> Group:
    """Dear ones, so that a cent is soon spent."""
    return Group(
        NAME,
        "soak",
        keys={
            "query": "num_gpus>=4",
            "max_usd_per_hour": 12.0,
            "min_instances": INSTANCES,
            "max_instances": INSTANCES,
            "on_shutdown": "leave",
        },
        tables={
            "deadlines": {
                "loading_s": 30, "joining_s": 20, "ready_s": 30, "starting_s": 20,
                "drain_s": 10, "lease_s": 15,
            },
        },
        env={"PYWORKER_BACKENDS": str(BACKENDS), "MODEL_SERVER_URL": model},
    )  # fmt: skip


def _text(group: Group) -> str:
    return groups_text(FLEET, group, usd_per_hour=100.0, usd_per_day=10_000.0)


@dataclass
class Storm:
    """The hostile part: kills, blows and faults while it looks how many workers are ready."""

    market: Market
    controller: Controller
    seed: int
    say: Say
    kills: int = 0
    faults: int = 0
    sightings: list[Sighting] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.blows = Blows(self.market, self.controller, self.seed)
        self._key = self.controller.endpoint_key(NAME)

    def route(self, idx: int) -> dict[str, Any]:
        """One call of ``/route/``; for the threads of clients."""
        body = {"endpoint": NAME, "cost": 30, "request_idx": idx, "api_key": self._key}
        with requests.post(f"{self.controller.url}/route/", json=body, timeout=5.0) as answer:
            answer.raise_for_status()
            return dict(answer.json())

    def rage(self, seconds: float) -> None:
        self.market.suffer(*FAULTS)
        begun = time.monotonic()
        every_s = min(KILLED_EVERY_S, seconds / 2.5)
        kill_at, strike_at = begun + every_s, begun + STRUCK_EVERY_S / 2
        while (now := time.monotonic()) < begun + seconds:
            if now >= kill_at:
                kill_at += every_s
                self._kill()
            if now >= strike_at:
                strike_at += STRUCK_EVERY_S
                self.say(f"{now - begun:6.0f} s  {self.blows.strike(self.look())}")
            self.look()
            time.sleep(LOOK_S)
        shown = self.market.get("/market/faults")["faults"]
        self.faults = sum(each["came"] for each in shown)

    def look(self) -> list[dict[str, Any]]:
        """The members; none where the controller cannot be asked now."""
        try:
            members = self.controller.members(NAME)
        except requests.RequestException:
            return []
        ready = sum(each["stage"] == "ready" for each in members)
        self.sightings.append((time.monotonic(), ready))
        return members

    def _kill(self) -> None:
        self.controller.kill()
        self.controller.start()
        self.kills += 1
        self.say("          the controller was killed and started again")


def _stop(clients: Clients, storm: Storm) -> None:
    """Let go of the clients, looking on."""
    stopping = threading.Thread(target=clients.stop, name="stopping")
    stopping.start()
    while stopping.is_alive():
        storm.look()
        stopping.join(LOOK_S)


def _settle(controller: Controller, market: Market, say: Say) -> tuple[Bill, dict[str, int]]:
    """Want nothing, wait until nothing is there, and have the market's bill read."""
    text = (controller.folder / "groups.toml").read_text()
    for name in ("min_instances", "max_instances"):
        text = text.replace(f"{name} = {INSTANCES}", f"{name} = 0")
    controller.write(text)
    controller.signal(signal.SIGHUP)
    try:
        wait_until(
            lambda: not controller.members() and not market.instances, "end of all instances",
            ENDS_WITHIN_S,
        )  # fmt: skip
    except AssertionError as exc:
        say(str(exc))
    left = {"instances in the market": market.instances, "members": len(controller.members())}
    before = _spent(controller)
    controller.end()
    controller.start()  # which reads the bill in its first round
    billed = market.usd_spent
    try:
        wait_until(lambda: abs(_spent(controller) - billed) < CENT / 10, "bill", READ_WITHIN_S)
    except AssertionError as exc:
        say(str(exc))
    return Bill(billed, before, _spent(controller)), left


def _spent(controller: Controller) -> float:
    return float(controller.get("/spend")["usd_this_month"])


def _say(line: str) -> None:
    print(line, flush=True)
