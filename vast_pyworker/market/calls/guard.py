"""Keeps web pages of other sites from calling the market through a visitor's browser.

The local key is no secret and instances may be processes, so a page that could send requests here
could run programs. Programs send no ``Origin`` and are not touched.
"""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from flask import Request

from vast_pyworker.market.refusal import MarketRefusal

from . import shapes


def foreign(request: Request, *, any_host: bool) -> MarketRefusal | None:
    """Why this request is not answered; None where it is.

    ``any_host``: the market is meant to be reached by other names than this machine's own.
    """
    origin = request.headers.get("Origin")
    if origin is not None and urlsplit(origin).netloc != request.host:
        return shapes.not_allowed("Requests from pages of other sites are not answered.")
    if not any_host and not is_local_name(_name_in(request.host)):
        return shapes.not_allowed(f"This market is not {request.host}: ask for 127.0.0.1.")
    return None


def is_local_name(name: str) -> bool:
    """Whether a name cannot be another site's: localhost or an address."""
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _name_in(host: str) -> str:
    """``Host`` without its port and brackets."""
    name = host.rpartition(":")[0] if not host.endswith("]") and ":" in host else host
    return name.strip("[]").lower()
