"""All that is wrong with a file, collected: one line each, with place, key and remedy."""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches

from vast_pyworker.errors import WishError

from .key_paths import KeyPath, dotted
from .toml_file import TomlFile


class Faults:
    """The faults of one file, and of the values that came from elsewhere."""

    def __init__(self, file: TomlFile) -> None:
        self._file = file
        self._origins: dict[KeyPath, str] = {}
        self._found: dict[str, int] = {}

    def came_from(self, path: KeyPath, origin: str) -> None:
        """What is at ``path`` is not the file's: ``origin`` is named instead of a line."""
        self._origins[path] = origin

    def add(self, path: KeyPath, text: str) -> None:
        """``text`` is about the key at ``path``."""
        line = self._file.line_of(path)
        origin = self._origins.get(path, f"{self._file.name}:{line}")
        self._found.setdefault(_one_line(f"{origin}: {dotted(path)}: {text}"), line)

    def add_about(self, origin: str, text: str) -> None:
        """``text`` is about something that is not in the file."""
        self._found.setdefault(_one_line(f"{origin}: {text}"), 0)

    def raise_any(self) -> None:
        """Raise WishError where there are any, in the order of the file."""
        if self._found:
            raise WishError("\n".join(sorted(self._found, key=lambda each: self._found[each])))


def nearest(name: str, known: Collection[str]) -> str:
    """The one that was most likely meant; "" where none is like it."""
    return next(iter(get_close_matches(name, known, n=1, cutoff=0.5)), "")


def _one_line(text: str) -> str:
    return " ".join(text.splitlines())


def stranger(name: str, known: Collection[str], noun: str = "key") -> str:
    """That there is no such thing, the nearest that there is, and all of them."""
    near = nearest(name, known)
    meant = f"; do you mean {near}?" if near else "."
    return f"there is no such {noun}{meant} There can be {', '.join(known)}."
