"""Puts the tables between two marks of a document and leaves its prose alone."""

from __future__ import annotations

from pathlib import Path

from .errors import BenchError


def marks(program: str) -> tuple[str, str]:
    """The lines between which ``program`` (``scripts/bench/relay``) writes."""
    return (
        f"<!-- written by {program} --write: begin -->",
        f"<!-- written by {program} --write: end -->",
    )


def replaced(document: str, tables: str, program: str) -> str:
    """``document`` with ``tables`` between the marks of ``program``."""
    first, last = marks(program)
    before, begin, rest = document.partition(first)
    _, end, after = rest.partition(last)
    if not begin or not end:
        raise BenchError(f"the document lacks the marks of its tables: put in {first} and {last}")
    return f"{before}{first}\n\n{tables}\n{last}{after}"


def write(path: Path, tables: str, program: str) -> None:
    """Replace the tables of ``program`` in the file ``path``."""
    try:
        path.write_text(replaced(path.read_text(), tables, program))
    except OSError as exc:
        raise BenchError(f"{path} cannot be written: {exc.strerror}") from exc
