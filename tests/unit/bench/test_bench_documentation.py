from __future__ import annotations

from pathlib import Path

import pytest
from relay_bench import documentation
from relay_bench.errors import BenchError

BY = "scripts/bench/some"
BEGIN, END = documentation.marks(BY)
PAGE = f"before\n{BEGIN}\nold\n{END}\nafter\n"


def test_tables_replace_what_stood_between_the_marks() -> None:
    text = documentation.replaced(PAGE, "new", BY)
    assert text == f"before\n{BEGIN}\n\nnew\n{END}\nafter\n"


def test_writing_twice_changes_nothing_more() -> None:
    once = documentation.replaced(PAGE, "new", BY)
    assert documentation.replaced(once, "new", BY) == once


def test_document_without_marks_is_an_error() -> None:
    with pytest.raises(BenchError, match="lacks the marks"):
        documentation.replaced("nothing here", "new", BY)


def test_file_that_is_missing_is_an_error_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="cannot be written"):
        documentation.write(tmp_path / "none.md", "new", BY)


def test_file_is_rewritten(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    documentation.write(page, "new", BY)
    assert "old" not in page.read_text()
