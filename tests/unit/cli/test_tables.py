"""Tables line up, tell unknown from zero, and let no foreign text at the terminal."""

from __future__ import annotations

import json

from click.testing import CliRunner

from vast_pyworker.cli.tables import (
    Column,
    clipped,
    dollars,
    folded,
    number,
    plain,
    print_columns,
    print_json,
    without_secrets,
)


def printed(columns, rows) -> list[str]:
    with CliRunner().isolation() as (out, *_):
        print_columns(columns, rows)
        return out.getvalue().decode().splitlines()


def test_columns_stand_under_their_titles():
    lines = printed(
        [Column("ID", right=True), Column("GPU")], [("7", "RTX 4090"), ("12345", "H100")]
    )
    assert lines == ["   ID  GPU", "    7  RTX 4090", "12345  H100"]


def test_a_table_without_rows_is_its_titles():
    assert printed([Column("ID"), Column("GPU")], []) == ["ID  GPU"]


def test_long_cells_are_cut_but_the_last_one_runs_on():
    _, line = printed([Column("A"), Column("B")], [("x" * 60, "y" * 60)])
    assert line == "x" * 39 + "…  " + "y" * 60


def test_a_table_is_folded_where_a_terminal_is_narrower():
    widths = [10, 10, 10, 30]
    assert folded(widths, None) == [slice(0, 4)] == folded(widths, 66)
    assert folded(widths, 65) == [slice(0, 3), slice(3, 4)]
    assert folded(widths, 25) == [slice(0, 2), slice(2, 3), slice(3, 4)]
    assert folded(widths, 1) == [slice(each, each + 1) for each in range(4)]


def test_foreign_text_cannot_move_the_cursor():
    assert plain("a\x1b[2Jb\nc\u202ed") == "a [2Jb c d"


def test_unknown_is_not_zero():
    assert (dollars(None), dollars(0.0), dollars(0.35)) == ("-", "0.0000", "0.3500")
    assert (number(None), number(0), plain(""), plain(None), plain(0)) == ("-", "0", "-", "-", "0")


def test_colours_are_for_terminals():
    column = Column("STATE", colour=lambda _: "green")
    assert printed([column], [("running",)]) == ["STATE", "running"]


def test_cells_are_cut_at_a_width():
    assert clipped("abcdef", 4) == "abc…"
    assert clipped("abcd", 4) == "abcd"


def test_json_keeps_everything_but_keys():
    row = {"id": 1, "api_key": "s", "groups": [{"instance_api_key": "s", "x": None}]}
    assert without_secrets(row) == {"id": 1, "groups": [{"x": None}]}
    with CliRunner().isolation() as (out, *_):
        print_json(row)
        assert json.loads(out.getvalue()) == {"id": 1, "groups": [{"x": None}]}
