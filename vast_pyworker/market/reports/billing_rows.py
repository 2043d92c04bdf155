"""Charges and payments as the rows of the billing calls."""

from __future__ import annotations

from typing import Any

Row = dict[str, Any]


def rows_by_contract(charges: list[Row]) -> list[Row]:
    of: dict[int, list[Row]] = {}
    for charge in charges:
        of.setdefault(charge["contract_id"], []).append(charge)
    return [
        {
            **_billed("instance", f"instance-{contract}", rows),
            "description": f"Instance {contract}",
            "metadata": {"contract_id": contract},
            "items": [_item(kind, rows) for kind in dict.fromkeys(row["kind"] for row in rows)],
        }
        for contract, rows in of.items()
    ]


def _item(kind: str, rows: list[Row]) -> Row:
    of_kind = [row for row in rows if row["kind"] == kind]
    billed = _billed(kind, "", of_kind)
    return {**billed, "description": kind, "metadata": {}, "items": []}


def _billed(kind: str, source: str, rows: list[Row]) -> Row:
    return {
        "type": kind,
        "source": source,
        "amount": sum(row["amount"] for row in rows),
        "start": min(row["start"] for row in rows),
        "end": max(row["end"] for row in rows),
    }


def invoice_row(payment: Row) -> Row:
    """Only transfers and payouts have the sign that people expect."""
    moved = payment["service"] == "transfer"
    return {
        "type": "transfer" if moved else "credit",
        "source": payment["service"],
        "amount": payment["amount"] if moved else -payment["amount"],
        "start": payment["when"],
        "end": payment["when"],
        "description": "Credit of the local market",
        "metadata": {"invoice_id": payment["id"]},
        "items": [],
    }


def payment_row(payment: Row) -> Row:
    return {
        "type": "payment",
        "id": payment["id"],
        "timestamp": payment["when"],
        "amount": str(payment["amount"]),
        "description": payment["service"],
        "quantity": "",
        "rate": "",
    }


def charge_row(charge: Row) -> Row:
    return {
        "type": "charge",
        "instance_id": charge["contract_id"],
        "timestamp": charge["end"],
        "amount": f"{charge['amount']:.6f}",
        "description": f"Instance {charge['contract_id']} {charge['kind']}",
        "quantity": f"{charge['quantity']:.3f}",
        "rate": f"{charge['rate']:.6f}",
    }
