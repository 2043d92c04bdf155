"""The autoscaler's public key: fetched in the background, kept in memory, never waited for.

What is here: one thread that asks each address in order until one answers with a key, again with
back-off while none does, and again (not more than once in ``REFRESH_S``) when a signature did not
verify, for the key may have been changed. What is not: verification (``signature``, ``auth``).
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from vast_pyworker import signature, wire
from vast_pyworker.errors import ReportError
from vast_pyworker.worker.reports.transport import Get

log = logging.getLogger(__name__)

FIRST_BACKOFF_S = 1.0
LONGEST_BACKOFF_S = 30.0
REFRESH_S = 30.0


class PublicKey:
    """The key as it is known now: ``key`` (None while it is not), ``revision``, ``problem``.

    ``revision`` grows whenever ``key`` changes; ``problem`` is why the last fetch failed, empty
    if it did not. All are plain attributes, safe to read from any thread. ``tick`` may be called
    by hand as long as the thread is not started.
    """

    def __init__(
        self, addresses: Sequence[str], get: Get, now: Callable[[], float] = time.monotonic
    ) -> None:
        self.key: RSAPublicKey | None = None
        self.revision = 0
        self.problem = ""
        self._urls = tuple(address.rstrip("/") + wire.PUBKEY_PATH for address in addresses)
        self._get = get
        self._now = now
        self._pem = ""
        self._failures = 0
        self._due_at = float("-inf")
        self._fetched_at = float("-inf")
        self._known = threading.Event()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to fetch, in a thread of its own."""
        self._thread = threading.Thread(target=self._run, name="pubkey", daemon=True)
        self._thread.start()

    def stop(self, timeout_s: float = 15.0) -> None:
        """End the thread; waits for a fetch that is under way."""
        self._stopping.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(timeout_s)

    def wait(self, timeout_s: float) -> bool:
        """Wait until a key is known; not for request handlers."""
        return self._known.wait(timeout_s)

    def refresh(self) -> None:
        """Ask for the key to be fetched again, once the last fetch is ``REFRESH_S`` old."""
        if self.key is not None and self._due_at == float("inf"):
            self._due_at = self._fetched_at + REFRESH_S
            self._wake.set()

    def tick(self) -> str:
        """Fetch the key if that is due; one sentence of what was done, empty when nothing was."""
        if self._now() < self._due_at:
            return ""
        self._due_at = float("inf")
        problems = []
        for url in self._urls:
            try:
                pem = self._get(url).body.decode("utf-8", "replace")
                self._take(pem, signature.load_public_key(pem))
            except ReportError as exc:
                problems.append(str(exc))
            except ValueError:
                problems.append(f"{url} does not answer an RSA public key in PEM.")
            else:
                return f"Fetched the public key from {url}."
        return self._failed(" ".join(problems) or "REPORT_ADDR names no autoscaler.")

    def _take(self, pem: str, key: RSAPublicKey) -> None:
        self._fetched_at = self._now()
        self._failures = 0
        self.problem = ""
        if pem != self._pem:
            self._pem = pem
            self.key = key
            self.revision += 1
        self._known.set()

    def _failed(self, problem: str) -> str:
        self.problem = problem
        backoff_s = min(FIRST_BACKOFF_S * 2.0 ** min(self._failures, 10), LONGEST_BACKOFF_S)
        self._failures += 1
        self._due_at = self._now() + backoff_s
        return f"No public key, next try in {backoff_s:.0f} s: {problem}"

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.clear()
            try:
                sentence = self.tick()
            except Exception:
                # The loop must outlive any one fetch: without a key nobody is let in.
                log.exception("Fetching the public key failed unexpectedly; trying again.")
                sentence = self._failed("it failed unexpectedly")
            if sentence:
                log.log(logging.WARNING if self.problem else logging.INFO, "%s", sentence)
            self._wake.wait(min(max(self._due_at - self._now(), 0.0), threading.TIMEOUT_MAX))
