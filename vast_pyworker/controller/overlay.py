"""What people changed by command, laid over groups.toml: pins, endpoints and groups. Pure.

The file stays what the operator wrote; what is here survives a restart in the ledger's notes and
is never above ``[limits]``. Numbers are those that Vast's calls name endpoints and groups by.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from vast_pyworker.model import Group, Limits, Pace, Wishes

from .made_groups import made_group, with_endpoint_fields

ENDPOINT, GROUP = "endpoint", "group"
ACTIVE, SUSPENDED, STOPPED = "active", "suspended", "stopped"
# What a person ends does not wait for the pace at which a policy may change its mind.
AT_ONCE = Pace(cooldown_up_s=0.0, cooldown_down_s=0.0, max_step=1_000_000)


@dataclass(frozen=True)
class MadeGroup:
    """A group that was made by a call of Vast's: its fields as they were sent."""

    endpoint: str
    created_at: float
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class MadeEndpoint:
    """What a call of Vast's said of an endpoint; ``made`` where there was none before."""

    created_at: float
    fields: Mapping[str, Any] = field(default_factory=dict)
    made: bool = False


@dataclass(frozen=True)
class Overlay:
    """``pins`` are constant counts by group, ``emptied`` groups that are to end, ``renewed`` since
    when (Unix seconds) each member of a group is to be a new one."""

    pins: Mapping[str, int] = field(default_factory=dict)
    emptied: frozenset[str] = frozenset()
    renewed: Mapping[str, float] = field(default_factory=dict)
    endpoints: Mapping[str, MadeEndpoint] = field(default_factory=dict)
    groups: Mapping[str, MadeGroup] = field(default_factory=dict)
    numbers: Mapping[str, int] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "emptied": sorted(self.emptied)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Overlay:
        return cls(
            pins=dict(data.get("pins", {})),
            emptied=frozenset(data.get("emptied", ())),
            renewed=dict(data.get("renewed", {})),
            endpoints={k: MadeEndpoint(**v) for k, v in data.get("endpoints", {}).items()},
            groups={k: MadeGroup(**v) for k, v in data.get("groups", {}).items()},
            numbers=dict(data.get("numbers", {})),
        )

    def number(self, kind: str, name: str) -> int | None:
        return self.numbers.get(f"{kind} {name}")

    def numbered(self, names: Iterable[str]) -> Overlay:
        """With a number for each name (like ``endpoint demo``) that has none; never used twice."""
        missing = [each for each in dict.fromkeys(names) if each not in self.numbers]
        if not missing:
            return self
        first = max(self.numbers.values(), default=0) + 1
        return replace(
            self, numbers={**self.numbers, **{n: first + i for i, n in enumerate(missing)}}
        )

    def name_of(self, kind: str, number: int) -> str | None:
        prefix = f"{kind} "
        for name, known in self.numbers.items():
            if known == number and name.startswith(prefix):
                return name.removeprefix(prefix)
        return None


def laid_over(wishes: Wishes, overlay: Overlay, now: float) -> Wishes:
    """The wishes with all that was changed by command, none of it above the limits."""
    groups = dict(wishes.groups)
    for name, made in overlay.groups.items():
        if name not in groups:  # the file's own word on a name goes first
            groups[name] = made_group(name, made.endpoint, made.fields, wishes.limits)
    changed = {name: _changed(group, wishes.limits, overlay, now) for name, group in groups.items()}
    return replace(wishes, groups=changed)


def pinned(group: Group, count: int) -> Group:
    """A group that holds ``count`` and keeps none standing by."""
    return replace(
        group, policy="hold", policy_options={"instances": count}, windows=(),
        min_instances=count, max_instances=count,
    )  # fmt: skip


def _changed(group: Group, limits: Limits, overlay: Overlay, now: float) -> Group:
    said = overlay.endpoints.get(group.endpoint)
    if said is not None:
        group = with_endpoint_fields(group, said.fields, limits)
    since = overlay.renewed.get(group.name)
    if since is not None:
        group = _renewing(group, since, now)
    if group.name in overlay.emptied or _state(said) == STOPPED:
        return replace(pinned(group, 0), cold_instances=0, pace=AT_ONCE)
    pin = overlay.pins.get(group.name)
    return group if pin is None else pinned(group, min(pin, limits.instances))


def _state(said: MadeEndpoint | None) -> str:
    return str(said.fields.get("endpoint_state") or ACTIVE) if said else ACTIVE


def _renewing(group: Group, since: float, now: float) -> Group:
    """Whoever is older than the moment of the command is too old, one after another."""
    age_s = max(now - since, 1.0)
    known = group.max_lifetime_s
    return replace(group, max_lifetime_s=age_s if known is None else min(known, age_s))
