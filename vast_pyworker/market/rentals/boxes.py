"""What a contract's container is: its command, environment and ports, read from docker's words."""

from __future__ import annotations

import re
import shlex

from vast_pyworker.market.refusal import invalid
from vast_pyworker.market.runtime import Box

from .contracts import Contract, Launch

Port = tuple[int, str]
MOST_PORTS = 64
_PORT_FLAG = re.compile(r"-p\s+(?:[\d.]+:)?(\d+)(?::(\d+))?(?:/(tcp|udp))?")
_NAME = re.compile(r"[^=\0\s-][^=\0]*")


def box_of(contract: Contract) -> Box:
    """What the runtime is to run. The command is the container's own program for the runtype
    ``args`` with arguments, else the onstart script."""
    launch = contract.launch
    is_main = launch.runtype == "args" and bool(launch.args)
    return Box(
        contract.id,
        command=_words(launch.args) if is_main else launch.onstart or "",
        env={name: value for name, value in launch.env if not name.startswith("-")},
        ports=ports_of(launch),
        label=contract.label or "",
        api_key=contract.key,
        is_main=is_main,
    )


def ports_of(launch: Launch) -> tuple[Port, ...]:
    """The ports inside that are to be reached from outside, in the order of their numbers."""
    wanted = {port for name, _ in launch.env for port in _ports_of_flag(name)}
    if "ssh_direc" in launch.runtype:
        wanted.add((22, "tcp"))
    if "jupyter_direc" in launch.runtype:
        wanted.add((8080, "tcp"))
    return tuple(sorted(wanted))


def check_env(env: dict[str, str]) -> None:
    """MarketRefusal(400) for a name that cannot be one, or a port that cannot be."""
    for name in env:
        if name.startswith("-"):
            _ports_of_flag(name)
        elif not _NAME.fullmatch(name):
            raise invalid(f"invalid env: {name!r} cannot be a variable")
    ports = [port for name in env for port in _ports_of_flag(name)]
    if len(ports) > MOST_PORTS:
        text = f"invalid env: {len(ports)} ports are more than {MOST_PORTS}"
        raise invalid(text)


def flags_to_env(text: str) -> dict[str, str]:
    """Docker's flags, as templates hold them, as the object that a create sends."""
    try:
        words = shlex.split(text)
    except ValueError as error:
        said = f"the template's env cannot be read: {error}"
        raise invalid(said) from error
    env: dict[str, str] = {}
    while words:
        flag = words.pop(0)
        value = words.pop(0) if words and flag.startswith("-") and "=" not in flag else ""
        if flag in ("-e", "--env") and value:
            name, _, content = value.partition("=")
            env[name] = content
        elif flag in ("-p", "--publish", "-v", "--volume"):
            env[f"-{flag.lstrip('-')[0]} {value}"] = "1"
        elif flag in ("-h", "--hostname"):
            env["-h"] = value
    return env


def _ports_of_flag(name: str) -> list[Port]:
    if not name.startswith("-p"):
        return []
    found = _PORT_FLAG.fullmatch(name.strip())
    if found is None:
        raise invalid(f"invalid env: {name!r} is no port mapping")
    outside, inside, protocol = found.groups()
    port = int(inside or outside)
    if not 0 < port < 100_000:
        raise invalid(f"invalid env: there is no port {port}")
    return [(port, protocol or "tcp")]


def _words(args: tuple[str, ...]) -> str:
    """The arguments as one line for bash; those that begin with an option are bash's own."""
    return shlex.join(["bash", *args] if args[0].startswith("-") else args)
