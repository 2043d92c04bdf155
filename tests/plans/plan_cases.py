"""Golden plans: what is wanted and what there is, and the plan that follows, as text.

Each ``*.txt`` beside this file is one case. Above the line stand a sentence on what the case shows,
the group, the want (or a policy with a load), windows and limits where there are any, what else is
known, and one member a line, by the number of its instance; below it stands the plan as
``vast-pyworker plan`` prints it. Spans are 40s, 10m, 2h or 3d.

``PYTHONPATH=. python tests/plans/plan_cases.py`` writes the lower halves anew: read the difference
before you keep it.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from msgspec import structs
from wished import purse, want_of, with_policy, with_window

from vast_pyworker.controller.desired.windows import bounds_at
from vast_pyworker.controller.planning.context import Context, Verdict
from vast_pyworker.controller.planning.plan import plan
from vast_pyworker.controller.planning.sentence import printed
from vast_pyworker.model import (
    Bounds,
    Desired,
    Group,
    Instance,
    Intent,
    Launch,
    Member,
    Pace,
    Phase,
    Report,
    Stage,
    Trouble,
    Want,
)

HERE = Path(__file__).parent
LINE = "-" * 80
NOW = 1_000_000.0
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
DESIRED = {
    Stage.COLD: Desired.STOP,
    Stage.STOPPING: Desired.STOP,
    Stage.DRAINING: Desired.DESTROY,
    Stage.DESTROYING: Desired.DESTROY,
}
PHASES = {
    Stage.ORDERED: Phase.CREATING,
    Stage.LOADING: Phase.LOADING,
    Stage.STARTING: Phase.SCHEDULING,
    Stage.COLD: Phase.STOPPED,
}
LEASE_S = 90.0


@dataclass
class Case:
    """The upper half, read."""

    group: Group
    bounds: Bounds
    want: Want
    context: Context
    members: list[Member] = field(default_factory=list)

    def planned(self) -> str:
        return printed(plan(self.group, self.bounds, self.want, self.members, self.context))


def paths() -> list[Path]:
    return sorted(HERE.glob("*.txt"))


def halves(path: Path) -> tuple[str, str]:
    upper, _, lower = path.read_text().partition(LINE + "\n")
    return upper, lower


def read_case(upper: str) -> Case:
    group, want, context = a_group({}), Want(0, 0, ""), a_context({})
    members: list[Member] = []
    load = None
    for line in upper.split("\n\n", 1)[1].splitlines():
        what, *rest = shlex.split(line) or [""]
        if what == "group":
            group = a_group(pairs(rest))
        elif what == "window":
            group = with_window(group, rest[0], rest[1], pairs(rest[2:]))
        elif what == "policy":
            group = with_policy(group, rest[0], pairs(rest[1:]))
        elif what == "load":
            load = pairs(rest)
        elif what == "limits":
            context = replace(context, may_rent=purse(pairs(rest), members, NOW))
        elif what == "want":
            counts, _, reason = line.partition(":")
            told = pairs(shlex.split(counts)[1:])
            want = Want(int(told["hot"]), int(told.get("cold", 0)), reason.strip())
        elif what == "context":
            context = a_context(pairs(rest))
        elif what:
            members.append(a_member(int(what), rest, group))
    bounds = bounds_at(group, NOW)
    if load is not None:
        want = want_of(group, bounds, load, members, NOW)
    return Case(group, bounds, want, context, members)


def pairs(words: list[str]) -> dict[str, str]:
    return {key: value for key, _, value in (word.partition("=") for word in words)}


def span(text: str) -> float:
    return float(text[:-1]) * UNITS[text[-1]]


def a_group(told: dict[str, str]) -> Group:
    def given(name: str, kind: Callable[[str], Any], default: Any) -> Any:
        return kind(told[name]) if name in told else default

    return Group(
        name="llm",
        endpoint="llm",
        launch=Launch(backend="vllm"),
        query="gpu_ram>=24",
        max_usd_per_hour=given("cap", float, 0.5),
        min_instances=given("min", int, 0),
        max_instances=given("max", int, 8),
        cold_instances=given("cold", int, 0),
        max_lifetime_s=given("lifetime", span, None),
        stopped_ttl_s=given("stopped_ttl", span, None),
        pace=Pace(
            cooldown_up_s=given("cooldown_up", span, 0.0),
            cooldown_down_s=given("cooldown_down", span, 300.0),
            max_step=given("step", int, 5),
        ),
    )


def a_context(told: dict[str, str]) -> Context:
    def may_rent(usd_per_hour: float, planned: int) -> Verdict:
        if planned < int(told.get("budget", 99)):
            return Verdict(True)
        return Verdict(False, "The budget of $20.00 a day allows no more.")

    return Context(
        now=NOW,
        may_rent=may_rent,
        renting=int(told.get("renting", 0)),
        paused=told.get("paused", ""),
        last_up_at=NOW - span(told["last_up"]) if "last_up" in told else 0.0,
        last_down_at=NOW - span(told["last_down"]) if "last_down" in told else 0.0,
        failed_hosts=frozenset(range(int(told.get("failed_hosts", 0)))),
        shrunk=int(told.get("deleted", 0)),
        spent="The money is spent." if told.get("spent") else "",
        gone=int(told.get("gone", 0)),
        mended={f"i{9000 + each}": NOW - 60 for each in range(int(told.get("mended", 0)))},
    )


def a_member(number: int, words: list[str], group: Group) -> Member:
    stage = Stage(words[0])
    told = pairs(words[1:])
    price = next((float(word[1:]) for word in words if word.startswith("$")), 0.3)
    since = NOW - span(told.get("for", "10m"))
    listed = stage is not Stage.MISSING
    instance = Instance(
        number, "", Phase(told.get("phase", PHASES.get(stage, Phase.RUNNING))),
        usd_per_hour=price, usd_per_hour_stopped=0.02, host_id=number, machine_id=number,
        ends_at=NOW + span(told["ends"]) if "ends" in told else None,
    )  # fmt: skip
    desired = Desired(told["desired"]) if "desired" in told else DESIRED.get(stage, Desired.RUN)
    intent = Intent(
        id=f"i{number}", group=group.name, label=f"fleet/llm/i{number}",
        created_at=NOW - span(told.get("age", "1h")), desired=desired, desired_at=since,
        reason=told.get("reason", ""), set_by=told.get("by", "controller"),
        usd_per_hour_cap=group.max_usd_per_hour, instance_id=number, usd_per_hour=price,
        held="held" in words, confirmed=True,
    )  # fmt: skip
    speaks = stage in (Stage.READY, Stage.WARMING, Stage.DRAINING, Stage.STOPPING)
    member = Member(
        intent, stage, since, instance if listed else None,
        report=Report(number, "1", error_msg=told.get("error", "")) if speaks else None,
        silent_s=5.0 if speaks else None, perf=100.0 if speaks else None,
        in_flight=int(told["in_flight"]) if "in_flight" in told else None,
        reboots=int(told.get("reboots", 0)),
        told_at=NOW - span(told["told"]) if "told" in told else 0.0,
    )  # fmt: skip
    probe = {"answers": True, "dead": False}.get(told.get("probe", ""))
    trouble = Trouble(told["trouble"]) if "trouble" in told else None
    return structs.replace(member, trouble=trouble, probe_ok=probe)


if __name__ == "__main__":
    for each in paths():
        above, _ = halves(each)
        each.write_text(f"{above}{LINE}\n{read_case(above).planned()}\n")
