"""Puts the tables between two marks of a document and leaves its prose alone."""

from __future__ import annotations

from pathlib import Path

from .errors import BenchError

BEGIN = "<!-- written by scripts/bench/relay --write: begin -->"
END = "<!-- written by scripts/bench/relay --write: end -->"


def replaced(document: str, tables: str) -> str:
    """``document`` with ``tables`` between the marks."""
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise BenchError(f"the document lacks the marks of its tables: put in {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{tables}\n{END}{after}"


def write(path: Path, tables: str) -> None:
    """Replace the tables in the file ``path``."""
    try:
        path.write_text(replaced(path.read_text(), tables))
    except OSError as exc:
        raise BenchError(f"{path} cannot be written: {exc.strerror}") from exc
