"""What is decided about one group in one tick: observation, policy, plan, and the inputs kept.

Acts on nothing. The same function serves the loop and ``vast-pyworker plan``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from statistics import fmean
from typing import Any

from vast_pyworker.controller.desired.windows import bounds_at
from vast_pyworker.controller.planning.context import Context, Verdict
from vast_pyworker.controller.planning.mending import lately
from vast_pyworker.controller.planning.plan import plan
from vast_pyworker.controller.policy import POLICIES
from vast_pyworker.controller.policy.observation import Load, Observation
from vast_pyworker.model import Bounds, Desired, Group, Member, Pace, Plan, Stage, Want

_HOT = (
    Stage.READY,  # the first, for nearly all are, and each is looked for at every tick
    Stage.ORDERED,
    Stage.LOADING,
    Stage.JOINING,
    Stage.WARMING,
    Stage.SUSPECT,
    Stage.STARTING,
    Stage.MISSING,
)
_RUN, _READY = Desired.RUN, Stage.READY  # as attributes of an Enum they are slow to read
_ABLE = (Stage.READY, Stage.DRAINING)
_STANDING = (Stage.COLD, Stage.STOPPING)


@dataclass(frozen=True)
class History:
    """What is remembered of a group between ticks; Unix seconds, 0.0 for never."""

    memory: Any = None  # the policy's own
    last_up_at: float = 0.0
    last_down_at: float = 0.0
    renting: int = 0
    shrunk: int = 0
    paused: str = ""
    spent: str = ""  # why what there is cannot be paid for any longer ("" where it can)
    failed_hosts: frozenset[int] = frozenset()
    gone: int = 0  # went missing lately, and were proven gone since
    mended: Mapping[str, float] = field(default_factory=dict)  # by intent: when it was begun

    def mending(self, made: Plan, now: float) -> Mapping[str, float]:
        """``mended`` as it is after a plan."""
        if not made.mended and not self.mended:
            return self.mended
        begun = {key: self.mended.get(key, now) for key in made.mended}
        return {**lately(self.mended, now), **begun}

    def moved(self, step_s: float) -> History:
        """The history where the wall clock was set by so many seconds."""
        up, down = self.last_up_at, self.last_down_at
        return replace(
            self,
            last_up_at=up + step_s if up else 0.0,
            last_down_at=down + step_s if down else 0.0,
            mended={key: at + step_s for key, at in self.mended.items()},
        )


@dataclass(frozen=True)
class Decision:
    """A plan with all that it was made from; ``memory`` is the policy's own for the next time."""

    group: Group
    bounds: Bounds
    seen: Observation
    made: Plan
    memory: Any

    def inputs(self) -> dict[str, Any]:
        """What ``why`` shows, as plain data."""
        return {
            "policy": self.group.policy,
            "options": dict(self.group.policy_options),
            "bounds": asdict(self.bounds),
            "load": asdict(self.seen.load),
            "ready": self.seen.ready,
            "hot": self.seen.hot,
            "cold": self.seen.cold,
            "perf_per_worker": self.seen.perf_per_worker,
            "want": asdict(self.made.want),
            "actions": [_action(each) for each in self.made.actions],
            "held_back": list(self.made.held_back),
        }


def decide(
    group: Group,
    members: Sequence[Member],
    load: Load,
    history: History,
    may_rent: Callable[[float, int], Verdict],
    now: float,
) -> Decision:
    """The plan for one group, from its members and its clients' load."""
    bounds = bounds_at(group, now)
    if history.spent:
        # The money ends before the pace would let the last one go.
        group = replace(group, pace=Pace(0.0, 0.0, max(len(members), 1)))
        bounds = replace(bounds, min_instances=0, max_instances=0)
    seen = observe(members, load, history.renting, now)
    want, memory = POLICIES[group.policy].decide(group, bounds, seen, history.memory)
    if history.spent:
        want = Want(0, 0, history.spent)
    context = Context(
        now=now,
        may_rent=may_rent,
        renting=history.renting,
        shrunk=history.shrunk,
        paused=history.paused,
        last_up_at=history.last_up_at,
        last_down_at=history.last_down_at,
        failed_hosts=history.failed_hosts,
        spent=history.spent,
        gone=history.gone,
        mended=history.mended,
    )
    return Decision(group, bounds, seen, plan(group, bounds, want, members, context), memory)


def observe(members: Sequence[Member], load: Load, renting: int, now: float) -> Observation:
    """Capacity counted: what runs and what will, what stands still, what one of them can do."""
    ready, hot, cold = 0, renting, 0
    able: list[float] = []
    for member in members:
        stage = member.stage
        if member.intent.desired is _RUN and stage in _HOT:
            hot += 1
            ready += stage is _READY
        # One that drains is counted: the mean of unlike workers must not change as one leaves.
        if stage in _ABLE:
            if member.perf:
                able.append(member.perf)
        elif stage in _STANDING:
            cold += 1
    known = able or [each.perf for each in members if each.perf]
    mean = fmean(known) if known else None
    return Observation(now, load, ready, hot, cold, mean)


def by_group(members: Sequence[Member]) -> Mapping[str, list[Member]]:
    """The members of each group."""
    found: dict[str, list[Member]] = {}
    for member in members:
        own = found.get(member.intent.group)
        if own is None:
            own = found[member.intent.group] = []
        own.append(member)
    return found


def _action(action: Any) -> dict[str, Any]:
    fields = asdict(action)
    return {**fields, "kind": str(action.kind)}
