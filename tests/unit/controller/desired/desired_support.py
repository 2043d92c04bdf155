"""A file in which all is right, and how tests say what is wrong with one."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from vast_pyworker.controller.desired.reading import parse_wishes
from vast_pyworker.errors import WishError

GOOD = """\
fleet = "shop"

[limits]
instances = 10
usd_per_hour = 8.0

[group.llm]
query = "num_gpus=1 gpu_ram>=24"
max_usd_per_hour = 0.5
min_instances = 1
max_instances = 4

[group.llm.launch]
backend = "llamacpp"
image = "ubuntu:24.04"
"""


def faults(text: str, environ: Mapping[str, str] | None = None) -> list[str]:
    """The lines of what is said about a text; [] where nothing is wrong."""
    try:
        parse_wishes(text, environ or {})
    except WishError as exc:
        return str(exc).splitlines()
    return []


def only_fault(text: str, environ: Mapping[str, str] | None = None) -> str:
    found = faults(text, environ)
    if len(found) != 1:
        pytest.fail(f"one fault was expected, not {found}")
    return found[0]
