"""Free ports of this machine, none of them handed out twice.

What is here: choosing them and keeping them. What is not: listening, which the instances do, and
the numbers that instances see (``environment``).

They come from below the range that the system takes ports of outgoing connections from, so a port
that nobody listens on for a while is still free later. On Linux an abstract socket for each tells
other markets on this machine that it is taken; the system drops it with this process.
"""

from __future__ import annotations

import random
import socket
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

LOWEST = 20000
_EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
_EPHEMERAL_FROM = 32768
_TRIES = 2000
_KINDS = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}

Wanted = tuple[int, str]
"""(port inside, "tcp" or "udp")"""


class Ports:
    """Ports of 127.0.0.1 that are ours. Not safe from several threads."""

    def __init__(self) -> None:
        self._random = random.Random()
        self._taken: dict[int, socket.socket | None] = {}

    def take(self, wanted: Iterable[Wanted]) -> dict[Wanted, int]:
        """A free port for each, the same until ``free``; raises OSError where none is left."""
        given: dict[Wanted, int] = {}
        try:
            for each in dict.fromkeys(wanted):
                given[each] = self._one(each[1])
        except OSError:
            self.free(given)
            raise
        return given

    def free(self, given: Mapping[Wanted, int]) -> None:
        """Give back what ``take`` gave."""
        for port in given.values():
            told = self._taken.pop(port, None)
            if told is not None:
                told.close()

    def close(self) -> None:
        for told in self._taken.values():
            if told is not None:
                told.close()
        self._taken.clear()

    def _one(self, protocol: str) -> int:
        highest = _ephemeral_from()
        for _ in range(_TRIES):
            port = self._random.randrange(LOWEST, highest)
            if port not in self._taken and _is_free(port, protocol) and self._reserve(port):
                return port
        raise OSError(f"No port from {LOWEST} to {highest} is free: end what listens there.")

    def _reserve(self, port: int) -> bool:
        self._taken[port] = None
        if sys.platform != "linux":
            return True
        told = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            told.bind(f"\0vast-pyworker-market-port-{port}")
        except OSError:
            told.close()
            del self._taken[port]
            return False
        self._taken[port] = told
        return True


def _ephemeral_from() -> int:
    try:
        lowest = int(_EPHEMERAL.read_text().split()[0])
    except OSError:
        lowest = _EPHEMERAL_FROM
    return lowest if lowest > LOWEST + _TRIES else _EPHEMERAL_FROM


def _is_free(port: int, protocol: str) -> bool:
    """Whether any address of this machine could be bound: an instance may bind all of them."""
    with socket.socket(socket.AF_INET, _KINDS[protocol]) as probe:
        if protocol == "tcp":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("0.0.0.0", port))
        except OSError:
            return False
        return True
