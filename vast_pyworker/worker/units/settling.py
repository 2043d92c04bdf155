"""Read what a request really cost from the last bytes of its answer.

Model servers say how many tokens they measured at the end of an answer, each in its own words;
this finds those words in one JSON document, in server-sent events and in JSON lines alike, even
where the bytes begin in the middle of a text. It never raises and never guesses: an answer that
does not tell both its prompt and its output is ``None``, and the estimate made before stands.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, TypeVar

TAIL_BYTES = 8192
"""As much of the end of an answer as is worth keeping."""

_decode = json.JSONDecoder().raw_decode
_NUMBER = re.compile(rb"\s*:\s*(\d{1,15})\s*[,}\]]")
_TOO_MANY = 1 << 53
_CACHED = ("cache_read_input_tokens", "cache_creation_input_tokens")  # Anthropic counts them apart
_ATTEMPTS = 64  # servers write "usage":null in every event but the last

T = TypeVar("T")


def settle_tokens(tail: bytes) -> float | None:
    """Tokens of prompt and output together, from the last 8 KiB of an answer's body.

    Knows OpenAI and Anthropic ``usage``, SGLang ``meta_info``, llama.cpp ``timings`` and
    ``tokens_predicted``, Ollama ``eval_count`` and TGI ``details``. None: it does not say.
    """
    tail = tail[-TAIL_BYTES:]
    for mark, read in _FORMS:
        if mark in tail:
            measured = read(tail)
            if measured is not None:
                return float(measured)
    return None


def _from_total(tail: bytes) -> int | None:
    """Nearly every answer of OpenAI's kind: worth finding without parsing anything."""
    return _last_number(tail, b'"total_tokens"')


def _from_usage(tail: bytes) -> int | None:
    return _total(_last_value(tail, b'"usage"', dict))


def _from_meta_info(tail: bytes) -> int | None:
    return _total(_last_value(tail, b'"meta_info"', dict))


def _total(usage: dict[str, Any] | None) -> int | None:
    if usage is None:
        return None
    prompt = _count(usage.get("prompt_tokens", usage.get("input_tokens")))
    output = _count(usage.get("completion_tokens", usage.get("output_tokens")))
    if prompt is None or output is None:
        return None
    return prompt + output + sum(_count(usage.get(name)) or 0 for name in _CACHED)


def _from_timings(tail: bytes) -> int | None:
    """llama.cpp counts the part of a prompt that it had cached apart; builds of 2024 do not."""
    timings = _last_value(tail, b'"timings"', dict) or {}
    prompt, output = _count(timings.get("prompt_n")), _count(timings.get("predicted_n"))
    if prompt is None or output is None:
        return None
    return prompt + output + (_count(timings.get("cache_n")) or 0)


def _from_completion(tail: bytes) -> int | None:
    prompt = _last_number(tail, b'"tokens_evaluated"')
    output = _last_number(tail, b'"tokens_predicted"')
    return None if prompt is None or output is None else prompt + output


def _from_ollama(tail: bytes) -> int | None:
    """Ollama leaves a count out where it is 0: embeddings have no output."""
    prompt = _last_number(tail, b'"prompt_eval_count"')
    output = _last_number(tail, b'"eval_count"')
    return None if prompt is None and output is None else (prompt or 0) + (output or 0)


def _from_details(tail: bytes) -> int | None:
    """TGI tells the length of a prompt in streams, and in ``prefill`` where it was asked to."""
    output = _last_number(tail, b'"generated_tokens"')
    prompt = _last_number(tail, b'"input_length"')
    if prompt is None:
        prompt = len(_last_value(tail, b'"prefill"', list) or ()) or None
    return None if prompt is None or output is None else prompt + output


_FORMS: tuple[tuple[bytes, Callable[[bytes], int | None]], ...] = (
    (b'"total_tokens"', _from_total),
    (b'"usage"', _from_usage),
    (b'"timings"', _from_timings),
    (b'"tokens_evaluated"', _from_completion),
    (b'eval_count"', _from_ollama),
    (b'"meta_info"', _from_meta_info),
    (b'"generated_tokens"', _from_details),
)


def _last_value(tail: bytes, key: bytes, kind: type[T]) -> T | None:
    """The last whole JSON value of this kind that follows ``key``, or None.

    Inside a JSON string the quotes of ``key`` would be escaped, so text never matches.
    """
    at = len(tail)
    for _ in range(_ATTEMPTS):
        at = tail.rfind(key, 0, at)
        if at < 0:
            break
        colon, _, text = tail[at + len(key) :].decode("utf-8", "replace").partition(":")
        try:
            value = None if colon.strip() else _decode(text.lstrip())[0]
        except (ValueError, RecursionError):  # cut off, or nested to exhaust us
            continue
        if isinstance(value, kind):
            return value
    return None


def _last_number(tail: bytes, key: bytes) -> int | None:
    at = tail.rfind(key)
    found = _NUMBER.match(tail, at + len(key)) if at >= 0 else None
    return None if found is None else int(found[1])


def _count(value: object) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _TOO_MANY:
        return value
    return None
