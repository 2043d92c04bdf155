"""The same two routes as Flask handlers: each checks the grant and returns a Relay."""

from __future__ import annotations

from typing import Any

from vast_pyworker.worker import Relay, signed_payload


def work(payload: dict[str, Any]) -> float:
    """Tokens: about a quarter of the prompt's letters, and the most that may be generated."""
    return len(payload["inputs"]) / 4 + payload["parameters"]["max_new_tokens"]


class Backend:
    def __init__(self, *args: object, **kwargs: object) -> None:
        """Nothing to keep."""


def generate(backend: Backend, request: Any) -> Relay:
    payload = signed_payload(request)
    return Relay("/generate", json=payload, workload=work)


def generate_stream(backend: Backend, request: Any) -> Relay:
    payload = signed_payload(request)
    return Relay("/generate_stream", json=payload, workload=work)


flask_dict = {"POST": {"generate": generate, "generate_stream": generate_stream}}
