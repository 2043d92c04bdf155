"""One writer for one ledger: a lock of the operating system, which ends with its process.

A second opening is refused with the name of the first. The file stays when the lock is let go: to
remove it would let two processes each lock a file of its own.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
from datetime import datetime, timezone
from pathlib import Path

from vast_pyworker.errors import LedgerError, LedgerLocked


class Lock:
    """Held from ``take`` until ``release`` or the end of the process, however that comes."""

    def __init__(self, path: Path, ledger: str, descriptor: int) -> None:
        self.path = path
        self._ledger = ledger
        self._descriptor = descriptor
        self._file = _identity(os.fstat(descriptor))

    @classmethod
    def take(cls, path: Path, *, ledger: str, holder: str, now: float) -> Lock:
        """``LedgerLocked`` says who has it; ``LedgerError`` that there can be no lock there."""
        try:
            while True:
                descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
                lock = cls(path, ledger, descriptor)
                lock._take_or_refuse()
                if lock._in_place():
                    lock._sign(holder, now)
                    return lock
                os.close(descriptor)  # it was replaced between the two calls: that one is no lock
        except OSError as exc:
            raise LedgerError(
                f"The ledger {ledger} cannot be locked by {path} ({exc.strerror}): "
                "make its directory writable."
            ) from None

    def check(self) -> None:
        """``LedgerError`` where the lock's file was taken away, so that another could get in."""
        if not self._in_place():
            raise LedgerError(
                f"The lock file {self.path} was removed or replaced while this controller runs: "
                "nothing more is written; make sure that there is one controller, and restart it."
            )

    def release(self) -> None:
        os.close(self._descriptor)

    def _take_or_refuse(self) -> None:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            said = os.pread(self._descriptor, 4096, 0)
            os.close(self._descriptor)
            raise LedgerLocked(
                f"The ledger {self._ledger} is in use by {_who(said)}: "
                "stop that one first, or give this one a ledger of its own."
            ) from None
        except OSError:
            os.close(self._descriptor)
            raise

    def _in_place(self) -> bool:
        try:
            return _identity(self.path.stat()) == self._file
        except OSError:
            return False

    def _sign(self, holder: str, now: float) -> None:
        said = {"holder": holder, "pid": os.getpid(), "host": socket.gethostname(), "since": now}
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, json.dumps(said).encode() + b"\n", 0)


def _identity(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino


def _who(said: bytes) -> str:
    """The holder in words; what it wrote may be missing or half written."""
    try:
        known = json.loads(said)
        since = datetime.fromtimestamp(known["since"], timezone.utc)
        return (
            f"{known['holder']} (process {known['pid']} on {known['host']}, "
            f"since {since:%Y-%m-%d %H:%M:%S} UTC)"
        )
    except (ValueError, KeyError, TypeError, OverflowError, OSError):
        return "another process"
