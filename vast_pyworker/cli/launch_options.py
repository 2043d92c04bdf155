"""The options of ``rent`` that end up in a container's environment: ``--env`` and ``--ports``."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from vast_pyworker.vastai.launch import parse_env, unread_env

from .exits import refuse

_PORT = re.compile(r"(?:(\d{1,5}):)?(\d{1,5})(?:/(tcp|udp))?")


def environment(
    given: Iterable[str], ports: Iterable[str], variable: Callable[[str], str]
) -> dict[str, str]:
    """What the API calls ``env``: variables, and docker's port flags as names with value ``1``.

    Each of ``given`` is ``NAME=VALUE``, ``NAME`` (its value is ``variable(NAME)``) or docker flags
    (``-e A=1 -p 80:80``).
    """
    env: dict[str, str] = {}
    for each in given:
        env.update(_variables(each, variable))
    for flag in port_flags(ports):
        env[flag] = "1"
    return env


def port_flags(ports: Iterable[str]) -> list[str]:
    """``-p`` flags of ``8080``, ``8080/udp`` or ``80:8080``, alone or in a list with commas."""
    words = [word.strip() for each in ports for word in each.split(",")]
    return [_port_flag(word) for word in words if word]


def _variables(given: str, variable: Callable[[str], str]) -> dict[str, str]:
    if given.lstrip().startswith("-"):
        return _flags(given)
    name, equals, value = given.partition("=")
    if not name or any(letter.isspace() for letter in name):
        refuse(f"--env {given!r} has no name; write NAME=VALUE, or NAME to pass on your own.")
    return {name: value if equals else variable(name)}


def _flags(given: str) -> dict[str, str]:
    unread = unread_env(given)
    if unread:
        refuse(
            f"--env {given!r} holds {unread[0]!r}, which Vast does not know; it knows -e, -p, -h, "
            "-v and -n, each with one space behind it."
        )
    return parse_env(given)


def _port_flag(word: str) -> str:
    match = _PORT.fullmatch(word)
    numbers = [int(each) for each in match.groups()[:2] if each] if match else []
    if not match or not all(1 <= number <= 99999 for number in numbers):
        refuse(f"--ports {word!r} is not a port; write 8080, 8080/udp or 80:8080.")
    outside, inside, protocol = match.groups()
    ending = f"/{protocol}" if protocol == "udp" else ""
    return f"-p {outside or inside}:{inside}{ending}"
