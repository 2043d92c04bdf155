"""Answers of plain handlers in the books: from the call to the last byte, or to the client leaving.

What is here: how such a request ends. What is not: requests that are relayed (``passage``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from flask import Response
from werkzeug.exceptions import HTTPException

from vast_pyworker.model import Outcome
from vast_pyworker.worker.reports.accounting import CLIENT_ERROR, WORKER_ERROR, Ticket

_TURNED_DOWN = frozenset((401, 403, 429, 503))


def follow(ticket: Ticket, answer: Response) -> None:
    """End ``ticket`` when ``answer`` is out; a stream counts as progress, piece by piece."""
    ticket.started_at = ticket.entered_at
    if not answer.is_streamed:
        answer.call_on_close(lambda: end_by_status(ticket, answer.status_code))
        return
    pieces = _Pieces(ticket, answer.response, answer.content_length)
    answer.response = pieces

    def end() -> None:
        if pieces.was_cut:
            ticket.end(Outcome.CANCELLED)
        else:
            end_by_status(ticket, answer.status_code)

    answer.call_on_close(end)


def end_by_status(ticket: Ticket, status: int) -> None:
    """End ``ticket`` as a handler's own answer of this status says."""
    if status in _TURNED_DOWN:
        ticket.end(Outcome.REJECTED)
    elif status >= 500:
        ticket.end(Outcome.FAILED, reason=WORKER_ERROR)
    else:
        ticket.end(Outcome.FINISHED, reason=CLIENT_ERROR if status >= 400 else "")


def status_of(exc: HTTPException) -> int:
    """The status that an exception of Werkzeug's is answered with."""
    return exc.response.status_code if exc.response is not None else exc.code or 500


class _Pieces:
    """A stream on its way; ``was_cut`` is whether it began and has not come to its end."""

    def __init__(self, ticket: Ticket, source: Iterable[Any], length: int | None) -> None:
        self._ticket = ticket
        self._source = source
        self._pieces = iter(source)
        self._left = length
        self.was_cut = False

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        try:
            piece = next(self._pieces)
        except StopIteration:
            self.was_cut = False
            raise
        except BaseException:  # a fork's generator: whatever it raised, its request has ended
            self._ticket.end(Outcome.FAILED, reason=WORKER_ERROR)
            raise
        self._ticket.first_byte()
        self._ticket.touch()
        self.was_cut = True
        if self._left is not None:  # nobody asks for more than was announced
            self._left -= len(piece.encode() if isinstance(piece, str) else piece)
            self.was_cut = self._left > 0
        return piece

    def close(self) -> None:
        close = getattr(self._source, "close", None)
        if close is not None:
            close()
