"""The wishes in force: groups.toml as it was read last, with what people changed laid over it.

A change is checked whole, kept in the ledger, and only then in force; one that fails changes
nothing. What it does not: act on a group, which the next tick does.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import replace

from vast_pyworker.controller.ledger.ledger import Ledger
from vast_pyworker.errors import PyworkerError
from vast_pyworker.model import Wishes

from .overlay import ENDPOINT, GROUP, Overlay, laid_over

NOTE = "overlay"
log = logging.getLogger(__name__)


class Desk:
    """Used from any thread. ``read`` reads the file anew and raises ``WishError``. ``latest`` is
    what was wanted when somebody asked last: every tick does."""

    def __init__(
        self, read: Callable[[], Wishes], ledger: Ledger, *, now: Callable[[], float]
    ) -> None:
        self._read = read
        self._ledger = ledger
        self._now = now
        self._lock = threading.RLock()
        self.latest = self._file = read()
        self.overlay = Overlay.from_json(ledger.notes.get(NOTE, {}))
        self.edit(lambda overlay: overlay)

    @property
    def file(self) -> Wishes:
        """What groups.toml says."""
        return self._file

    def wishes(self) -> Wishes:
        """What is wanted at this moment."""
        with self._lock:
            self.latest = laid_over(self._file, self.overlay, self._now())
            return self.latest

    def edit(self, change: Callable[[Overlay], Overlay]) -> Overlay:
        """Put ``change`` in force; what it raises, or what its wishes raise, leaves all as it was.

        Every endpoint and group has a number afterwards.
        """
        with self._lock:
            changed = change(self.overlay)
            wishes = laid_over(self._file, changed, self._now())
            names = [f"{GROUP} {each}" for each in wishes.groups]
            names += [f"{ENDPOINT} {each.endpoint}" for each in wishes.groups.values()]
            names += [f"{ENDPOINT} {each}" for each in changed.endpoints]
            changed = changed.numbered(names)
            self._ledger.notes.put(NOTE, changed.to_json())
            self.overlay = changed
            return changed

    def reload(self) -> str:
        """Read the file anew; the sentence that says what came of it. A bad one changes nothing."""
        try:
            found = self._read()
        except PyworkerError as exc:
            faults = " ".join(str(exc).splitlines())
            return f"groups.toml was not taken, and what was wanted before stays: {faults}"
        with self._lock:
            before, self._file = self._file, replace(found, fleet=self._file.fleet)
            try:
                self.edit(lambda overlay: overlay)
            except PyworkerError as exc:
                self._file = before
                return f"groups.toml was not taken, and what was wanted before stays: {exc}"
        kept = "" if found.fleet == before.fleet else (
            f" The fleet is still called {before.fleet}: its instances carry that name."
        )  # fmt: skip
        count = "1 group" if len(found.groups) == 1 else f"{len(found.groups)} groups"
        return f"groups.toml was read again: {count}.{kept}"

    def tidy(self) -> None:
        """Forget groups made by call that were to end and have no member any more. Not before
        everything that exists has been found once."""
        overlay = self.overlay
        if not overlay.emptied:
            return
        alive = {each.group for each in self._ledger.intents.open().values()}
        ended = [
            each for each in overlay.emptied
            if each not in self._file.groups and each not in alive
        ]  # fmt: skip
        if ended:
            self.edit(lambda old: _without(old, frozenset(ended)))
            log.info("Groups %s have ended.", ", ".join(ended))


def _without(overlay: Overlay, names: frozenset[str]) -> Overlay:
    groups = {name: made for name, made in overlay.groups.items() if name not in names}
    return replace(
        overlay,
        groups=groups,
        emptied=overlay.emptied - names,
        pins={name: n for name, n in overlay.pins.items() if name not in names},
        renewed={name: at for name, at in overlay.renewed.items() if name not in names},
    )
