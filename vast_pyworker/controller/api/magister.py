"""Magister's four calls, in its own shapes, for job servers and workers that know no other.

ID is the number of the instance here, where magister's was the offer's: the same number stands as
``offer_id`` in the lists, so that who reads one there may use it here. The id of an intent is taken
as well. What is not known of an offer is null. A key or the instance's own token is needed, except
where the controller was told that these calls are open.
"""

from __future__ import annotations

from typing import Any

from flask import Response, request

from vast_pyworker.controller import showing
from vast_pyworker.controller.access import Right
from vast_pyworker.model import Desired, Member

from .asking import Asked, text_of
from .door import Route
from .parts import Parts
from .refusals import BadAsk

TEXT = "text/plain; charset=utf-8"
_REASON_LENGTH = 500
OFFER_FIELDS = (
    "id", "compute_cap", "cpu_arch", "cpu_cores", "cpu_cores_effective", "cpu_ghz", "cpu_name",
    "cpu_ram", "cuda_max_good", "direct_port_count", "disk_bw", "disk_name", "disk_space",
    "dlperf", "dlperf_per_dphtotal", "dph_base", "dph_total", "driver_version", "driver_vers",
    "duration", "end_date", "geolocation", "gpu_arch", "gpu_name", "gpu_ram", "gpu_total_ram",
    "gpu_max_power", "gpu_max_temp", "host_id", "hosting_type", "hostname", "inet_down",
    "inet_down_cost", "inet_up", "inet_up_cost", "logo", "machine_id", "num_gpus", "os_version",
    "pci_gen", "pcie_bw", "public_ipaddr", "reliability", "score", "start_date", "static_ip",
    "storage_cost", "storage_total_cost", "webpage", "reliability2",
)  # fmt: skip


def routes(parts: Parts) -> list[Route]:
    views = Views(parts)
    return [
        Route(
            "GET", "/summary", views.summary, "What runs and what it costs, as magister's.",
            magister=True,
        ),
        Route(
            "GET", "/instances", views.instances, "Every instance with its offer, as magister's.",
            magister=True,
        ),
        Route(
            "GET", "/verify/<ident>", views.verify, "An instance says that it is ready.",
            Right.OPERATE, own=True, magister=True, answers="text/plain",
        ),
        Route(
            "DELETE", "/drop/<ident>", views.drop, "Destroy an instance; the body says why.",
            Right.OPERATE, own=True, magister=True, raw=True, answers="text/plain",
        ),
    ]  # fmt: skip


class Views:
    """``verify`` of one that we do not know is answered 200, and changes nothing: as magister's."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def summary(self, asked: Asked) -> dict[str, Any]:
        rows = [_overview(each) for each in self._listed() if not _ends(each)]
        return {
            "total_cost_per_hour": sum(each["cost_per_hour"] for each in rows),
            "num_instances": len(rows),
            "instance_overview": rows,
        }

    def instances(self, asked: Asked) -> Any:
        return [
            {
                "offer": _offer(each),
                "instance_id": each.intent.instance_id,
                "should_drop": _ends(each),
            }
            for each in self._listed()
        ]

    def verify(self, asked: Asked, ident: str) -> Response:
        intent = self._parts.commands.look(ident)
        if intent is None and not ident.isdigit():
            raise BadAsk("The id has to be a number, or that of an intent.")
        if intent is not None and self._parts.vouching.vouch(intent.id):
            sentence = f"Instance {intent.instance_id} says that it is ready."
            self._parts.ledger.journal.say(self._parts.now(), intent.group, sentence)
            self._parts.wake()
        return Response(b"", content_type=TEXT)

    def drop(self, asked: Asked, ident: str) -> Response:
        reason = text_of(request).decode("utf-8", "replace")[:_REASON_LENGTH].strip()
        intent = self._parts.commands.look(ident)
        if intent is None:
            raise BadAsk(f"There is no instance {ident[:64]} of this fleet.")
        if intent.desired is not Desired.DESTROY:
            self._parts.commands.drop(ident, asked.who, reason)
        return Response(f"{intent.instance_id} will be dropped", content_type=TEXT)

    def _listed(self) -> list[Member]:
        return [m for m in self._parts.loop.fleet.members if m.intent.instance_id is not None]


def _ends(member: Member) -> bool:
    return member.intent.desired is Desired.DESTROY


def _overview(member: Member) -> dict[str, Any]:
    instance = member.instance
    return {
        "instance_id": member.intent.instance_id,
        "offer_id": member.intent.instance_id,
        "gpu": instance.gpu_name if instance else "",
        "location": instance.place if instance else "",
        "machine_id": member.intent.machine_id,
        "host_id": member.intent.host_id,
        "cost_per_hour": showing.usd_per_hour_now(member),
    }


def _offer(member: Member) -> dict[str, Any]:
    instance = member.instance
    known: dict[str, Any] = {
        "id": member.intent.instance_id,
        "dph_total": member.usd_per_hour,
        "host_id": member.intent.host_id,
        "machine_id": member.intent.machine_id,
    }
    if instance is not None:
        known |= {
            "gpu_name": instance.gpu_name,
            "num_gpus": instance.num_gpus,
            "geolocation": instance.place,
            "disk_space": instance.disk_gb,
            "start_date": instance.created_at,
            "end_date": instance.ends_at,
            "storage_total_cost": instance.usd_per_hour_stopped,
        }
    return {name: known.get(name) for name in OFFER_FIELDS}
