"""What an answer of the API means: a value, or one of the errors of ``errors``. Pure.

The API says no in many shapes: objects with ``error`` and ``msg`` or ``message`` or ``detail``,
bare text, lists, empty bodies, pages of a proxy, and 200 with ``success: false``. A wrong key is
told by its words, for it comes with 404 as well as 401. A body that is not understood is
``BadAnswer`` and never a "not found": absence needs a positive word.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

from vast_pyworker.errors import (
    AuthError,
    BadAnswer,
    CreatedStopped,
    EndpointRetired,
    InvalidRequest,
    NoCredit,
    NotFound,
    OfferGone,
    ProviderError,
    ProviderUnreachable,
    QuotaExceeded,
    RateLimited,
    ResourcesUnavailable,
    SecondFactorNeeded,
)

from . import values

_SHOWN = 300
_BEGINNINGS = ("{", "[", '"')  # of JSON; what begins so and cannot be read has broken off
_THRESHOLD = re.compile(r"threshold\s*[=:]\s*([0-9]+(?:\.[0-9]+)?)")
_TOO_MANY = ("rate_limit_exceeded", "httptoomanyrequests", "too_many_requests")
# A first match decides. Each row: the error, codes that mean it, words in lower case that do.
_MEANINGS: tuple[tuple[type[ProviderError], tuple[str, ...], tuple[str, ...]], ...] = (
    (SecondFactorNeeded, (), ("two factor authentication", "session expired. please log in")),
    (AuthError, ("auth_error", "not_authorized", "unauthorized"), ("invalid user key",)),
    (EndpointRetired, ("deprecated_endpoint",), ()),
    (
        NoCredit,
        ("missing_billing", "insufficient_credit"),
        ("lack credit", "lack of credit", "insufficient credit"),
    ),
    (
        OfferGone,
        ("no_such_ask", "offer_not_found"),
        ("no_such_ask", "no ask by id", "no longer available"),
    ),
    (ResourcesUnavailable, ("resources_unavailable",), ("state change queued",)),
    (
        NotFound,
        ("no_such_instance", "not_found", "instances_not_found", "no_such_ssh_key"),
        (
            "could not find ",
            "with that id does not exist",
            "no templates found",
            "no endpoints for user",
        ),
    ),
)
_REMEDIES: dict[type[ProviderError], str] = {
    AuthError: "check the key and its rights",
    SecondFactorNeeded: "log in with the second factor and use that session's key",
    EndpointRetired: "use the call it names",
    NoCredit: "add credit to the account",
    OfferGone: "search again and take another offer",
    ResourcesUnavailable: "stop it again to cancel the queued start, or take another offer",
    RateLimited: "call less often or allow more time",
    QuotaExceeded: "wait until it is reset",
    ProviderUnreachable: "try again later",
    BadAnswer: "try again, and look at what stands between here and the provider",
}


@dataclass(frozen=True)
class Words:
    """What an error body says: ``code`` its word for machines, ``text`` the one for people."""

    code: str
    text: str
    body: Any
    understood: bool  # the body is of the API and not of something in between


def read_json(body: bytes) -> Any:
    """Raises ValueError, also for what is nested too deeply. ``NaN`` and the like become None."""
    try:
        return json.loads(body, parse_constant=_unknown)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def decoded(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    endpoint: str,
    *,
    keep_refusal: bool = False,
    wall_now: float | None = None,
) -> Any:
    """The JSON of a good answer. Raises what ``fault_of`` finds, or BadAnswer."""
    fault = fault_of(status, headers, body, endpoint, wall_now=wall_now)
    if fault is None or (keep_refusal and status == 200 and not isinstance(fault, BadAnswer)):
        return read_json(body)
    raise fault


def fault_of(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    endpoint: str,
    *,
    wall_now: float | None = None,
) -> ProviderError | None:
    """The error that an answer is, None for a good one. ``headers`` find names in any case.

    ``wall_now`` (Unix seconds) reads a date in ``Retry-After`` where the answer has no ``Date``.
    """
    if 200 <= status < 300:
        return _fault_in_success(status, body, endpoint)
    words = words_of(headers, body)
    if status == 429 or words.code.lower() in _TOO_MANY:
        return _too_many(status, headers, words, endpoint, wall_now)
    meant = _meaning(words) if words.understood else None
    if meant is None or (status >= 500 and not issubclass(meant, AuthError)):
        meant = _by_status(status, words)
    return _error(meant, status, words, endpoint)


def words_of(headers: Mapping[str, str], body: bytes) -> Words:
    """Read an error body of any shape."""
    raw = body.decode("utf-8", "replace").strip()
    try:
        content = read_json(body)
    except ValueError:
        page = "html" in (headers.get("Content-Type") or "").lower()
        broken = raw[:1] in ("<", *_BEGINNINGS)
        return Words("", _one_line(raw), None, bool(raw) and not page and not broken)
    if isinstance(content, list):
        content = next((each for each in content if isinstance(each, dict)), {"msg": raw})
    if not isinstance(content, dict):
        return Words("", _one_line(str(content)), content, isinstance(content, str))
    text = _first_text(content, ("msg", "message", "detail", "error_msg", "error"))
    code = content.get("error")
    return Words(code if isinstance(code, str) else "", text, content, bool(text))


def broke_off(body: bytes) -> bool:
    """Whether it is nothing, or JSON as far as it goes: asking again may give the rest."""
    raw = body.decode("utf-8", "replace").strip()
    try:
        read_json(body)
    except ValueError:
        return not raw or raw[:1] in _BEGINNINGS
    return False


def threshold_s(body: bytes) -> float | None:
    """The minimum interval that a refusal states: ``threshold=4.5``."""
    found = _THRESHOLD.search(body.decode("utf-8", "replace"))
    return float(found.group(1)) if found else None


def retry_after_s(
    headers: Mapping[str, str], body: object = None, wall_now: float | None = None
) -> float | None:
    """The wait that an answer asks for: ``Retry-After`` as seconds or date, or ``retry_after``.

    A date counts from the answer's own ``Date``, so that two clocks need not agree.
    """
    said = headers.get("Retry-After")
    wait_s = values.number(said)
    if wait_s is None and said:
        until, since = _date(said), _date(headers.get("Date")) or wall_now
        wait_s = None if until is None or since is None else until - since
    if wait_s is None:
        wait_s = values.number(values.mapping(body).get("retry_after"))
    return None if wait_s is None else max(0.0, wait_s)


def stopped_contract(answer: object) -> int | None:
    """The id of what a create made although it says no."""
    row = values.mapping(answer)
    return values.whole(row.get("new_contract")) if _says_no(row) else None


def refusal(row: Mapping[str, Any], endpoint: str) -> ProviderError:
    """The error that one row of a bulk answer is."""
    words = words_of({}, json.dumps(row).encode())
    return _error(_meaning(words) or InvalidRequest, 200, words, endpoint)


def _fault_in_success(status: int, body: bytes, endpoint: str) -> ProviderError | None:
    try:
        answer = read_json(body)
    except ValueError:
        shown = _one_line(body.decode("utf-8", "replace")) or "an empty body"
        return BadAnswer(
            f"Vast answered {endpoint} with {status} and no JSON: {shown}; {_REMEDIES[BadAnswer]}.",
            status=status,
            endpoint=endpoint,
        )
    if not isinstance(answer, dict) or not _says_no(answer):
        return None
    made = stopped_contract(answer)
    if made is not None:
        return CreatedStopped(
            f"Instance {made} was created but stands still; destroy it, or wait for it to start.",
            made,
            endpoint=endpoint,
        )
    words = words_of({}, body)
    return _error(_meaning(words) or InvalidRequest, status, words, endpoint)


def _says_no(answer: Mapping[str, Any]) -> bool:
    if "success" in answer:
        return answer["success"] is False
    return isinstance(answer.get("error"), str) and bool(answer["error"])


def _too_many(
    status: int, headers: Mapping[str, str], words: Words, endpoint: str, wall_now: float | None
) -> RateLimited:
    quota = "quota" in words.code.lower()
    error = _error(QuotaExceeded if quota else RateLimited, status, words, endpoint)
    assert isinstance(error, RateLimited)
    error.retry_after_s = retry_after_s(headers, words.body, wall_now)
    if isinstance(error, QuotaExceeded):
        error.resets_at = values.positive(headers.get("X-RateLimit-Reset"))
    return error


def _meaning(words: Words) -> type[ProviderError] | None:
    code, text = words.code.lower(), words.text.lower()
    for meant, codes, phrases in _MEANINGS:
        if code in codes or any(phrase in text for phrase in phrases):
            return meant
    return None


def _by_status(status: int, words: Words) -> type[ProviderError]:
    if status == 401:
        return AuthError
    if status >= 500 or status == 408:
        return ProviderUnreachable
    if status < 400 or not words.understood:
        return BadAnswer
    if status == 403 and not words.text.lower().startswith("error 403/"):
        return AuthError
    if status == 404 and "not found" in words.text.lower():
        return NotFound
    return EndpointRetired if status == 410 else InvalidRequest


def _error(meant: type[ProviderError], status: int, words: Words, endpoint: str) -> ProviderError:
    said = words.text or "no words"
    code = f", {words.code}" if words.code and words.code != said else ""
    remedy = _REMEDIES.get(meant, "")
    message = f"Vast answered {endpoint} with {status}{code}: {said.rstrip('.?! ')}"
    return meant(
        f"{message}; {remedy}." if remedy else f"{message}.",
        status=status,
        code=words.code,
        endpoint=endpoint,
    )


def _first_text(content: Mapping[str, Any], keys: tuple[str, ...]) -> str:
    for key in keys:
        value = content.get(key)
        if isinstance(value, str) and value.strip():
            return _one_line(value)
        if isinstance(value, list | dict) and value:
            return _one_line(json.dumps(value))
    return ""


def _one_line(said: str) -> str:
    return " ".join(said.split())[:_SHOWN]


def _date(said: str | None) -> float | None:
    try:
        return parsedate_to_datetime(said).timestamp() if said else None
    except (ValueError, OverflowError):
        return None


def _unknown(_name: str) -> None:
    return None
