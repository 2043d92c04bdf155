"""What an owner sees and does inside an instance: logs, commands, SSH keys."""

from __future__ import annotations

import json
import re
from typing import Any

from vast_pyworker.market.accounts.ssh_keys import checked
from vast_pyworker.market.refusal import MarketRefusal, invalid
from vast_pyworker.market.rentals.contracts import HOLDING, Contract
from vast_pyworker.market.world.world import World

LONGEST_COMMAND = 512
LONGEST_FILTER = 256

Answer = dict[str, Any]


def for_logs(world: World, account: int, instance_id: object) -> Contract:
    contract = world.mine(account, instance_id)
    if contract is None:
        raise MarketRefusal(404, "invalid_id", "Invalid instance id.")
    return contract


def host_key_line(contract: Contract, daemon: bool) -> str:
    return f"SSH host key SHA256:{contract.host_key}\n" if daemon else ""


def log_filter(tail: object, pattern: object) -> tuple[int | None, re.Pattern[str] | None]:
    """How many last lines, and which; both come as text. MarketRefusal(400) for what is neither."""
    if tail is not None and not re.fullmatch(r"\d{1,9}", str(tail)):
        raise invalid(f"tail must be a number of lines, not {str(tail)[:32]!r}")
    if pattern is not None and (not isinstance(pattern, str) or len(pattern) > LONGEST_FILTER):
        raise invalid(f"filter must be a pattern of at most {LONGEST_FILTER} characters")
    try:
        found = re.compile(pattern) if pattern else None
    except (re.error, RecursionError, OverflowError) as error:
        raise invalid(f"filter is no pattern: {error}") from error
    return (None if tail is None else int(str(tail))), found


def cut_log(text: str, tail: int | None, pattern: re.Pattern[str] | None) -> str:
    """The lines that the pattern is found in, of those the last ``tail``."""
    lines = text.splitlines(keepends=True)
    if pattern is not None:
        lines = [line for line in lines if pattern.search(line)]
    return "".join(lines if tail is None else lines[len(lines) - min(tail, len(lines)) :])


def for_command(world: World, account: int, instance_id: object, command: object) -> str:
    """The command, allowed as far as the market knows; which programs is for the runtime."""
    contract = world.mine(account, instance_id)
    if contract is None:
        raise MarketRefusal(404, "not_found", "Instance not found.")
    if command is None or command == "":
        raise invalid("Missing command.")
    if not isinstance(command, str):
        raise invalid("Invalid command.")
    if len(command) > LONGEST_COMMAND or not command.strip():
        raise invalid("Invalid command given.")
    if contract.phase in HOLDING:
        text = "Execute command only avail on stopped instances."
        raise invalid(f"{text} Use ssh to run commands on running instances.")
    return command


def ssh_attach(world: World, account: int, instance_id: object, ssh_key: object) -> Answer:
    contract = _for_keys(world, account, instance_id)
    if not isinstance(ssh_key, str) or not ssh_key.strip():
        raise invalid("No ssh key provided to add to instance.", "no_ssh_key")
    key = checked(ssh_key)
    if any(key == each for _, each in contract.ssh_keys):
        return {"success": False, "msg": "SSH key already associated with instance."}
    number = world.number()
    contract.ssh_keys.append((number, key))
    row = json.dumps(_key_row(contract, number, key))
    return {"success": True, "msg": "SSH key added to instance.", "key": row}


def ssh_list(world: World, account: int, instance_id: object) -> Answer:
    contract = _for_keys(world, account, instance_id)
    rows = [_key_row(contract, number, key) for number, key in contract.ssh_keys]
    return {"success": True, "ssh_keys": json.dumps(rows)}


def ssh_detach(world: World, account: int, instance_id: object, key_id: int) -> Answer:
    contract = _for_keys(world, account, instance_id)
    left = [(number, key) for number, key in contract.ssh_keys if number != key_id]
    if len(left) == len(contract.ssh_keys):
        return {"success": False, "error": "no_such_ssh_key", "msg": "SSH key not found."}
    contract.ssh_keys = left
    return {"success": True, "msg": "SSH key removed from instance."}


def _for_keys(world: World, account: int, instance_id: object) -> Contract:
    """These calls say that there is no such instance with status 200."""
    contract = world.mine(account, instance_id)
    if contract is None:
        raise MarketRefusal(200, "no_such_instance", f"Instance {instance_id} not found.")
    return contract


def _key_row(contract: Contract, number: int, key: str) -> Answer:
    return {"id": number, "user_id": contract.account, "instance_id": contract.id, "key": key}
