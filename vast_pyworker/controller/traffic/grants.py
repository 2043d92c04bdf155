"""Signed grants: what a client shows a worker to be served.

The form that workers understand since 1.1.0 signs the url alone, so its signature never changes
and is kept; the older ones sign each grant anew (a fifth of a millisecond on the loop).
"""

from __future__ import annotations

from typing import Any

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from vast_pyworker import signature

from .requests import Request
from .worker import Worker


class Grants:
    """Writes grants with one key. For the loop's thread."""

    def __init__(self, key: RSAPrivateKey) -> None:
        self._key = key
        self.public_pem = signature.public_pem(key).encode()

    def write(self, request: Request, worker: Worker, request_id: str) -> dict[str, Any]:
        """The whole answer of ``/route/``. A whole cost is written as a whole number, so that no
        client changes the signed bytes by writing it anew."""
        cost = request.cost
        grant: dict[str, Any] = {
            "endpoint": request.endpoint,
            "url": worker.url,
            "cost": int(cost) if cost.is_integer() else cost,
            "reqnum": worker.next_reqnum(),
            "request_idx": request.idx,
        }
        grant["signature"] = self._signature(worker, grant)
        grant["__request_id"] = request_id
        return grant

    def _signature(self, worker: Worker, grant: dict[str, Any]) -> str:
        if worker.form != "url":
            return signature.sign(self._key, grant, worker.form)
        if worker.signature is None:
            worker.signature = signature.sign(self._key, grant)
        return worker.signature
