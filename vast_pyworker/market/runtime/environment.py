"""The environment of an instance's processes, and the ports that it is shown. Pure.

What is here: what Vast gives, and what a local process needs instead of a container. What is not:
starting anything.

There is no container network: what would listen on port n inside must listen on the port that n is
mapped to, which is VAST_TCP_PORT_<n>. The worker is told so by WORKER_PORT.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from . import IDENTITY_FROM, Box, PortMap
from .ports import Wanted

MARK = "VAST_MARKET_MARK"
"""In the environment of everything that one start of an instance started: random, and its own."""

PUBLIC_IP = "127.0.0.1"
WORKER_PORT = "WORKER_PORT"
DEFAULT_WORKER_PORT = 3000
PASSED = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}
"""The only variables of the market's own that an instance gets, and what they are without."""

_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)


def environment_of(
    box: Box, given: Mapping[Wanted, int], ours: Mapping[str, str], folder: Path, mark: str
) -> dict[str, str]:
    """Everything that the instance's processes find in their environment.

    ``given`` maps what the box asked for to ports of this machine, ``ours`` is the market's own
    environment, ``folder`` the instance's. The user's variables win over the image's, Vast's over
    the user's. Names that no shell could read are left out, as docker's flags are.
    """
    image = {name: ours.get(name) or default for name, default in PASSED.items()}
    image |= {"HOME": str(folder / "home"), "TMPDIR": str(folder / "tmp")}
    users = {name: str(value) for name, value in box.env.items() if _NAME.fullmatch(name)}
    vasts = {
        "CONTAINER_ID": str(box.instance_id),
        "CONTAINER_API_KEY": box.api_key,
        "VAST_CONTAINERLABEL": f"C.{box.instance_id}",
        "PUBLIC_IPADDR": PUBLIC_IP,
        **_port_variables(given),
        **_worker_port(users, given),
    }
    return {**image, **users, **vasts, MARK: mark}


def seen_ports(given: Mapping[Wanted, int]) -> PortMap:
    """What the instance's row shows: identity ports stand under the number they were given."""
    return {
        (port if inside >= IDENTITY_FROM else inside, protocol): port
        for (inside, protocol), port in given.items()
    }


def _port_variables(given: Mapping[Wanted, int]) -> dict[str, str]:
    asked = [(inside, protocol, port) for (inside, protocol), port in given.items()]
    shown = [(inside, protocol, port) for (inside, protocol), port in seen_ports(given).items()]
    return {
        f"VAST_{protocol.upper()}_PORT_{inside}": str(port)
        for inside, protocol, port in (*asked, *shown)
    }


def _worker_port(users: Mapping[str, str], given: Mapping[Wanted, int]) -> dict[str, str]:
    """Where the worker's port is mapped: listen at the mapped one, and find it under its name."""
    wanted = users.get(WORKER_PORT) or str(DEFAULT_WORKER_PORT)
    port = given.get((int(wanted), "tcp")) if wanted.isdecimal() else None
    if port is None:
        return {}
    return {WORKER_PORT: str(port), f"VAST_TCP_PORT_{port}": str(port)}
