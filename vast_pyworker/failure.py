"""How a start ends badly: one sentence, one exit code, one report to the autoscaler.

Used by ``install`` and ``worker.start`` alike, so only the standard library is imported.
What it does not do: decide what is a failure.
"""

from __future__ import annotations

import errno
import json
import logging
import signal
import sys
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import suppress
from enum import IntEnum
from types import FrameType
from typing import Any

from .errors import NotStarted, PyworkerError, SettingError, UnknownBackend
from .settings import AUTOSCALER, read_list

STOPPING_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
REPORT_TIMEOUT_S = 5.0
REPORT_TRIES = 2

log = logging.getLogger(__name__)


class Exit(IntEnum):
    """Exit codes of ``start_server.sh``; ``sentence`` says what each means."""

    sentence: str

    def __new__(cls, code: int, sentence: str) -> Exit:
        member = int.__new__(cls, code)
        member._value_ = code
        member.sentence = sentence
        return member

    NOT_RUNNING = 3, "no worker runs"
    USAGE = 64, "the command line is wrong"
    UNKNOWN_BACKEND = 65, "there is no such backend; those there are are listed"
    PORT_TAKEN = 66, "the port is taken; by whom is said"
    NO_DISK = 67, "no room on the disk, or a folder that cannot be written"
    INSTALL_FAILED = 68, "a package could not be installed"
    CERTIFICATE_REFUSED = 69, "no certificate could be had for this instance"
    BAD_PYTHON = 70, "no Python 3.10 or newer was found"
    CLONE_FAILED = 71, "the project could not be cloned"
    NO_ANSWER = 72, "the worker ended or did not answer"
    BAD_SETTING = 73, "a setting has a value that cannot be used"
    BAD_BACKEND = 74, "the backend breaks the contract"
    UNEXPECTED = 75, "something else went wrong"


class Stopped(Exception):
    """A signal asked this process to end."""

    def __init__(self, number: int) -> None:
        super().__init__(f"The start was stopped by {signal.Signals(number).name}; start it again.")
        self.number = number


def guarded(step: Callable[[], int], environ: Mapping[str, str], *, reports: bool = True) -> int:
    """Run ``step`` and return its exit code; a failure ends in one sentence and one report.

    Signals that were ignored when the process began (``nohup``) stay ignored.
    """
    try:
        _listen()
        return step()
    except Stopped as exc:
        code, sentence = 128 + exc.number, str(exc)
    except PyworkerError as exc:
        code, sentence = _code_of(exc), str(exc)
    except OSError as exc:
        code, sentence = _of_os_error(exc)
    except Exception as exc:  # the edge of the program: whatever happens is said and reported
        log.debug("unexpected failure", exc_info=True)
        code, sentence = Exit.UNEXPECTED, f"Unexpected {type(exc).__name__}: {exc}."
    with suppress(Stopped):
        sys.stderr.write(f"{sentence}\n")
        if reports:
            report(sentence, environ)
    return int(code)


def report(sentence: str, environ: Mapping[str, str]) -> None:
    """Tell every configured autoscaler why there is no worker; never raises."""
    addresses = report_addresses(environ)
    body = json.dumps(report_body(sentence, environ)).encode()
    for address in addresses:
        for _ in range(REPORT_TRIES):
            if _post(f"{address.rstrip('/')}/worker_status/", body):
                break


def report_addresses(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Where failures are reported: REPORT_ADDR, else Vast's autoscaler on an instance."""
    given = read_list(environ.get("REPORT_ADDR", ""))
    return given or ((AUTOSCALER,) if environ.get("CONTAINER_ID") else ())


def report_body(sentence: str, environ: Mapping[str, str]) -> dict[str, Any]:
    """The subset of a status report that says: no worker, for this reason."""
    number = environ.get("CONTAINER_ID", "").strip()
    return {
        "id": int(number) if number.isdecimal() else None,
        "mtoken": environ.get("MASTER_TOKEN", ""),
        "version": "0",
        "error_msg": sentence,
        "url": "",
    }


def _listen() -> None:
    """Turn stopping signals into ``Stopped``, and let in those that came during an exec."""

    def stop(number: int, frame: FrameType | None) -> None:
        for each in STOPPING_SIGNALS:  # one is enough: the report must not be cut short
            signal.signal(each, signal.SIG_IGN)
        raise Stopped(number)

    for number in STOPPING_SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, stop)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING_SIGNALS)


def hold_signals() -> None:
    """Keep stopping signals waiting over an ``exec``, until ``guarded`` takes them again."""
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING_SIGNALS)


def _post(url: str, body: bytes) -> bool:
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=REPORT_TIMEOUT_S):
            return True
    except (OSError, ValueError):
        return False


def _code_of(exc: PyworkerError) -> int:
    if isinstance(exc, NotStarted):
        return exc.code
    if isinstance(exc, UnknownBackend):
        return Exit.UNKNOWN_BACKEND
    return Exit.BAD_SETTING if isinstance(exc, SettingError) else Exit.BAD_BACKEND


def _of_os_error(exc: OSError) -> tuple[int, str]:
    where = exc.filename or "the disk"
    if exc.errno in (errno.ENOSPC, errno.EDQUOT):
        return Exit.NO_DISK, f"No room is left for {where}: free some disk and start again."
    if exc.errno in (errno.EACCES, errno.EROFS, errno.EPERM, errno.ENOTDIR):
        remedy = "make it writable, or set PYWORKER_STATE and PYWORKER_VENV to folders that are"
        return Exit.NO_DISK, f"{where} cannot be written ({exc.strerror}): {remedy}."
    return Exit.UNEXPECTED, f"Unexpected {type(exc).__name__}: {exc}."
