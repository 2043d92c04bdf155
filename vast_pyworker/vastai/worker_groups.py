"""Groups of workers: which template an endpoint's workers are made from, and on which offers.

The API has them under two names with the same meaning, ``/autojobs/`` and ``/workergroups/``;
``WorkerGroups(transport, family="workergroups")`` uses the second.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from vast_pyworker.errors import InvalidRequest, NotFound, ProviderError

from . import values
from .http import Endpoint, Transport
from .reading import made_unknown, rows_of, says_absent

Family = Literal["autojobs", "workergroups"]
# What a group's query is completed with, so that it finds what can be rented.
DEFAULT_SEARCH = "verified=True rentable=True rented=False"


@dataclass(frozen=True, kw_only=True)
class WorkerGroupSettings:
    """What is None is not sent. ``search_params`` is a query as text, ``gpu_ram_gb`` an estimate.

    A group belongs to an endpoint, by id or by name. An update replaces ``search_params`` as a
    whole, so what it does not name is no longer asked for.
    """

    endpoint_id: int | None = None
    endpoint_name: str | None = None
    template_hash: str | None = None
    template_id: int | None = None
    search_params: str | None = None
    launch_args: str | None = None
    gpu_ram_gb: float | None = None
    min_load: float | None = None
    target_util: float | None = None
    cold_mult: float | None = None
    test_workers: int | None = None

    def given(self) -> dict[str, Any]:
        """As the API spells it."""
        known = {name: value for name, value in asdict(self).items() if value is not None}
        if "gpu_ram_gb" in known:
            known["gpu_ram"] = known.pop("gpu_ram_gb")
        return known


@dataclass(frozen=True)
class WorkerGroup:
    """Any field may be None; ``raw`` is the row as it came, keys and all."""

    id: int | None = None
    endpoint_id: int | None = None
    endpoint_name: str | None = None
    template_hash: str | None = None
    template_id: int | None = None
    search_query: Mapping[str, Any] | None = None  # parsed
    launch_args: str | None = None
    gpu_ram_gb: float | None = None
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> WorkerGroup:
        return cls(
            id=values.whole(row.get("id")),
            endpoint_id=values.whole(row.get("endpoint_id")),
            endpoint_name=values.text(row.get("endpoint_name")),
            template_hash=values.text(row.get("template_hash")),
            template_id=values.whole(row.get("template_id")),
            search_query=values.mapping(row.get("search_query")) or None,
            launch_args=values.text(row.get("launch_args")),
            gpu_ram_gb=values.not_negative(row.get("gpu_ram")),
            raw=row,
        )


class WorkerGroups:
    """The groups of one account."""

    def __init__(self, transport: Transport, *, family: Family = "autojobs") -> None:
        self._transport = transport
        self._list = Endpoint("GET", f"/{family}/")
        self._create = Endpoint("POST", f"/{family}/")
        self._update = Endpoint("PUT", f"/{family}/{{id}}/")
        self._delete = Endpoint("DELETE", f"/{family}/{{id}}/")

    def list(self) -> list[WorkerGroup]:
        rows = rows_of(self._transport.call(self._list), "results", self._list)
        return [WorkerGroup.of(row) for row in rows]

    def show(self, group_id: int) -> WorkerGroup | None:
        """None where there is none."""
        return next((each for each in self.list() if each.id == group_id), None)

    def create(self, settings: WorkerGroupSettings) -> int:
        """Its id. Raises OutcomeUnknown, with the endpoint's name or id as its label."""
        if settings.endpoint_id is None and not settings.endpoint_name:
            raise InvalidRequest("A group of workers belongs to an endpoint; give its id or name.")
        label = settings.endpoint_name or str(settings.endpoint_id)
        body = {"client_id": "me", **settings.given()}
        answer = self._transport.call(self._create, json=body, effect="once", label=label)
        made = values.whole(values.mapping(answer).get("id"))
        if made is None:
            raise made_unknown(self._create, f"a group of endpoint {label!r}", label)
        return made

    def update(self, group_id: int, settings: WorkerGroupSettings) -> None:
        """Change what is given and nothing else.

        The API wants the endpoint's id in every update; where it is not given it is looked up.
        """
        given = settings.given()
        if not given:
            raise InvalidRequest(f"Nothing of group {group_id} was to change; name a setting.")
        if "endpoint_id" not in given:
            given["endpoint_id"] = self._endpoint_of(group_id)
        body = {"client_id": "me", "autojob_id": group_id, **given}
        self._transport.call(self._update, {"id": group_id}, json=body, effect="idempotent")

    def delete(self, group_id: int) -> bool:
        """False where it was not there. Its instances are not destroyed with it."""
        body = {"client_id": "me", "autojob_id": group_id}
        try:
            self._transport.call(self._delete, {"id": group_id}, json=body, effect="idempotent")
        except ProviderError as exc:
            if says_absent(exc):
                return False
            raise
        return True

    def _endpoint_of(self, group_id: int) -> int:
        group = self.show(group_id)
        if group is None or group.endpoint_id is None:
            raise NotFound(
                f"There is no group {group_id} with an endpoint; see the list of groups."
            )
        return group.endpoint_id
