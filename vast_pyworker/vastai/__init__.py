"""The client of the REST API of Vast.ai: ``VastClient``, and the functions of the guide of 2024.

Names are loaded when they are first used, so that the query language can be had without any HTTP.
``parse_query``, ``parse_env`` and ``get_runtype`` here have the signatures of 2024; the ones for
new code are in ``vastai.query`` and ``vastai.launch``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .client import VastClient as VastClient
    from .creating import BulkResult as BulkResult
    from .creating import Created as Created
    from .creating import LaunchRequest as LaunchRequest
    from .many import Destroyed as Destroyed
    from .nodes import NodesError as NodesError
    from .nodes import apiurl as apiurl
    from .nodes import create_instance as create_instance
    from .nodes import destroy_instance as destroy_instance
    from .nodes import get_env_vars as get_env_vars
    from .nodes import get_runtype as get_runtype
    from .nodes import http_del as http_del
    from .nodes import http_get as http_get
    from .nodes import http_post as http_post
    from .nodes import http_put as http_put
    from .nodes import parse_env as parse_env
    from .nodes import parse_query as parse_query
    from .nodes import rent_nodes as rent_nodes
    from .nodes import search_offers as search_offers
    from .nodes import terminate_nodes as terminate_nodes
    from .pacing import Pacing as Pacing
    from .records import Instance as Instance
    from .records import Offer as Offer
    from .sending import Timeouts as Timeouts
    from .states import InstanceState as InstanceState
    from .states import Phase as Phase

_NODES = (
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
)
_HOME = {
    "VastClient": "client",
    "BulkResult": "creating",
    "Created": "creating",
    "LaunchRequest": "creating",
    "Destroyed": "many",
    "Pacing": "pacing",
    "Instance": "records",
    "Offer": "records",
    "Timeouts": "sending",
    "InstanceState": "states",
    "Phase": "states",
    **dict.fromkeys(_NODES, "nodes"),
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOME[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
