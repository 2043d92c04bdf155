"""How much work a request is, before it runs: tokens, pixel steps, audio seconds, a constant.

Every calculator obeys one rule: called with a payload it answers its work in units; called
with options it answers another calculator like itself::

    forward("/v1/chat/completions", workload=tokens)
    forward("/v1/embeddings", workload=tokens(default_output=0))
    forward("/tokenize", workload=constant(1.0))

Calculators are pure and take any JSON object without raising. They may answer infinity for an
absurd request: ``checked`` turns that down. What a request did cost is ``settling``'s matter.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, overload

from vast_pyworker.errors import Invalid

from .audio_work import AudioSeconds
from .pixel_work import PixelSteps
from .token_work import Tokens

Payload = Mapping[str, Any]


class Constant:
    """The same work for every request, whatever it holds."""

    __slots__ = ("units",)

    def __init__(self, units: float) -> None:
        self.units = units

    @overload
    def __call__(self, given: Payload) -> float: ...
    @overload
    def __call__(self, given: float) -> Constant: ...
    def __call__(self, given: Payload | float) -> float | Constant:
        return Constant(given) if isinstance(given, (int, float)) else self.units


def checked(value: object) -> float:
    """``value`` as work in units; raises Invalid unless it is a finite number of 0 or more."""
    try:
        if isinstance(value, (int, float)) and 0 <= value < math.inf:
            return float(value)
        shown = repr(value) if isinstance(value, float) else f"a {type(value).__name__}"
    except OverflowError:
        shown = "a number that large"
    raise Invalid(
        f"The work of this request cannot be {shown}: send sizes (max_tokens, width, steps, "
        "duration) that are finite and not negative."
    )


tokens = Tokens(default_output=256)
pixel_steps = PixelSteps()
audio_seconds = AudioSeconds(default_s=30.0)
constant = Constant(100.0)
