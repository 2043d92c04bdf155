"""What a market itself says of its offers and instances, asked in this process."""

from __future__ import annotations

from typing import Any

from market_site import Site


def offers(market: Site, count: int) -> list[int]:
    """The cheapest ones with a single GPU that can be rented."""
    body = {"rentable": {"eq": True}, "num_gpus": {"eq": 1}, "order": [["dph_total", "asc"]]}
    return [each["id"] for each in market.market.search({**body, "limit": count})]


def row(market: Site, number: int) -> Any:
    """The whole row, None for one that is gone."""
    return market.market.show(market.account_id, number)


def numbers(market: Site) -> list[int]:
    return [each["id"] for each in market.market.all_instances(market.account_id)]
