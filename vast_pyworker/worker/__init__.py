"""What runs on the instance. The names here are what backends are written with.

They are imported when first asked for, so that the programs in this package start fast.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .backend import ModelBackend, OpenAIBackend, openai_routes, token_routes
    from .forwarding import forward
    from .grants import signed_payload
    from .patterns import Pattern
    from .relay import Relay
    from .workload import audio_seconds, constant, pixel_steps, tokens

_HOMES = {
    "ModelBackend": "backend",
    "OpenAIBackend": "backend",
    "Pattern": "patterns",
    "Relay": "relay",
    "audio_seconds": "workload",
    "constant": "workload",
    "forward": "forwarding",
    "openai_routes": "backend",
    "pixel_steps": "workload",
    "signed_payload": "grants",
    "token_routes": "backend",
    "tokens": "workload",
}

__all__ = [
    "ModelBackend",
    "OpenAIBackend",
    "Pattern",
    "Relay",
    "audio_seconds",
    "constant",
    "forward",
    "openai_routes",
    "pixel_steps",
    "signed_payload",
    "token_routes",
    "tokens",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{home}", __name__), name)
