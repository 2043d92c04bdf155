"""The official command line searches the market: what it prints is what the words mean."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import pytest
from market_site import Site, site
from offer_queries import ALL, SEARCHES, Search
from official_cli import Cli
from outside_support import nothing_outside

pytestmark = [
    pytest.mark.official,
    pytest.mark.skipif(find_spec("vastai") is None, reason="the official client is missing"),
]


@pytest.fixture(scope="module")
def market() -> Iterator[Site]:
    """A market in which some GPUs are rented."""
    with site(hosts=40, credit=10_000.0) as made:
        for _ in range(3):
            made.running()
        yield made


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory, market: Site) -> Iterator[Cli]:
    with nothing_outside() as outside:
        yield Cli(tmp_path_factory.mktemp("home"), market.url, outside)


def world(market: Site, search: Search) -> list[dict[str, Any]]:
    """Every offer there is, priced as the search prices it."""
    body = {"limit": ALL, "type": search.kind, "allocated_storage": search.disk_gb}
    return market.market.search(body)


def words(search: Search) -> tuple[object, ...]:
    bare = () if search.defaults else ("-n",)
    kind = ("--type", search.kind, "--storage", search.disk_gb, "--limit", search.limit)
    query = (search.query,) if search.query else ()
    return ("search offers", *query, "-o", search.order, *kind, *bare, "--raw")


def columns(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without a row's place in its answer."""
    return [{name: value for name, value in row.items() if name != "rn"} for row in rows]


def test_every_search_prints_just_what_its_words_mean(market: Site, cli: Cli) -> None:
    said = cli.each(*map(words, SEARCHES))
    for search, answer in zip(SEARCHES, said, strict=True):
        assert (answer.code, answer.err) == (0, ""), search
        meant = search.answer(world(market, search))
        assert all(map(search.means, answer.json)), search
        assert columns(answer.json) == columns(meant), search
    found = [len(each.json) for each in said]
    assert sum(1 for count in found if count) >= 20 and min(found) == 0


def test_without_a_limit_there_are_64_rows(market: Site, cli: Cli) -> None:
    assert len(cli.raw("search offers", "verified=any")) == 64


def test_the_newer_path_gives_the_same_rows(market: Site, cli: Cli) -> None:
    old, new = cli.each(
        ("search offers", "gpu_ram>=24 num_gpus=1", "--raw"),
        ("search offers", "gpu_ram>=24 num_gpus=1", "--raw", "--new"),
    )
    assert old.json == new.json != []


def test_the_tables_show_the_offers(market: Site, cli: Cli) -> None:
    asked = ("num_gpus=1", "--limit", 5)
    table, bids, reserved, rows = cli.each(
        ("search offers", *asked),
        ("search offers", *asked, "-i"),
        ("search offers", *asked, "-r"),
        ("search offers", *asked, "--raw"),
    )
    assert (table.code, bids.code, reserved.code) == (0, 0, 0)
    for each in rows.json:
        for shown in (table.shown, reserved.shown):
            assert str(each["id"]) in shown and each["gpu_name"].replace(" ", "_") in shown
    assert "RTX" in bids.shown or "A5000" in bids.shown


def test_what_cannot_be_searched_is_told(market: Site, cli: Cli) -> None:
    words, column, value = cli.each(
        ("search offers", "num_gpus ~ 4"),
        ("search offers", "foo=1"),
        ("search offers", "num_gpus=many"),
    )
    assert (words.code, words.err) == (1, "") and words.out.startswith("Error:  Unknown operator")
    assert column.code == 0 and "foo is not a valid search key" in column.err
    assert value.code == 0 and value.err.startswith("Failed with error 400: ")
