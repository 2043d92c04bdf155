"""The calls of the API as they are written down and put on the wire. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import SplitResult, quote, urlsplit

from vast_pyworker.errors import InvalidRequest, SettingError

# "read" and "idempotent" may be sent again. "once" is sent again only where it is certain that
# nothing was done: no connection was made, or the provider answered 429.
Effect = Literal["read", "idempotent", "once"]


@dataclass(frozen=True)
class Endpoint:
    """One call of the API: ``Endpoint("PUT", "/asks/{id}/")``; the path is without ``/api/v0``."""

    method: str
    path: str
    version: int = 0

    @property
    def key(self) -> str:
        """What pacing and errors call it: ``PUT /asks/{id}/``, ``GET /api/v1/instances/``."""
        return f"{self.method} {f'/api/v{self.version}' if self.version else ''}{self.path}"

    def at(self, base_url: str, path_args: Mapping[str, object] | None) -> str:
        filled = {name: quote(str(value), safe="") for name, value in (path_args or {}).items()}
        return f"{base_url}/api/v{self.version}{self.path.format(**filled)}"


def query_value(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def encoded(body: object, endpoint: str) -> bytes:
    try:
        return json.dumps({} if body is None else body, allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise InvalidRequest(
            f"The body of {endpoint} cannot be written as JSON: {error}; mend that value.",
            endpoint=endpoint,
        ) from error


def checked_key(api_key: str | None) -> str | None:
    key = (api_key or "").strip()
    if not key.isascii() or not key.isprintable() or " " in key:
        raise SettingError("The API key holds a character no key has; copy it again, on one line.")
    return key or None


def checked_url(base_url: str) -> str:
    """Without a slash at its end, and without the ``/api/v0`` that every call adds."""
    parts = _parts(base_url.strip())
    if parts is None:
        raise SettingError("The address of the API cannot be used; give https://HOST[:PORT].")
    if parts.username or parts.password:
        raise SettingError("The address of the API holds a user or a password; leave them out.")
    path = parts.path.rstrip("/").removesuffix("/api/v0")
    return f"{parts.scheme}://{parts.netloc}{path}"


def _parts(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        usable = bool(parts.hostname) and parts.port != 0 and not parts.query
    except ValueError:
        return None
    return parts if usable and parts.scheme in ("http", "https") else None
