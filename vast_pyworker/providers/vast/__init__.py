"""Vast.ai as a provider: calls, rows, money, and what an instance is told to start."""

from .onstart import START_URL, start_script
from .provider import VastProvider

__all__ = ["START_URL", "VastProvider", "start_script"]
