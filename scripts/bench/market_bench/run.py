"""One run: each call against the market and against a constant answer, in turn; then many
instances in a market of their own."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from relay_bench.cpu import Pins, choose_pins, on_cpus
from relay_bench.errors import BenchError
from relay_bench.run import machine

from . import program
from .lanes import LANES, Lanes, Script, request
from .results import Many, Pair, Run

LIST = "/api/v1/instances/"
SEARCH = "/api/v0/bundles/"
ONE_GPU = {"rentable": {"eq": True}, "num_gpus": {"eq": 1}}
AT_ONCE = 64
_SHOWN_FACTS = ("cpu", "pinned", "kernel", "python", "flask")

Say = Callable[[str], None]


@dataclass(frozen=True)
class Profile:
    """``hosts_of_many``: of a market that has room for ``many`` instances of one GPU."""

    name: str
    rounds: int
    seconds: float
    many: int
    hosts_of_many: int


QUICK = Profile("quick", 1, 0.5, many=1_000, hosts_of_many=1_500)
FULL = Profile("full", 5, 2.0, many=10_000, hosts_of_many=10_000)


@dataclass(frozen=True)
class Call:
    """What is sent to the market, and what the ceiling is asked with: the same method and body.
    After every ``cycle`` requests of a lane all is as it was."""

    name: str
    method: str
    script: Script
    body: object = None
    cycle: int = 1


def measure(profile: Profile, say: Say) -> Run:
    """Do the run; BenchError where it cannot be done. ``say`` gets a line for each thing done."""
    began = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
    pins = choose_pins(os.sched_getaffinity(0))
    with TemporaryDirectory(prefix="market-bench-") as made, on_cpus(pins.load):
        folder = Path(made)
        pairs = _rates(folder, pins, profile, say)
        found = _many(folder, pins, profile, say)
    return Run(profile.name, began, facts(pins), pairs, found)


def facts(pins: Pins) -> dict[str, str]:
    """Of the machine, those that matter here."""
    shown = {"python": platform.python_version(), **machine(pins)}
    return {name: shown[name] for name in _SHOWN_FACTS if name in shown}


def _rates(folder: Path, pins: Pins, profile: Profile, say: Say) -> dict[str, tuple[Pair, ...]]:
    found: dict[str, list[Pair]] = {}
    with (
        program.market(folder, pins, hosts=200) as market,
        program.constant(folder, pins) as constant,
        Lanes(market.port) as lanes,
        Lanes(constant.port) as ceiling,
    ):
        calls = _calls(_offers(lanes, 2 * AT_ONCE), lanes)
        for number in range(profile.rounds):
            for call in calls:
                pair = _pair(call, folder, profile.seconds, lanes, ceiling)
                found.setdefault(call.name, []).append(pair)
                say(f"round {number + 1}, {call.name}: {pair.market_per_s:,.0f} requests/s")
    return {name: tuple(pairs) for name, pairs in found.items()}


def _pair(call: Call, folder: Path, seconds: float, lanes: Lanes, ceiling: Lanes) -> Pair:
    name = "".join(filter(str.isalnum, call.name))
    answer = lanes.ask(call.script(0, b""))
    (folder / name).write_bytes(answer)
    for _ in range(call.cycle - 1):
        lanes.ask(call.script(0, answer))
    constant = request(call.method, f"/{name}", call.body)
    ceiling.ask(constant)
    market = lanes.load(call.script, seconds, call.cycle)
    plain = ceiling.load(lambda lane, last: constant, seconds)
    return Pair(market.per_s, plain.per_s, len(answer), market.p50_us, market.p99_us)


def _calls(offers: list[int], lanes: Lanes) -> list[Call]:
    rented = _rented(lanes, offers[LANES : LANES + 50])
    show = f"/api/v0/instances/{rented[0]}/?owner=me"
    ten = {**ONE_GPU, "order": [["dph_total", "asc"]], "limit": 10}
    sent = {"image": "i", "disk": 10, "label": "bench", "env": {}}
    return [
        _same("show", "GET", show),
        _same("list, a page of 25", "GET", LIST),
        _same("search, 10 offers of 200 hosts", "POST", SEARCH, ten),
        Call("create and destroy, each", "PUT", rent_and_end(offers[:LANES], sent), sent, cycle=2),
    ]


def _same(name: str, method: str, path: str, body: object = None) -> Call:
    """The same request again and again."""
    sent = request(method, path, body)
    return Call(name, method, lambda lane, last: sent, body)


def rent_and_end(offers: list[int], body: object) -> Script:
    """Each lane rents an offer of its own, and destroys what it has got, in turn."""
    rents = [request("PUT", f"/api/v0/asks/{offer}/", body) for offer in offers]

    def script(lane: int, last: bytes) -> bytes:
        made = json.loads(last).get("new_contract") if last else None
        if made is None:
            return rents[lane]
        return request("DELETE", f"/api/v0/instances/{made}/", {})

    return script


def _offers(lanes: Lanes, wanted: int) -> list[int]:
    """Offers of one GPU, each on a machine of its own."""
    columns = {"select_cols": ["id", "machine_id"], "limit": 10**6}
    found = json.loads(lanes.ask(request("POST", SEARCH, {**ONE_GPU, **columns})))["offers"]
    offers = list({row["machine_id"]: row["id"] for row in found}.values())
    if len(offers) < wanted:
        raise BenchError(f"the market has {len(offers)} offers where {wanted} are needed")
    return offers[:wanted]


def _rented(lanes: Lanes, offers: list[int]) -> list[int]:
    """The ids of instances on all these offers."""
    made: list[int] = []
    for at in range(0, len(offers), AT_ONCE):
        body = {"ids": offers[at : at + AT_ONCE], "image": "i", "disk": 10, "label": f"b{at}"}
        made += json.loads(lanes.ask(request("POST", "/api/v0/asks/bulk/", body)))["created"]
    if len(made) != len(offers):
        raise BenchError(f"{len(made)} of {len(offers)} instances could be created")
    lanes.ask(request("POST", "/market/advance", {"seconds": 3600}))
    return made


def _many(folder: Path, pins: Pins, profile: Profile, say: Say) -> Many:
    with (
        program.market(folder, pins, profile.hosts_of_many) as market,
        Lanes(market.port, 1) as lane,
    ):
        offers = _offers(lane, profile.many)
        before = market.memory_mb
        begun = time.perf_counter()
        _rented(lane, offers)
        create_s = time.perf_counter() - begun
        say(f"{profile.many:,} instances: {create_s:.1f} s to create them")
        after = market.memory_mb
        pages, pages_s = paged(lane, profile.many)
        return Many(profile.many, create_s, pages, pages_s, before, after)


def paged(lane: Lanes, expected: int) -> tuple[int, float]:
    """How many pages the list has and how long it takes to read all; every instance is there."""
    seen: set[int] = set()
    pages, token = 0, ""
    begun = time.perf_counter()
    while pages == 0 or token:
        after = f"?after_token={token}" if token else ""
        page = json.loads(lane.ask(request("GET", LIST + after)))
        seen.update(row["id"] for row in page["instances"])
        pages, token = pages + 1, page["next_token"] or ""
    took_s = time.perf_counter() - begun
    if len(seen) != expected:
        raise BenchError(f"the list has {len(seen)} instances of {expected}")
    return pages, took_s
