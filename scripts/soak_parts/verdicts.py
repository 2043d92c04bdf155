"""What has to hold after a hostile hour, as a table. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from .load import Outcome

CENT = 0.005
HAD_ONE_S = 15.0
"""A request that met a ready worker for so long in sum and was not answered is lost."""

READY_SHARE = 0.25
"""Of the hostile time some worker has to be ready so long, or no request proves anything. A short
run, whose controller is killed twice in half a minute, has little of it."""

Sighting = tuple[float, int]


@dataclass(frozen=True)
class Bill:
    """Dollars. ``before`` is what the ledger said before the market's bill was read."""

    market: float
    before: float
    after: float


@dataclass(frozen=True)
class Verdict:
    what: str
    value: str
    holds: bool


def lost(outcomes: Iterable[Outcome], sightings: Sequence[Sighting]) -> list[Outcome]:
    """The requests that were not answered though there was a ready worker."""
    return [
        each
        for each in outcomes
        if each.status != 200 and (each.status != 0 or met_s(each, sightings) >= HAD_ONE_S)
    ]


def met_s(outcome: Outcome, sightings: Sequence[Sighting]) -> float:
    """For how long of its time a worker was seen ready; ``sightings`` are (moment, how many)."""
    total = 0.0
    for (since, ready), (until, _) in pairwise(sightings):
        if ready:
            total += max(min(until, outcome.ended) - max(since, outcome.began), 0.0)
    return total


def ready_share(sightings: Sequence[Sighting]) -> float:
    """The share of the time in which a worker was seen ready; 0.0 where nobody looked."""
    spans = [(until - since, ready > 0) for (since, ready), (until, _) in pairwise(sightings)]
    whole = sum(span for span, _ in spans)
    return sum(span for span, ready in spans if ready) / whole if whole > 0 else 0.0


def verdicts(
    outcomes: Sequence[Outcome],
    sightings: Sequence[Sighting],
    bill: Bill,
    left: Mapping[str, int],
) -> list[Verdict]:
    """Every row of the table."""
    gone = lost(outcomes, sightings)
    answered = sum(each.status == 200 for each in outcomes)
    without = len(outcomes) - answered - len(gone)
    same = abs(bill.market - bill.after) < CENT
    share = ready_share(sightings)
    return [
        Verdict("requests answered", f"{answered} of {len(outcomes)}", answered > 0),
        Verdict("requests lost that had a ready worker", str(len(gone)), not gone),
        Verdict("requests that met no worker in their time", str(without), True),
        Verdict("time with a ready worker", f"{share:.0%}", share >= READY_SHARE),
        Verdict("bill: the market's", f"${bill.market:.6f}", bill.market > 0),
        Verdict("bill: the page's", f"${bill.after:.6f}", same),
        Verdict("  before it had read the market's", f"${bill.before:.6f}", True),
        *(Verdict(f"left: {what}", str(count), count == 0) for what, count in left.items()),
    ]


def table(rows: Sequence[Verdict]) -> str:
    width = max(len(each.what) for each in rows)
    wide = max(len(each.value) for each in rows)
    return "\n".join(
        f"{each.what:<{width}}  {each.value:>{wide}}  {'holds' if each.holds else 'DOES NOT HOLD'}"
        for each in rows
    )
