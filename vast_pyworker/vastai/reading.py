"""Takes a list or an object out of an answer; one that is not there is an error, never empty."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vast_pyworker.errors import BadAnswer, InvalidRequest, NotFound, OutcomeUnknown, ProviderError

from .http import Endpoint


def rows_of(answer: object, key: str, endpoint: Endpoint) -> list[Mapping[str, Any]]:
    """The list of objects under ``key``, or the answer itself where that is a list."""
    found = answer.get(key) if isinstance(answer, Mapping) else answer
    if not isinstance(found, list) or not all(isinstance(row, Mapping) for row in found):
        raise bad(endpoint, f"no list of {key}")
    return found


def object_of(answer: object, key: str, endpoint: Endpoint) -> Mapping[str, Any]:
    found = answer.get(key) if isinstance(answer, Mapping) else None
    if not isinstance(found, Mapping):
        raise bad(endpoint, f"no object {key}")
    return found


def bad(endpoint: Endpoint, lack: str) -> BadAnswer:
    return BadAnswer(
        f"The answer to {endpoint.key} holds {lack}; nothing is known from it, ask again.",
        status=200,
        endpoint=endpoint.key,
    )


def made_unknown(endpoint: Endpoint, what: str, label: str) -> OutcomeUnknown:
    """For a creation that was answered well but without the id of what it made."""
    return OutcomeUnknown(
        f"The answer to {endpoint.key} holds no id; {what} may have been made, look at the list.",
        label=label,
        status=200,
        endpoint=endpoint.key,
    )


def says_absent(error: ProviderError) -> bool:
    """Whether it is the API's own word that there is no such thing, in whatever words."""
    return isinstance(error, NotFound) or (
        isinstance(error, InvalidRequest) and error.status == 404
    )
