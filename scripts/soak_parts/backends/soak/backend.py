"""Passes requests on to the soak's fake model server, signed, as a backend of today does."""

from __future__ import annotations

from vast_pyworker.worker import forward, tokens


class Backend:
    health_path = "/health"
    readiness = "probe"
    concurrency = 16
    unit = "tokens"

    def __init__(self, *args: object, **kwargs: object) -> None:
        """Nothing to keep."""


flask_dict = {"POST": {"generate": forward("/generate", workload=tokens)}}
