"""What runs on the instance. The names here are what backends are written with.

They are imported when first asked for, so that the programs in this package start fast.

Here are the programs (``start``, ``main``, ``dev``, ``logwatch``), the Flask application, what they
are put together from (``state``, ``parts``) and the fakes. The rest is in rooms:

    contract     a backend: found, imported, checked, tried, read
    starting     before the worker serves: place, files, certificate, launch, the doctor
    modelserver  the model server as a process and as a server
    modellog     its log
    phases       where it is in its life, and what takes it on: readiness, the loop
    capacity     how much it does a second
    units        what a request is worth
    traffic      a request's way, and who may call
    reports      what is counted, and told
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .backend import ModelBackend, OpenAIBackend, openai_routes, token_routes
    from .modellog.patterns import Pattern
    from .traffic.forwarding import forward
    from .traffic.grants import signed_payload
    from .traffic.relay import Relay
    from .units.workload import audio_seconds, constant, pixel_steps, tokens

_HOMES = {
    "ModelBackend": "backend",
    "OpenAIBackend": "backend",
    "Pattern": "modellog.patterns",
    "Relay": "traffic.relay",
    "audio_seconds": "units.workload",
    "constant": "units.workload",
    "forward": "traffic.forwarding",
    "openai_routes": "backend",
    "pixel_steps": "units.workload",
    "signed_payload": "traffic.grants",
    "token_routes": "backend",
    "tokens": "units.workload",
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
