"""Every instance of a list, or an error: pages are followed to the end and checked against it.

A list that lacks a page looks like instances that are gone, and whoever believes it rents them
again. So what does not add up is read again from the start, a few times, and then raises.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from . import values
from .http import Endpoint, Transport
from .reading import bad
from .records import Instance

SHOW = Endpoint("GET", "/instances/{id}/")
LIST = Endpoint("GET", "/instances/", version=1)
_PAGE = 25  # the most the API gives
_READINGS = 3
_MOST_PAGES = 10_000

Filters = Mapping[str, Mapping[str, Any]]


@dataclass
class _Reading:
    """What one walk through the pages has found."""

    rows: dict[int, Instance] = field(default_factory=dict)
    tokens: set[str] = field(default_factory=set)
    expected: int | None = None
    pages: int = 0


def label_filter(label: str) -> Filters:
    """``""`` is "without a label"."""
    return {"label": {"eq": label}} if label else {"label": {"in": [None]}}


def read_all(
    transport: Transport, filters: Filters | None = None, *, label: str | None = None
) -> list[Instance]:
    """All that match, by id. Raises BadAnswer for a list that could not be read to its end."""
    if label is not None:
        filters = {**(filters or {}), **label_filter(label)}
    lack = ""
    for _ in range(_READINGS):
        found = _read_once(transport, filters or {}, label)
        if isinstance(found, list):
            return found
        lack = found
    raise bad(LIST, f"{lack}, also when read {_READINGS} times")


def read_shown(answer: object, instance_id: int, now: float) -> Instance | None:
    """The instance of a show. None only for an explicit null: it is gone, or was never ours."""
    if not isinstance(answer, dict) or "instances" not in answer:
        raise bad(SHOW, "no word on the instance")
    row = answer["instances"]
    if row is None:
        return None
    instance = Instance.of(row, now) if isinstance(row, dict) else None
    if instance is None or instance.id != instance_id:
        raise bad(SHOW, f"something else than instance {instance_id}")
    return instance


def _read_once(transport: Transport, filters: Filters, label: str | None) -> list[Instance] | str:
    """The instances, or in words what is wrong with the pages."""
    reading, token = _Reading(), None
    while reading.pages < _MOST_PAGES:
        answer = transport.call(LIST, query=_query(filters, token), effect="read")
        lack = _take(reading, answer, filters, label, transport.wall())
        if lack:
            return lack
        token = answer.get("next_token")
        if not token:
            return _complete(reading, label)
        if not isinstance(token, str) or token in reading.tokens:
            return "a next_token that leads nowhere new"
        reading.tokens.add(token)
    return f"more than {_MOST_PAGES} pages"


def _query(filters: Filters, token: str | None) -> dict[str, Any]:
    query: dict[str, Any] = {
        "select_filters": filters,
        "order_by": [{"col": "id", "dir": "asc"}],
        "limit": _PAGE,
    }
    return query if token is None else {**query, "after_token": token}


def _take(
    reading: _Reading, answer: object, filters: Filters, label: str | None, now: float
) -> str:
    """Add one page; what is wrong with it, in words, or nothing."""
    rows = answer.get("instances") if isinstance(answer, dict) else None
    if not isinstance(answer, dict) or not isinstance(rows, list):
        return "no list of instances"
    stated = values.whole(answer.get("instances_found"))
    if stated is not None and stated != len(rows):
        return f"{len(rows)} instances on a page that says {stated}"
    if answer.get("next_token") and not rows:
        return "an empty page before the last"
    expected = _expected(answer, filters, label)
    if reading.pages and expected != reading.expected:
        return "a total that changes between pages"
    reading.expected, reading.pages = expected, reading.pages + 1
    return _take_rows(reading, rows, now)


def _take_rows(reading: _Reading, rows: list[Any], now: float) -> str:
    for row in rows:
        instance = Instance.of(row, now) if isinstance(row, dict) else None
        if instance is None:
            return "a row without an id"
        if instance.id in reading.rows:
            return f"instance {instance.id} twice"
        reading.rows[instance.id] = instance
    return ""


def _expected(answer: Mapping[str, Any], filters: Filters, label: str | None) -> int | None:
    """How many there should be, None where the answer does not say.

    It is not documented whether ``total_instances`` counts what a filter leaves out, so with a
    filter only the count of the very label is believed. A total of 0 must hold for the labels too.
    """
    counts = values.mapping(answer.get("label_counts"))
    if not filters:
        total = values.whole(answer.get("total_instances"))
        return total or (sum(values.whole(each) or 0 for each in counts.values()) or total)
    return None if label is None or len(filters) > 1 else values.whole(counts.get(label))


def _complete(reading: _Reading, label: str | None) -> list[Instance] | str:
    found = list(reading.rows.values())
    if label is not None:  # a server that ignores the filter must not give us others' instances
        found = [each for each in found if (each.label or "") == label.strip()]
    if reading.expected is not None and len(found) != reading.expected:
        return f"{len(found)} instances where it counts {reading.expected}"
    return found
