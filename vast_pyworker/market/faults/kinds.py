"""The kinds of faults: what each does, its parameters and their defaults. A table, no behaviour."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vast_pyworker.errors import SettingError

CALLS = tuple(
    name
    for line in (
        "search create bulk_create launch list show start stop label reboot recycle bid destroy",
        "bulk_destroy bulk_state logs execute result ssh_list ssh_attach ssh_detach templates",
        "template_create template_update template_delete user spend_rate balance charges invoices",
        "price_increases endpoints endpoint_create endpoint_update endpoint_delete workergroups",
        "workergroup_create workergroup_update workergroup_delete account_ssh apikeys other",
    )
    for name in line.split()
)

# kind -> (what it does, {parameter: default})
ANSWER_KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "latency": ("the answer comes late", {"seconds": 1.0}),
    "too_many": (
        "429, nothing done; form is detail, msg, text or bucket",
        {"form": "detail", "threshold_s": 3.0, "retry_after_s": None},
    ),
    "error_before": ("a 5xx instead of the call, which is not done", {"status": 500}),
    "error_after": ("a 5xx after the call was done", {"status": 500}),
    "reset_before": ("the connection is reset, the call is not done", {}),
    "reset_after": ("the connection is reset after the call was done", {}),
    "refused_200": (
        "200 with success:false, nothing done",
        {"error": "try_again", "msg": "Something went wrong, try again."},
    ),
    "truncated": ("the JSON of the answer ends in its middle", {"keep": 0.5}),
    "not_json": ("200 with an HTML page for an answer", {}),
    "null_fields": ("some fields of the rows are null", {"share": 0.3, "fields": None}),
    "stale_list": ("the list as it was some time ago", {"age_s": 60.0}),
    "missing_page": ("a page of the list is left out", {"page": None}),
    "empty_list": ("the list is empty", {}),
    "duplicate": ("rows of the list come twice", {"share": 0.3}),
}

# Each of these may also have after_s: the seconds between the call and the blow.
WORLD_KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "price_change": (
        "at a create: the offer is dearer than the search said; else: the host asks for more",
        {"factor": 1.5},
    ),
    "offer_gone": ("the offer is withdrawn: 410 at its create", {"ask_id": None}),
    "create_stopped": ("the contract exists, stands still and is billed", {}),
    "stuck_loading": ("loading never ends", {}),
    "exited": ("the container's process ends by itself", {"code": 1}),
    "offline": (
        "the host is lost: unknown, then offline, back after back_s (null: never)",
        {"unknown_s": 60.0, "back_s": 600.0},
    ),
    "expired": ("the contract ends now", {}),
    "credit_zero": ("the account's credit is gone", {}),
    "outbid": (
        "an interruptible one is outbid; shape is stopped, exited or intended",
        {"shape": None, "back_s": None},
    ),
    "oci_failure": ("the container cannot be created; it never runs", {}),
    "start_queued": (
        "at a start: the GPUs are taken, the start is queued; freed after free_s (null: never)",
        {"free_s": None},
    ),
    "host_key_change": ("the instance has another SSH host key", {}),
    "port_reuse": ("two running instances change places: each shows the other's ports", {}),
}

KINDS = {**ANSWER_KINDS, **WORLD_KINDS}


def kind_named(given: object) -> str:
    """The kind itself. Raises SettingError that lists them."""
    if isinstance(given, str) and given in KINDS:
        return given
    raise SettingError(f"there is no fault {given!r}; there are {', '.join(KINDS)}")


def check_params(kind: str, given: object) -> dict[str, Any]:
    """The parameters with their defaults. Raises SettingError for one the kind does not have."""
    if not isinstance(given, Mapping):
        raise SettingError(f"fault {kind}: params are an object, not {given!r}")
    known = {**KINDS[kind][1], **({"after_s": 0.0} if kind in WORLD_KINDS else {})}
    unknown = sorted(str(name) for name in given if name not in known)
    if unknown:
        names = ", ".join(known) or "none"
        raise SettingError(f"fault {kind} has no parameter {', '.join(unknown)}; it has {names}")
    params = {**known, **given}
    wrong = [name for name in params if not _fits(params[name], known[name])]
    if wrong:
        raise SettingError(f"fault {kind}: {wrong[0]} cannot be {params[wrong[0]]!r}")
    return params


def _fits(value: object, default: object) -> bool:
    """Whether a value may stand where the default does: numbers are finite and not negative."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        number = default is None or isinstance(default, int | float)
        return number and 0 <= value < float("inf")
    if isinstance(value, str):
        return default is None or isinstance(default, str)
    if value is None:
        return default is None or isinstance(default, float)
    return default is None and isinstance(value, list | tuple)
