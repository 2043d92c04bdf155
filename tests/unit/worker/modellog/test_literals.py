"""What text must be in a line: enough to pass most lines over, never too much."""

from __future__ import annotations

from vast_pyworker.worker.backend import HUB_PROGRESS
from vast_pyworker.worker.modellog.literals import required_literals


def test_of_texts_as_long_the_fewest_are_asked_for() -> None:
    assert required_literals(r"\.(?:bin|pt): +\d+%\|") == ("%|",)


def test_a_line_about_prompts_is_no_line_about_weights() -> None:
    line = "INFO Engine 000: Avg prompt throughput: 12.3 tokens/s, Running: 3 reqs"
    for pattern in HUB_PROGRESS:
        assert not any(text in line for text in required_literals(pattern.regex)), pattern.regex
