"""Runs of the sweep about money: what creates, finds and ends instances."""

from __future__ import annotations

from typing import Any

from sweep_case import SETTLE_S, Case, Got
from sweep_faults import OF_LISTS
from sweep_scene import Scene

from vast_pyworker.errors import (
    CreatedStopped,
    NotFound,
    OutcomeUnknown,
)
from vast_pyworker.market.rentals.contracts import EXPIRED, QUEUED, STOPPED
from vast_pyworker.vastai.instances import BulkResult, Created, LaunchRequest
from vast_pyworker.vastai.renting import NodesError, end, rent


def create(case: Case) -> None:
    """Rent an offer."""
    _create(case, "create", check=False)


def create_and_check(case: Case) -> None:
    """Rent an offer; trouble also with the look at what came."""
    got = _create(case, "create", "show", check=True)
    if got.value is None or got.value.instance is None:
        return
    row = case.ground.market.show(case.ground.account, got.value.instance_id)
    assert row is not None and got.value.instance.id == row["id"]
    assert got.value.disk_gb in (row["disk_space"], None)
    if not case.drawn.of_world:
        assert got.value.usd_per_hour in (row["dph_total"], None)


def create_that_may_stand(case: Case) -> None:
    """Rent an offer, also where it cannot start: what is delivered twice may then exist twice."""
    request = case.request(cancel_unavail=False)
    (offer,) = case.ground.offers(1, case.rng)
    with case.faults("create"):
        got = case.ask(lambda: case.vast.instances.create(offer, request, check=False))
    _judge_created(case, got, request, twice=True)
    case.known.update(each.id for each in case.vast.instances.find(request.label))


def _create(case: Case, *calls: str, check: bool) -> Got[Created]:
    request = case.request()
    (offer,) = case.ground.offers(1, case.rng)
    with case.faults(*calls):
        got = case.ask(lambda: case.vast.instances.create(offer, request, check=check))
    _judge_created(case, got, request)
    case.check_waited(got)
    return got


def _judge_created(
    case: Case, got: Got[Created], request: LaunchRequest, *, twice: bool = False
) -> None:
    """Whatever was said of a create is so; what was left open is settled by its label."""
    made = case.ground.contracts(request.label)
    if got.value is not None:
        case.known.add(got.value.instance_id)
        assert got.value.started and got.value.label == request.label
        assert set(made) == {got.value.instance_id} or twice
        assert got.value.instance_id in made
    elif isinstance(got.error, CreatedStopped):
        assert got.error.instance_id in made
        assert made[got.error.instance_id].phase in (STOPPED, QUEUED, EXPIRED)
    elif isinstance(got.error, OutcomeUnknown):
        assert got.error.label == request.label
        case.settle(request.label)
    else:
        assert made == {}, got


def bulk_create(case: Case) -> None:
    """Rent several offers in one call."""
    request = case.request(disk_gb=8.0)
    offers = case.ground.offers(case.rng.randint(1, 4), case.rng)
    with case.faults("bulk_create"):
        got = case.ask(lambda: case.vast.instances.bulk_create(offers, request))
    results = got.value
    assert results is not None and [each.offer_id for each in results] == offers
    made = {each.ask_id: number for number, each in case.ground.contracts(request.label).items()}
    for each in results:
        _judge_bulk(case, each, made)
    if any(isinstance(each.error, OutcomeUnknown) for each in results):
        case.settle(request.label, expected=len(offers))


def _judge_bulk(case: Case, result: BulkResult, made: dict[int, int]) -> None:
    if result.instance_id is not None:
        case.known.add(result.instance_id)
        assert made[result.offer_id] == result.instance_id
        assert isinstance(result.error, CreatedStopped) or result.error is None
        assert result.started == (result.error is None)
    elif not isinstance(result.error, OutcomeUnknown):
        assert result.error is not None and result.offer_id not in made, result


def list_all(case: Case) -> None:
    """Read every instance, over one page or two."""
    if case.seed % 10 == 9:
        case.have(20, label="many")
    case.have(case.rng.randint(0, 4), label=case.rng.choice((None, "some")))
    _list(case, None)


def find(case: Case) -> None:
    """Read the instances with a label."""
    label = case.label()
    case.have(1)
    case.have(case.rng.randint(0, 3), label=label)
    _list(case, label)


def _list(case: Case, label: str | None) -> None:
    """What can be believed is all of it; only a list that agrees with itself can deceive."""
    case.vast.instances.list(label)
    case.ground.market.advance(30.0)
    case.have(case.rng.randint(0, 2), label=label)
    with case.faults("list"):
        got = case.ask(lambda: case.vast.instances.list(label))
    truth = set(case.ground.contracts(label))
    case.check_outlived(got)
    if got.value is None:
        assert not got.like(OutcomeUnknown, NotFound), got
        return
    ids = [each.id for each in got.value]
    assert len(ids) == len(set(ids))
    if case.kind == "stale_list":
        return  # as it was some time ago, which nobody could tell
    if case.kind != "empty_list" or ids:
        assert set(ids) == truth, (ids, truth)
    for each in got.value:
        assert each.label in (None, case.ground.world.contracts[each.id].label)


def settle(case: Case) -> None:
    """Look a label up while the list lies: what exists is found all the same."""
    label = case.label()
    case.ask(lambda: case.vast.instances.find(label))
    expected = case.rng.choice((1, 1, 3))
    made = set(case.have(expected, label=label)) if case.rng.random() < 0.7 else set()
    with case.faults("list", passing=True):
        got = case.ask(lambda: case.vast.instances.settle(label, SETTLE_S, expected=expected))
    assert got.value is not None and set(got.value) == made, (got, made)


def settle_under_lasting_trouble(case: Case) -> None:
    """Look a label up while no list can be had: it is said that nothing is known."""
    label = case.label()
    made = set(case.have(case.rng.randint(0, 2), label=label))
    with case.faults("list") as trouble:
        got = case.ask(lambda: case.vast.instances.settle(label, SETTLE_S, expected=2))
    if got.error is not None:
        assert isinstance(got.error, OutcomeUnknown) and got.error.label == label
        assert trouble.always
    elif trouble.always and case.kind in OF_LISTS:
        assert set(got.value or ()) <= made  # nobody could tell: an empty list that adds up
    else:
        assert set(got.value or ()) == made


def show(case: Case) -> None:
    """Read one instance, or one that is gone."""
    (number,) = case.have()
    gone = case.rng.random() < 0.3
    if gone:
        case.ground.market.destroy(case.ground.account, number)
    with case.faults("show"):
        got = case.ask(lambda: case.vast.instances.show(number))
    case.check_outlived(got)
    if got.well:
        assert (got.value is None) == gone
        assert got.value is None or got.value.id == number
    assert not got.like(NotFound, OutcomeUnknown), got


def destroy(case: Case) -> None:
    """End one instance."""
    number, other = case.have(2)
    with case.faults("destroy", "show"):
        got = case.ask(lambda: case.vast.instances.destroy(number))
    left = case.ground.contracts()
    case.check_outlived(got)
    case.check_changed(got, True, False, number in left)
    assert other in left
    case.vast.instances.destroy(number)
    assert number not in case.ground.contracts()


def destroy_many(case: Case) -> None:
    """End several instances, one of which is gone already."""
    ids = case.have(case.rng.randint(1, 4))
    if case.rng.random() < 0.3:
        case.ground.market.destroy(case.ground.account, ids[0])
    calls = case.rng.choice((("bulk_destroy",), ("list",), ("bulk_destroy", "list", "destroy")))
    with case.faults(*calls):
        got = case.ask(lambda: case.vast.instances.destroy_many(ids))
    done, left = got.value, set(case.ground.contracts())
    assert done is not None
    assert sorted((*done.gone, *done.left, *done.unknown)) == sorted(ids)
    assert not left & set(done.gone), "claimed gone, and billed"
    assert set(done.left) <= left
    assert set(done.errors) == set(ids) - set(done.gone)
    again = case.vast.instances.destroy_many([*done.left, *done.unknown])
    assert not again.left and not again.unknown and not case.ground.contracts()


def rent_nodes(case: Case) -> None:
    """Rent several, one by one, as the functions of 2024 do."""
    offers = case.ground.offers(4, case.rng)
    request = case.request(disk_gb=8.0, bid_usd_per_hour=None)
    labels: list[str] = []
    with case.faults(*case.rng.choice((("create",), ("list",), ("create", "list", "destroy")))):
        try:
            nodes = rent(case.vast, offers, case.rng.randint(1, 3), request)
        except NodesError as error:
            nodes, labels = error.nodes, error.labels
    case.known.update(node["instance_id"] for node in nodes)
    for label in labels:
        case.settle(label)
    _end_all(case, nodes)


def _end_all(case: Case, nodes: list[dict[str, int]]) -> None:
    there = set(case.ground.contracts())
    end(case.vast, nodes)
    assert not set(case.ground.contracts()) & {node["instance_id"] for node in nodes} & there


def terminate_nodes(case: Case) -> None:
    """End several as the functions of 2024 do: those that are not named are gone."""
    nodes: list[Any] = [{"offer_id": 1, "instance_id": each} for each in case.have(3)]
    named: list[Any] = []
    with case.faults(*case.rng.choice((("bulk_destroy",), ("bulk_destroy", "list", "destroy")))):
        try:
            end(case.vast, nodes)
        except NodesError as error:
            named = error.nodes
    left = set(case.ground.contracts())
    assert left <= {node["instance_id"] for node in named}
    _end_all(case, named)
    assert not case.ground.contracts()


SINGLE = (
    Scene("create", create, world=True),
    Scene("create_and_check", create_and_check, world=True),
    Scene("bulk_create", bulk_create, world=True),
    Scene("list", list_all, world=True, lists=True),
    Scene("find", find, world=True, lists=True),
    Scene("settle", settle, world=True, lists=True),
    Scene("show", show, world=True),
    Scene("destroy", destroy, world=True),
    Scene("destroy_many", destroy_many, world=True, lists=True),
)
"""One call of the client each."""
COMPOUND = (
    Scene("create_that_may_stand", create_that_may_stand, world=True),
    Scene("settle_long", settle_under_lasting_trouble, world=True, lists=True),
    Scene("rent_nodes", rent_nodes, world=True, lists=True),
    Scene("terminate_nodes", terminate_nodes, world=True, lists=True),
)
