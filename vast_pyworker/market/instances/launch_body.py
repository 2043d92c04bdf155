"""Reads the body of a create: what is to run, on which terms. Refuses what cannot be.

Values that are null count as not said. What the body does not say is the template's, and what
neither says is the server's default; ``env`` is merged by name.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vast_pyworker.market.refusal import invalid
from vast_pyworker.market.rentals.boxes import check_env, flags_to_env
from vast_pyworker.market.rentals.contracts import Launch

DEFAULT_IMAGE = "vastai/base-image:@vastai-automatic-tag"
DEFAULT_DISK_GB = 8.0
LEAST_BID, MOST_BID = 0.001, 128.0
LONGEST_LABEL = 1024
LONGEST_ONSTART = 4048
MOST_ARGS = 256
_RUNTYPES = {
    "ssh", "jupyter", "args", "ssh_proxy", "ssh_direc", "ssh_direct", "jupyter_proxy",
    "jupyter_direc", "jupyter_direct",
}  # fmt: skip


@dataclass(frozen=True)
class Order:
    """A create's body, understood. ``price`` is the bid in USD per hour, None on demand;
    ``disk_gb`` is what was asked for, which may be more than there is."""

    launch: Launch
    price: float | None
    disk_gb: float
    label: str | None
    runs: bool
    """Whether it is to start at once (``target_state``)."""
    cancel_unavail: bool


def read_order(body: object, template: Mapping[str, Any] | None = None) -> Order:
    """MarketRefusal(400) for what cannot be."""
    if not isinstance(body, Mapping):
        raise invalid("Invalid json body")
    if body.get("runtype") is not None and body.get("use_ssh") is not None:
        raise invalid("Invalid args: give runtype or use_ssh, not both")
    said = {**_of_template(template), **{k: v for k, v in body.items() if v is not None}}
    price = _price(said.get("price"))
    runs = _target(said.get("target_state")) == "running"
    cancel = _flag(said, "cancel_unavail")
    return Order(
        launch=_launch(said, _env(body, template), template or {}),
        price=price,
        disk_gb=_disk(said.get("disk")),
        label=read_label(said.get("label")),
        runs=runs,
        cancel_unavail=(price is None and runs) if cancel is None else cancel,
    )


def read_label(given: object) -> str | None:
    """The label; None, which is no label, also for the empty one."""
    if given is None or given == "":
        return None
    if not isinstance(given, str):
        raise invalid("Invalid args: label must be a string")
    if len(given) > LONGEST_LABEL:
        raise invalid("label_too_long")
    return given


def _of_template(template: Mapping[str, Any] | None) -> dict[str, Any]:
    if template is None:
        return {}
    image, tag = template.get("image"), template.get("tag")
    named = f"{image}:{tag}" if image and tag and ":" not in str(image) else image
    said = {
        "image": named,
        "onstart": template.get("onstart"),
        "runtype": _runtype_of(template),
        "args_str": template.get("args_str"),
        "disk": template.get("recommended_disk_space") or None,
    }
    return {name: value for name, value in said.items() if value is not None}


def _runtype_of(template: Mapping[str, Any]) -> str | None:
    """The template's own word, with its ``ssh_direct`` and ``jup_direct`` spelled out."""
    runtype = template.get("runtype")
    if runtype == "ssh" and template.get("ssh_direct"):
        return "ssh_direc ssh_proxy"
    if runtype == "jupyter" and template.get("jup_direct"):
        return "jupyter_direc ssh_direc ssh_proxy"
    return runtype if isinstance(runtype, str) else None


def _launch(said: Mapping[str, Any], env: dict[str, str], template: Mapping[str, Any]) -> Launch:
    args = _args(said)
    return Launch(
        image=_text(said, "image") or DEFAULT_IMAGE,
        env=tuple(env.items()),
        onstart=_onstart(said),
        args=args,
        runtype=_runtype(said, args),
        template_id=template.get("id"),
        template_hash_id=template.get("hash_id"),
        template_name=template.get("name"),
    )


def _env(body: Mapping[str, Any], template: Mapping[str, Any] | None) -> dict[str, str]:
    given = body.get("env")
    if given is not None and not isinstance(given, Mapping):
        raise invalid("invalid env type: env must be a dict")
    own = flags_to_env((template or {}).get("env") or "")
    for name, value in (given or {}).items():
        if not isinstance(value, str | int | float) and value is not None:
            raise invalid(f"invalid env: the value of {name!r} must be a string")
        own[str(name)] = "" if value is None else _plain(value)
        if "\0" in own[str(name)]:
            raise invalid(f"invalid env: the value of {name!r} has a null character")
    check_env(own)
    return own


def _plain(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _price(given: object) -> float | None:
    if given is None:
        return None
    price = number(given)
    if price is None or not LEAST_BID <= price <= MOST_BID:
        text = f"error 400/3478: Invalid price: {given!r} is not between .001 and 128 $/hour"
        raise invalid(text, "invalid_price")
    return price


def _disk(given: object) -> float:
    if given is None:
        return DEFAULT_DISK_GB
    disk = number(given)
    if disk is None or disk <= 0:
        raise invalid(f"error 400/3467: Invalid args: disk {given!r} is not a size in GB")
    return disk


def number(given: object) -> float | None:
    """A finite number; None for any other thing, also for True and for text."""
    if isinstance(given, bool) or not isinstance(given, int | float):
        return None
    try:
        return float(given) if math.isfinite(given) else None
    except OverflowError:
        return None


def _target(given: object) -> str:
    if given is None:
        return "running"
    if given not in ("running", "stopped"):
        raise invalid("error 400/3467: Invalid args: target_state is running or stopped")
    return str(given)


def _flag(said: Mapping[str, Any], name: str) -> bool | None:
    value = said.get(name)
    if value is not None and not isinstance(value, bool):
        raise invalid(f"error 400/3467: Invalid args: {name} must be a bool")
    return value


def _text(said: Mapping[str, Any], name: str) -> str | None:
    value = said.get(name)
    if value is not None and not isinstance(value, str):
        raise invalid(f"error 400/3467: Invalid args: {name} must be a string")
    return value


def _onstart(said: Mapping[str, Any]) -> str | None:
    onstart = _text(said, "onstart")
    if onstart is not None and len(onstart) > LONGEST_ONSTART:
        text = f"error 400/3467: Invalid args: onstart has {len(onstart)} > {LONGEST_ONSTART}"
        raise invalid(f"{text} characters")
    return onstart


def _args(said: Mapping[str, Any]) -> tuple[str, ...]:
    args, text = said.get("args"), _text(said, "args_str")
    if isinstance(args, str):
        args, text = None, args
    if args is None:
        try:
            args = shlex.split(text or "")
        except ValueError as error:
            raise invalid(f"error 400/3467: Invalid args: {error}") from error
    if not isinstance(args, list) or not all(isinstance(each, str) for each in args):
        raise invalid("error 400/3467: Invalid args: args must be a list of strings")
    if len(args) > MOST_ARGS:
        raise invalid(f"error 400/3471 Invalid args: len(args) > {MOST_ARGS}")
    return tuple(args)


def _runtype(said: Mapping[str, Any], args: tuple[str, ...]) -> str:
    runtype = _text(said, "runtype")
    if runtype is None:
        return "args" if args and not said.get("use_ssh") else "ssh"
    if not runtype.split() or not _RUNTYPES.issuperset(runtype.split()):
        raise invalid(f"error 400/3467: Invalid args: there is no runtype {runtype!r}")
    return runtype
