"""How fast a group may change: cooldowns and the largest step."""

from __future__ import annotations

from vast_pyworker.model import Pace


def up_allowed(pace: Pace, wanted: int, below_min: int, last_up_at: float, now: float) -> int:
    """How many of ``wanted`` may be added now; ``below_min`` of them wait for no cooldown."""
    if cooling(pace.cooldown_up_s, last_up_at, now):
        wanted = min(wanted, below_min)
    return max(0, min(wanted, pace.max_step))


def down_allowed(pace: Pace, wanted: int, above_max: int, last_down_at: float, now: float) -> int:
    """How many of ``wanted`` may be taken away now; ``above_max`` of them wait for no cooldown."""
    if cooling(pace.cooldown_down_s, last_down_at, now):
        wanted = min(wanted, above_max)
    return max(0, min(wanted, pace.max_step))


def cooling(cooldown_s: float, last_at: float, now: float) -> bool:
    """Whether the last step is too fresh. One in the future is a clock that went back."""
    return 0 <= now - last_at < cooldown_s


def waits(pace: Pace, way: str, count: int) -> str:
    """The sentence on ``count`` that the pace holds back; the same as long as it does."""
    cooldown_s = pace.cooldown_up_s if way == "up" else pace.cooldown_down_s
    apart = f", {cooldown_s:g} s apart" if cooldown_s else ""
    verb = "wait" if way == "up" else "stay"
    return f"{count} more {verb}{'' if count > 1 else 's'}: at most {pace.max_step} at once{apart}."
