"""The three messages by which a backend of 2024 tells the autoscaler about itself.

``data`` holds ``id`` and ``mtoken``; it is copied, not changed. Each call returns once the message
is delivered or given up, within seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .utils import send_data

ENDPOINT = "/worker_status/"


def loaded(
    data: Mapping[str, Any], autoscaler_address: str, load_time: float, max_perf: float
) -> None:
    """The model is ready: it took ``load_time`` seconds and does ``max_perf`` units a second."""
    _send({**data, "loadtime": load_time, "max_perf": max_perf}, autoscaler_address)


def update(
    data: Mapping[str, Any], autoscaler_address: str, cur_load: float, num_requests_recieved: int
) -> None:
    """``cur_load`` units a second are coming in; so many requests have come in since the start."""
    sent = {**data, "cur_load": cur_load, "num_requests_recieved": num_requests_recieved}
    _send(sent, autoscaler_address)


def error(data: Mapping[str, Any], autoscaler_address: str, error_msg: str) -> None:
    """The worker cannot do its work, and why."""
    _send({**data, "error_msg": error_msg}, autoscaler_address)


def _send(data: Mapping[str, Any], address: str) -> None:
    send_data(data, address, ENDPOINT, "notify")
