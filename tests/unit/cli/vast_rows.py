"""Rows as Vast sends them, for the tests of the commands."""

from __future__ import annotations

from typing import Any


def offer(number: int = 101, **fields: Any) -> dict[str, Any]:
    return {
        "id": number,
        "gpu_name": "RTX 4090",
        "num_gpus": 1,
        "gpu_ram": 24564,
        "disk_space": 200.0,
        "dph_total": 0.35,
        "dph_base": 0.34,
        "storage_cost": 0.72,  # so that 10 GB cost a cent an hour
        "min_bid": 0.2,
        "reliability2": 0.995,
        "geolocation": "Sweden, SE",
        "rentable": True,
        **fields,
    }


def instance(number: int = 7, state: str = "running", **fields: Any) -> dict[str, Any]:
    return {
        "id": number,
        "label": None,
        "actual_status": state,
        "intended_status": state,
        "cur_state": state,
        "next_state": state,
        "gpu_name": "RTX 4090",
        "num_gpus": 1,
        "image_uuid": "ubuntu:22.04",
        "disk_space": 10.0,
        "dph_total": 0.35,
        "storage_cost": 0.72,
        "start_date": 1.7e9,
        "end_date": None,
        "is_bid": False,
        "instance": {"totalHour": 0.35},
        "jupyter_token": "token-never-printed",
        **fields,
    }


def listed(*rows: dict[str, Any], total: int | None = None) -> dict[str, Any]:
    return {
        "success": True,
        "instances_found": len(rows),
        "total_instances": len(rows) if total is None else total,
        "next_token": None,
        "instances": list(rows),
    }
