"""Who may call: grants signed by the autoscaler, API keys for direct use, the master token.

What is here: the decision, in memory, on values. What is not: fetching the public key (``pubkey``)
and the shape of bodies (``envelope``).

A grant of today's form signs the worker's url and nothing else, by a scheme that gives one text one
signature, so it is the same for every request: once verified it is remembered, until the key
changes. Older forms carry a request number; those are verified each time, and a repeated or long
outdated number is refused.
"""

from __future__ import annotations

import hmac
import threading
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from vast_pyworker import signature
from vast_pyworker.errors import Invalid, NotReady, Unauthorized

from .envelope import Envelope, grant_errors, open_envelope

REPLAY_WINDOW = 100
KEY_RETRY_S = 2.0
_UNKNOWN_CALLER = (
    "The Authorization header names no accepted key; send `Bearer` and one of PYWORKER_API_KEYS, "
    "or a grant of the autoscaler as auth_data."
)


class KeySource(Protocol):
    """Where the public key comes from. Neither attribute nor method may block a request."""

    @property
    def key(self) -> RSAPublicKey | None:
        """The autoscaler's public key, None while it is not known."""

    @property
    def revision(self) -> int:
        """Grows whenever ``key`` changes."""

    def refresh(self) -> None:
        """Ask for the key to be fetched again; returns at once, and may decide not to."""


class Gatekeeper:
    """Decides about one request at a time; every method may be called from any thread.

    ``own_urls`` are the addresses that grants for this worker may be signed for. Empty keys and
    tokens are dropped, so that nothing passes by sending nothing.
    """

    open_envelope = staticmethod(open_envelope)

    def __init__(
        self,
        source: KeySource,
        own_urls: Iterable[str],
        *,
        api_keys: Iterable[str] = (),
        master_token: str | None = None,
        accepts_unsigned: bool = False,
        forms: Sequence[signature.Form] = signature.FORMS,
    ) -> None:
        self._source = source
        self._own_urls = frozenset(own_urls)
        self._api_keys = tuple(key.encode() for key in api_keys if key)
        self._master_token = (master_token or "").encode()
        self._accepts_unsigned = accepts_unsigned
        self._forms = tuple(forms)
        self._remembered: dict[str, str] = {}  # own urls, and the signature of each
        self._remembered_at = source.revision
        self._lock = threading.Lock()
        self._window = ReplayWindow(REPLAY_WINDOW)

    @property
    def revision(self) -> int:
        """Grows whenever the public key changes; what was granted before is then void."""
        return self._source.revision

    def check(self, envelope: Envelope, authorization: str | None = None) -> None:
        """``check_grant`` for what a request's body held; a grant seen before costs little."""
        grant = envelope.grant
        is_known = (
            grant is not None
            and self._remembered.get(grant.url) == grant.signature
            and self._remembered_at == self._source.revision
        )
        if not is_known:
            self.check_grant(envelope.auth, authorization)

    def check_grant(
        self, auth_data: Mapping[str, Any] | None, authorization: str | None = None
    ) -> None:
        """Return if the caller may use a signed route.

        Invalid (422) for a grant that is missing or lacks fields, Unauthorized (401) for one
        that is not good here, NotReady (503) while the public key is not known. An API key in
        ``authorization`` stands in for any grant.
        """
        if self._accepts_unsigned:
            return
        if authorization and _is_among(authorization, self._api_keys):
            return
        if authorization and auth_data is None:
            raise Unauthorized(_UNKNOWN_CALLER)
        errors = grant_errors(auth_data)
        if errors is not None or auth_data is None:
            raise Invalid("The request lacks a whole grant.", body={"auth_data": errors})
        known, url = auth_data["signature"], auth_data["url"]
        are_texts = isinstance(known, str) and isinstance(url, str)
        if not (are_texts and self._is_remembered(known, url)):
            self._check_signed(auth_data)

    def check_token(self, authorization: str | None) -> None:
        """Return if the header carries the master token or an API key, else Unauthorized."""
        if not authorization or not _is_among(authorization, (self._master_token, *self._api_keys)):
            raise Unauthorized("This route needs `Authorization: Bearer` with MASTER_TOKEN.")

    def check_master_token(self, token: object) -> None:
        """Return if ``token`` (a header or a body's ``mtoken``) is the master token."""
        if not isinstance(token, str) or not _is_among(token, (self._master_token,)):
            raise Unauthorized("The master token is missing or wrong; send MASTER_TOKEN.")

    def _is_remembered(self, signature: str, url: str) -> bool:
        is_of_this_key = self._remembered_at == self._source.revision
        return is_of_this_key and self._remembered.get(url) == signature

    def _check_signed(self, auth: Mapping[str, Any]) -> None:
        revision, key = self._source.revision, self._source.key
        if key is None:
            self._source.refresh()
            raise NotReady(  # not 401, which Vast's client takes for final
                "The autoscaler's public key is not known yet, so no grant can be checked; "
                "try again, or see that REPORT_ADDR answers /pubkey/.",
                retry_after_s=KEY_RETRY_S,
            )
        form = signature.verified_form(key, auth, self._forms)
        if form is None:
            self._source.refresh()
            raise Unauthorized(
                "The grant's signature does not verify with the autoscaler's public key; "
                "ask /route/ for a new grant."
            )
        if auth["url"] not in self._own_urls:
            raise Unauthorized("The grant is for another worker; send it to the url it names.")
        with self._lock:
            if form == "url":
                self._remember(auth, revision)
            else:
                self._window.admit(auth["reqnum"], signature.message(auth, form))

    def _remember(self, auth: Mapping[str, Any], revision: int) -> None:
        if self._remembered_at != revision:
            self._remembered.clear()
            self._remembered_at = revision
        self._remembered[auth["url"]] = auth["signature"]


class ReplayWindow:
    """Refuses numbered messages that were seen before or are too old to tell; not thread-safe."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._highest: float = float("-inf")
        self._recent: deque[bytes] = deque(maxlen=size)

    def admit(self, number: object, message: bytes) -> None:
        """Record a verified message; Unauthorized if it is a replay."""
        if not isinstance(number, int | float):
            raise Unauthorized("The grant's reqnum is not a number; ask /route/ for a new grant.")
        if number < self._highest - self._size or message in self._recent:
            raise Unauthorized("The grant was used before; ask /route/ for a new grant.")
        self._highest = max(self._highest, number)
        self._recent.append(message)


def _is_among(authorization: str, keys: Iterable[bytes]) -> bool:
    """Whether the header carries one of ``keys``; the time taken does not tell which."""
    sent = authorization.removeprefix("Bearer ").strip().encode("utf-8", "surrogatepass")
    found = False
    for key in keys:
        found |= bool(key) and hmac.compare_digest(sent, key)
    return found


__all__ = ["Envelope", "Gatekeeper", "KeySource", "ReplayWindow", "open_envelope"]
