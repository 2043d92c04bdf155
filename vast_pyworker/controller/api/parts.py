"""What the views work on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from vast_pyworker.controller.access import Access
from vast_pyworker.controller.commands import Commands
from vast_pyworker.controller.desk import Desk
from vast_pyworker.controller.events import Events
from vast_pyworker.controller.history import History
from vast_pyworker.controller.ledger.ledger import Ledger
from vast_pyworker.controller.loop import Loop
from vast_pyworker.controller.page.sessions import Sessions
from vast_pyworker.controller.ticking import Ticks
from vast_pyworker.controller.traffic.strangers import Stranger
from vast_pyworker.controller.vouching import Vouching
from vast_pyworker.engine import NativeHandler
from vast_pyworker.providers.protocol import Provider


class Board(Protocol):
    """What is shown of traffic; ``traffic.switchboard.Switchboard`` has it. Any thread may call."""

    def endpoint_workers(self, endpoint: str) -> list[dict[str, Any]]: ...

    def queue(self, endpoint: str) -> list[dict[str, Any]]: ...

    def strangers(self) -> tuple[Stranger, ...]: ...


@dataclass(frozen=True)
class Parts:
    """``endpoint_key`` gives the key that clients of an endpoint use; ``certificates`` is the PEM
    text that clients are to trust. ``open_magister``: magister's calls need no key, as its own."""

    loop: Loop
    desk: Desk
    commands: Commands
    ledger: Ledger
    provider: Provider
    access: Access
    sessions: Sessions
    history: History
    events: Events
    ticks: Ticks
    board: Board
    vouching: Vouching
    native: Mapping[tuple[str, str], NativeHandler]
    endpoint_key: Callable[[str], str]
    certificates: Callable[[], bytes]
    now: Callable[[], float]
    mono: Callable[[], float]
    wake: Callable[[], None]
    open_magister: bool = False
