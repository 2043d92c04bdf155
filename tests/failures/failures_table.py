"""Writes docs/failures.md out of the tests beside it.

    python tests/failures/failures_table.py > docs/failures.md

A test named ``test_m07_...``, ``test_a02_...`` or ``test_s05_...`` in a file ``test_*_rows*.py`` is
about that row of ``catalogue``; the first sentence of its docstring says what the controller does.
The tests are read, not run.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from catalogue import FAILURES, MONEY, SECURITY, SERVICE
from elsewhere import ELSEWHERE

HERE = Path(__file__).resolve().parent
NUMBER = re.compile(r"test_([mas])(\d+)_")
_SENTENCE = re.compile(r".+?[.!](?=\s+[A-Z`]|$)", re.DOTALL)

HEADER = """\
# Failures: what goes wrong with a rented fleet, and what the controller does

<!-- Written by tests/failures/failures_table.py; edit the docstrings of the tests and run it again. -->

Every line is tests in `tests/failures`, against the real loop and ledger. Those of
`test_money_rows_market_*.py` and `test_service_rows_market.py` run at the market, by the real
client over HTTP: the market's own fault strikes the very call, and what the market bills at the end
is compared. The others run over a provider that fails on demand
(`vast_pyworker/providers/fake`), with the clock in the test's hand, or against the controller's own
calls on a real socket (`vast_pyworker/controller/fake_controller.py`). What no controller can
prevent has a reason in place of a test. Beside these single failures
`tests/failures/test_convergence.py` and `tests/failures/test_market_convergence.py` draw histories
of all of them at once, and `tests/failures/test_market_fault_sweep.py` has every fault strike every
call of the client.
"""  # noqa: E501
COLUMNS = """
| row | what goes wrong | what the controller does | test |
|---|---|---|---|
"""
PARTS = (("Money", MONEY), ("Service", SERVICE), ("Security", SECURITY))


@dataclass(frozen=True)
class Told:
    """One test: the row it is about, its name, the sentence it says, and its file."""

    row: str
    name: str
    says: str
    file: str


def tests() -> Iterator[Told]:
    """Every test about a row, in the order in which they stand."""
    for path in sorted(HERE.glob("test_*_rows*.py")):
        for node in ast.parse(path.read_text()).body:
            found = NUMBER.match(node.name) if isinstance(node, ast.FunctionDef) else None
            if found is not None and isinstance(node, ast.FunctionDef):
                row = f"{found[1].upper()}{int(found[2])}"
                yield Told(row, node.name, _sentence(ast.get_docstring(node)), path.name)


def _sentence(docstring: str | None) -> str:
    found = _SENTENCE.match(docstring or "")
    return " ".join((found[0] if found else docstring or "").split())


def page() -> str:
    """The whole document."""
    known = list(tests())
    parts = [HEADER]
    for title, rows in PARTS:
        parts += [f"\n## {title}\n", COLUMNS, *(_line(row, known) for row in rows)]
    return "".join(parts)


def _line(row: str, known: list[Told]) -> str:
    about = [told for told in known if told.row == row]
    says = [each for each in dict.fromkeys(told.says for told in about) if each]
    if row in ELSEWHERE:
        says.append(ELSEWHERE[row])
    names = "<br>".join(f"`{told.name}`" for told in about)
    return f"| {row} | {_cell(FAILURES[row])} | {_cell(' '.join(says))} | {names} |\n"


def _cell(text: str) -> str:
    return (text[:1].upper() + text[1:]).replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(page())
