"""Shipped backends, found and constructed as the worker does it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from vast_pyworker.worker.contract.loading import Loaded, construct, load_backend


@pytest.fixture(scope="session")
def loaded() -> Callable[[str], Loaded]:
    """The backend of a name, loaded once."""
    known: dict[str, Loaded] = {}

    def find(name: str) -> Loaded:
        return known.setdefault(name, load_backend(name, []))

    return find


@pytest.fixture
def backend(loaded: Callable[[str], Loaded]) -> Callable[[str], Any]:
    """A new Backend object of a name."""
    given = {"container_id": 7, "control_server_url": "http://127.0.0.1:9", "send_data": False}

    def make(name: str) -> Any:
        return construct(loaded(name), master_token=None, **given)

    return make
