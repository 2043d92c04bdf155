"""Waits for what is not certain yet: what a create has made, and what an instance becomes."""

from __future__ import annotations

from collections.abc import Callable

from vast_pyworker.errors import NotFound, OutcomeUnknown, ProviderError, ProviderUnreachable

from .http import Transport
from .listing import LIST, read_all
from .records import Instance
from .states import InstanceState, Phase, Wish

# What an instance does not leave by itself, or not towards "running".
_NO_WAY_ON = (Phase.FAILED, Phase.EXPIRED)


def settle(
    transport: Transport, label: str, timeout_s: float, expected: int, every_s: float
) -> tuple[int, ...]:
    """The ids that carry ``label``; see ``Instances.settle``.

    An id once seen stays: it exists or existed, and destroying what is gone does no harm. The last
    look is never before ``timeout_s``, and there are two at least.
    """
    seen: dict[int, None] = {}
    until = transport.now() + timeout_s
    looks = 0
    while True:
        last = transport.now() >= until and looks >= 1
        failure: ProviderError | None = None
        try:
            seen |= dict.fromkeys(each.id for each in read_all(transport, label=label))
        except ProviderError as error:
            failure = error
        looks += 1
        if len(seen) >= expected:
            return tuple(seen)
        if last and failure is not None:
            raise _still_unknown(label, failure) from failure
        if last:
            return tuple(seen)
        transport.sleep(max(0.0, min(every_s, until - transport.now())))


def wait(
    transport: Transport,
    show: Callable[[int], Instance | None],
    instance_id: int,
    phase: Phase,
    timeout_s: float,
    every_s: float,
    intended: Wish,
) -> Instance:
    """See ``Instances.wait``. A read that fails is repeated while there is time."""
    until = transport.now() + timeout_s
    while True:
        failure: ProviderError | None = None
        state: InstanceState | None = None
        try:
            instance = show(instance_id)
        except ProviderUnreachable as error:
            failure = error
        else:
            if instance is None:
                raise NotFound(f"Instance {instance_id} is gone; rent another.")
            state = instance.state_for(intended)
            if state.phase == phase:
                return instance
        if state is not None and state.phase in _NO_WAY_ON:
            raise ProviderError(f"Instance {instance_id} will not be {phase}: {state}; destroy it.")
        if transport.now() + every_s > until:
            raise failure or _late(instance_id, phase, timeout_s, state)
        transport.sleep(every_s)


def _late(
    instance_id: int, phase: Phase, timeout_s: float, state: InstanceState | None
) -> ProviderError:
    return ProviderError(
        f"Instance {instance_id} was not {phase} after {timeout_s:g} s: {state}; "
        "wait longer or destroy it."
    )


def _still_unknown(label: str, failure: ProviderError) -> OutcomeUnknown:
    return OutcomeUnknown(
        f"It is still not known what carries the label {label}: {failure} Look again later.",
        label=label,
        endpoint=LIST.key,
    )
