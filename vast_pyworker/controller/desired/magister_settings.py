"""What magister could be told, in its file or by the environment, and what it comes to here.

One table for both ways: variables that hold over ``groups.toml``, and the import of a
``magister.toml``. Values are texts, as the environment has them. Its ``duration`` is what it sent:
seconds, although its documentation says hours.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from vast_pyworker.errors import QueryError
from vast_pyworker.vastai.query import parse_query

from .faults import Faults
from .key_paths import KeyPath
from .kinds import shown
from .queries import with_condition

DAY_S = 86400.0


@dataclass(frozen=True)
class Condition:
    """A condition of the offer query; ``read`` makes the value that is sent, None for none."""

    field: str
    operator: str
    read: Callable[[str], Any]


@dataclass(frozen=True)
class Setting:
    """One setting. ``key`` is its place in magister.toml, ``targets`` are those in a group."""

    variable: str
    key: str
    targets: tuple[KeyPath, ...] = ()
    read: Callable[[str], Any] = str
    condition: Condition | None = None
    required: bool = False

    @property
    def listed(self) -> bool:
        """Whether magister.toml may have a list there."""
        return self.read is read_ids or self.key == "contemplant.ssh_authorized_keys"


@dataclass(frozen=True)
class Given:
    """A value as text, and what to call it in a fault."""

    text: str
    origin: str


def read_number(text: str) -> Any:
    """A number where it is one; else the text, which the key's own check refuses."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def read_ids(text: str) -> list[Any]:
    return [read_number(part.strip()) for part in text.split(",") if part.strip()]


def _number(text: str) -> float:
    value = read_number(text)
    if isinstance(value, str) or not math.isfinite(value) or value < 0:
        raise ValueError(f"{shown(text)} is no number from 0 up; write one.")
    return float(value)


def _plain(text: str) -> str:
    return f"{_number(text):g}"


def _megabytes(text: str) -> float:
    return _number(text) * 1000.0


def _duration(text: str) -> float | None:
    days = round(_number(text) / DAY_S, 2)
    return days * DAY_S if days > 0 else None


def _preference(name: str) -> Setting:
    return Setting(name.upper(), name, (("preferences", name),), read_ids)


def _query(
    name: str, condition: Condition | None, *targets: KeyPath, required: bool = False
) -> Setting:
    return Setting(
        f"VAST_QUERY_{name.upper()}",
        f"vast_query.{name}",
        targets,
        read_number,
        condition,
        required,
    )


def _contemplant(key: str) -> Setting:
    inside = key.upper()
    variable = inside if inside.startswith("CONTEMPLANT_") else f"CONTEMPLANT_{inside}"
    return Setting(variable, f"contemplant.{key}", (("launch", "env", inside),))


SETTINGS = (
    Setting(
        "NUMBER_INSTANCES",
        "number_instances",
        (("min_instances",), ("max_instances",)),
        read_number,
        required=True,
    ),
    Setting("TEMPLATE_HASH", "template_hash", (("launch", "template_hash"),), required=True),
    _query("cost_per_hour", None, ("max_usd_per_hour",), required=True),
    _query(
        "disk_space",
        Condition("disk_space", "gte", _plain),
        ("launch", "disk_gb"),
        required=True,
    ),
    _query("gpu_name", Condition("gpu_name", "eq", str), required=True),
    _query("gpu_ram", Condition("gpu_ram", "gte", _megabytes)),
    _query("reliability", Condition("reliability", "gte", _plain)),
    _query("min_cuda_version", Condition("cuda_max_good", "gte", _plain)),
    _query("duration", Condition("duration", "gte", _duration)),
    Setting(
        "CONTEMPLANT_VERIFICATION_TIMEOUT_SECS",
        "contemplant_verification_timeout_secs",
        (("deadlines", "joining_s"),),
        read_number,
    ),
    *(_preference(each) for each in ("bad_hosts", "bad_machines", "good_hosts", "good_machines")),
    *(
        _contemplant(each)
        for each in (
            "prover_type",
            "contemplant_name",
            "http_port",
            "moongate_endpoint",
            "heartbeat_interval_seconds",
            "max_proofs_stored",
            "moongate_log_path",
            "watcher_polling_interval_ms",
            "ssh_authorized_keys",
        )
    ),
)

# Together one variable of the instance, HIEROPHANT_WS_ADDRESS.
HIEROPHANT = (
    Setting("HIEROPHANT_IP", "hierophant_ip"),
    Setting("HIEROPHANT_HTTP_PORT", "hierophant_http_port"),
)


def apply(given: Mapping[str, Given], group: dict[str, Any], path: KeyPath, faults: Faults) -> None:
    """Put what is given, by variable, into the raw ``group`` that stands at ``path``."""
    for setting in SETTINGS:
        if setting.variable in given:
            _apply(setting, given[setting.variable], group, path, faults)
    if "TEMPLATE_HASH" in given and isinstance(group.get("launch"), dict):
        group["launch"].pop("image", None)
    _apply_hierophant(given, group, path, faults)


def _apply(
    setting: Setting, given: Given, group: dict[str, Any], path: KeyPath, faults: Faults
) -> None:
    for target in setting.targets:
        _put(group, target, setting.read(given.text))
        faults.came_from((*path, *target), given.origin)
    if setting.condition is not None:
        try:
            group["query"] = _asking(group.get("query"), setting.condition, given.text)
        except ValueError as exc:
            faults.add_about(given.origin, str(exc))


def _asking(query: Any, condition: Condition, text: str) -> Any:
    value = condition.read(text)
    if value is None or not isinstance(query, str):
        return query
    try:
        parse_query(query)
    except QueryError:
        return query  # which is a fault of the file
    return with_condition(query, condition.field, condition.operator, value)


def _apply_hierophant(
    given: Mapping[str, Given], group: dict[str, Any], path: KeyPath, faults: Faults
) -> None:
    there = [each.variable for each in HIEROPHANT if each.variable in given]
    if len(there) == 1:
        text = "this is of no use alone; give both HIEROPHANT_IP and HIEROPHANT_HTTP_PORT."
        faults.add_about(given[there[0]].origin, text)
    elif there:
        host, port = (given[each.variable] for each in HIEROPHANT)
        target = ("launch", "env", "HIEROPHANT_WS_ADDRESS")
        _put(group, target, f"ws://{host.text}:{port.text}/ws")
        faults.came_from((*path, *target), host.origin)


def _put(group: dict[str, Any], target: KeyPath, value: Any) -> None:
    """Set it, unless something on the way is no table, which is a fault of its own."""
    *around, last = target
    table: Any = group
    for step in around:
        table = table.setdefault(step, {})
        if not isinstance(table, dict):
            return
    table[last] = value
