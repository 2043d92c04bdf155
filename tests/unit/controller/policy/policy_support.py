"""Groups and observations for tests of policies, with only what a case is about."""

from __future__ import annotations

from typing import Any

from vast_pyworker.controller.policy import POLICIES
from vast_pyworker.controller.policy.observation import Load, Observation
from vast_pyworker.model import Bounds, Group, Launch, Want

NOW = 1_000_000.0
QUIET = Load(0.0, 0.0, 0.0, 0.0, 0.0, 1e9)


def a_group(policy: str, *, least: int = 0, most: int = 10, cold: int = 0, **options: Any) -> Group:
    return Group(
        "llm", "llm", Launch("vllm"), "", 0.5, least, most,
        policy=policy, policy_options=options, cold_instances=cold,
    )  # fmt: skip


def a_load(rate: float | None = 0.0, **other: float | None) -> Load:
    """Load with the same rate over one and ten minutes, and nothing else of it."""
    fields: dict[str, Any] = {
        "arrivals_60s": rate, "arrivals_600s": rate, "in_flight": 0.0, "queued": 0.0,
        "queue_wait_s": 0.0, "idle_s": 0.0 if rate else 1e9,
    }  # fmt: skip
    return Load(**{**fields, **other})


def seen(load: Load, *, perf: float | None = 100.0, hot: int = 0, at: float = 0.0) -> Observation:
    return Observation(NOW + at, load, ready=hot, hot=hot, cold=0, perf_per_worker=perf)


def decided(group: Group, *observations: Observation) -> Want:
    """What is wanted after the last of the observations, each made with the memory of the one
    before."""
    policy, memory, want = POLICIES[group.policy], None, Want(0, 0, "")
    bounds = Bounds(group.min_instances, group.max_instances, group.max_usd_per_hour)
    for each in observations:
        want, memory = policy.decide(group, bounds, each, memory)
    return want
