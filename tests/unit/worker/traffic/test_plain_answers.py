"""How a plain handler's request ends: by status, or by its client's leaving in the middle."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Response
from werkzeug.exceptions import Forbidden, HTTPException, ImATeapot
from werkzeug.test import EnvironBuilder

from vast_pyworker.worker.reports.accounting import Accounting
from vast_pyworker.worker.traffic.plain_answers import end_by_status, follow, status_of


class Source:
    """An iterable that says whether it was closed."""

    def __init__(self, *pieces: Any) -> None:
        self.closed = False
        self._pieces = pieces

    def __iter__(self) -> Iterator[Any]:
        return iter(self._pieces)

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def books() -> Accounting:
    return Accounting()


def ended(books: Accounting) -> str:
    assert books.in_flight == 0
    (label,) = (name for name, count in books.totals()["/x"].requests.items() if count)
    return label


def served(answer: Response, method: str = "GET") -> Any:
    builder = EnvironBuilder("/x", method=method)
    try:
        return answer(builder.get_environ(), lambda *told: lambda data: None)
    finally:
        builder.close()


@pytest.mark.parametrize(
    ("status", "label"),
    [
        (200, "success"),
        (204, "success"),
        (302, "success"),
        (400, "client_error"),
        (404, "client_error"),
        (422, "client_error"),
        (401, "rejected"),
        (403, "rejected"),
        (429, "rejected"),
        (503, "rejected"),
        (500, "worker_error"),
        (502, "worker_error"),
    ],
)
def test_a_status_says_how_it_ended(books: Accounting, status: int, label: str) -> None:
    end_by_status(books.begin("/x", 1.0), status)
    assert ended(books) == label


@pytest.mark.parametrize("length", [None, 6])
def test_a_stream_that_is_read_is_finished(books: Accounting, length: int | None) -> None:
    source = Source(b"one", b"two")
    answer = Response(source)
    answer.content_length = length
    ticket = books.begin("/x", 1.0)
    follow(ticket, answer)
    pieces = served(answer)
    read = iter(pieces)
    assert [next(read), next(read)] == [b"one", b"two"]
    if length is None:  # where a length was announced nobody asks for what comes after it
        assert next(read, None) is None
    pieces.close()
    assert source.closed
    assert ended(books) == "success"
    assert ticket.first_byte_at and ticket.started_at == ticket.entered_at


@pytest.mark.parametrize("length", [None, 6, 7])
def test_one_that_is_left_in_the_middle_is_cancelled(books: Accounting, length: Any) -> None:
    source = Source("one", "\u00fc", "o")
    answer = Response(source)
    answer.content_length = length
    follow(books.begin("/x", 1.0), answer)
    pieces = served(answer)
    next(iter(pieces))
    assert books.in_flight == 1
    pieces.close()
    assert source.closed
    assert ended(books) == "cancelled"


def test_one_that_nobody_asked_for_is_finished(books: Accounting) -> None:
    answer = Response(Source(b"one"))
    follow(books.begin("/x", 1.0), answer)
    pieces = served(answer, "HEAD")
    assert b"".join(pieces) == b""
    pieces.close()
    assert ended(books) == "success"


def test_one_that_raises_is_the_handlers_fault(books: Accounting) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"one"
        raise LookupError("two")

    answer = Response(pieces())
    follow(books.begin("/x", 1.0), answer)
    sent = served(answer)
    with pytest.raises(LookupError):
        list(sent)
    sent.close()
    assert ended(books) == "worker_error"


def test_a_whole_answer_ends_when_it_is_closed(books: Accounting) -> None:
    answer = Response("whole", 404)
    follow(books.begin("/x", 1.0), answer)
    pieces = served(answer)
    assert b"".join(pieces) == b"whole"
    assert books.in_flight == 1
    pieces.close()
    assert ended(books) == "client_error"


@pytest.mark.parametrize(
    ("exc", "status"),
    [(Forbidden(), 403), (ImATeapot(), 418), (HTTPException(), 500)],
)
def test_the_status_of_an_exception(exc: HTTPException, status: int) -> None:
    assert status_of(exc) == status


def test_an_exception_may_carry_its_answer() -> None:
    assert status_of(HTTPException(response=Response("told", 409))) == 409
