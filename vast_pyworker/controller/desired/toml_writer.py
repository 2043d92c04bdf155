"""Plain data as TOML text, with comments above keys and tables."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from .key_paths import KeyPath, quoted, written

_PLAIN = re.compile(r'(?:[^\\"\x00-\x1f\x7f]|"(?!")|\n)*')


def toml_of(data: Mapping[str, Any], comments: Mapping[KeyPath, str]) -> str:
    """Texts, numbers, flags, lists of these, and tables; the order is kept."""
    return "\n".join(_lines(data, (), comments)).lstrip("\n") + "\n"


def comment(text: str) -> list[str]:
    return [f"# {line}".rstrip() for line in text.splitlines()]


def _lines(
    table: Mapping[str, Any], path: KeyPath, comments: Mapping[KeyPath, str]
) -> Iterator[str]:
    inner = {key: value for key, value in table.items() if isinstance(value, dict)}
    for key, value in table.items():
        if key not in inner:
            yield from comment(comments.get((*path, key), ""))
            yield f"{written(key)} = {_value(value)}"
    for key, value in inner.items():
        there = (*path, key)
        if value and not all(isinstance(each, dict) for each in value.values()):
            yield ""
            yield from comment(comments.get(there, ""))
            yield f"[{'.'.join(written(str(each)) for each in there)}]"
        yield from _lines(value, there, comments)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return f"[{', '.join(_value(each) for each in value)}]"
    if isinstance(value, str):
        return _long(value) if "\n" in value and _PLAIN.fullmatch(value) else quoted(value)
    return repr(value)


def _long(text: str) -> str:
    return f'"""\n{text}"""' if not text.endswith('"') else quoted(text)
