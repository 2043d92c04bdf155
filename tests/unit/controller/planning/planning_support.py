"""Groups, members and what is known, for tests of plans, with only what a case is about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from vast_pyworker.controller.planning.context import Context, Verdict
from vast_pyworker.controller.planning.plan import plan
from vast_pyworker.model import (
    Action,
    ActionKind,
    Bounds,
    Desired,
    Group,
    Instance,
    Intent,
    Launch,
    Member,
    Phase,
    Plan,
    Report,
    Stage,
    Want,
)

NOW = 1_000_000.0
GROUP = Group("llm", "llm", Launch("vllm"), "", 0.5, 0, 10)
BOUNDS = Bounds(0, 10, 0.5)
_DESIRED = {
    Stage.COLD: Desired.STOP,
    Stage.STOPPING: Desired.STOP,
    Stage.DRAINING: Desired.DESTROY,
    Stage.DESTROYING: Desired.DESTROY,
}
_PHASES = {
    Stage.ORDERED: Phase.CREATING,
    Stage.LOADING: Phase.LOADING,
    Stage.STARTING: Phase.SCHEDULING,
    Stage.COLD: Phase.STOPPED,
}


def yes(usd_per_hour: float, planned: int) -> Verdict:
    return Verdict(True)


def known(**fields: Any) -> Context:
    return Context(**{"now": NOW, "may_rent": yes, **fields})


def a_member(number: int, stage: Stage = Stage.READY, **fields: Any) -> Member:
    """A member in a stage for ten minutes, an hour old, idle where it is ready. Fields of its
    intent and instance may be given beside its own."""
    intent, instance = an_intent(number, stage), an_instance(number, stage)
    intent = replace(intent, **_taken(fields, Intent))
    instance = replace(instance, **_taken(fields, Instance))
    speaks = stage in (Stage.READY, Stage.WARMING, Stage.DRAINING, Stage.STOPPING)
    own: dict[str, Any] = {
        "since": NOW - 600.0,
        "instance": None if stage is Stage.MISSING else instance,
        "report": Report(number, "1") if speaks else None,
        "silent_s": 5.0 if speaks else None,
        "in_flight": 0 if speaks else None,
    }
    return Member(intent, stage, **{**own, **fields})


def an_intent(number: int, stage: Stage) -> Intent:
    return Intent(
        id=f"i{number:04}", group="llm", label=f"fleet/llm/i{number}", created_at=NOW - 3600.0,
        desired=_DESIRED.get(stage, Desired.RUN), desired_at=NOW - 3600.0, reason="",
        set_by="controller", usd_per_hour_cap=0.5, instance_id=number, usd_per_hour=0.3,
        confirmed=True,
    )  # fmt: skip


def an_instance(number: int, stage: Stage) -> Instance:
    phase = _PHASES.get(stage, Phase.RUNNING)
    return Instance(number, "", phase, usd_per_hour=0.3, machine_id=number, host_id=number)


def _taken(fields: dict[str, Any], kind: type) -> dict[str, Any]:
    """The fields that belong to ``kind`` and not to a member, out of ``fields``."""
    names = set(kind.__dataclass_fields__) - set(Member.__struct_fields__)
    return {name: fields.pop(name) for name in list(fields) if name in names}


def planned(
    members: Sequence[Member],
    hot: int,
    cold: int = 0,
    *,
    group: Group = GROUP,
    bounds: Bounds | None = None,
    **context: Any,
) -> Plan:
    if bounds is None:
        bounds = Bounds(group.min_instances, group.max_instances, group.max_usd_per_hour)
    return plan(group, bounds, Want(hot, cold, "test"), members, known(**context))


def done(made: Plan) -> list[str]:
    """``drain 3`` for each action in turn; ``rent`` for a rent."""
    return [_told(each) for each in made.actions]


def _told(action: Action) -> str:
    if action.kind in (ActionKind.RENT, ActionKind.ALERT):
        return str(action.kind)
    return f"{action.kind} {action.instance_id}"
