"""The benchmark's declared routes: signed, counted, relayed without entering Flask."""

from __future__ import annotations

from typing import Any

from vast_pyworker.worker import forward


def work(payload: dict[str, Any]) -> float:
    """Tokens: about a quarter of the prompt's letters, and the most that may be generated."""
    return len(payload["inputs"]) / 4 + payload["parameters"]["max_new_tokens"]


class Backend:
    def __init__(self, *args: object, **kwargs: object) -> None:
        """Nothing to keep."""


flask_dict = {
    "POST": {
        "generate": forward("/generate", workload=work, signed=True),
        "generate_stream": forward("/generate_stream", workload=work, signed=True),
    }
}
