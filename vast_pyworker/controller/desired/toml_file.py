"""A TOML file with the lines of its keys; what cannot be read is one sentence."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vast_pyworker.errors import WishError

from .key_paths import KeyPath
from .lines import line_of, lines_of
from .toml_parser import loads

_TUPLE = re.compile(r"\('[^()]*'(?:, '[^()]*')*,?\)")  # a key in several parts, as Python has it
_PLACE = re.compile(r"\s*\(at (?:line (\d+), column (\d+)|end of document)\)$")


@dataclass(frozen=True)
class TomlFile:
    """What a file holds. ``name`` is how it is called in sentences."""

    name: str
    data: dict[str, Any]
    lines: dict[KeyPath, int]

    def line_of(self, path: KeyPath) -> int:
        return line_of(self.lines, path)


def read_toml(path: str | Path) -> TomlFile:
    """Read a file. Raises WishError for one that is not there, no UTF-8 or no TOML."""
    try:
        raw = Path(path).read_bytes()
    except OSError as exc:
        raise WishError(
            f"{path} cannot be read: {exc.strerror or exc}. Name a file that is there."
        ) from exc
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = raw.count(b"\n", 0, exc.start) + 1
        raise WishError(f"{path}:{line}: this is no UTF-8; save the file as UTF-8.") from exc
    return parse_toml(text, str(path))


def parse_toml(text: str, name: str) -> TomlFile:
    """Read a text. Raises WishError for one that is no TOML."""
    try:
        data = loads(text)
    except ValueError as exc:  # TOMLDecodeError is one; a number of 5000 digits makes another
        raise WishError(_sentence(str(exc), text, name)) from exc
    except RecursionError as exc:
        raise WishError(f"{name}: lists are nested too deeply; write them flat.") from exc
    return TomlFile(name, data, lines_of(text))


def _sentence(message: str, text: str, name: str) -> str:
    place = _PLACE.search(message)
    what = _TUPLE.sub(lambda found: found[0].strip("(,)").replace("', '", "."), message)
    what = _PLACE.sub("", what)
    line = place[1] if place and place[1] else str(len(text.splitlines()) or 1)
    column = f" at column {place[2]}" if place and place[2] else ""
    return f"{name}:{line}: this is no TOML: {what}{column}."
