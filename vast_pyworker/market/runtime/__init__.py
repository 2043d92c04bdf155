"""What an instance is while it runs: processes of this machine, or nothing.

What is here: the seam between the market and that. What is not: contracts, money, states; the
market asks for starts and stops and is told of ends.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

PortMap = dict[tuple[int, str], int]
"""(port inside, "tcp" or "udp") -> port of 127.0.0.1 at which it is reached."""

IDENTITY_FROM = 70000
"""Ports inside from here on ask for one number on both sides, which the host chooses."""


@dataclass(frozen=True)
class Box:
    """What is to run for one instance.

    ``command`` is a script for bash. It is the container's own program where ``is_main`` (the
    runtype ``args``: the instance ends with it), else the onstart script (its end changes nothing).
    ``env`` holds the user's variables without docker's flags, ``api_key`` is CONTAINER_API_KEY.
    """

    instance_id: int
    command: str = field(repr=False)
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    ports: tuple[tuple[int, str], ...] = ()
    label: str = ""
    api_key: str = field(default="", repr=False)
    is_main: bool = False


class Runtime(Protocol):
    """Runs boxes. No call waits for a process; all may be called from any thread."""

    def start(self, box: Box) -> PortMap:
        """Run it and say where its ports are: free ones the first time, then always the same.

        One that runs is left alone; one that is still being stopped starts once it has ended, in
        a later ``reap``. What cannot be run is reported by ``reap``, with status 127. A port of
        IDENTITY_FROM or more comes back under the number that it was given.
        """

    def stop(self, instance_id: int) -> None:
        """SIGTERM to all of it, SIGKILL after a grace. Its directory and its ports are kept."""

    def remove(self, instance_id: int) -> None:
        """Stop it, delete its directory, free its ports. An unknown one is gone already."""

    def reap(self) -> list[tuple[int, int]]:
        """(instance, exit status) of each that ended by itself since the last call.

        To be called about twice a second: here late starts and deletions happen.
        """

    def logs(self, instance_id: int, *, daemon: bool = False) -> str:
        """Its newest output; ``daemon``: what was done to it. Empty for an unknown one."""

    def execute(self, instance_id: int, command: str) -> str:
        """What ``ls``, ``rm`` or ``du`` prints in its directory; raises MarketRefusal."""

    def close(self) -> None:
        """End everything that runs, and wait for that some seconds. Directories are kept."""
