"""The query language, row for row as the official client 1.9.1 has it (``tests/data/vast``)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vast_pyworker.errors import QueryError
from vast_pyworker.vastai import nodes
from vast_pyworker.vastai.fields import OFFER_ALIASES, OFFER_FIELDS, OFFER_MULTIPLIERS
from vast_pyworker.vastai.query import (
    DEFAULTS,
    numeric_version,
    parse_order,
    parse_query,
    unknown_fields,
    unparse_query,
)
from vast_pyworker.vastai.regions import expand_regions

TABLE = json.loads(
    (Path(__file__).resolve().parents[1] / "data/vast/parse_query.json").read_text("utf-8")
)
QUERIES = [*TABLE["queries"], *TABLE["merges"]]
READ = [row for row in QUERIES if "result" in row["official"]]
REFUSED = [row for row in QUERIES if "error" in row["official"]]
# The 2024 code left dotted versions as text and crashed on None; 1.9.1, read above, does not.
AS_IN_2024 = [
    row
    for row in QUERIES
    if row["input"] is not None and "driver_version >= 535" not in row["input"]
    if row["input"] != "driver_version>=535.86"
]


def named(row):
    return str(row["input"])


def test_every_row_is_here():
    sizes = {name: len(TABLE[name]) for name in ("queries", "merges", "orders", "versions")}
    assert len(QUERIES) - len(AS_IN_2024) == 3
    assert sizes == {"queries": 62, "merges": 5, "orders": 10, "versions": 6}
    assert len(TABLE["directives"]) == 7


def test_the_tables_of_fields_are_the_official_ones():
    assert frozenset(TABLE["official_fields"]) == OFFER_FIELDS
    assert TABLE["official_aliases"] == OFFER_ALIASES
    assert TABLE["official_multipliers"] == OFFER_MULTIPLIERS


@pytest.mark.parametrize("row", READ, ids=named)
def test_a_query_is_read_as_the_official_client_reads_it(row):
    filters = parse_query(row["input"], row["base"])
    assert filters == row["official"]["result"]
    assert unknown_fields(filters) == row["official"].get("unknown", [])


@pytest.mark.parametrize("row", READ, ids=named)
def test_what_was_read_is_written_as_a_query_that_reads_the_same(row):
    filters = parse_query(row["input"], row["base"])
    assert parse_query(unparse_query(filters)) == filters


@pytest.mark.parametrize("row", REFUSED, ids=named)
def test_what_the_official_client_refuses_or_crashes_on_is_a_query_error(row):
    with pytest.raises(QueryError) as caught:
        parse_query(row["input"], row["base"])
    error = caught.value
    assert error.token and error.column
    assert row["input"][error.column - 1 :].startswith(error.token)
    assert f"{error.token!r} at column {error.column} " in str(error)
    assert str(error).endswith(".")


@pytest.mark.parametrize("row", AS_IN_2024, ids=named)
def test_the_2024_signature_takes_the_2024_tables(row):
    outcome = row.get("distributaur", row["official"])
    tables = (
        TABLE["distributaur_fields"],
        TABLE["distributaur_aliases"],
        TABLE["distributaur_multipliers"],
    )
    if "error" in outcome:
        with pytest.raises(ValueError):
            nodes.parse_query(row["input"], row.get("base"), *tables)
    else:
        assert nodes.parse_query(row["input"], row.get("base"), *tables) == outcome["result"]


@pytest.mark.parametrize(
    ("query", "token", "column", "remedy"),
    [
        ("gpu_ram in [24,48]", "[24,48]", 12, "Use >= and <= instead."),
        ("driver_version in [535.86.05]", "[535.86.05]", 19, "535.86.05 is 535086005."),
        ("num_gpus=1 gpu_name=RTX 4090", "4090", 25, "RTX_4090"),
        ("gpu_name='RTX 4090'", "'", 19, "double quotes"),
        ("  (num_gpus=1)", "(num_gpus=1)", 3, "without parentheses"),
        ("num_gpus=1 and rentable=true", "and", 12, "without 'and'"),
        ("gpu_name IN [RTX_4090]", "IN", 10, "lower case"),
        ("num_gpus => 4", "=>", 10, "Use = != > >= < <= in notin."),
        ("num_gpus ~ 4", "~", 10, "Use = != > >= < <= in notin."),
        ("num_gpus=", "=", 9, "no value behind it"),
        ("geolocation in []", "[]", 16, "no value for geolocation"),
        ("gpu_ram>=24 cpu_ram>=lots", "lots", 22, "is not a number"),
        ("gpu_ram<inf", "inf", 9, "is not a number"),
        ("verified!=any", "!=", 9, "verified=any"),
    ],
)
def test_an_error_names_the_token_its_column_and_the_remedy(query, token, column, remedy):
    with pytest.raises(QueryError) as caught:
        parse_query(query)
    assert (caught.value.token, caught.value.column) == (token, column)
    assert remedy in str(caught.value)


def test_a_long_token_is_not_all_of_it_in_the_message():
    with pytest.raises(QueryError) as caught:
        parse_query("num_gpus " + "~" * 100_000)
    assert len(caught.value.token) == 100_000 and len(str(caught.value)) < 300


def test_what_is_no_text_is_refused():
    for query in (b"num_gpus=1", 5, ["num_gpus=1", None]):
        with pytest.raises(QueryError):
            parse_query(query)


def test_the_base_is_left_as_it_is():
    base = {"verified": {"eq": True}, "dph": {"lt": "1"}}
    assert parse_query("verified=any dph>0.1", base) == {"dph_total": {"lt": "1", "gt": "0.1"}}
    assert base == {"verified": {"eq": True}, "dph": {"lt": "1"}}
    assert parse_query("verified!=false", DEFAULTS)["verified"] == {"eq": True, "neq": False}
    assert DEFAULTS["verified"] == {"eq": True}


@pytest.mark.parametrize(
    "filters",
    [
        {"gpu_ram": {"in": [24000.0]}},
        {"gpu_name": {"in": []}},
        {"gpu_name": {"in": "RTX 4090"}},
        {"gpu_name": {"in": ["a,b"]}},
        {"gpu_name": {"eq": ["a"]}},
        {"gpu_name": {"eq": 'a"'}},
        {"gpu_name": {"like": "a"}},
        {"gpu ram": {"eq": "1"}},
        {"gpu_ram": {"eq": "much"}},
        {"gpu_ram": {"eq": None}},
        {"order": [["dph_total", "asc"]]},
    ],
)
def test_what_the_language_cannot_say_is_not_written(filters):
    with pytest.raises(QueryError):
        unparse_query(filters)


@pytest.mark.parametrize("row", TABLE["orders"], ids=named)
def test_an_order_is_read_as_the_official_client_reads_it(row):
    assert parse_order(row["input"]) == row["official"]["result"]


@pytest.mark.parametrize(("order", "column"), [("score+-", 1), ("dph, -", 6), ("dph,-score+", 5)])
def test_an_order_with_a_sign_too_much_is_refused(order, column):
    with pytest.raises(QueryError) as caught:
        parse_order(order)
    assert caught.value.column == column


@pytest.mark.parametrize("row", TABLE["versions"], ids=named)
def test_a_version_is_read_as_the_official_client_reads_it(row):
    assert numeric_version(row["input"]) == row["official"]["result"]


@pytest.mark.parametrize("row", TABLE["directives"], ids=named)
def test_directives_of_the_sdk_are_taken_out_as_it_does(row):
    assert list(expand_regions(row["input"])) == row["official"]["result"]


@pytest.mark.parametrize(
    ("query", "expanded"),
    [
        ("geolocation!=NA georegion=true", "geolocation notin [CA,US]"),
        ("geolocation=XX georegion=true", "geolocation = XX"),
        ("geolocation=NA georegion=true dph<0.5", "geolocation=NA georegion=true dph<0.5"),
        ("geolocation=NA chunked=true", "geolocation = NA"),
    ],
)
def test_no_clause_is_lost_or_turned_round_by_a_directive(query, expanded):
    assert expand_regions(query).query == expanded
