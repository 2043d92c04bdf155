"""The key of each endpoint, which its clients are told by ``/api/v0/endptjobs/``.

It is made from the controller's secret, the endpoint's name and how often it was revoked, so it
need not be kept; the ledger knows its hash like that of any other key. One that was revoked is
followed by another.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable
from hashlib import sha256

from vast_pyworker.controller.ledger.ledger import Ledger

from .access import Access, Right

NOTE = "endpoint keys"


class EndpointKeys:
    """``keep`` is for one thread at a time; the rest for any."""

    def __init__(
        self, secret: bytes, ledger: Ledger, access: Access, *, now: Callable[[], float]
    ) -> None:
        self._secret = secret
        self._ledger = ledger
        self._access = access
        self._now = now
        self._turns: dict[str, int] = dict(ledger.notes.get(NOTE, {}))
        self._known: frozenset[str] = frozenset()

    def of(self, endpoint: str) -> str:
        """The key that is valid now."""
        text = f"endpoint {endpoint} {self._turns.get(endpoint, 0)}"
        return hmac.new(self._secret, text.encode(), sha256).hexdigest()

    def keep(self, endpoints: Iterable[str]) -> None:
        """These are the endpoints from now on; each has a valid key afterwards."""
        wanted = frozenset(endpoints)
        for endpoint in sorted(wanted):
            if self._ledger.keys.check(self.of(endpoint)) is None:
                self._renew(endpoint)
        self._known = wanted

    def may_route(self, key: str, endpoint: str) -> bool:
        """Whether a client with this key may be given workers of the endpoint."""
        return endpoint in self._known and self._access.may_route(key, endpoint)

    def _renew(self, endpoint: str) -> None:
        turns = {**self._turns}
        turns[endpoint] = turns[endpoint] + 1 if endpoint in turns else 0
        self._ledger.notes.put(NOTE, turns)
        self._turns = turns
        self._ledger.keys.create(
            f"endpoint {endpoint}", Right.ROUTE, at=self._now(), endpoint=endpoint,
            text=self.of(endpoint),
        )  # fmt: skip
