"""What the modules of 2024 take from the environment, read when they ask and never at import.

Their signatures leave no room to hand settings in, so this one module reads ``os.environ``.
"""

from __future__ import annotations

import os

from vast_pyworker.settings import AUTOSCALER, Settings


def settings() -> Settings:
    """The settings as the environment has them now."""
    return Settings.from_env(os.environ)


def key_addresses() -> tuple[str, ...]:
    """The autoscalers that are asked for the public key, in order."""
    return settings().reports_to or (AUTOSCALER,)


def own_address() -> str:
    """The worker's own server, as seen from this machine."""
    now = settings()
    return f"{'https' if now.use_ssl else 'http'}://127.0.0.1:{now.port}"


def model_timeout() -> tuple[float, float | None]:
    """Seconds to connect to the model server, and between two bytes of its answer."""
    now = settings()
    return now.connect_timeout_s, now.first_byte_timeout_s or None
