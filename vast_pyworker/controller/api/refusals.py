"""Refusals of calls as errors with a status; their text is the answer's ``error``."""

from __future__ import annotations

from vast_pyworker.errors import Refused


class BadAsk(Refused):
    """400: the request cannot be read."""

    status = 400


class Forbidden(Refused):
    """403: the key is good, and does not cover this."""

    status = 403


class Absent(Refused):
    """404: there is no such thing."""

    status = 404


class TooLarge(Refused):
    """413: the body is larger than any call needs."""

    status = 413


class Busy(Refused):
    """503: as many as can be served are served; try again."""

    status = 503
