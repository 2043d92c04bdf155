"""Lists an account's instances page by page, filtered and ordered by what is stored of them.

A page in the order of ids costs a page; any other order or a filter costs a look at every one.
"""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from vast_pyworker.market.offers.columns import INSTANCE_COLUMNS
from vast_pyworker.market.offers.filters import SortKey, check, ordered, sort_keys
from vast_pyworker.market.refusal import MarketRefusal
from vast_pyworker.market.rentals.contracts import Contract
from vast_pyworker.market.world.world import World

from .instance_rows import instance_row

PAGE = 25
_SMALL_PAGE = 5

Row = dict[str, Any]
Read = Callable[[World, Contract], Any]

STORED: dict[str, Read] = {
    "id": lambda world, contract: contract.id,
    "machine_id": lambda world, contract: contract.machine_id,
    "host_id": lambda world, contract: world.machine_of(contract).host_id,
    "bundle_id": lambda world, contract: world.machine_of(contract).bundle_id,
    "template_id": lambda world, contract: contract.launch.template_id,
    "template_hash_id": lambda world, contract: contract.launch.template_hash_id,
    "template_name": lambda world, contract: contract.launch.template_name,
    "start_date": lambda world, contract: contract.created_at,
    "end_date": lambda world, contract: contract.end_date,
    "disk_space": lambda world, contract: contract.disk_gb,
    "label": lambda world, contract: contract.label,
    "actual_status": lambda world, contract: contract.shown_status,
    "intended_status": lambda world, contract: contract.intended,
    "cur_state": lambda world, contract: contract.cur,
    "next_state": lambda world, contract: contract.next,
    "gpu_name": lambda world, contract: world.machine_of(contract).gpu.name,
    "verification": lambda world, contract: world.machine_of(contract).verification,
    "geolocation": lambda world, contract: world.machine_of(contract).geolocation,
    "image_uuid": lambda world, contract: contract.launch.image,
    "image_runtype": lambda world, contract: contract.launch.runtype,
    "is_bid": lambda world, contract: contract.is_bid,
}
"""How each column of ``INSTANCE_COLUMNS`` is read; those of the network come from the row."""


@dataclass(frozen=True)
class Asked:
    """The arguments of a list, as decoded from its query; None for what was not said."""

    select_filters: object = None
    order_by: object = None
    limit: object = None
    after_token: object = None
    select_cols: object = None


def list_page(world: World, account: int, asked: Asked) -> Row:
    """The envelope of one page. ``label_counts`` is of all that match on the first page, and of
    the page's own labels on those after it."""
    filters = {} if asked.select_filters is None else asked.select_filters
    conditions = check(filters, INSTANCE_COLUMNS)
    keys = _keys(asked.order_by)
    size, columns = _size(asked.limit), _columns(asked.select_cols)
    after = None if asked.after_token in (None, "") else _token(asked.after_token, keys)
    if not conditions and len(keys) == 1:
        total, labels = len(world.shelf(account)), world.shelf(account).labels
        found = _by_id(world, account, keys[0], after, size + 1)
    else:
        matching = [
            each
            for each in world.of_account(account)
            if all(test.test(_read(world, each, test.column)) for test in conditions)
        ]
        total, labels = len(matching), Counter(each.label or "" for each in matching)
        found = _sorted(world, matching, keys, after)
    page = found[:size]
    shown = labels if after is None else {each.label or "": 0 for each in page}
    return {
        "success": True,
        "instances_found": len(page),
        "total_instances": total,
        "label_counts": {label: labels[label] for label in shown},
        "next_token": _token_for(world, page[-1], keys) if len(found) > size else None,
        "instances": [_cut(instance_row(world, each), columns) for each in page],
    }


def distinct(world: World, account: int) -> list[Row]:
    """What can be chosen in filters, each combination once."""
    names = ("actual_status", "verification", "gpu_name")
    seen = {
        tuple(_read(world, each, name) for name in names): None
        for each in world.of_account(account)
    }
    return [dict(zip(names, values, strict=True)) for values in seen]


def _read(world: World, contract: Contract, column: str) -> Any:
    read = STORED.get(column)
    return instance_row(world, contract).get(column) if read is None else read(world, contract)


def _keys(order_by: object) -> tuple[SortKey, ...]:
    """The order asked for, ids last as the tie-break and alone by default."""
    keys = sort_keys(order_by, INSTANCE_COLUMNS)
    for index, key in enumerate(keys):
        if key.column == "id":
            return keys[: index + 1]
    return (*keys, SortKey("id", False))


def _size(limit: object) -> int:
    if limit is None:
        return PAGE
    if isinstance(limit, bool) or not isinstance(limit, int):
        raise MarketRefusal(400, "invalid_request", "Error in query parameters: limit")
    return min(limit, PAGE) if limit > 0 else _SMALL_PAGE


def _columns(select_cols: object) -> Sequence[str] | None:
    """The columns wanted, None for all."""
    if select_cols is None:
        return None
    if not isinstance(select_cols, list) or not all(isinstance(e, str) for e in select_cols):
        raise MarketRefusal(400, "invalid_request", "Error in query parameters: select_cols")
    return None if "*" in select_cols or not select_cols else select_cols


def _cut(row: Row, columns: Sequence[str] | None) -> Row:
    return row if columns is None else {name: row.get(name) for name in columns}


def _by_id(
    world: World, account: int, key: SortKey, after: Sequence[Any] | None, most: int
) -> list[Contract]:
    shelf = world.shelf(account)
    start = None if after is None else after[0]
    ids = shelf.before(start) if key.descending else shelf.after(start)
    return [world.contracts[each] for each in islice(ids, most)]


def _sorted(
    world: World,
    matching: Iterable[Contract],
    keys: Sequence[SortKey],
    after: Sequence[Any] | None,
) -> list[Contract]:
    whole = ordered(matching, keys, lambda each, column: _read(world, each, column))
    if after is None:
        return whole
    return [each for each in whole if _comes_after(_values(world, each, keys), after, keys)]


def _values(world: World, contract: Contract, keys: Sequence[SortKey]) -> list[Any]:
    return [_read(world, contract, key.column) for key in keys]


def _comes_after(values: Sequence[Any], mark: Sequence[Any], keys: Sequence[SortKey]) -> bool:
    """Whether a row's values come behind the mark's in the order; nulls are last either way."""
    for value, other, key in zip(values, mark, keys, strict=True):
        if value == other:
            continue
        if value is None or other is None:
            return value is None
        try:
            return bool(value < other) if key.descending else bool(value > other)
        except TypeError as error:
            raise _bad_token() from error
    return False


def _token_for(world: World, contract: Contract, keys: Sequence[SortKey]) -> str:
    names = [key.column for key in keys]
    values = dict(zip(names, _values(world, contract, keys), strict=True))
    return base64.b64encode(json.dumps({"values": values}).encode()).decode()


def _token(given: object, keys: Sequence[SortKey]) -> list[Any]:
    """The values of a token that this order made; MarketRefusal(400) for any other."""
    if not isinstance(given, str):
        raise _bad_token()
    try:
        decoded = json.loads(base64.b64decode(given, validate=True))
    except (ValueError, RecursionError) as error:
        raise _bad_token() from error
    values = decoded.get("values") if isinstance(decoded, dict) else None
    if not isinstance(values, dict) or set(values) != {key.column for key in keys}:
        raise _bad_token()
    if isinstance(values["id"], bool) or not isinstance(values["id"], int):
        raise _bad_token()
    return [values[key.column] for key in keys]


def _bad_token() -> MarketRefusal:
    return MarketRefusal(400, "invalid_token", "Invalid after_token.")
