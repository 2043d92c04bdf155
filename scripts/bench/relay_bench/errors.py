"""What can stop the benchmark, or one candidate of it; each message is one sentence."""

from __future__ import annotations


class BenchError(Exception):
    """The benchmark cannot go on; names the thing and the remedy."""


class CandidateFailed(BenchError):
    """One candidate cannot be measured; the others go on."""
