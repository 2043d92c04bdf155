"""The exception tree. Callers choose what to catch by looking at it.

    PyworkerError                  every error this package raises on purpose
    ├── SettingError               a setting is missing or wrong
    ├── BackendError               a backend directory breaks the contract
    │   └── UnknownBackend         there is no such backend
    ├── BadRequest                 a peer sent what HTTP does not allow (carries a status)
    ├── BadResponse                the model server sent what HTTP does not allow
    ├── Refused                    a request was understood and turned down (carries a status)
    │   ├── Unauthorized           401: no valid grant, key or token
    │   ├── Gone                   410: the session was closed, has expired or never was
    │   ├── Invalid                422: the body lacks a field or has a wrong one
    │   ├── Full                   429: this worker is full, another may not be
    │   └── NotReady               503: loading, degraded or draining
    ├── ModelError                 the model server failed or cannot be started
    ├── BenchmarkFailed            no trustworthy capacity could be measured
    ├── ReportError                no autoscaler took the report
    └── NotStarted                 the worker could not be started (carries an exit code)

Each message is one sentence that names the thing and the remedy.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class PyworkerError(Exception):
    """Base of every error raised on purpose."""


class SettingError(PyworkerError):
    """A setting is missing or wrong."""


class BackendError(PyworkerError):
    """A backend directory breaks the contract; names the file and the missing thing."""


class UnknownBackend(BackendError):
    """There is no such backend; lists those there are."""


class BadRequest(PyworkerError):
    """What a client sent is not acceptable HTTP. ``status`` is the answer it gets."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class BadResponse(PyworkerError):
    """What a model server sent is not acceptable HTTP; clients get 502."""


class Refused(PyworkerError):
    """A request was understood and turned down.

    ``status`` is the HTTP status, ``body`` the JSON object of the answer,
    ``retry_after_s`` the wait to announce in ``Retry-After`` or None.
    """

    status = 400

    def __init__(
        self,
        message: str,
        *,
        body: Mapping[str, Any] | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.body: dict[str, Any] = {"error": message} if body is None else dict(body)
        self.retry_after_s = retry_after_s


class Unauthorized(Refused):
    """401: no valid grant, key or token came with the request."""

    status = 401


class Gone(Refused):
    """410: the session was closed, has expired or never was."""

    status = 410


class Invalid(Refused):
    """422: the body lacks a field or has a wrong one."""

    status = 422


class Full(Refused):
    """429: this worker is full; another worker may not be."""

    status = 429


class NotReady(Refused):
    """503: the model is not ready, or the worker is draining."""

    status = 503


class ModelError(PyworkerError):
    """The model server failed or cannot be started."""


class BenchmarkFailed(PyworkerError):
    """No trustworthy capacity could be measured."""


class ReportError(PyworkerError):
    """No autoscaler address took the report."""


class NotStarted(PyworkerError):
    """The worker could not be started. ``code`` is the exit status, of ``failure.Exit``."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
