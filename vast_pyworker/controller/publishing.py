"""Tells the router which workers a client may be sent to, and with which token each may report.

Pure. A worker that is loading is published too: it becomes ready between two ticks, and its own
report says so; one that is draining, suspect or held back by its intent is not routed to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from vast_pyworker.controller.traffic.places import Place
from vast_pyworker.model import Desired, Group, Member, Stage

_ROUTED = (Stage.READY, Stage.WARMING, Stage.JOINING, Stage.LOADING, Stage.STARTING)


def places_of(
    members: Iterable[Member],
    groups: Mapping[str, Group],
    token_of: Callable[[str], str],
) -> dict[int, Place]:
    """By instance id. ``token_of`` gives the token of an intent's instance."""
    found = {}
    for member in members:
        intent = member.intent
        group = groups.get(intent.group)
        if intent.instance_id is None or group is None:
            continue
        found[intent.instance_id] = Place(
            endpoint=group.endpoint,
            group=group.name,
            intent_id=intent.id,
            mtoken=token_of(intent.id),
            accepts=intent.desired is Desired.RUN and member.stage in _ROUTED,
        )
    return found
