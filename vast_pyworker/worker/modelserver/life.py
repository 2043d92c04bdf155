"""What one life of the model server leaves in writing, so that the next worker finds it.

What is here: the record, and telling that very process from a later one with its number. What is
not: anything that starts, lists or ends processes (``process``).
"""

from __future__ import annotations

import fcntl
import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from vast_pyworker.worker.starting.pidfile import identity_of
from vast_pyworker.worker.starting.private_file import write_private

RECORD = "model.json"
LOCK = "model.lock"


@dataclass(frozen=True)
class Life:
    """One life of the model server.

    ``pid`` is its leader, ``identity`` what no other process has, also not one with that number,
    ``boot`` the same of process 1, so of this run of the machine or container; "" is unknown.
    ``fingerprint`` says what was started, ``log_offset`` how long the log was just before.
    """

    pid: int
    identity: str
    boot: str
    fingerprint: str
    log_offset: int

    @classmethod
    def of(cls, pid: int, fingerprint: str, log_offset: int) -> Life:
        """The life that begins with the leader ``pid``, which nobody may have waited for yet."""
        return cls(pid, identity_of(pid) or "", identity_of(1) or "", fingerprint, log_offset)

    @property
    def goes_on(self) -> bool:
        """Whether the leader still runs."""
        return self.identity != "" and identity_of(self.pid) == self.identity

    @property
    def owns_session(self) -> bool:
        """Whether the session numbered ``pid`` is the one that the leader opened.

        The kernel does not give a number away while a session bears it. So it is, unless the
        machine has started anew or another process has the number (the session had ended then).
        """
        if (identity_of(1) or "") != self.boot:
            return False
        return identity_of(self.pid) in (None, self.identity)


def fingerprint_of(command: Sequence[str], cwd: Path | None) -> str:
    """What tells one model server from another: its command and its folder."""
    told = json.dumps([list(command), str(cwd) if cwd else None])
    return hashlib.sha256(told.encode()).hexdigest()


def record(life: Life, state_dir: Path) -> None:
    """Write ``life`` down for the next worker; raises OSError."""
    write_private(state_dir / RECORD, json.dumps(asdict(life)))


def recorded(state_dir: Path) -> Life | None:
    """What was written down last; None: nothing, or nothing that makes sense."""
    try:
        told = json.loads((state_dir / RECORD).read_text(encoding="utf-8"))
        life = Life(**told)
    except (OSError, ValueError, TypeError):
        return None
    kinds = (int, str, str, str, int)
    fits = all(
        type(value) is kind for value, kind in zip(asdict(life).values(), kinds, strict=True)
    )
    return life if fits and life.pid > 1 else None


def forget(state_dir: Path) -> None:
    """Remove what was written down."""
    (state_dir / RECORD).unlink(missing_ok=True)


@contextmanager
def alone(state_dir: Path) -> Iterator[None]:
    """One at a time: two workers must not both find nothing recorded and both start a model."""
    state_dir.mkdir(parents=True, exist_ok=True)
    with (state_dir / LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
