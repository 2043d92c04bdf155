"""Texts of ``groups.toml`` for markets whose instances are processes of this machine. Pure."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .services import ROOT

WORKER_PORT = 3000
HERE = {
    "USE_SSL": "false",
    "PYWORKER_HOST": "127.0.0.1",
    "PYWORKER_STATE": ".pyworker",
    "PYWORKER_VENV": sys.prefix,
    "DRAIN_TIMEOUT": "5",
}
_LIMITS = {"instances": 20, "usd_per_hour": 20.0, "usd_per_day": 100.0}


@dataclass(frozen=True)
class Group:
    """``keys`` go to the group itself, ``tables`` to its tables; ``onstart`` is bash, by default
    the start of our own worker."""

    name: str
    backend: str = "helloworld"
    keys: Mapping[str, Any] = field(default_factory=dict)
    tables: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    onstart: str = ""
    ports: Sequence[int] = (WORKER_PORT,)

    def text(self) -> str:
        usual = {
            "query": "num_gpus=1",
            "max_usd_per_hour": 2.0,
            "min_instances": 1,
            "max_instances": 3,
            "on_shutdown": "destroy",
        }
        launch = {
            "backend": self.backend,
            "image": "pyworker/local",
            "disk_gb": 10,
            "onstart": self.onstart or our_worker(self.backend),
            "ports": list(self.ports),
        }
        tables = {**self.tables, "launch": launch, "launch.env": {**HERE, **self.env}}
        head = f"[group.{self.name}]\n{_lines({**usual, **self.keys})}"
        return head + "".join(
            f"[group.{self.name}.{name}]\n{_lines(keys)}" for name, keys in tables.items()
        )


def groups_text(fleet: str, *groups: Group, **limits: float) -> str:
    """The whole file."""
    head = f'fleet = "{fleet}"\n\n[limits]\n{_lines({**_LIMITS, **limits})}'
    return "\n".join([head, *(each.text() for each in groups)])


def our_worker(backend: str) -> str:
    """Start the worker of this checkout."""
    script = shlex.quote(str(ROOT / "start_server.sh"))
    return f"#!/bin/bash\n{script} {shlex.quote(backend)}\n"


def _lines(keys: Mapping[str, Any]) -> str:
    return "".join(f"{name} = {_value(value)}\n" for name, value in keys.items())


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_value(each)}" for key, each in value.items()) + " }"
    return json.dumps(value)
