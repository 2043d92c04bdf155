"""A run of the sweep in which everything goes wrong at once: only the money is looked at."""

from __future__ import annotations

from sweep_case import Case, Got
from sweep_scene import Scene

from vast_pyworker.errors import CreatedStopped, OutcomeUnknown, ProviderError
from vast_pyworker.vastai.instances import LaunchRequest


def storm(case: Case) -> None:
    """Rent, look up, end; the trouble passes only between these, and once before the last word."""
    requests = [case.request(disk_gb=8.0) for _ in range(3)]
    with case.storm() as kinds:
        twice = "duplicate" in kinds
        doubtful = [each.label for each in requests if _rent(case, each, twice)]
    for label in doubtful:
        case.settle(label)
    if twice:  # as ``create`` says: only the labels tell of what was delivered twice
        for each in requests:
            case.known.update(row.id for row in case.vast.instances.find(each.label))
    case.check_money()
    with case.storm():
        first = case.vast.instances.destroy_many(case.known)
        assert not set(first.gone) & set(case.ground.contracts()), "claimed gone, and billed"
    last = case.vast.instances.destroy_many([*first.left, *first.unknown])
    assert not (last.left or last.unknown or case.ground.contracts())


def _rent(case: Case, request: LaunchRequest, twice: bool) -> bool:
    """Whether it is left open what exists. What is said is so in any case."""
    offers = case.ground.offers(2, case.rng)
    if case.rng.random() < 0.5:
        got = case.ask(lambda: case.vast.instances.create(offers[0], request))
        told = [(got.value.instance_id if got.value else None, got.error)]
    else:
        results: Got = case.ask(lambda: case.vast.instances.bulk_create(offers, request))
        told = [(each.instance_id, each.error) for each in results.value or ()]
    return _judged(case, request.label, told, twice)


def _judged(
    case: Case, label: str, told: list[tuple[int | None, ProviderError | None]], twice: bool
) -> bool:
    made = set(case.ground.contracts(label))
    known = {number for number, _ in told if number is not None}
    known |= {error.instance_id for _, error in told if isinstance(error, CreatedStopped)}
    case.known |= known
    assert known <= made
    doubtful = any(isinstance(error, OutcomeUnknown) for _, error in told)
    assert doubtful or twice or made == known, (made, told)
    return doubtful


STORM = Scene("storm", storm, world=True, lists=True)
