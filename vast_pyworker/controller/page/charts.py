"""Lines and areas of the page's charts as SVG paths, from samples of the last while. Pure.

A chart is WIDTH by HEIGHT without units; the browser stretches it. Unknown values are gaps.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 600, 100
_HEADROOM = 1.02
_STEPS = (1.0, 1.5, 2.0, 3.0, 5.0, 10.0)
Points = Sequence[tuple[float, float | None]]


@dataclass(frozen=True)
class Chart:
    """``lines`` are paths by name, ``areas`` too; ``limit_y`` is where a limit stands, None where
    it is off the chart or there is none; ``top`` is the value at the upper edge."""

    lines: dict[str, str]
    areas: dict[str, str]
    top: float
    limit_y: float | None
    since: float
    until: float

    @property
    def is_empty(self) -> bool:
        return not any(self.lines.values()) and not any(self.areas.values())


def chart(
    lines: dict[str, Points], areas: dict[str, Points], *, limit: float | None = None,
    show_limit: bool = False,
) -> Chart:  # fmt: skip
    """All in one scale of time and value, from 0 up. ``show_limit``: the scale reaches the limit
    where that is not more than three times what there is."""
    series = [*lines.values(), *areas.values()]
    times = [at for points in series for at, _ in points]
    since, until = min(times, default=0.0), max(times, default=1.0)
    most = max((value for points in series for _, value in points if value is not None), default=0)
    near = show_limit and limit is not None and (most <= 0 or limit <= most * 3)
    top = rounded_up(max(most, (limit or 0.0) if near else 0.0) * _HEADROOM)
    limit_y = _y(limit, top) if limit is not None and 0 < limit <= top else None

    def drawn(points: Points, closed: bool) -> str:
        return " ".join(_part(part, since, until, top, closed) for part in _parts(points))

    return Chart(
        lines={name: drawn(points, False) for name, points in lines.items()},
        areas={name: drawn(points, True) for name, points in areas.items()},
        top=top, limit_y=limit_y, since=since, until=until,
    )  # fmt: skip


def rounded_up(most: float) -> float:
    """The end of a scale that reaches ``most``: a number that is easily read; 1 for nothing."""
    if most <= 0 or not math.isfinite(most):
        return 1.0
    unit = 10.0 ** math.floor(math.log10(most))
    return next((step * unit for step in _STEPS if step * unit >= most), 10.0 * unit)


def _parts(points: Points) -> Iterable[list[tuple[float, float]]]:
    """Runs of known values."""
    part: list[tuple[float, float]] = []
    for at, value in points:
        if value is not None:
            part.append((at, value))
        elif part:
            yield part
            part = []
    if part:
        yield part


def _part(
    points: list[tuple[float, float]], since: float, until: float, top: float, closed: bool
) -> str:
    span = (until - since) or 1.0
    placed = [((at - since) / span * WIDTH, _y(value, top)) for at, value in points]
    if len(placed) == 1:
        placed.append((min(placed[0][0] + 2, WIDTH), placed[0][1]))
    path = "M" + "L".join(f"{x:.1f},{y:.1f}" for x, y in placed)
    if closed:
        path += f"L{placed[-1][0]:.1f},{HEIGHT}L{placed[0][0]:.1f},{HEIGHT}Z"
    return path


def _y(value: float, top: float) -> float:
    return HEIGHT - max(min(value / top, 1.0), 0.0) * HEIGHT
