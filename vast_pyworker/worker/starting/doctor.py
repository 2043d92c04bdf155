"""Looks at everything a worker needs before it starts: one finding a line, bounded in time.

Does not repair anything, start anything or show a secret. What could not be found out is a warning
that says so; only what will keep the worker from working is a fault.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from vast_pyworker.errors import SettingError

from . import doctor_machine, doctor_network
from .finding import Finding
from .site import site_of, with_defaults

LOOKS = {**doctor_machine.LOOKS, **doctor_network.LOOKS}


def examine(environ: Mapping[str, str]) -> Iterator[Finding]:
    """Look at everything in turn, with the settings that a start would have."""
    try:
        site = site_of(with_defaults(environ, ""))
        yield Finding("settings", "ok", "Every setting can be read.")
    except SettingError as exc:
        site = site_of({})
        yield Finding("settings", "fault", f"{exc} What follows goes by the defaults.")
    for name, look in LOOKS.items():
        yield replace(look(site), name=name)
