"""Rent offers until there are enough, and end what was rented, for the functions of 2024.

No node is forgotten: each has a label of its own before anything is sent, an answer that leaves
it open is settled by that label, and every way out with an error carries the nodes that exist.
What it does not: choose a key or an address (``nodes``), wait and retry (``VastClient``).
"""

from __future__ import annotations

import logging
import math
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from requests import RequestException

from vast_pyworker.errors import (
    CreatedStopped,
    InvalidRequest,
    NotFound,
    OutcomeUnknown,
    ProviderError,
    PyworkerError,
    ResourcesUnavailable,
)

from .client import VastClient
from .creating import LaunchRequest
from .records import Offer

_log = logging.getLogger(__name__)

DISK_GB = 16.0  # as in 2024
_SETTLE_S = 60.0  # for how long a label is looked up after an answer that leaves it open

Node = dict[str, int]  # {"offer_id": ..., "instance_id": ...}


class NodesError(PyworkerError, RequestException):
    """Nodes could not be searched, rented or ended; ``__cause__`` is what the provider said.

    ``nodes`` are those that exist and are billed: hand them to ``terminate_nodes``. ``labels`` are
    those under which something may exist that nobody could look up.
    """

    def __init__(
        self, message: str, *, nodes: Iterable[Node] = (), labels: Iterable[str] = ()
    ) -> None:
        super().__init__(message)
        self.nodes = list(nodes)
        self.labels = list(labels)


def new_label() -> str:
    return f"nodes/{uuid.uuid4()}"


def search(client: VastClient, usd_per_hour: float, limit: int | None = None) -> list[Offer]:
    """Verified offers that cost at most this with the disk, the cheapest first.

    The price is compared here once more: an offer without one is left out.
    """
    try:
        found = client.offers.search(
            {"dph_total": {"lte": usd_per_hour}},
            order="dph_total",
            limit=limit,
            disk_gb=DISK_GB,
        )
    except ProviderError as error:
        raise NodesError(f"Offers could not be searched: {error}") from error
    return [offer for offer in found if _price(offer) <= usd_per_hour]


def rent(
    client: VastClient, offer_ids: Iterable[int], wanted: int, request: LaunchRequest
) -> list[Node]:
    """Rent up to ``wanted`` of the offers, one after the other; those that are gone are skipped.

    Raises NodesError where the next offer cannot fare better (no credit, a wrong key, no answer),
    and where every offer refused the request as such. Its ``nodes`` are those rented so far; a
    Ctrl-C carries them in the same attribute.
    """
    nodes: list[Node] = []
    refused: InvalidRequest | None = None
    for offer_id in offer_ids:
        if len(nodes) >= wanted:
            break
        labelled = replace(request, label=new_label())
        try:
            ids = created(client, offer_id, labelled)
            nodes += [_node(offer_id, instance_id) for instance_id in ids]
        except (NotFound, ResourcesUnavailable, InvalidRequest) as error:
            _log.info("Offer %s is skipped: %s", offer_id, error)
            refused = error if isinstance(error, InvalidRequest) else refused
        except CreatedStopped as error:
            _end_stopped(client, _node(offer_id, error.instance_id), nodes)
        except ProviderError as error:
            labels = [error.label or ""] if isinstance(error, OutcomeUnknown) else []
            raise _broken_off(error, nodes, labels) from error
        except BaseException as error:  # a Ctrl-C too must not lose what is rented
            _log.error("Renting ends; may exist: %s, %s", nodes, labelled.label)
            vars(error).update(nodes=list(nodes), labels=[labelled.label])
            raise
    if refused is not None and not nodes:
        raise NodesError(f"No offer took the request: {refused}") from refused
    return nodes


def created(client: VastClient, offer_id: int, request: LaunchRequest) -> Sequence[int]:
    """The id of the instance; nothing where the answer left it open and none was found.

    Raises what ``Instances.create`` raises, OutcomeUnknown only where the look-up failed as well.
    """
    try:
        return [client.instances.create(offer_id, request, check=False).instance_id]
    except OutcomeUnknown as unknown:
        _log.warning("%s Looking it up.", unknown)
        try:
            return _settled(client, request.label)
        except CreatedStopped:
            raise
        except ProviderError as error:
            raise unknown from error


def end(client: VastClient, nodes: Sequence[Any]) -> None:
    """Destroy every node; those that are not surely gone are told in one NodesError at the end."""
    ids = [_instance_id(node) for node in nodes]
    destroyed = client.instances.destroy_many(each for each in ids if each is not None)
    failed = [
        node for node, each in zip(nodes, ids, strict=True) if each not in set(destroyed.gone)
    ]
    for instance_id, error in destroyed.errors.items():
        _log.error("Instance %s could not be terminated: %s", instance_id, error)
    if failed:
        raise NodesError(
            f"{len(failed)} of {len(nodes)} nodes could not be terminated and may still be billed: "
            f"{failed}. Hand the error's nodes to terminate_nodes again.",
            nodes=failed,
        ) from next(iter(destroyed.errors.values()), None)


def _settled(client: VastClient, label: str) -> list[int]:
    ids = client.instances.settle(label, _SETTLE_S)
    for instance_id in ids:
        if _stands_still(client, instance_id):
            message = f"Instance {instance_id} exists but stands still. Destroy it."
            raise CreatedStopped(message, instance_id)
    return list(ids)


def _stands_still(client: VastClient, instance_id: int) -> bool:
    try:
        instance = client.instances.show(instance_id)
    except ProviderError:
        return False  # it exists, which must not be lost for what is not known about it
    return instance is not None and instance.intended_status == "stopped"


def _end_stopped(client: VastClient, node: Node, nodes: Sequence[Node]) -> None:
    """A contract that was created but does not run bills its disk, so it goes again."""
    _log.info("Node %s does not start and is destroyed.", node)
    try:
        client.instances.destroy(node["instance_id"])
    except ProviderError as error:
        raise _broken_off(error, [*nodes, node], []) from error


def _broken_off(error: ProviderError, nodes: Sequence[Node], labels: list[str]) -> NodesError:
    exist = f"These exist and are billed: {list(nodes)}." if nodes else "No node exists."
    if labels:
        exist += f" What may exist has the label {labels[0]}."
    return NodesError(f"{error} {exist}", nodes=nodes, labels=labels)


def _price(offer: Offer) -> float:
    return math.inf if offer.usd_per_hour is None else offer.usd_per_hour


def _node(offer_id: int, instance_id: int) -> Node:
    return {"offer_id": offer_id, "instance_id": instance_id}


def _instance_id(node: Any) -> int | None:
    try:
        return int(node["instance_id"])
    except (KeyError, TypeError, ValueError):
        _log.error("%r has no instance_id that is a number.", node)
        return None
