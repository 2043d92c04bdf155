"""Falsifies lists and objects in answers: stale, empty, doubled, with a page or fields missing."""

from __future__ import annotations

import json
import random
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from flask import Response

from vast_pyworker.market.calls import shapes

from .book import Fault

LISTS = ("instances", "offers", "results", "templates", "apikeys", "pending_price_increases")
_COUNTS = {"instances_found": "instances", "templates_found": "templates"}
LIST_CALLS = frozenset(
    [
        "search",
        "list",
        "templates",
        "endpoints",
        "workergroups",
        "ssh_list",
        "account_ssh",
        "apikeys",
        "charges",
        "invoices",
        "price_increases",
    ]
)
_TOTALS: dict[str, Any] = {"total_instances": 0, "total": 0, "label_counts": {}}
_NOTHING: dict[str, Any] = {**_TOTALS, "count": 0, "next_token": None}
_ANSWERS_KEPT = 8
_MOST_BYTES = 16 * 1024 * 1024


class Again(Protocol):
    """Does the call once more, for the page after ``after_token`` ("": the first)."""

    def __call__(self, after_token: str | None = None) -> Response: ...


@dataclass(frozen=True)
class Question:
    """One call as far as its answer depends on it: ``key`` tells it from others, ``after_token``
    is the page asked for, "" the first."""

    call: str
    key: str
    after_token: str = ""


class RowFaults:
    """``now`` is the market's time, by which a list is stale; ``seed`` chooses what is struck."""

    def __init__(self, *, seed: int, now: Callable[[], float]) -> None:
        self._rng = random.Random(f"rows/{seed}")
        self._now = now
        self._lock = threading.Lock()
        self._earlier: OrderedDict[str, deque[tuple[float, bytes]]] = OrderedDict()
        self._bytes = 0

    def through(
        self, drawn: Mapping[str, Fault], asked: Question, response: Response, again: Again
    ) -> Response:
        """The answer with the faults of ``drawn`` done to it, unless it is a refusal or no JSON."""
        if response.status_code != 200 or response.content_type != shapes.JSON:
            return response
        if asked.call in LIST_CALLS and is_list(response):
            self._remember(asked, response)
            if drawn:
                response = self._list_faults(drawn, asked, response, again)
        if (fault := drawn.get("null_fields")) is not None:
            body = json.loads(response.get_data())
            self._null(body, fault.params)
            response = shapes.answer(body)
        return response

    def _list_faults(
        self, drawn: Mapping[str, Fault], asked: Question, response: Response, again: Again
    ) -> Response:
        if (fault := drawn.get("stale_list")) is not None:
            stale = self._stale(asked, fault.params["age_s"])
            response = Response(stale, 200, content_type=shapes.JSON)
        fault = drawn.get("missing_page")
        if fault is not None and fault.params["page"] in (None, page_of(asked, again)):
            response = _next_page(response, again)
        if "empty_list" in drawn:
            response = shapes.answer(_with_rows(json.loads(response.get_data()), []))
        if (fault := drawn.get("duplicate")) is not None:
            response = shapes.answer(self._doubled(response, fault.params["share"]))
        return response

    def _remember(self, asked: Question, response: Response) -> None:
        """Keep the answer; of all that are kept the questions asked longest ago go first."""
        body = response.get_data()
        with self._lock:
            answers = self._earlier.setdefault(asked.key, deque())
            self._earlier.move_to_end(asked.key)
            answers.append((self._now(), body))
            self._bytes += len(body)
            if len(answers) > _ANSWERS_KEPT:
                self._bytes -= len(answers.popleft()[1])
            while self._bytes > _MOST_BYTES and len(self._earlier) > 1:
                _, dropped = self._earlier.popitem(last=False)
                self._bytes -= sum(len(each) for _, each in dropped)

    def _stale(self, asked: Question, age_s: float) -> bytes:
        """The answer as it was ``age_s`` ago, or the oldest that is known."""
        with self._lock:
            answers = self._earlier[asked.key]
            old = [body for at, body in answers if at <= self._now() - age_s]
            return old[-1] if old else answers[0][1]

    def _doubled(self, response: Response, share: float) -> Any:
        """The list with a share of its rows twice, at least one."""
        body = json.loads(response.get_data())
        rows = rows_of(body) or []
        with self._lock:
            chosen = {i for i in range(len(rows)) if self._rng.random() < share}
            if rows and not chosen:
                chosen = {self._rng.randrange(len(rows))}
        doubled = [row for i, row in enumerate(rows) for _ in range(2 if i in chosen else 1)]
        return _with_rows(body, doubled)

    def _null(self, body: Any, params: Mapping[str, Any]) -> None:
        """Null some fields of each row, or of the object itself where there are no rows."""
        rows = rows_of(body)
        targets = rows if rows is not None else [body]
        inner = body.get("instances") if isinstance(body, dict) else None
        if isinstance(inner, dict):
            targets = [inner]
        for row in targets:
            if isinstance(row, dict):
                for name in self._chosen(row, params):
                    row[name] = None

    def _chosen(self, row: Mapping[str, Any], params: Mapping[str, Any]) -> list[str]:
        """The named fields, else a share of all but ``id``, at least one."""
        if params["fields"] is not None:
            return [name for name in params["fields"] if name in row]
        names = [name for name in row if name != "id"]
        with self._lock:
            chosen = [name for name in names if self._rng.random() < params["share"]]
            return chosen or ([self._rng.choice(names)] if names else [])


def rows_of(body: Any) -> list[Any] | None:
    """The list in an answer; None where it holds none."""
    if isinstance(body, list):
        return body
    if isinstance(body, dict):
        for name in LISTS:
            if isinstance(body.get(name), list):
                rows: list[Any] = body[name]
                return rows
    return None


def is_list(response: Response) -> bool:
    """Whether the answer is JSON that holds a list of rows."""
    if response.status_code != 200 or response.content_type != shapes.JSON:
        return False
    return rows_of(json.loads(response.get_data())) is not None


def _with_rows(body: Any, rows: list[Any]) -> Any:
    """The answer with other rows, and counts that agree; an empty one has no further page."""
    if isinstance(body, list):
        return rows
    name = next(name for name in LISTS if isinstance(body.get(name), list))
    made = {**body, name: rows}
    made.update({count: len(rows) for count, of in _COUNTS.items() if count in body and of == name})
    if not rows:
        made.update({key: nothing for key, nothing in _NOTHING.items() if key in body})
    return made


def page_of(asked: Question, again: Again) -> int:
    """Which page of its list is asked for, counted from 1; found by going there from the first."""
    page, token = 1, ""
    while token != asked.after_token:
        body = json.loads(again(after_token=token).get_data())
        following = body.get("next_token") if isinstance(body, dict) else None
        if not isinstance(following, str):
            break
        page, token = page + 1, following
    return page


def _next_page(response: Response, again: Again) -> Response:
    """The page after this one in its place; where this is the last, an empty one."""
    body = json.loads(response.get_data())
    token = body.get("next_token") if isinstance(body, dict) else None
    if isinstance(token, str):
        return again(after_token=token)
    left = _with_rows(body, [])
    if isinstance(body, dict):
        left |= {key: body[key] for key in _TOTALS if key in body}
    return shapes.answer(left)
