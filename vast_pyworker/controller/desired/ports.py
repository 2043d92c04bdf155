"""Ports to open on an instance, as Vast wants them in its ``env``."""

from __future__ import annotations

import re
from collections.abc import Iterable

from .kinds import Kind

_PORT = re.compile(r"(?:(\d{1,5}):)?(\d{1,5})(?:/(tcp|udp))?")
_HIGHEST = 99999  # Vast gives those above 70000 the same number outside


def read_ports(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise ValueError
    return tuple(_flag(each) for each in value)


def port_env(flags: Iterable[str]) -> dict[str, str]:
    """The flags as entries of ``env``."""
    return dict.fromkeys(flags, "1")


def _flag(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError
    match = _PORT.fullmatch(str(value))
    if match is None or not all(1 <= int(each) <= _HIGHEST for each in match.groups()[:2] if each):
        raise ValueError
    outside, inside, protocol = match.groups()
    return f"-p {outside or inside}:{inside}{'/udp' if protocol == 'udp' else ''}"


PORTS = Kind("list of ports", 'ports such as [3000, "5000/udp", "8080:80"]', read_ports)
