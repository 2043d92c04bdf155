"""The end of a controller: what its groups' instances come to, how long, and what is said."""

from __future__ import annotations

import pytest

from vast_pyworker.controller.fake_controller import fake_group, fake_wishes
from vast_pyworker.controller.farewell import Deadline, Farewell
from vast_pyworker.errors import ProviderUnreachable
from vast_pyworker.model import Desired, OnShutdown, Phase


class Hurry:
    """Lets the clock pass instead of waiting; ``after`` so many waits it is set."""

    def __init__(self, controller, after=None):
        self._controller = controller
        self._left = after

    def is_set(self):
        return self._left is not None and self._left <= 0

    def wait(self, seconds):
        self._controller.time.at += seconds
        if self._left is not None:
            self._left -= 1


def end(client, *, total_s=120.0, after=None):
    controller = client.controller
    said = []
    farewell = Farewell(
        controller.parts, controller.built.ears, controller.executor,
        token_of=controller.secrets.token_of, say=said.append, hurry=Hurry(controller, after),
    )  # fmt: skip
    return farewell.run(Deadline(total_s)), said


@pytest.fixture
def running(start):
    def run(how, **changes):
        client = start(fake_wishes(fake_group(on_shutdown=how, **changes)))
        client.controller.tick(10, times=12)
        return client

    return run


def phases(client):
    return [each.phase for each in client.controller.provider.truth().values()]


@pytest.mark.parametrize(
    ("how", "left"),
    [
        (OnShutdown.LEAVE, [Phase.RUNNING] * 2),
        (OnShutdown.STOP, [Phase.STOPPED] * 2),
        (OnShutdown.DESTROY, []),
    ],
)
def test_instances_come_to_what_their_group_says(running, how, left):
    client = running(how)
    done, said = end(client)
    assert done and phases(client) == left
    opened = client.controller.ledger.intents.open()
    assert len(opened) == len(left)
    assert bool(said) is (how is not OnShutdown.LEAVE)


def test_each_group_has_its_own_end(start):
    client = start(
        fake_wishes(
            fake_group("kept", min_instances=1),
            fake_group("ended", min_instances=1, on_shutdown=OnShutdown.DESTROY),
        )
    )
    client.controller.tick(10, times=12)
    done, _ = end(client)
    assert done
    assert [each.group for each in client.controller.ledger.intents.open().values()] == ["kept"]


def test_requests_are_finished_first_and_no_new_ones_are_sent(running):
    client = running(OnShutdown.DESTROY)
    ears = client.controller.ears
    busy = client.controller.parts.loop.fleet.members[0].intent.instance_id
    ears.busy[busy] = 3
    done, _ = end(client, total_s=10.0, after=3)
    assert not done
    assert busy in client.controller.provider.truth()
    assert not any(place.accepts for place in ears.places.values())
    ears.busy[busy] = 0
    assert end(client)[0] and phases(client) == []


def test_what_a_person_holds_is_left(running):
    client = running(OnShutdown.DESTROY)
    held = client.controller.parts.loop.fleet.members[0].intent
    client.controller.parts.commands.hold(str(held.instance_id), "a person", True)
    done, _ = end(client)
    assert done
    (left,) = client.controller.ledger.intents.open().values()
    assert left.id == held.id and left.desired is Desired.RUN


def test_at_the_deadline_what_is_left_is_named_and_stays_a_wish(running):
    client = running(OnShutdown.DESTROY)
    client.controller.provider.watch = _unreachable
    done, said = end(client, total_s=5.0)
    assert not done
    assert "have not ended, and are billed" in said[-1]
    wishes = {each.desired for each in client.controller.ledger.intents.open().values()}
    assert wishes == {Desired.DESTROY}
    client.controller.provider.watch = None
    client.controller.built.tick()
    client.controller.tick(30, times=8)
    kept = client.controller.ledger.intents.open().values()
    assert all(each.set_by == "controller" for each in kept)


def test_a_second_signal_ends_it_at_once(running):
    client = running(OnShutdown.DESTROY)
    client.controller.provider.watch = _unreachable
    done, _ = end(client, after=1)
    assert not done


def _unreachable(moment, name):
    if moment == "before":
        raise ProviderUnreachable("There was no answer.")
