"""The client: one object that holds the connection and names what can be done with an account.

``with VastClient(key) as vast: vast.instances.list()``. What it does not: read the environment,
files or a command line; the key is an argument.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable

import requests

from .account import Account
from .endpoints import Endpoints
from .http import Transport
from .instances import Instances
from .offers import Offers
from .pacing import Pacing
from .sending import Timeouts
from .ssh_keys import SshKeys
from .templates import Templates
from .worker_groups import WorkerGroups

DEFAULT_URL = "https://console.vast.ai"


class VastClient:
    """All calls share one session, one key and one pacing; several threads may use them.

    ``api_key`` None asks without a key, which only a search of offers allows. ``pacing`` is
    ``Pacing.off()`` for a server without limits; pass the same one to every client of an account.
    Raises SettingError for a key or address that cannot be used.
    """

    def __init__(
        self,
        api_key: str | None,
        *,
        base_url: str = DEFAULT_URL,
        pacing: Pacing | None = None,
        timeouts: Timeouts | None = None,
        session_factory: Callable[[], requests.Session] = requests.Session,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        wall: Callable[[], float] = time.time,
        rng: random.Random | None = None,
    ) -> None:
        self.transport = Transport(
            api_key,
            base_url,
            session_factory=session_factory,
            pacing=pacing,
            timeouts=timeouts,
            now=now,
            sleep=sleep,
            wall=wall,
            rng=rng,
        )
        self.offers = Offers(self.transport)
        self.instances = Instances(self.transport)
        self.ssh_keys = SshKeys(self.transport)
        self.templates = Templates(self.transport)
        self.endpoints = Endpoints(self.transport)
        self.workergroups = WorkerGroups(self.transport)
        self.account = Account(self.transport)

    def __repr__(self) -> str:
        return f"VastClient({self.transport!r})"

    def close(self) -> None:
        """Close the connections."""
        self.transport.close()

    def __enter__(self) -> VastClient:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
