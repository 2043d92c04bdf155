"""What is right by itself and wrong together: bounds against each other, groups against limits.

Looks at values as far as they could be read, so that one look finds everything.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from .faults import Faults
from .key_paths import KeyPath
from .table import Values
from .windows import minutes_of

Fault = tuple[KeyPath, str]


def check(limits: Values, groups: Mapping[str, Values], faults: Faults) -> None:
    """Add what is wrong. ``groups`` are values by the keys of a group, windows within."""
    found = [*_minimums(limits, groups), *_endpoints(groups)]
    for name, group in groups.items():
        found += _group(limits, group, ("group", name))
    for path, text in found:
        faults.add(path, text)


def _group(limits: Values, group: Values, path: KeyPath) -> Iterator[Fault]:
    own = list(_bounds(limits, group, path))
    yield from own
    yield from _bid(group, path)
    for index, window in enumerate(group["window"]):
        there = (*path, "window", index)
        yield from _too_many(limits, window, there)
        yield from _hidden(group["window"][:index], window, there)
        if not own:  # else the window would repeat it
            yield from _bounds(limits, {**group, **window}, there)


def _bounds(limits: Values, bounds: Values, path: KeyPath) -> Iterator[Fault]:
    """The bounds of a group, or those that hold in one of its windows."""
    least, most = bounds.get("min_instances"), bounds.get("max_instances")
    if least is None:
        return
    if most is not None and least > most:
        remedy = "lower it, or raise max_instances"
        yield (*path, "min_instances"), f"{least} is more than max_instances, {most}; {remedy}."
    price, ceiling = bounds.get("max_usd_per_hour"), limits.get("usd_per_hour")
    if price is not None and ceiling is not None and least * price > ceiling * (1 + 1e-9):
        text = f"{least} at up to ${price:g} an hour are ${least * price:g}, more than"
        remedy = "raise that, or lower max_usd_per_hour or min_instances"
        yield (*path, "min_instances"), f"{text} limits.usd_per_hour, ${ceiling:g}; {remedy}."


def _too_many(limits: Values, window: Values, path: KeyPath) -> Iterator[Fault]:
    least, ceiling = window.get("min_instances"), limits.get("instances")
    if least is not None and ceiling is not None and least > ceiling:
        text = f"{least} is more than limits.instances, {ceiling}; raise that or lower this."
        yield (*path, "min_instances"), text


def _hidden(before: Sequence[Values], window: Values, path: KeyPath) -> Iterator[Fault]:
    """A window whose every minute is one of windows before it, which hold first."""
    zone, own = window.get("zone"), minutes_of(window)
    there = [each for each in before if zone is not None and each.get("zone") == zone]
    if own and own <= {minute for each in there for minute in minutes_of(each)}:
        yield path, "windows before this one have all of its hours, so it never holds; move it up."


def _bid(group: Values, path: KeyPath) -> Iterator[Fault]:
    bid = group.get("launch", {}).get("bid_usd_per_hour")
    price = group.get("max_usd_per_hour")
    if bid is not None and price is not None and bid > price:
        text = f"${bid:g} is more than max_usd_per_hour, ${price:g}; lower the bid or raise that."
        yield (*path, "launch", "bid_usd_per_hour"), text


def _minimums(limits: Values, groups: Mapping[str, Values]) -> Iterator[Fault]:
    least = {name: each.get("min_instances", 0) for name, each in groups.items()}
    total, ceiling = sum(least.values()), limits.get("instances")
    if ceiling is not None and total > ceiling:
        each = ", ".join(f"{name} {count}" for name, count in least.items() if count)
        text = f"{ceiling} is less than the min_instances of all groups, {total} ({each})"
        yield ("limits", "instances"), f"{text}; raise it or lower them."


def _endpoints(groups: Mapping[str, Values]) -> Iterator[Fault]:
    owners: dict[str, str] = {}
    for name, group in groups.items():
        endpoint = group.get("endpoint", name)
        owner = owners.setdefault(endpoint, name)
        if owner != name:
            text = f'"{endpoint}" is the endpoint of group {owner}; write another.'
            yield ("group", name, "endpoint"), text
