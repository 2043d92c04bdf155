"""Read the sampling passes out of a ComfyUI graph (the ``prompt`` of ``POST /prompt``).

A graph maps ids to nodes; an input is a value or a link ``[id, output]`` to another node. Here
links are followed upstream, from each sampler to its steps and to the latent that sets its size.
Nothing is executed, and a graph that makes no sense has passes of unknown size, not an error.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .json_number import size

_LIMIT = 1000  # nodes looked at for one sampler
_PRIMITIVES = ("value", "int", "number")


@dataclass(frozen=True)
class Pass:
    """One sampling: pixels, steps and images (or video frames) at once. None is unknown.

    ``scale`` enlarges both sides, known or not.
    """

    width: float | None
    height: float | None
    steps: float | None
    images: float = 1
    scale: float = 1


def sampler_passes(graph: Mapping[str, Any]) -> Iterator[Pass]:
    """A pass for each sampler: a node that is given a latent image to work on."""
    for node in graph.values():
        inputs = _inputs(node)
        if "latent_image" in inputs:
            yield _pass(graph, inputs)


def _pass(graph: Mapping[str, Any], sampler: Mapping[str, Any]) -> Pass:
    steps = _steps(graph, sampler)
    scale: float = 1
    for inputs in _upstream(graph, sampler["latent_image"]):
        scale *= size(inputs.get("scale_by"), 1)
        width, height = (_number(graph, inputs.get(side)) for side in ("width", "height"))
        if width is not None and height is not None:
            frames = _number(graph, inputs.get("length")) or 1
            images = frames * (_number(graph, inputs.get("batch_size")) or 1)
            return Pass(width, height, steps, images, scale)
    return Pass(None, None, steps, scale=scale)


def _steps(graph: Mapping[str, Any], sampler: Mapping[str, Any]) -> float | None:
    """Steps of a sampler: its own, less those it leaves to others, or of its scheduler."""
    steps = _number(graph, sampler.get("steps"))
    if steps is not None:
        last = min(steps, size(sampler.get("end_at_step"), steps))
        return max(0.0, last - size(sampler.get("start_at_step"), 0))
    for inputs in _upstream(graph, sampler.get("sigmas")):
        steps = _number(graph, inputs.get("steps"))
        if steps is not None:
            return steps
    return None


def _upstream(graph: Mapping[str, Any], link: object) -> Iterator[Mapping[str, Any]]:
    """Inputs of the nodes that feed ``link``, nearest first, each node once."""
    waiting, seen = deque([link]), set[str]()
    while waiting and len(seen) < _LIMIT:
        name = _target(waiting.popleft())
        if name is None or name in seen:
            continue
        seen.add(name)
        inputs = _inputs(graph.get(name))
        yield inputs
        waiting.extend(inputs.values())


def _number(graph: Mapping[str, Any], value: object) -> float | None:
    """A number given as such, or by a link to a node that holds one."""
    name = _target(value)
    if name is None:
        return size(value, None)
    inputs = _inputs(graph.get(name))
    held = (size(inputs.get(key), None) for key in _PRIMITIVES)
    return next((number for number in held if number is not None), None)


def _target(value: object) -> str | None:
    """The id of the node that ``value`` links to; None if it is not a link."""
    linked = isinstance(value, list) and len(value) == 2 and isinstance(value[0], (str, int))
    return str(value[0]) if linked else None  # type: ignore[index]


def _inputs(node: object) -> Mapping[str, Any]:
    inputs = node.get("inputs") if isinstance(node, Mapping) else None
    return inputs if isinstance(inputs, Mapping) else {}
