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


class WishError(PyworkerError):
    """``groups.toml`` is wrong. The message has a line for each fault: file, line, key, remedy."""


class LedgerLocked(PyworkerError):
    """Another controller writes this ledger; the message says which, where and since when."""


class LedgerError(PyworkerError):
    """The ledger cannot be written (disk full, gone): nothing may be rented or destroyed."""


class QueryError(PyworkerError, ValueError):
    """A query, an order or launch options cannot be read.

    ``token`` is what was in the way and ``column`` where it stands, counted from 1; both are None
    where the fault is not at one place.
    """

    def __init__(
        self, message: str, *, token: str | None = None, column: int | None = None
    ) -> None:
        super().__init__(message)
        self.token = token
        self.column = column


class ProviderError(PyworkerError):
    """A place that rents said no, or could not be asked.

    ``status`` is the HTTP status or None where there was no answer; ``code`` the provider's own
    word for it ("" where it gave none); ``endpoint`` the call, as in ``PUT /asks/{id}/``.
    """

    def __init__(
        self, message: str, *, status: int | None = None, code: str = "", endpoint: str = ""
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.endpoint = endpoint


class ProviderUnreachable(ProviderError):
    """No usable answer after every try. Nothing is known, which is never the same as nothing."""


class BadAnswer(ProviderError):
    """An answer that cannot be read, or a list that could not be read to its end."""


class AuthError(ProviderError):
    """The key is wrong or revoked, or lacks the right to do this."""


class SecondFactorNeeded(AuthError):
    """The call needs a two-factor session."""


class RateLimited(ProviderError):
    """Still told to wait when the deadline came. ``retry_after_s`` is None where unsaid."""

    retry_after_s: float | None = None


class QuotaExceeded(RateLimited):
    """A daily quota is spent. ``resets_at`` is Unix seconds, None where it was not said."""

    resets_at: float | None = None


class InvalidRequest(ProviderError):
    """The arguments were refused; nothing was done."""


class NoCredit(ProviderError):
    """The account lacks credit; nothing was done."""


class NotFound(ProviderError):
    """There is no such thing, or no longer."""


class OfferGone(NotFound):
    """The offer was taken or withdrawn; nothing was created."""


class ResourcesUnavailable(ProviderError):
    """The machine is busy. The start is queued and may come, and be billed, hours later."""


class EndpointRetired(ProviderError):
    """The provider has withdrawn this call (410); its answer names the one to use."""


class CreatedStopped(ProviderError):
    """The instance ``instance_id`` exists but stands still; its disk is billed until destroyed."""

    def __init__(self, message: str, instance_id: int, *, endpoint: str = "") -> None:
        super().__init__(message, status=200, endpoint=endpoint)
        self.instance_id = instance_id


class OutcomeUnknown(ProviderError):
    """It may have been done. ``label`` finds what was created; None where nothing is created."""

    def __init__(
        self, message: str, *, label: str | None, status: int | None = None, endpoint: str = ""
    ) -> None:
        super().__init__(message, status=status, endpoint=endpoint)
        self.label = label
