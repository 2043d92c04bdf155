"""Keeps short what requests wait for while a tick computes: turns of threads, and collections."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

SWITCH_S = 0.0005
"""As the engine has it for workers. By default a request that comes in the middle of a tick waits
ten times as long, at each of its calls to the system."""


@contextmanager
def short_pauses() -> Iterator[None]:
    """For this whole process: threads give way often, and what was loaded until now leaves the
    collector."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_S)
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
        sys.setswitchinterval(before)
