"""What is asked both ways, and what must come of it: one row for each thing that may happen."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from worker_rig import API_KEY, grant

from vast_pyworker.engine.fakes import Message, Wire, whole
from vast_pyworker.worker import tokens

KEY = {"Authorization": f"Bearer {API_KEY}"}
JSON = {"Content-Type": "application/json"}
PAYLOAD = b'{"prompt":  "hi", "max_tokens": 3}'
WORTH = tokens(json.loads(PAYLOAD))
MEASURED = 42.0
USAGE = b'"usage": {"prompt_tokens": 12, "completion_tokens": 30, "total_tokens": 42}'

Check = Callable[[bytes], bool]


@dataclass(frozen=True)
class Case:
    """``path`` is the route and what is asked of the model; ``body`` may need a signing key.

    ``ended`` is how the books say that it ended, ``work`` what it was worth. ``arrives`` is the
    body that the model gets; None: it gets no request. ``headers`` are those of the answer that
    must be as given, None for absent.
    """

    name: str
    path: str
    status: int
    answer: bytes | Check
    ended: str
    work: float = 0.0
    method: str = "POST"
    sent: Mapping[str, str] = field(default_factory=lambda: KEY | JSON)
    body: bytes | Callable[[Any], bytes] | None = PAYLOAD
    arrives: bytes | None = None
    headers: Mapping[str, str | None] = field(default_factory=dict)
    before: str = ""
    after: str = ""
    world: str = "open"
    query: str = ""
    broken: bool = False

    def __str__(self) -> str:
        return self.name


def envelope(key: Any, **more: Any) -> bytes:
    told = json.dumps({"auth_data": grant(key), **more})[:-1]
    return f'{told}, "payload": {PAYLOAD.decode()}}}'.encode()


def flat(key: Any) -> bytes:
    fields = grant(key, "four", reqnum=next_number(), request_idx=0)
    del fields["request_idx"]
    return json.dumps({**fields, **json.loads(PAYLOAD)}).encode()


_numbers = iter(range(1, 1_000_000))


def next_number() -> int:
    """A form that signs a number is good once."""
    return next(_numbers)


def forged(key: Any) -> bytes:
    return json.dumps({"auth_data": {**grant(key), "signature": "AAAA"}, "payload": {}}).encode()


def error_with(*names: str, text: str = "") -> Check:
    """A JSON error with these fields beside ``error``, which holds ``text``."""

    def check(body: bytes) -> bool:
        told = json.loads(body)
        return set(told) == {"error", *names} and text in told["error"]

    return check


def ending_in_frame(start: bytes, frame: bytes) -> Check:
    return lambda body: body.startswith(start + frame) and body.endswith(b"\n")


BOUNDARY = b"--x\r\nContent-Disposition: form-data; name=a\r\n\r\nhello\r\n--x--\r\n"
EVENTS = b'data: {"a": 1}\n\ndata: {' + USAGE + b"}\n\ndata: [DONE]\n\n"
LINES = b'{"response": "a"}\n{"done": true, "prompt_eval_count": 12, "eval_count": 30}\n'
UNARY = b'{"text": "hi", ' + USAGE + b"}"
FULL = error_with("queue_depth", "estimated_wait_s", text="full")
NOT_READY = error_with("queue_depth", "estimated_wait_s", "state", text="told so")

CASES = (
    Case(
        "unary JSON",
        "unary",
        200,
        UNARY,
        "success",
        MEASURED,
        arrives=PAYLOAD,
        headers={"content-type": "application/json", "x-model": "small", "x-hop": None},
    ),
    Case(
        "server-sent events",
        "sse",
        200,
        EVENTS,
        "success",
        MEASURED,
        arrives=PAYLOAD,
        headers={"content-type": "text/event-stream", "transfer-encoding": "chunked"},
    ),
    Case("JSON lines", "ndjson", 200, LINES, "success", MEASURED, arrives=PAYLOAD),
    Case(
        "chunks of unknown kind",
        "chunked",
        200,
        b"one two",
        "success",
        WORTH,
        arrives=PAYLOAD,
        headers={"content-length": None},
    ),
    Case("ends by closing", "closing", 200, b"till the end", "success", WORTH, arrives=PAYLOAD),
    Case(
        "HEAD",
        "info",
        200,
        b"",
        "success",
        method="HEAD",
        sent={},
        body=None,
        arrives=b"",
        headers={"content-type": "text/plain"},
    ),
    Case(
        "GET with a query",
        "info",
        200,
        b"/info?a=1&b=%20c",
        "success",
        method="GET",
        sent={},
        body=None,
        arrives=b"",
        query="?a=1&b=%20c",
    ),
    Case("closes after its length", "parting", 200, b"bye", "success", WORTH, arrives=PAYLOAD),
    Case("upstream 404", "missing", 404, b"{}", "client_error", WORTH, arrives=PAYLOAD),
    Case("upstream 500", "failing", 500, b"oh", "upstream_error", WORTH, arrives=PAYLOAD),
    Case(
        "upstream 429",
        "busy",
        429,
        b"later",
        "upstream_error",
        WORTH,
        arrives=PAYLOAD,
        headers={"retry-after": "17"},
    ),
    Case(
        "upstream redirect",
        "moved",
        302,
        b"",
        "success",
        WORTH,
        arrives=PAYLOAD,
        headers={"location": "http://127.0.0.1:9/elsewhere"},
    ),
    Case("upstream 204", "nothing", 204, b"", "success", WORTH, arrives=PAYLOAD),
    Case(
        "upstream refused",
        "unary",
        502,
        error_with(text="http://127.0.0.1:9 cannot be reached"),
        "upstream_error",
        WORTH,
        world="closed",
    ),
    Case(
        "dies before its head",
        "dies_before",
        502,
        error_with(text="closed the connection without an answer"),
        "upstream_error",
        WORTH,
        arrives=PAYLOAD,
    ),
    Case(
        "dies in events",
        "dies_sse",
        200,
        ending_in_frame(b"data: 1\n\n", b'\n\nevent: error\ndata: {"error": {"message": '),
        "upstream_error",
        WORTH,
        arrives=PAYLOAD,
    ),
    Case(
        "dies in JSON lines",
        "dies_ndjson",
        200,
        ending_in_frame(b'{"a": 1}\n', b'{"error": '),
        "upstream_error",
        WORTH,
        arrives=PAYLOAD,
    ),
    Case(
        "dies in plain chunks",
        "dies_plain",
        200,
        lambda body: b"one ".startswith(body),
        "upstream_error",
        WORTH,
        arrives=PAYLOAD,
        broken=True,
    ),
    Case(
        "ends before its length",
        "short",
        200,
        lambda body: b"data: 1\n\n".startswith(body),
        "upstream_error",
        WORTH,
        arrives=PAYLOAD,
        broken=True,
    ),
    Case("invalid JSON", "unary", 422, error_with(text="invalid JSON"), "rejected", body=b'{"a": '),
    Case(
        "missing payload",
        "unary",
        422,
        lambda body: json.loads(body) == {"payload": "field missing"},
        "rejected",
        sent=JSON,
        body=lambda key: json.dumps({"auth_data": grant(key)}).encode(),
    ),
    Case(
        "an envelope",
        "unary",
        200,
        UNARY,
        "success",
        MEASURED,
        sent=JSON,
        body=envelope,
        arrives=PAYLOAD,
    ),
    Case(
        "the flat body of 2024",
        "unary",
        200,
        UNARY,
        "success",
        MEASURED,
        sent=JSON,
        body=flat,
        arrives=b'{"prompt":"hi","max_tokens":3}',
    ),
    Case(
        "a session that is not open",
        "unary",
        410,
        error_with(text="invalid session"),
        "rejected",
        sent=JSON,
        body=lambda key: envelope(key, session_id="0123456789abc"),
    ),
    Case(
        "no grant",
        "unary",
        422,
        lambda body: json.loads(body) == {"auth_data": "field missing"},
        "rejected",
        sent=JSON,
    ),
    Case(
        "a wrong key",
        "unary",
        401,
        error_with(),
        "rejected",
        sent=JSON | {"Authorization": "Bearer wrong"},
        headers={"www-authenticate": "Bearer"},
    ),
    Case("a forged grant", "unary", 401, error_with(), "rejected", sent=JSON, body=forged),
    Case(
        "a full queue",
        "unary",
        429,
        FULL,
        "rejected",
        WORTH,
        before="fill",
        after="empty",
        headers={"retry-after": "1", "content-type": "application/json"},
    ),
    Case(
        "not ready",
        "unary",
        503,
        NOT_READY,
        "rejected",
        WORTH,
        before="degrade",
        after="recover",
        headers={"retry-after": "5", "content-type": "application/json"},
    ),
    Case(
        "work that is refused",
        "picky",
        422,
        error_with(text="absurd"),
        "rejected",
        body=b'{"absurd": 1}',
    ),
    Case(
        "work that is no number",
        "unary",
        422,
        lambda body: b"not finite" in body,
        "rejected",
        body=b'{"prompt": "hi", "max_tokens": 1e999}',
    ),
    Case(
        "a form with an API key",
        "chunked",
        200,
        b"one two",
        "success",
        tokens({}),
        sent=KEY | {"Content-Type": "multipart/form-data; boundary=x"},
        body=BOUNDARY,
        arrives=BOUNDARY,
    ),
    Case(
        "a form without one",
        "chunked",
        422,
        lambda body: json.loads(body) == {"auth_data": "field missing"},
        "rejected",
        sent={"Content-Type": "multipart/form-data; boundary=x"},
        body=BOUNDARY,
    ),
    Case(
        "an empty body",
        "chunked",
        200,
        b"one two",
        "success",
        tokens({}),
        sent=KEY,
        body=b"",
        arrives=b"",
    ),
    Case("JSON by no name", "unary", 200, UNARY, "success", MEASURED, sent=KEY, arrives=PAYLOAD),
    Case(
        "JSON by a longer name",
        "unary",
        200,
        UNARY,
        "success",
        MEASURED,
        sent=KEY | {"Content-Type": "Application/JSON; charset=utf-8"},
        arrives=PAYLOAD,
    ),
    Case("work that is constant", "constant", 200, UNARY, "success", 5.0, arrives=PAYLOAD),
)


def chunks(*pieces: bytes) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)


def streamed(kind: str, *pieces: bytes, ends: bool = True) -> Callable[[Wire, Message], None]:
    """An answer in chunks, piece by piece; where it does not end, the connection does."""

    def script(wire: Wire, message: Message) -> None:
        head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n"
        wire.send(head.encode())
        for piece in pieces:
            wire.send(chunks(piece))
        if ends:
            wire.send(b"0\r\n\r\n")
        else:
            wire.close()

    return script


def raw(answer: bytes, *, closes: bool = False) -> Callable[[Wire, Message], None]:
    def script(wire: Wire, message: Message) -> None:
        wire.send(answer)
        if closes:
            wire.close()

    return script


def tell_target(wire: Wire, message: Message) -> None:
    wire.send(whole(message.first.split(" ")[1].encode(), kind="text/plain"))


SCRIPTS: Mapping[str, Callable[[Wire, Message], None]] = {
    "/unary": raw(
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Model: small\r\n"
        b"Connection: keep-alive, X-Hop\r\nX-Hop: 1\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n"
        b"Content-Length: %d\r\n\r\n%b" % (len(UNARY), UNARY)
    ),
    "/constant": raw(whole(UNARY)),
    "/picky": raw(whole(UNARY)),
    "/sse": streamed("text/event-stream", EVENTS[:16], EVENTS[16:]),
    "/ndjson": streamed("application/x-ndjson", *LINES.splitlines(keepends=True)),
    "/chunked": streamed("text/plain", b"one ", b"two"),
    "/closing": raw(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\ntill the end", closes=True
    ),
    "/parting": raw(b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nbye", closes=True),
    "/missing": raw(whole(b"{}", status="404 Not Found")),
    "/failing": raw(whole(b"oh", status="500 Internal Server Error", kind="text/plain")),
    "/busy": raw(
        b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 17\r\nContent-Length: 5\r\n\r\nlater"
    ),
    "/moved": raw(
        b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/elsewhere\r\nContent-Length: 0\r\n\r\n"
    ),
    "/nothing": raw(b"HTTP/1.1 204 No Content\r\n\r\n"),
    "/info": tell_target,
    "/dies_before": raw(b"", closes=True),
    "/dies_sse": streamed("text/event-stream", b"data: 1\n\n", ends=False),
    "/dies_ndjson": streamed("application/x-ndjson", b'{"a": 1}\n', ends=False),
    "/dies_plain": streamed("text/plain", b"one ", ends=False),
    "/short": raw(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 99\r\n\r\n"
        b"data: 1\n\n",
        closes=True,
    ),
}
