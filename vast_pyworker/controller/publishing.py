"""Tells the router which workers a client may be sent to, and with which token each may report.

Pure. A worker that is loading is published too: it becomes ready between two ticks, and its own
report says so; one that is draining, suspect or held back by its intent is not routed to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from vast_pyworker.controller.traffic.places import Place
from vast_pyworker.model import Desired, Group, Member, Stage

_RUN = Desired.RUN  # as an attribute of an Enum it is slow to read
_ROUTED = (Stage.READY, Stage.WARMING, Stage.JOINING, Stage.LOADING, Stage.STARTING)


def places_of(
    members: Iterable[Member],
    groups: Mapping[str, Group],
    token_of: Callable[[str], str],
    before: Mapping[int, Place] | None = None,
) -> dict[int, Place]:
    """By instance id. ``token_of`` gives the token of an intent's instance, always the same; those
    of ``before`` are kept where they are right."""
    known = before or {}
    found = {}
    for member in members:
        intent = member.intent
        instance_id, group = intent.instance_id, groups.get(intent.group)
        if instance_id is None or group is None:
            continue
        accepts = intent.desired is _RUN and member.stage in _ROUTED
        place = known.get(instance_id)
        if place is None or place.intent_id != intent.id:
            token = token_of(intent.id)
            place = Place(group.endpoint, group.name, intent.id, token, accepts)
        elif (
            place.accepts is not accepts
            or place.endpoint != group.endpoint
            or place.group != group.name
        ):
            place = Place(group.endpoint, group.name, intent.id, place.mtoken, accepts)
        found[instance_id] = place
    return found
