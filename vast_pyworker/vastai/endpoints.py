"""Serverless at Vast: endpoints, and the groups of workers that serve them.

Only what is set is ever sent, so that an update changes what it names and nothing else. The rows
hold keys of the endpoints: ``raw`` has them, the records and their texts do not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from vast_pyworker.errors import InvalidRequest, NotFound, ProviderError

from . import values
from .http import Endpoint, Transport
from .reading import made_unknown, object_of, rows_of, says_absent
from .worker_groups import WorkerGroup, WorkerGroups, WorkerGroupSettings

__all__ = [
    "EndpointGroup",
    "EndpointSettings",
    "Endpoints",
    "WorkerGroup",
    "WorkerGroupSettings",
    "WorkerGroups",
]

LIST = Endpoint("GET", "/endptjobs/")
SHOW = Endpoint("GET", "/endptjobs/{id}/")
CREATE = Endpoint("POST", "/endptjobs/")
UPDATE = Endpoint("PUT", "/endptjobs/{id}/")
DELETE = Endpoint("DELETE", "/endptjobs/{id}/")
State = Literal["active", "suspended", "stopped"]


@dataclass(frozen=True, kw_only=True)
class EndpointSettings:
    """How an endpoint scales; None leaves it as it is, or to the provider's default.

    Loads are in the backend's units of work per second, times in seconds.
    """

    min_load: float | None = None
    min_cold_load: float | None = None
    target_util: float | None = None  # 0 to 1: how full the workers are to be
    cold_mult: float | None = None  # capacity kept cold, as a multiple of the hot
    cold_workers: int | None = None
    max_workers: int | None = None
    max_queue_time: float | None = None
    target_queue_time: float | None = None
    inactivity_timeout: float | None = None

    def given(self) -> dict[str, float | int]:
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True)
class EndpointGroup:
    """An endpoint. Any field may be None; ``raw`` is the row as it came, keys and all."""

    id: int | None = None
    name: str | None = None
    state: str | None = None
    settings: EndpointSettings = field(default_factory=EndpointSettings)
    created_at: float | None = None
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> EndpointGroup:
        known = {name: values.number(row.get(name)) for name in asdict(EndpointSettings())}
        return cls(
            id=values.whole(row.get("id")),
            name=values.text(row.get("endpoint_name")),
            state=values.text(row.get("endpoint_state")),
            settings=EndpointSettings(**known),  # type: ignore[arg-type]  # whole numbers are floats
            created_at=values.not_negative(row.get("created_at")),
            raw=row,
        )


class Endpoints:
    """The endpoints of one account."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(self) -> list[EndpointGroup]:
        try:
            answer = self._transport.call(LIST)
        except (InvalidRequest, NotFound) as exc:
            if "no endpoints for user" in str(exc).lower():  # how the API says: none
                return []
            raise
        return [EndpointGroup.of(row) for row in rows_of(answer, "results", LIST)]

    def show(self, endpoint_id: int) -> EndpointGroup | None:
        """None where there is none."""
        try:
            answer = self._transport.call(SHOW, {"id": endpoint_id})
        except ProviderError as exc:
            if says_absent(exc):
                return None
            raise
        return EndpointGroup.of(object_of(answer, "result", SHOW))

    def create(self, name: str, settings: EndpointSettings | None = None) -> int:
        """Its id. Raises OutcomeUnknown(label=name) where it may have been made."""
        given = settings.given() if settings else {}
        body = {"client_id": "me", "endpoint_name": name, **given}
        answer = self._transport.call(CREATE, json=body, effect="once", label=name)
        made = values.whole(values.mapping(answer).get("result"))
        if made is None:
            raise made_unknown(CREATE, f"endpoint {name!r}", name)
        return made

    def update(
        self,
        endpoint_id: int,
        settings: EndpointSettings | None = None,
        *,
        name: str | None = None,
        state: State | None = None,
    ) -> None:
        """Change what is given and nothing else."""
        given: dict[str, Any] = settings.given() if settings else {}
        given |= {} if name is None else {"endpoint_name": name}
        given |= {} if state is None else {"endpoint_state": state}
        if not given:
            raise InvalidRequest(
                f"Nothing of endpoint {endpoint_id} was to change; name a setting."
            )
        body = {"client_id": "me", "endptjob_id": endpoint_id, **given}
        self._transport.call(UPDATE, {"id": endpoint_id}, json=body, effect="idempotent")

    def delete(self, endpoint_id: int) -> bool:
        """With its groups and their workers; False where it was not there."""
        body = {"client_id": "me", "endptjob_id": endpoint_id}
        try:
            self._transport.call(DELETE, {"id": endpoint_id}, json=body, effect="idempotent")
        except ProviderError as exc:
            if says_absent(exc):
                return False
            raise
        return True
