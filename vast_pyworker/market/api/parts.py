"""What the views work on: the market and the stores beside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from vast_pyworker.market.accounts.accounts import Accounts
from vast_pyworker.market.accounts.serverless import Serverless
from vast_pyworker.market.accounts.ssh_keys import SshKeys
from vast_pyworker.market.accounts.templates import Templates
from vast_pyworker.market.calls.unknown_paths import UnknownPaths
from vast_pyworker.market.instances.results import Results
from vast_pyworker.market.market import Market


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
