"""What is printed: tables for people, one JSON document for programs.

Texts that come from a host or from another account are freed of control characters first, so that
nobody's label moves a terminal's cursor.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import click

AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
UNKNOWN = "-"
WIDEST = 40
GAP = "  "
INDENT = "    "
SECRET_FIELDS = frozenset({"api_key", "instance_api_key", "jupyter_token", "image_login"})
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]+")


@dataclass(frozen=True)
class Column:
    """A title; whether cells stand at the right; the colour of a cell's text, None for none."""

    title: str
    right: bool = False
    colour: Callable[[str], str | None] = lambda _: None


def print_json(document: Any) -> None:
    click.echo(json.dumps(without_secrets(document), indent=2, ensure_ascii=False))


def without_secrets(document: Any) -> Any:
    """The same without the fields that hold somebody's key."""
    if isinstance(document, Mapping):
        kept = ((key, each) for key, each in document.items() if key not in SECRET_FIELDS)
        return {key: without_secrets(each) for key, each in kept}
    if isinstance(document, list | tuple):
        return [without_secrets(each) for each in document]
    return document


def print_table(rows: Iterable[tuple[str, ...]]) -> None:
    """Columns as wide as they need to be; the last one runs on."""
    table = list(rows)
    widths = [max(map(len, column)) for column in zip(*table, strict=True)][:-1]
    for *cells, last in table:
        padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
        click.echo("  ".join((*padded, last)).rstrip())


def print_columns(columns: Sequence[Column], rows: Iterable[Sequence[str]]) -> None:
    """A line of titles, then a line a row; cells longer than WIDEST are cut, but not the last.

    In a terminal that is narrower, each is folded between two columns, and so stays a table."""
    table = [[*(clipped(cell) for cell in row[:-1]), plain(row[-1])] for row in rows]
    titles = [column.title for column in columns]
    widths = [max(map(len, cells)) for cells in zip(titles, *table, strict=True)]
    folds = folded(widths, terminal_width())
    for fold in folds:
        shown = _line(columns[fold], titles[fold], widths[fold])
        click.secho(_indented(fold, shown), bold=True)
    for row in table:
        for fold in folds:
            shown = _line(columns[fold], row[fold], widths[fold], coloured=True)
            click.echo(_indented(fold, shown))


def terminal_width() -> int | None:
    """None where what is printed goes to no terminal."""
    if not sys.stdout.isatty():
        return None
    return shutil.get_terminal_size().columns


def folded(widths: Sequence[int], room: int | None) -> list[slice]:
    """Which columns share a line of at most ``room``; each line has one at least."""
    folds, since, used = [], 0, 0
    for index, width in enumerate(widths):
        if room is not None and index > since and used + width > room:
            folds.append(slice(since, index))
            since, used = index, len(INDENT)
        used += width + len(GAP)
    return [*folds, slice(since, len(widths))]


def _indented(fold: slice, line: str) -> str:
    return f"{INDENT}{line}" if fold.start else line


def plain(text: object) -> str:
    """One line that can be printed; UNKNOWN for None and for nothing."""
    return _CONTROL.sub(" ", "" if text is None else str(text)).strip() or UNKNOWN


def clipped(text: object, width: int = WIDEST) -> str:
    line = plain(text)
    return line if len(line) <= width else f"{line[: width - 1]}…"


def dollars(amount: float | None, digits: int = 4) -> str:
    """``0.3520``; UNKNOWN where it is not known."""
    return UNKNOWN if amount is None else f"{amount:.{digits}f}"


def number(amount: float | None, digits: int = 0) -> str:
    return UNKNOWN if amount is None else f"{amount:.{digits}f}"


def _line(
    columns: Sequence[Column],
    cells: Sequence[str],
    widths: Sequence[int],
    *,
    coloured: bool = False,
) -> str:
    padded = []
    for column, cell, width in zip(columns, cells, widths, strict=True):
        blank = " " * (width - len(cell))
        shown = click.style(cell, fg=column.colour(cell)) if coloured else cell
        padded.append(blank + shown if column.right else shown + blank)
    return GAP.join(padded).rstrip()
