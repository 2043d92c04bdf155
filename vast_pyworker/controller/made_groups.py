"""Groups and endpoints as Vast's calls describe them, turned into groups of ours. Pure.

Vast's have no price cap: it is the query's own ``dph_total``, else a fair share of
``limits.usd_per_hour``. What cannot be carried out is refused with a sentence, not left out.
"""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NoReturn

from vast_pyworker.controller.policy import POLICIES
from vast_pyworker.errors import Invalid, QueryError
from vast_pyworker.model import Group, Launch, Limits
from vast_pyworker.vastai.launch import parse_env
from vast_pyworker.vastai.offers import filters_in
from vast_pyworker.vastai.query import parse_query
from vast_pyworker.vastai.unparsing import unparse_query

POLICY_FIELDS = (
    "min_load", "min_cold_load", "target_util", "cold_mult", "cold_workers", "max_workers",
    "max_queue_time", "target_queue_time", "inactivity_timeout",
)  # fmt: skip
POLICY = "vast"


class _Words(argparse.ArgumentParser):
    """What a launch is told in words; a word that is not known is refused, not ended for."""

    def error(self, message: str) -> NoReturn:
        raise Invalid(f"launch_args cannot be read: {message}.")


def made_group(name: str, endpoint: str, fields: Mapping[str, Any], limits: Limits) -> Group:
    """A group from the fields of a workergroup; Invalid (422) says what does not fit."""
    query = query_of(fields.get("search_params"))
    return Group(
        name=name,
        endpoint=endpoint,
        launch=launch_of(fields),
        query=query,
        max_usd_per_hour=min(_cap_in(query) or _share(limits), limits.usd_per_hour),
        min_instances=0,
        max_instances=limits.instances,
        policy=POLICY,
        policy_options=POLICIES[POLICY].check({}),
    )


def with_endpoint_fields(group: Group, fields: Mapping[str, Any], limits: Limits) -> Group:
    """The group with what an endpoint's call set. Any of the policy's own makes the policy Vast's;
    ``max_workers`` and ``cold_workers`` alone keep another."""
    options = {name: fields[name] for name in POLICY_FIELDS if fields.get(name) is not None}
    if not options:
        return group
    most = options.get("max_workers")
    if most is not None:
        most = min(int(most), limits.instances)
        options["max_workers"] = most
        group = replace(
            group, max_instances=most, min_instances=min(group.min_instances, most),
        )  # fmt: skip
    if group.policy != POLICY and not set(options) - {"max_workers", "cold_workers"}:
        cold = options.get("cold_workers", group.cold_instances)
        return replace(group, cold_instances=int(cold))
    before = group.policy_options if group.policy == POLICY else {}
    return replace(group, policy=POLICY, policy_options=checked({**before, **options}))


def checked(options: Mapping[str, Any]) -> Mapping[str, Any]:
    """The options of Vast's policy; Invalid (422) with a sentence for each that is wrong."""
    try:
        return POLICIES[POLICY].check(options)
    except ValueError as exc:
        raise Invalid(" ".join(str(exc).splitlines())) from None


def query_of(search: object) -> str:
    """``search_params`` as the text of a query, whichever way it was sent."""
    if search is None or search == "":
        return ""
    if not isinstance(search, str | dict):
        raise Invalid("search_params is a query as text, or as an object.")
    try:
        return unparse_query(filters_in(search) if isinstance(search, str) else search)
    except QueryError as exc:
        raise Invalid(f"search_params cannot be read: {exc}") from None


def launch_of(fields: Mapping[str, Any]) -> Launch:
    """From ``template_hash``, or the words of ``launch_args`` as ``create instance`` has them."""
    parser = _Words(add_help=False, allow_abbrev=False)
    parser.add_argument("--image")
    parser.add_argument("--disk", type=float, default=Launch.disk_gb)
    parser.add_argument("--env", default="")
    parser.add_argument("--onstart-cmd", "--onstart")
    parser.add_argument("--bid_price", "--bid-price", type=float)
    for ignored in ("--ssh", "--jupyter", "--direct"):
        parser.add_argument(ignored, action="store_true")
    try:
        told = parser.parse_args(shlex.split(str(fields.get("launch_args") or "")))
    except ValueError as exc:
        raise Invalid(f"launch_args cannot be read: {exc}.") from None
    template = fields.get("template_hash") or None
    if template is None and told.image is None:
        raise Invalid("A group needs template_hash, or an image as launch_args='--image NAME'.")
    return Launch(
        backend="",
        image=None if template else told.image,
        template_hash=template,
        disk_gb=told.disk,
        env=parse_env(told.env),
        onstart=told.onstart_cmd,
        bid_usd_per_hour=told.bid_price,
    )


def _cap_in(query: str) -> float | None:
    """What the query itself allows an instance to cost an hour."""
    bounds = parse_query(query).get("dph_total", {}) if query else {}
    known = [bounds[each] for each in ("lte", "lt", "eq") if each in bounds]
    return min(map(float, known), default=None)


def _share(limits: Limits) -> float:
    return limits.usd_per_hour / max(limits.instances, 1)
