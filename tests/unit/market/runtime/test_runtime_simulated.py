"""Instances that are only said to run."""

from __future__ import annotations

import pytest

from vast_pyworker.market.refusal import MarketRefusal
from vast_pyworker.market.runtime import Box, Runtime
from vast_pyworker.market.runtime.simulated import SimulatedRuntime


@pytest.fixture
def runtime() -> Runtime:
    return SimulatedRuntime()


def test_ports_are_invented_and_stay(runtime: Runtime) -> None:
    first = Box(1, "true", ports=((22, "tcp"), (70000, "tcp")))
    ports = runtime.start(first)
    assert ports[22, "tcp"] != ports.get((22, "udp"))
    assert any(inside == outside for (inside, _), outside in ports.items())
    other = runtime.start(Box(2, "true", ports=((22, "tcp"),)))
    assert other[22, "tcp"] not in ports.values()
    runtime.stop(1)
    assert runtime.start(first) == ports


def test_nothing_ends_by_itself(runtime: Runtime) -> None:
    runtime.start(Box(1, "exit 1", is_main=True))
    assert runtime.reap() == []


def test_logs_say_something_but_nothing_of_the_script(runtime: Runtime) -> None:
    runtime.start(Box(1, "export TOKEN=s3cret", ports=((22, "tcp"),)))
    assert "C.1" in runtime.logs(1)
    assert "22/tcp" in runtime.logs(1, daemon=True)
    assert "s3cret" not in runtime.logs(1) + runtime.logs(1, daemon=True)
    assert runtime.logs(2) == ""


def test_what_is_removed_is_unknown(runtime: Runtime) -> None:
    runtime.start(Box(1, ""))
    runtime.remove(1)
    runtime.remove(1)
    assert runtime.logs(1) == ""
    with pytest.raises(MarketRefusal):
        runtime.execute(1, "ls")


def test_only_the_three_programs_are_executed(runtime: Runtime) -> None:
    runtime.start(Box(1, ""))
    assert runtime.execute(1, "ls -l") == "total 0\n"
    for command in ("cat x", "", "  "):
        with pytest.raises(MarketRefusal):
            runtime.execute(1, command)
