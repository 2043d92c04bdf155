"""Count the pixel steps of an image or video request: width x height x steps x images.

One unit is 1/200 of a 1024 x 1024 image of 28 steps: such an image is 200 units, about what a
chat request is in tokens. Knows AUTOMATIC1111 and Forge (``/sdapi/v1``), OpenAI images and
ComfyUI graphs, in which every sampler counts (``comfy_graph``). It reads the request alone: a
size that comes from an uploaded picture is the default.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, overload

from .comfy_graph import Pass, sampler_passes
from .json_number import size

PIXEL_STEPS_PER_UNIT = 1024 * 1024 * 28 / 200

_SIZE = re.compile(r"(\d{1,6})x(\d{1,6})")


class PixelSteps:
    """Calculator: pixel steps in units of 1/200 of a 1024 x 1024 image of 28 steps.

    ``default_side`` and ``default_steps`` count where a request leaves size or steps to the
    server; the defaults of 512 and 50 are AUTOMATIC1111's own.
    """

    __slots__ = ("default_side", "default_steps")

    def __init__(self, default_side: float = 512, default_steps: float = 50) -> None:
        self.default_side = default_side
        self.default_steps = default_steps

    @overload
    def __call__(self, payload: Mapping[str, Any]) -> float: ...
    @overload
    def __call__(self, *, default_side: float = ..., default_steps: float = ...) -> PixelSteps: ...
    def __call__(
        self,
        payload: Mapping[str, Any] | None = None,
        *,
        default_side: float | None = None,
        default_steps: float | None = None,
    ) -> float | PixelSteps:
        if payload is None:
            side = self.default_side if default_side is None else default_side
            return PixelSteps(side, self.default_steps if default_steps is None else default_steps)
        graph = _graph(payload)
        passes = [*_image_passes(payload)] if graph is None else [*sampler_passes(graph)]
        return sum(self._pixel_steps(one) for one in passes) / PIXEL_STEPS_PER_UNIT

    def _pixel_steps(self, one: Pass) -> float:
        width = self.default_side if one.width is None else one.width
        height = self.default_side if one.height is None else one.height
        steps = self.default_steps if one.steps is None else one.steps
        return width * height * one.scale**2 * steps * one.images


def _graph(payload: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The ComfyUI graph in a request, where it has one."""
    inner = payload.get("input")
    wrapped = inner.get("workflow_json") if isinstance(inner, Mapping) else None
    for graph in (payload.get("prompt"), payload.get("workflow"), wrapped):
        if isinstance(graph, Mapping):
            return graph
    return None


def _image_passes(payload: Mapping[str, Any]) -> list[Pass]:
    """The passes of a request that is not a graph: one, and the second of a high-res fix."""
    width, height = _size(payload)
    images: float = 1
    for name in ("batch_size", "n_iter", "n"):
        images *= size(payload.get(name), 1)
    steps = size(payload.get("steps", payload.get("num_inference_steps")), None)
    first = Pass(width, height, steps, images)
    if payload.get("enable_hr") is not True:
        return [first]
    again = size(payload.get("hr_second_pass_steps"), 0) or steps
    return [first, replace(first, steps=again, scale=size(payload.get("hr_scale"), 2))]


def _size(payload: Mapping[str, Any]) -> tuple[float | None, float | None]:
    """Width and height, told apart or, as OpenAI does, as ``"size": "1024x1024"``."""
    both = payload.get("size")
    told = _SIZE.fullmatch(both) if isinstance(both, str) else None
    if told:
        return float(told[1]), float(told[2])
    return size(payload.get("width"), None), size(payload.get("height"), None)
