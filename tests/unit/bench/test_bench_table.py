from __future__ import annotations

import pytest
from bench_samples import run, streams, visit
from relay_bench import table


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0634, "0.063"), (1.234, "1.23"), (12.34, "12.3"), (123_456.7, "123,457"), (-0.5, "-0.500")],
)
def test_numbers_show_about_three_digits(value: float, text: str) -> None:
    assert table.number(value) == text


def test_cell_shows_median_and_range() -> None:
    assert table.cell([2.0, 1.0, 4.0]) == "2.00 (1.00-4.00)"


def test_cell_of_one_value_shows_it_alone() -> None:
    assert table.cell([2.0]) == "2.00"


def test_cell_of_nothing_is_a_dash() -> None:
    assert table.cell([]) == "-"


def test_columns_are_padded_to_one_width() -> None:
    assert table.markdown(("a", "long"), [("wide", "b")]).splitlines() == [
        "| a    | long |",
        "| ---- | ---- |",
        "| wide | b    |",
    ]


def test_document_shows_candidates_ratios_targets_and_failures() -> None:
    each = {"nginx": visit(1.0, s500=streams()), "forward": visit(1.5, s500=streams())}
    text = table.document(run(each, failures={"gthread": "it ended at start"}))
    row = next(line for line in text.splitlines() if line.startswith("| ours, forward() "))
    assert "| 1.50 " in row
    assert "| missed" in text or "| met " in text
    assert "gthread was not measured to the end: it ended at start" in text


def test_document_tells_which_measurements_were_left_out() -> None:
    near, far = visit(1.0, 80.0), visit(2.0, 420.0)
    assert "80 ns apart" in table.document(run({"nginx": near}, {"nginx": far}))
    assert "in 1 of 2 measurements" in table.document(run({"nginx": near}, {"nginx": far}))


def test_progress_line_has_the_figures_of_one_visit() -> None:
    sentence = table.visit_sentence(visit(0.5, s100=streams(100)))
    assert sentence == "10,000 requests/s; 0.500 CPU-s/10k; 100/100 streams, 10.0 CPU-s/M"
