"""Keeps the market in one JSON file between two runs: written whole or not at all."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from vast_pyworker.errors import SettingError


class Kept(Protocol):
    """A part of the market that survives: ``state()`` in JSON values, and back."""

    def state(self) -> dict[str, Any]: ...

    def restore(self, state: Mapping[str, Any]) -> None: ...


def save(path: Path, parts: Mapping[str, Kept]) -> None:
    """Writes every part's state. The file holds keys of accounts: only its owner may read it.

    OSError where it cannot be written; the former file is then as it was.
    """
    # The last one first: what it refers to in an earlier one is then there.
    states = {name: parts[name].state() for name in reversed(list(parts))}
    text = json.dumps(states, allow_nan=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise


def load(path: Path, parts: Mapping[str, Kept]) -> bool:
    """Restores every part from the file, in the order of ``parts``; False where there is none.

    SettingError for a file that is not such a state. Parts that it does not name stay as they are.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return False
    try:
        states = json.loads(text)
    except ValueError as error:
        raise SettingError(f"{path} is not a market's state: {error}") from error
    if not isinstance(states, dict):
        raise SettingError(f"{path} is not a market's state; give another --state file")
    for name, part in parts.items():
        if name not in states:
            continue
        try:
            part.restore(states[name])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise SettingError(f"{path} is not a market's state: {name}: {error!r}") from error
    return True
