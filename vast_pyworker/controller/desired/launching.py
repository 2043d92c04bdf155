"""What is started on an instance: an image or a template, its variables, ports and script."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .keys import LAUNCH
from .kinds import shown
from .ports import port_env, read_ports
from .table import Table, Values

# What runs where nothing else is wanted; docs/starting.md.
ONSTART = (
    "wget -O - https://raw.githubusercontent.com/vast-ai/vast-pyworker/main/start_server.sh"
    " | bash -s {backend}\n"
)
LONGEST_ONSTART = 4048  # Vast's limit, in characters
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OURS = ("REPORT_ADDR", "MASTER_TOKEN")
_WORKER_PORT = "3000"


def read_launch(table: Table, folder: Path) -> Values:
    """Fields of Launch, as far as they are right."""
    values = table.read(LAUNCH)
    env = _read_env(table.inner("env")) if "env" in values else {}
    ports = values.pop("ports", None)
    if ports is None:
        ports = _usual_ports(table, env) if "image" in values else ()
    values["env"] = {**env, **port_env(ports)}
    script = _read_onstart(table, values, folder)
    if script is not None:
        values["onstart"] = script
    _check_source(table)
    return values


def _check_source(table: Table) -> None:
    if "image" in table.raw and "template_hash" in table.raw:
        table.fault("there is an image as well; write one of the two.", "template_hash")
    if "image" not in table.raw and "template_hash" not in table.raw:
        table.fault("an image or a template_hash is missing; write one of the two.")


def _read_env(table: Table) -> dict[str, str]:
    env = {}
    for name, value in table.raw.items():
        wrong = _wrong_variable(name, value)
        if wrong:
            table.fault(wrong, name)
        else:
            env[name] = str(value)
    return env


def _wrong_variable(name: str, value: Any) -> str:
    if not _VARIABLE.fullmatch(name):
        return "this is no name of a variable; ports are listed in ports."
    if name in _OURS:
        return "the controller sets this itself; take it out."
    if isinstance(value, bool) or not isinstance(value, str | int):
        return f"{shown(value)} is no text; write it in quotes."
    return "a variable cannot hold a zero byte; take it out." if "\0" in str(value) else ""


def _usual_ports(table: Table, env: Mapping[str, str]) -> tuple[str, ...]:
    try:
        return read_ports([env.get("WORKER_PORT", _WORKER_PORT)])
    except ValueError:
        table.fault(f"{shown(env['WORKER_PORT'])} is no port.", "env", "WORKER_PORT")
        return ()


def _read_onstart(table: Table, values: Values, folder: Path) -> str | None:
    file, key = values.pop("onstart_file", None), "onstart"
    script: str | None = values.get("onstart")
    if file is not None and "onstart" in table.raw:
        table.fault("there is an onstart as well; write one of the two.", "onstart_file")
    elif file is not None:
        key, script = "onstart_file", _script(table, folder / file)
    elif script is None and "image" in values and "backend" in values:
        script = ONSTART.format(backend=values["backend"])
    if script is not None and len(script) > LONGEST_ONSTART:
        text = f"{len(script)} characters are too many; Vast takes {LONGEST_ONSTART}."
        table.fault(f"{text} Fetch the rest from within.", key)
    return script


def _script(table: Table, path: Path) -> str | None:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        why = exc.strerror if isinstance(exc, OSError) else "it is no UTF-8"
        table.fault(f"{path} cannot be read ({why}); name a text file.", "onstart_file")
        return None
