"""What the fake model server answers: a script per request, and the bytes that follow from it.

Values and bytes only; ``fake_model`` sends them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

TYPES = {
    "unary": "application/json",
    "sse": "text/event-stream",
    "ndjson": "application/x-ndjson",
    "bytes": "application/octet-stream",
}


@dataclass(frozen=True)
class Script:
    """What one request gets. ``name`` finds it again among ``FakeModel.seen``.

    ``kind`` is one of ``TYPES``; all but unary come in ``pieces``, the first ``delay_s`` after the
    request, each later one after ``pause_s``. ``hold`` waits for ``release(name)`` after so many
    pieces, 0: before the head. ``then``: ``end`` it properly; ``die``, close the connection in the
    middle (with no ``pieces``: without an answer); ``hang`` until the client leaves; ``crash``, end
    the whole server. ``tokens`` is the measured work the answer tells, of which a prompt is none.
    """

    name: str = ""
    kind: str = "unary"
    status: int = 200
    pieces: int = 3
    delay_s: float = 0.0
    pause_s: float = 0.0
    hold: int | None = None
    then: str = "end"
    tokens: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, payload: Any) -> Script:
        """The script in a payload; the default one where there is none."""
        told = payload.get("script") if isinstance(payload, Mapping) else None
        known = {each.name for each in fields(cls)}
        return cls(**{name: value for name, value in (told or {}).items() if name in known})

    @property
    def all_headers(self) -> dict[str, str]:
        return {"Content-Type": TYPES[self.kind], **self.headers}


def _usage(script: Script) -> dict[str, int]:
    tokens = script.tokens
    return {"prompt_tokens": 0, "completion_tokens": tokens, "total_tokens": tokens}


def whole_answer(script: Script) -> dict[str, Any]:
    """A completion, or an error."""
    answer: dict[str, Any] = {"choices": [{"text": "word " * script.pieces}]}
    if script.status >= 400:
        answer = {"error": f"told to answer {script.status}"}
    return answer | ({"usage": _usage(script)} if script.tokens else {})


def pieces(script: Script) -> Iterator[bytes]:
    """The pieces of an answer that comes in pieces."""
    for number in range(script.pieces):
        if script.kind == "sse":
            yield f'data: {{"choices":[{{"text":"word{number} "}}]}}\n\n'.encode()
        elif script.kind == "ndjson":
            yield f'{{"response":"word{number} ","done":false}}\n'.encode()
        else:
            yield b"word%d " % number


def ending(script: Script) -> Iterator[bytes]:
    """What follows the pieces: the measured work, and the end as this kind of stream marks it."""
    if script.kind == "sse":
        if script.tokens:
            told = json.dumps({"choices": [], "usage": _usage(script)})
            yield f"data: {told}\n\n".encode()
        yield b"data: [DONE]\n\n"
    elif script.kind == "ndjson":
        told = json.dumps({"done": True, "prompt_eval_count": 0, "eval_count": script.tokens})
        yield f"{told}\n".encode()
