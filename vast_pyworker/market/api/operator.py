"""The market's own calls, for whoever runs it: the page, a summary, faults, time, credit.

They need no key: who reaches the market's port may do all this. Their refusals name the remedy.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, request

from vast_pyworker.errors import SettingError
from vast_pyworker.market.calls import shapes
from vast_pyworker.market.calls.asking import bytes_of
from vast_pyworker.market.faults.book import FaultBook, parse_faults
from vast_pyworker.market.refusal import MarketRefusal, invalid
from vast_pyworker.market.reports import page

from .parts import Parts

_LONGEST_ADVANCE_S = 10 * 366 * 86_400.0
_UNKNOWN_SHOWN = 20
_MOST_USD = 1e9


def blueprint(parts: Parts, book: FaultBook) -> Blueprint:
    """Everything below /market/."""
    calls = OperatorCalls(parts, book)
    made = Blueprint("operator", __name__, url_prefix="/market")
    views: list[tuple[str, str, Callable[[], Any]]] = [
        ("GET", "/", calls.page),
        ("GET", "/summary", calls.summary),
        ("GET", "/faults", calls.faults),
        ("POST", "/faults", calls.add_faults),
        ("PUT", "/faults", calls.replace_faults),
        ("DELETE", "/faults", calls.clear_faults),
        ("POST", "/strike", calls.strike),
        ("POST", "/advance", calls.advance),
        ("POST", "/credit", calls.add_credit),
    ]
    for method, path, view in views:
        made.add_url_rule(
            path,
            endpoint=view.__name__,
            view_func=_answered(view),
            methods=[method],
            provide_automatic_options=False,
        )
    return made


class OperatorCalls:
    """The views."""

    def __init__(self, parts: Parts, book: FaultBook) -> None:
        self._parts = parts
        self._market = parts.market
        self._book = book

    def page(self) -> Response:
        shown = page.render(self.summary(), request.host_url)
        return Response(shown, headers=page.HEADERS, content_type=page.HTML)

    def summary(self) -> dict[str, Any]:
        unknown = self._parts.unknown_paths.latest(_UNKNOWN_SHOWN)
        return {
            **self._market.summary(),
            "faults": self._book.to_json(),
            "unknown_paths": [{"path": path, "count": count} for path, count in unknown],
        }

    def faults(self) -> dict[str, Any]:
        return {"faults": self._book.to_json()}

    def add_faults(self) -> dict[str, Any]:
        """One fault, a list of them, or ``{"faults": [...]}``; all are read before any is added."""
        for fault in parse_faults(_sent()):
            self._book.add(fault)
        return self.faults()

    def replace_faults(self) -> dict[str, Any]:
        self._book.replace(parse_faults(_sent()))
        return self.faults()

    def clear_faults(self) -> dict[str, Any]:
        self._book.clear()
        return self.faults()

    def strike(self) -> dict[str, Any]:
        """``{"kind", "instance_id", "params"}``: a fault of the world, now."""
        body = _object()
        number = body.get("instance_id")
        if number is not None and type(number) is not int:
            raise invalid("instance_id is a number, or left out for any instance.")
        params = body.get("params") or {}
        if not isinstance(params, dict):
            raise invalid("params is an object.")
        return self._market.strike(body.get("kind"), number, params=params)

    def advance(self) -> dict[str, Any]:
        """``{"seconds"}``: that much time passes at once."""
        seconds = _number(_object(), "seconds", _LONGEST_ADVANCE_S)
        return {"success": True, "now": self._market.advance(seconds)}

    def add_credit(self) -> dict[str, Any]:
        """``{"usd", "account"}``; the first account where none is named."""
        body = _object()
        usd = _number(body, "usd", _MOST_USD)
        numbers = [account.id for account in self._parts.accounts]
        number = body.get("account", numbers[0])
        if type(number) is not int or number not in numbers:
            raise invalid(f"account is one of {', '.join(map(str, numbers))}.")
        self._market.add_credit(number, usd)
        return {"success": True, "account": number, "credit": self._market.bill(number)["credit"]}


def _answered(view: Callable[[], Any]) -> Callable[[], Response]:
    def answered() -> Response:
        try:
            done = view()
        except MarketRefusal as refusal:
            return shapes.refused(refusal)
        except SettingError as error:
            return shapes.refused(invalid(str(error)))
        return done if isinstance(done, Response) else shapes.answer(done)

    return answered


def _sent() -> Any:
    """The JSON that was sent, whatever the content type says."""
    sent = bytes_of(request)
    try:
        return json.loads(sent)
    except (ValueError, RecursionError) as error:
        raise invalid(f"Send JSON: {error}") from error


def _object() -> dict[str, Any]:
    body = _sent()
    if not isinstance(body, dict):
        raise invalid("Send a JSON object.")
    return body


def _number(body: dict[str, Any], name: str, largest: float) -> float:
    value = body.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= largest:
        raise invalid(f"{name} is a number from 0 to {largest:g}.")
    return float(value)
