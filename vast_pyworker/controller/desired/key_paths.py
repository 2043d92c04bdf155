"""The place of a key in a file, and how it is written."""

from __future__ import annotations

import json
import re

KeyPath = tuple[str | int, ...]

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def dotted(path: KeyPath) -> str:
    """``("group", "llm", "window", 0)`` as ``group.llm.window[0]``."""
    words = (f"[{each}]" if isinstance(each, int) else f".{written(each)}" for each in path)
    return "".join(words).removeprefix(".")


def written(key: str) -> str:
    """A key as TOML has it: in quotes where it needs them."""
    return key if _BARE.fullmatch(key) else quoted(key)


def quoted(text: str) -> str:
    """A text as TOML has it, on one line."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
