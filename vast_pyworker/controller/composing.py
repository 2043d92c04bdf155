"""The controller and all that stands beside it, made from a provider, a ledger and secrets.

Opens no socket, starts no thread and reads no environment: ``main`` does, and tests do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from vast_pyworker.controller.budget import window_starts
from vast_pyworker.model import Group, Wishes
from vast_pyworker.providers.protocol import Provider

from . import showing
from .access import Access
from .api.endpoints import endpoint_names
from .api.parts import Parts
from .app import ControllerApp, build_app
from .commands import Commands
from .desk import Desk
from .endpoint_keys import EndpointKeys
from .events import Events
from .executors import Executor
from .history import GroupSample, History, Sample
from .ledger.charges import MICRO
from .ledger.ledger import Ledger
from .loop import Loop
from .page.sessions import Sessions
from .secrets import Secrets
from .ticking import Ticking, Ticks
from .traffic.ears import Ears
from .traffic.native import native_routes
from .traffic.switchboard import MAX_QUEUE_S, Switchboard
from .vouching import Vouching


@dataclass(frozen=True)
class Surroundings:
    """What the controller is told about where it runs. ``address`` is how workers reach it;
    ``certificates`` the PEM that clients are to trust."""

    address: str
    every_s: float
    now: Callable[[], float]
    mono: Callable[[], float]
    certificates: Callable[[], bytes]
    open_magister: bool = False


@dataclass(frozen=True)
class Built:
    """All of it. ``ears`` is what the loop hears by; ``tick`` is what ``ticking`` calls."""

    parts: Parts
    app: ControllerApp
    ticking: Ticking
    tick: Callable[[], None]
    ears: Ears


def compose(
    read: Callable[[], Wishes],
    provider: Provider,
    ledger: Ledger,
    secrets: Secrets,
    executor: Executor,
    around: Surroundings,
    *,
    ears: Ears | None = None,
) -> Built:
    """``read`` reads groups.toml; ``WishError`` goes through. ``ears`` other than the switchboard
    are for tests."""
    now, mono = around.now, around.mono
    access = Access(ledger.keys, secrets.token_of)
    desk = Desk(read, ledger, now=now)
    keys = EndpointKeys(secrets.secret, ledger, access, now=now)
    switchboard = Switchboard(
        secrets.signing_key, keys.may_route, now=now, mono=mono,
        max_queue_s=partial(longest_queue_s, desk),
    )  # fmt: skip
    vouching = Vouching(ears or switchboard, ledger.notes)
    loop = Loop(
        desk.wishes(), provider, ledger, vouching, executor,
        env_of=partial(env_of, secrets, around), token_of=secrets.token_of, now=now, mono=mono,
    )  # fmt: skip
    ticks = Ticks()
    ticking = Ticking(lambda: round_of(parts, keys), ticks, around.every_s, mono)
    parts = Parts(
        loop=loop,
        desk=desk,
        commands=Commands(loop, desk, ledger, wake=ticking.wake, now=now),
        ledger=ledger,
        provider=provider,
        access=access,
        sessions=Sessions(access, mono),
        history=History(),
        events=Events(ledger.journal),
        ticks=ticks,
        board=switchboard,
        vouching=vouching,
        native=native_routes(switchboard),
        endpoint_key=keys.of,
        certificates=around.certificates,
        now=now,
        mono=mono,
        wake=ticking.wake,
        open_magister=around.open_magister,
    )
    keys.keep(endpoint_names(parts))
    return Built(parts, build_app(parts), ticking, lambda: round_of(parts, keys), vouching)


def round_of(parts: Parts, keys: EndpointKeys) -> None:
    """One round of the loop with what belongs around it; readers are told however it ends."""
    if parts.loop.fleet.listed_at is not None:
        parts.desk.tidy()
    parts.loop.desire(parts.desk.wishes())
    keys.keep(endpoint_names(parts))
    try:
        parts.loop.tick()
        parts.history.add(sample(parts))
    finally:
        parts.events.publish(showing.totals(parts.loop.fleet))


def sample(parts: Parts) -> Sample:
    """The fleet after a tick, for the charts."""
    fleet = parts.loop.fleet
    rows = showing.group_rows(fleet, parts.loop.wishes, {}, {})
    groups = {
        row["name"]: GroupSample(
            row["wanted"], row["ready"], row["booting"], row["cold"], row["load"], row["capacity"]
        )
        for row in rows
    }
    day, _ = window_starts(fleet.at)
    spent = parts.ledger.spend.spent_micro(day) / MICRO
    return Sample(fleet.at, sum(row["usd_per_hour"] for row in rows), spent, groups)


def env_of(secrets: Secrets, around: Surroundings, intent_id: str) -> Mapping[str, str]:
    """What an instance is told: where to report, and by which token it is known."""
    env = {"REPORT_ADDR": around.address, "MASTER_TOKEN": secrets.token_of(intent_id)}
    if around.open_magister:
        env["MAGISTER_DROP_ENDPOINT"] = f"{around.address}/drop/{intent_id}"
    return env


def longest_queue_s(desk: Desk, endpoint: str) -> float | None:
    """As the policy of the endpoint's groups says, else Vast's default."""
    groups = [each for each in desk.latest.groups.values() if each.endpoint == endpoint]
    return max(map(_queue_of, groups), default=MAX_QUEUE_S)


def _queue_of(group: Group) -> float:
    return float(group.policy_options.get("max_queue_time", MAX_QUEUE_S))
