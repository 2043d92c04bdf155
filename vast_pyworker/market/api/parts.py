"""What the views work on: the market and the stores beside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from vast_pyworker.market.accounts import Accounts
from vast_pyworker.market.market import Market
from vast_pyworker.market.results import Results
from vast_pyworker.market.serverless import Serverless
from vast_pyworker.market.ssh_keys import SshKeys
from vast_pyworker.market.templates import Templates
from vast_pyworker.market.unknown_paths import UnknownPaths


@dataclass(frozen=True)
class Parts:
    """Everything that a call may touch. ``now`` is the market's time."""

    market: Market
    accounts: Accounts
    templates: Templates
    ssh_keys: SshKeys
    serverless: Serverless
    results: Results
    unknown_paths: UnknownPaths
    now: Callable[[], float]
