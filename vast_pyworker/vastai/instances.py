"""Instances: create, find, read, start, stop, change and destroy.

What it does not: decide anything, remember anything, or create a second time by itself. Every
method raises a ``ProviderError``; whatever is not in its docstring is of ``Transport.call``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from vast_pyworker.errors import (
    AuthError,
    InvalidRequest,
    NoCredit,
    NotFound,
    ProviderError,
    ProviderUnreachable,
    RateLimited,
)

from . import many, settling
from .creating import (
    BulkResult,
    Created,
    LaunchRequest,
    new_label,
    read_bulk,
    read_created,
    read_refused,
)
from .http import Endpoint, Transport
from .identity import args, names
from .listing import SHOW, Filters, read_all, read_shown
from .many import Destroyed, Told
from .records import Instance
from .results import result_of
from .states import Phase, Wish

__all__ = [
    "BulkResult",
    "Created",
    "Destroyed",
    "Instances",
    "LaunchRequest",
    "Told",
    "new_label",
]

LONGEST_COMMAND = 512
_CREATE = Endpoint("PUT", "/asks/{id}/")
_BULK_CREATE = Endpoint("POST", "/asks/bulk/")
_CHANGE = Endpoint("PUT", "/instances/{id}/")
_DESTROY = Endpoint("DELETE", "/instances/{id}/")
_REBOOT = Endpoint("PUT", "/instances/reboot/{id}/")
_RECYCLE = Endpoint("PUT", "/instances/recycle/{id}/")
_BID = Endpoint("PUT", "/instances/bid_price/{id}/")
_LOGS = Endpoint("PUT", "/instances/request_logs/{id}/")
_EXECUTE = Endpoint("PUT", "/instances/command/{id}/")
_CHECK_S = 20.0
# After these the rest of a bulk would only hear the same.
_HOPELESS = (AuthError, NoCredit, ProviderUnreachable, RateLimited)


class Instances:
    """What one account has rented."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(self, offer_id: int, request: LaunchRequest, *, check: bool = True) -> Created:
        """Rent an offer. Returns what exists and was started.

        With ``check`` the row is read once afterwards: ``Created.disk_short`` and
        ``.usd_per_hour`` tell what it really got; a failure to read it is None there and no error.

        Raises OfferGone, InvalidRequest, NoCredit, AuthError, RateLimited, ProviderUnreachable
        (nothing was created); CreatedStopped(.instance_id), which exists and is billed; and
        OutcomeUnknown(.label): look it up with ``settle`` before trying again. What something in
        between delivers twice may exist twice, which no answer tells: ``find(label)`` does.
        """
        body, where = request.body(), args(_CREATE, offer_id)
        try:
            answer = self._transport.call(
                _CREATE, where, json=body, effect="once", label=request.label
            )
            created = read_created(answer, request)
        except ProviderError as error:
            created = read_refused(error, request)
        return self._checked(created) if check else created

    def bulk_create(self, offer_ids: Sequence[int], request: LaunchRequest) -> list[BulkResult]:
        """One instance per offer, 64 to a call, all with the request's label.

        Raises InvalidRequest before anything is sent; from then on every offer has its result.
        """
        body = request.body()
        for offer_id in offer_ids:
            args(_BULK_CREATE, offer_id)
        results: list[BulkResult] = []
        hopeless: ProviderError | None = None
        for chunk in many.chunks(list(dict.fromkeys(offer_ids))):
            try:
                if hopeless is not None:
                    raise hopeless
                results += read_bulk(self._bulk(chunk, body, request), chunk, request.label)
            except ProviderError as error:
                hopeless = error if isinstance(error, _HOPELESS) else None
                results += [BulkResult(each, None, False, error) for each in chunk]
        return results

    def find(self, label: str) -> list[Instance]:
        """Those that carry exactly this label. A list may lag behind a create: see ``settle``."""
        return read_all(self._transport, label=label)

    def settle(
        self, label: str, timeout_s: float, *, expected: int = 1, every_s: float = 5.0
    ) -> tuple[int, ...]:
        """After OutcomeUnknown: the ids that carry the label.

        Returns once ``expected`` are seen, otherwise after ``timeout_s`` (allow a minute: lists
        lag) with what was seen until then; ``()`` is certain only so far. Raises OutcomeUnknown
        where the last look failed and less than ``expected`` were seen.
        """
        return settling.settle(self._transport, label, timeout_s, expected, every_s)

    def show(self, instance_id: int, *, deadline_s: float | None = None) -> Instance | None:
        """None where it is gone, or was never ours: the API says so in so many words."""
        where = args(SHOW, instance_id)
        try:
            answer = self._transport.call(SHOW, where, query={"owner": "me"}, deadline_s=deadline_s)
        except NotFound as error:
            if not names(error, instance_id):
                raise
            return None
        return read_shown(answer, instance_id, self._transport.wall())

    def wait(
        self,
        instance_id: int,
        phase: Phase = Phase.RUNNING,
        *,
        timeout_s: float,
        every_s: float = 5.0,
        intended: Wish = "running",
    ) -> Instance:
        """Read it until it is in ``phase``.

        Raises NotFound where it is gone, ProviderError with the state's reason where it cannot
        get there any more (failed, expired) or did not in time.
        """
        return settling.wait(
            self._transport, self.show, instance_id, phase, timeout_s, every_s, intended
        )

    def start(self, instance_id: int) -> None:
        """Raises ResourcesUnavailable: the start is queued, may come hours later and be billed."""
        self._set(instance_id, {"state": "running"})

    def stop(self, instance_id: int) -> None:
        """Also cancels a queued start. The disk is billed on."""
        self._set(instance_id, {"state": "stopped"})

    def start_many(self, instance_ids: Iterable[int]) -> Told:
        """64 to a call. The API says yes where at least one of a call was changed."""
        return many.set_states(self._transport, "running", instance_ids)

    def stop_many(self, instance_ids: Iterable[int]) -> Told:
        """As ``start_many``."""
        return many.set_states(self._transport, "stopped", instance_ids)

    def set_label(self, instance_id: int, label: str) -> None:
        self._set(instance_id, {"label": label})

    def reboot(self, instance_id: int) -> None:
        """Stop and start the container. Sent once: raises OutcomeUnknown (label None)."""
        self._once(_REBOOT, instance_id, {})

    def recycle(self, instance_id: int) -> None:
        """Make the container anew on the same machine, image pulled again. As ``reboot``."""
        self._once(_RECYCLE, instance_id, {})

    def change_bid(self, instance_id: int, usd_per_hour: float) -> None:
        """Of an interruptible instance. Sent once: raises OutcomeUnknown (label None)."""
        self._once(_BID, instance_id, {"client_id": "me", "price": usd_per_hour})

    def destroy(self, instance_id: int) -> bool:
        """Its disk and all. True where it was destroyed, False where it was gone already.

        Repeating it is safe; after a broken answer this does so itself, and then says False.
        """
        where = args(_DESTROY, instance_id)
        try:
            self._transport.call(_DESTROY, where, json={}, effect="idempotent")
        except NotFound as error:
            # "Not found" of a proxy, or of another path, is no word on the instance.
            if not names(error, instance_id) and self.show(instance_id) is not None:
                raise
            return False
        return True

    def destroy_many(self, instance_ids: Iterable[int]) -> Destroyed:
        """64 to a call, read again, and what is left one by one. Raises nothing of its own."""
        return many.destroy_many(self._transport, instance_ids, self.destroy)

    def logs(
        self,
        instance_id: int,
        *,
        tail: int | None = None,
        filter: str | None = None,
        daemon: bool = False,
        timeout_s: float = 30.0,
    ) -> str:
        """The container's output, or with ``daemon`` the machine's. ``filter`` is an expression.

        Raises ProviderUnreachable where the text is not there within ``timeout_s``.
        """
        wanted = {
            "tail": None if tail is None else str(tail),
            "filter": filter,
            "daemon_logs": "true" if daemon else None,
        }
        body = {name: value for name, value in wanted.items() if value is not None}
        answer = self._transport.call(
            _LOGS, args(_LOGS, instance_id), json=body, effect="idempotent"
        )
        return result_of(self._transport, answer, _LOGS, timeout_s)

    def execute(self, instance_id: int, command: str, *, timeout_s: float = 30.0) -> str:
        """The output of ``ls``, ``rm`` or ``du`` on the disk of a stopped instance."""
        if not 1 <= len(command) <= LONGEST_COMMAND:
            raise InvalidRequest(
                f"The command has {len(command)} characters; give 1 to {LONGEST_COMMAND}.",
                endpoint=_EXECUTE.key,
            )
        where = args(_EXECUTE, instance_id)
        answer = self._transport.call(
            _EXECUTE, where, json={"command": command}, effect="idempotent"
        )
        return result_of(self._transport, answer, _EXECUTE, timeout_s)

    def _set(self, instance_id: int, body: Mapping[str, Any]) -> None:
        where = args(_CHANGE, instance_id)
        self._transport.call(_CHANGE, where, json=body, effect="idempotent")

    def _once(self, endpoint: Endpoint, instance_id: int, body: Mapping[str, Any]) -> None:
        self._transport.call(endpoint, args(endpoint, instance_id), json=body, effect="once")

    def _bulk(self, chunk: Sequence[int], body: Mapping[str, Any], request: LaunchRequest) -> Any:
        return self._transport.call(
            _BULK_CREATE,
            json={**body, "ids": list(chunk)},
            effect="once",
            label=request.label,
            keep_refusal=True,
        )

    def _checked(self, created: Created) -> Created:
        """With the row as it is now; reading it must not lose the id of what exists."""
        try:
            instance = self.show(created.instance_id, deadline_s=_CHECK_S)
        except ProviderError:
            instance = None
        return replace(created, instance=instance)

    def list(self, label: str | None = None, *, filters: Filters | None = None) -> list[Instance]:
        """All of them, or those with this label (``""``: without one); never a part.

        ``filters`` as ``{"actual_status": {"in": ["running"]}}``, for stored columns.
        Raises BadAnswer where the list could not be read to its end.
        """
        return read_all(self._transport, filters, label=label)
