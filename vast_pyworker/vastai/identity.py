"""Numbers of offers and instances: checked before they are sent, found in what comes back."""

from __future__ import annotations

import re

from vast_pyworker.errors import InvalidRequest, ProviderError

from .http import Endpoint

_OWN_WORDS = ("no_such_instance", "instances_not_found")


def args(endpoint: Endpoint, number: int) -> dict[str, object]:
    """The path arguments of a call about ``number``. Raises InvalidRequest."""
    if isinstance(number, bool) or not isinstance(number, int) or number <= 0:
        raise InvalidRequest(
            f"{number!r} is no number of an offer or instance; give a whole number above 0.",
            endpoint=endpoint.key,
        )
    return {"id": number}


def names(error: ProviderError, instance_id: int) -> bool:
    """Whether a "not found" is about this instance, and not of a proxy or about a path."""
    if error.code in _OWN_WORDS:
        return True
    return bool(re.search(rf"\binstance {instance_id}\b", str(error), re.IGNORECASE))
