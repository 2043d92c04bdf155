"""Writes docs/peers.md out of the tests beside it: python tests/peers/table.py > docs/peers.md

A test named ``test_d07_...`` or ``test_pain_12_...`` is about that number; one of each number has
the paragraphs "Peers: ..." and "Ours: ..." in its docstring. The tests are read, not run.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
NUMBER = re.compile(r"test_(d|pain)_?(plus)?(\d+)_")
DEFECTS = tuple(f"D{number}" for number in range(1, 16))
PAINS = (*(str(number) for number in range(1, 26)), "+1", "+2")

NOT_SHOWN: dict[str, str] = {}
"""Why a number has no test."""

HEADER = """\
# Peers: what hurts elsewhere, and what this worker does

<!-- Written by tests/peers/table.py; edit the docstrings of the tests and run it again. -->

Every line is a test in `tests/peers`, run against a real worker process with a scripted model
server (`vast_pyworker/worker/fake_model.py`) and a scripted autoscaler
(`vast_pyworker/worker/fake_autoscaler.py`), or against the unit where that says more. What a real
llama.cpp shows in addition is in `tests/e2e/test_llamacpp.py`, what Vast's official client needs
in `tests/e2e/test_official_client.py`. What only a GPU can show, such as life after an Xid or an
ECC error, is not shown here; readings of GPUs are tested against a library that speaks NVML
([supervision](supervision.md)).
"""
DEFECTS_HEADER = """
## Defects of Vast's own workers, 2024 to `vastai` 1.9.1
"""
PAINS_HEADER = """
## What users of other workers suffer

Of Runpod's worker, Cog, LitServe, BentoML, KServe, Truss, Ray Serve, and of model servers alone.
"""
COLUMNS = """
| number | peers | this worker | tests |
|---|---|---|---|
"""


@dataclass(frozen=True)
class Told:
    """One test: its number, where it is, and its docstring's paragraphs by their first word."""

    number: str
    name: str
    file: str
    says: dict[str, str]


def tests() -> Iterator[Told]:
    """Every test about a number, in the order in which they stand."""
    for path in sorted(HERE.glob("test_*.py")):
        for node in ast.parse(path.read_text()).body:
            found = NUMBER.match(node.name) if isinstance(node, ast.FunctionDef) else None
            if found is not None and isinstance(node, ast.FunctionDef):
                kind, plus, digits = found.groups()
                number = f"{'D' if kind == 'd' else '+' if plus else ''}{int(digits)}"
                yield Told(number, node.name, path.name, _paragraphs(ast.get_docstring(node)))


def _paragraphs(docstring: str | None) -> dict[str, str]:
    parts = (each.partition(": ") for each in (docstring or "").split("\n\n"))
    return {word: " ".join(text.split()) for word, _, text in parts if text}


def page() -> str:
    """The whole document."""
    known = list(tests())
    parts = [HEADER]
    for header, numbers in ((DEFECTS_HEADER, DEFECTS), (PAINS_HEADER, PAINS)):
        parts += [header, COLUMNS, *(_row(number, known) for number in numbers)]
    return "".join(parts)


def _row(number: str, known: list[Told]) -> str:
    about = [told for told in known if told.number == number]
    if not about:
        return f"| {number} | | not shown: {NOT_SHOWN[number]} | |\n"
    says = next(told.says for told in about if "Peers" in told.says)
    names = "<br>".join(f"`{told.name}`" for told in about)
    return f"| {number} | {_cell(says['Peers'])} | {_cell(says['Ours'])} | {names} |\n"


def _cell(text: str) -> str:
    return (text[:1].upper() + text[1:]).replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(page())
