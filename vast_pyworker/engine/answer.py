"""Bytes of answers to clients: heads relayed from a model server, heads of our own, error frames.

Pure. What depends on a head alone is remembered beside it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from http import HTTPStatus

from .fields import end_to_end
from .framing import Body, ChunkedBody, CloseBody, LengthBody, UnchunkedBody
from .head import RequestHead
from .response_head import ResponseHead

_PHRASES = {status.value: status.phrase for status in HTTPStatus} | {499: "Client Closed Request"}
_EVENTS = b"text/event-stream"
BODILESS = frozenset((204, 304))
COMMENT = b":\n\n"
"""Between events of a stream: what its readers must pass over."""


def status_line(status: int) -> bytes:
    return f"HTTP/1.1 {status} {_PHRASES.get(status, 'Unknown')}\r\n".encode("latin-1")


def no_body(request: RequestHead, status: int) -> bool:
    """Whether the answer has no body whatever its headers say."""
    return request.method == "HEAD" or status in BODILESS or 100 <= status < 200


def plain_answer(
    request: RequestHead | None,
    status: int,
    headers: Sequence[tuple[str, str]],
    body: bytes,
    *,
    date: bytes,
    close: bool,
) -> bytes:
    """A whole answer with a body of known length."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers).encode("latin-1")
    ending = b"Connection: close\r\n\r\n" if close else b"\r\n"
    if status in BODILESS:
        return b"%b%b%b%b" % (status_line(status), lines, date, ending)
    head = b"%b%b%bContent-Length: %d\r\n%b" % (
        status_line(status),
        lines,
        date,
        len(body),
        ending,
    )
    return head if request is not None and no_body(request, status) else head + body


def relayed_head(answer: ResponseHead, request_id: bytes, *, chunked: bool, close: bool) -> bytes:
    """The model server's head for the client: its headers kept, those of the hop replaced."""
    top = _top(answer, chunked, close)
    return top if answer.has_id else b"".join((top, request_id, b"\r\n\r\n"))


def relayed_whole(answer: ResponseHead, request_id: bytes, body: bytes, *, close: bool) -> bytes:
    """An answer of known length for the client: head and body, joined once."""
    closes, top = answer.latest
    if closes is not close:
        top = _top(answer, False, close)
        answer.latest = (close, top)
    return top + body if answer.has_id else b"".join((top, request_id, b"\r\n\r\n", body))


def _top(answer: ResponseHead, chunked: bool, close: bool) -> bytes:
    """What goes to the client of ``answer``: all of it, or all but the request id that we gave."""
    key = (chunked, close)
    block: bytes | None = answer.memo.get(key)
    if block is None:
        block = answer.memo[key] = _relayed_block(answer, chunked=chunked, close=close)
    for name, value in answer.varying:
        block = b"".join((block, name, b": ", value, b"\r\n"))
    return block + (b"\r\n" if answer.has_id else b"X-Request-ID: ")


def _relayed_block(answer: ResponseHead, *, chunked: bool, close: bool) -> bytes:
    common = answer.headers[: len(answer.headers) - len(answer.varying)]
    kept = end_to_end(common, answer.fields)
    lines = [b"%b: %b\r\n" % header for header in kept]
    if chunked:
        lines.append(b"Transfer-Encoding: chunked\r\n")
    if close:
        lines.append(b"Connection: close\r\n")
    return answer.status_line + b"".join(lines)


def relayed_body(request: RequestHead, answer: ResponseHead, asked_by: str) -> Body:
    """How the body of ``answer`` reaches the client; ``asked_by`` is the method it was asked by."""
    if no_body(request, answer.status):
        body = LengthBody(0)
        # A HEAD asked for by another method: its body comes all the same, for nobody.
        body.excess = request.method == "HEAD" and asked_by != "HEAD"
        return body
    if answer.chunked:
        return ChunkedBody() if request.minor else UnchunkedBody()
    if answer.content_length is not None:
        return LengthBody(answer.content_length)
    return CloseBody(to_chunks=bool(request.minor))


def json_error(message: str, **more: object) -> bytes:
    return json.dumps({"error": message, **more}).encode()


def is_told_whole(content_type: bytes, sent: bytes) -> bool:
    """Whether ``sent`` ends with the event after which OpenAI's clients hang up: all is said."""
    if content_type.partition(b";")[0].strip().lower() != _EVENTS:
        return False
    return sent.rstrip().endswith((b"data: [DONE]", b"data:[DONE]"))


def between_events(content_type: bytes, sent: bytes) -> bool:
    """Whether ``sent``, whole chunks, is the end of an event or the head of a stream of events."""
    if content_type.partition(b";")[0].strip().lower() != _EVENTS:
        return False
    is_head = sent.startswith(b"HTTP/1.") and sent.find(b"\r\n\r\n") == len(sent) - 4
    return is_head or sent.endswith((b"\n\n\r\n", b"\r\n\r\n\r\n"))


def error_frame(content_type: bytes, message: str, *, at_line_start: bool = False) -> bytes:
    """A last frame that tells a stream's reader what went wrong, in the stream's own kind.

    Server-sent events get an ``error`` event whose data OpenAI's clients raise; newline-delimited
    JSON gets a line, whose readers may not bear an empty one before it. Other kinds have no place
    for it: empty.
    """
    kind = content_type.partition(b";")[0].strip().lower()
    if kind == _EVENTS:
        error = {"message": message, "type": "upstream_error", "code": 502}
        return f"\n\nevent: error\ndata: {json.dumps({'error': error})}\n\n".encode()
    if kind in (b"application/x-ndjson", b"application/jsonl", b"application/x-jsonlines"):
        return (b"" if at_line_start else b"\n") + json_error(message) + b"\n"
    return b""
