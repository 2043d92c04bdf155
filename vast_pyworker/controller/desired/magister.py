"""Turns a ``magister.toml`` into a ``groups.toml`` that holds the same number of instances.

The environment counts as it did for magister: over the file. What has no counterpart is named in a
comment. No key is copied, and magister's own instances are not taken over.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from . import reading
from .faults import Faults
from .key_paths import KeyPath, dotted
from .kinds import shown
from .magister_settings import DAY_S, HIEROPHANT, SETTINGS, Given, apply, read_number
from .toml_file import TomlFile, parse_toml
from .toml_writer import comment, toml_of

NAME = "magister.toml"
FLEET = "magister"
GROUP = "contemplant"

# As magister started it, but for the number: there it was the offer's.
ONSTART = """\
export MAGISTER_DROP_ENDPOINT="${REPORT_ADDR%%,*}/drop/$CONTAINER_ID"
chmod +x /entrypoint.sh
bash /entrypoint.sh
"""

_HEAD = """\
Made from a magister.toml: its instances, held at the same number.
Instances that are labelled "magister" are not known here: destroy them once these are ready.
"""

_GONE = {
    "http_port": "the controller is told its port when it is started",
    "this_magister_addr": "the controller is told its address when it is started",
    "vast_api_key": "the key is no matter of this file; set VAST_API_KEY",
    "vast_api_call_backoff_secs": "the client keeps the distance between calls that Vast asks for",
    "task_polling_interval_secs": "the controller has a pace of its own",
    "vast_query.allocated_storage": "prices are those with disk_gb, which is what is rented",
}
_KNOWN = {*_GONE, *(each.key for each in (*SETTINGS, *HIEROPHANT))}
_SECRET = ("vast_api_key",)


def import_magister(text: str, environ: Mapping[str, str], *, name: str = NAME) -> str:
    """The text of a ``groups.toml`` for the text of a ``magister.toml`` ("" for none).

    Raises WishError with a line for each thing that is missing or wrong.
    """
    file = parse_toml(text, name)
    flat = dict(_flat(file.data))
    given = _given(flat, file, environ)
    faults = Faults(file)
    for setting in (*SETTINGS, *HIEROPHANT):
        if isinstance(flat.get(setting.key), list) and not setting.listed:
            origin = f"{name}:{file.line_of(tuple(setting.key.split('.')))}: {setting.key}"
            faults.add_about(origin, f"{shown(flat[setting.key])} is a list; write one value.")
    for setting in SETTINGS:
        if setting.required and setting.variable not in given:
            text = f"{setting.key} is missing; write it, or set {setting.variable}."
            faults.add_about(name, text)
    faults.raise_any()
    data = _document(given, faults)
    reading.wishes_of(data, faults, Path())
    return "\n".join([*comment(_HEAD), "", toml_of(data, _comments(given)) + _rest(flat)])


def _document(given: Mapping[str, Given], faults: Faults) -> dict[str, Any]:
    group: dict[str, Any] = {
        "query": "",
        "max_usd_per_hour": 0,
        "min_instances": 0,
        "max_instances": 0,
        "policy": "hold",
        "on_shutdown": "leave",
        "on_external_delete": "replace",
        "launch": {"backend": GROUP, "template_hash": "", "disk_gb": 0, "onstart": ONSTART},
    }
    apply(given, group, ("group", GROUP), faults)
    count, price = group["min_instances"], group["max_usd_per_hour"]
    most = count + 1 if isinstance(count, int) and count >= 0 else 0
    ceiling = round(most * price, 4) if isinstance(price, int | float) else 0
    limits = {"instances": most, "usd_per_hour": ceiling}
    return {"fleet": FLEET, "limits": limits, "group": {GROUP: group}}


def _given(flat: Mapping[str, Any], file: TomlFile, environ: Mapping[str, str]) -> dict[str, Given]:
    """What counts, by variable: the environment's, else the file's."""
    given = {}
    for setting in (*SETTINGS, *HIEROPHANT):
        of_environ = environ.get(setting.variable, "").strip()
        of_file = _as_text(flat.get(setting.key))
        line = file.line_of(tuple(setting.key.split(".")))
        if of_environ:
            given[setting.variable] = Given(of_environ, setting.variable)
        elif of_file:
            given[setting.variable] = Given(of_file, f"{file.name}:{line}: {setting.key}")
    return given


def _as_text(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(_as_text(each) for each in value)
    return "" if value is None else str(value).strip()


def _flat(table: Mapping[str, Any], path: KeyPath = ()) -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, (*path, key))
        else:
            yield dotted((*path, key)), value


def _comments(given: Mapping[str, Given]) -> dict[KeyPath, str]:
    group: KeyPath = ("group", GROUP)
    said: dict[KeyPath, str] = {
        ("limits",): "Magister had none. One more than it held, so that one can be replaced by\n"
        "another that is ready.",
        (*group, "launch", "onstart"): "Look whether your template starts like this. The "
        "controller has to offer magister's\nroutes, and REPORT_ADDR is its address.",
        (*group, "deadlines"): "Magister counted this from the rental on, with the pull of the "
        "image; that has a\ndeadline of its own here, loading_s.",
        (*group, "preferences"): "Good ones are really taken first; magister never looked at them.",
    }
    if "VAST_QUERY_DURATION" in given:
        query: KeyPath = (*group, "query")
        said[query] = _on_duration(given["VAST_QUERY_DURATION"].text)
    return said


def _on_duration(text: str) -> str:
    seconds = float(read_number(text))
    said = (
        f"Magister's duration of {seconds:g} was documented as hours and sent as seconds: "
        f"{seconds / DAY_S:.2f} days."
    )
    if seconds < DAY_S:
        said += f"\nIf hours were meant, write duration>={seconds / 24:.2f} (days)."
    return said


def _rest(flat: Mapping[str, Any]) -> str:
    gone = [f"{_mention(key, flat[key])}: {why}." for key, why in _GONE.items() if key in flat]
    gone += [f"{key}: magister did not know it." for key in flat if key not in _KNOWN]
    lines = comment("\n".join(["Without a counterpart:", *gone]))
    return "\n".join(["", *lines, ""]) if gone else ""


def _mention(key: str, value: Any) -> str:
    return key if key in _SECRET else f"{key} = {shown(value)}"
