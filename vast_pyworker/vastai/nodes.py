"""The functions documented in 2024 for renting nodes, with the names and signatures of that guide.

On top of ``VastClient``, which new code uses directly. The key comes from the arguments, else from
``VAST_API_KEY`` of the environment or of ``.env``; it goes into a header and never to an instance.
Instances get the given ``env`` and no onstart script: what they run is up to the image.
"""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from vast_pyworker.errors import ProviderError

from . import environment, launch, query
from .client import VastClient
from .creating import LaunchRequest
from .environment import get_env_vars
from .legacy_http import apiurl, http_del, http_get, http_post, http_put
from .renting import DISK_GB, Node, NodesError, created, end, new_label, rent, search

__all__ = [
    "NodesError",
    "apiurl",
    "create_instance",
    "destroy_instance",
    "get_env_vars",
    "get_runtype",
    "http_del",
    "http_get",
    "http_post",
    "http_put",
    "parse_env",
    "parse_query",
    "rent_nodes",
    "search_offers",
    "terminate_nodes",
]

_log = logging.getLogger(__name__)

_NOTHING: Mapping[str, Any] = MappingProxyType({})
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|-[pvn] \S+|-h")
_OFFERS_PER_NODE = 4  # how many offers are asked for, since some will be gone
_FEWEST_OFFERS = 64
_MOST_OFFERS = 1000  # without a number the API gives few, and does not say how few


def parse_query(
    query_str: str | Sequence[str] | None,
    res: Mapping[str, Mapping[str, Any]] | None = None,
    fields: Collection[str] = _NOTHING,
    field_alias: Mapping[str, str] = _NOTHING,
    field_multiplier: Mapping[str, float] = _NOTHING,
) -> dict[str, dict[str, Any]]:
    """``query.parse_query`` with the tables given; ValueError for what cannot be read.

    Fields that are not in ``fields`` are kept, and logged. ``res`` is left as it is.
    """
    filters = query.parse_query(query_str, res, aliases=field_alias, multipliers=field_multiplier)
    unknown = query.unknown_fields(filters, {*fields, *(res or ())})
    if unknown:
        _log.warning("Unrecognized fields in a query: %s.", ", ".join(unknown))
    return filters


def get_runtype(args: Any) -> str | None:
    """The runtype for the flags in ``args``, a dict or a namespace, "ssh" without any.

    Flags: ssh, jupyter, direct, jupyter_lab, jupyter_dir, args, template_hash (then it is None).
    Raises ValueError for jupyter together with args.
    """
    flags = args if isinstance(args, Mapping) else vars(args)
    runtype, _ = launch.resolve_runtype(
        ssh=bool(flags.get("ssh")),
        jupyter=bool(flags.get("jupyter")),
        direct=bool(flags.get("direct")),
        args=flags.get("args"),
        jupyter_lab=bool(flags.get("jupyter_lab")),
        jupyter_dir=flags.get("jupyter_dir"),
        template=flags.get("template_hash") is not None,
        default="ssh",
    )
    return runtype


def parse_env(envs: str | None) -> dict[str, str]:
    """``-e A=1 -p 80:80`` as ``{"A": "1", "-p 80:80": "1"}``; never raises."""
    return launch.parse_env(envs)


def search_offers(max_price: float) -> list[dict[str, Any]]:
    """Verified offers of at most ``max_price`` dollars an hour with 16 GB of disk, cheapest first.

    Each is the object the API sent. Raises RequestException, ValueError for a price that is none.
    """
    price = _price(max_price)
    with _client(environment.api_key()) as client:
        return [dict(offer.raw) for offer in search(client, price, _MOST_OFFERS)]


def create_instance(offer_id: int | str, image: str, env: Mapping[str, Any]) -> dict[str, Any]:
    """Rent the offer: ``{"success": True, "new_contract": instance id, "label": ...}``.

    ``env`` is what the instance gets, less ``VAST_API_KEY``, which is the key used if it is there.
    Raises ValueError for an ``env`` that is missing or invalid, else NodesError: its ``nodes`` hold
    an instance that was created all the same but does not run.
    """
    request = _request(image, env)
    offer = _whole("offer_id", offer_id)
    with _client(env.get(environment.KEY) or environment.api_key()) as client:
        ids = _created(client, offer, request)
    return {"success": True, "new_contract": ids[0], "label": request.label}


def destroy_instance(instance_id: int | str) -> dict[str, Any]:
    """End the instance for good: ``{"success": True}``, also where it was gone already.

    Raises RequestException.
    """
    whole = _whole("instance_id", instance_id)
    with _client(environment.api_key()) as client:
        try:
            client.instances.destroy(whole)
        except ProviderError as error:
            raise NodesError(f"Instance {whole} could not be destroyed: {error}") from error
    return {"success": True}


def rent_nodes(
    max_price: float,
    max_nodes: int,
    image: str,
    api_key: str | None,
    env: Mapping[str, Any] | None = None,
) -> list[Node]:
    """Rent up to ``max_nodes`` of the cheapest offers: ``[{"offer_id": 1, "instance_id": 2}]``.

    ``env`` is what every instance gets, by default what ``.env`` holds; ``VAST_API_KEY`` in it is
    the key where ``api_key`` is not given, and is not handed on. Every instance has the label
    ``nodes/<uuid>``. Offers that are gone are skipped, so fewer nodes may come back. Raises
    ValueError for bad arguments, else NodesError, whose ``nodes`` are those already rented.
    """
    given = get_env_vars(".env") if env is None else env
    request, price = _request(image, given), _price(max_price)
    wanted = _whole("max_nodes", max_nodes)
    key = api_key or given.get(environment.KEY) or environment.api_key()
    if not wanted:
        return []
    with _client(key) as client:
        offers = search(client, price, max(_FEWEST_OFFERS, _OFFERS_PER_NODE * wanted))
        return rent(client, [offer.id for offer in offers], wanted, request)


def terminate_nodes(nodes: Sequence[Mapping[str, Any]]) -> None:
    """Destroy every node, 64 to a call. Each that fails is logged and the others are tried.

    Then raises NodesError, a RequestException, whose ``nodes`` are those that failed.
    """
    if nodes:
        with _client(environment.api_key()) as client:
            end(client, nodes)


def _client(key: str) -> VastClient:
    return VastClient(key, base_url=environment.base_url())


def _created(client: VastClient, offer_id: int, request: LaunchRequest) -> Sequence[int]:
    try:
        ids = created(client, offer_id, request)
    except ProviderError as error:
        instance_id = getattr(error, "instance_id", None)
        label = getattr(error, "label", None)
        raise NodesError(
            f"Offer {offer_id} could not be rented: {error}",
            nodes=[{"offer_id": offer_id, "instance_id": instance_id}] if instance_id else (),
            labels=[label] if label else (),
        ) from error
    if not ids:
        raise NodesError(f"Offer {offer_id} was not rented: no answer came. Try again.")
    return ids


def _request(image: str, env: object) -> LaunchRequest:
    if not isinstance(image, str) or not image or image.split() != [image]:
        raise ValueError(f"image is the name of an image such as ubuntu:22.04, not {image!r}.")
    return LaunchRequest(
        image=image,
        disk_gb=DISK_GB,
        label=new_label(),
        env=_checked(env),
        runtype=get_runtype({}),
    )


def _checked(env: object) -> dict[str, str]:
    """What goes to the instance. Errors name a variable, never what it holds."""
    if not isinstance(env, Mapping):
        raise ValueError(f"env is a dict of names and texts, not {type(env).__name__}.")
    return {
        _checked_name(name): _checked_value(name, value)
        for name, value in env.items()
        if name != environment.KEY
    }


def _checked_name(name: object) -> str:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} in env is not a name. Use letters, digits and underscores.")
    return name


def _checked_value(name: object, value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)) or "\0" in str(value):
        raise ValueError(f"{name} in env is not a text. Give it as one, or leave it out.")
    return str(value)


def _price(max_price: Any) -> float:
    is_number = isinstance(max_price, (int, float)) and not isinstance(max_price, bool)
    if not is_number or not math.isfinite(max_price) or max_price <= 0:
        raise ValueError(f"max_price is dollars an hour above 0, not {max_price!r}.")
    return float(max_price)


def _whole(name: str, value: Any) -> int:
    is_digits = isinstance(value, str) and value.isascii() and value.isdigit()
    is_number = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    if not is_digits and not is_number:
        raise ValueError(f"{name} is a whole number, not {value!r}.")
    return int(value)
