"""``GenericBackend`` of 2024: checks who calls, sends a request to the model server, counts it.

Signatures are those of 2024. Unlike then, every call has a timeout, each counted request ends in
exactly one of ``finish_req`` and ``error_req``, the caller's dict is left as it is, the token is
compared in constant time, and constructing does not wait for the network.
"""

from __future__ import annotations

import hmac
import json
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import requests
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from vast_pyworker import signature as grants
from vast_pyworker.worker.reports import transport
from vast_pyworker.worker.traffic.pubkey import PublicKey

from . import environment
from .auth import verify_signature

MSG_HISTORY_LEN = 100
KEY_WAIT_S = 3.0
STOP_WAIT_S = 1.0
# What an unsigned request is checked as where unsigned ones are refused: it verifies with no key.
UNSIGNED = {"signature": "", "message": "", "reqnum": 0}

_log = logging.getLogger(__name__)


class GenericBackend:
    """Base of the 2024 backends; ``metrics`` has ``start_req``, ``finish_req``, ``error_req``."""

    def __init__(self, master_token: str | None, metrics: Any) -> None:
        self.master_token = master_token
        self.metrics = metrics
        self.reqnum: float = 0
        self.msg_history: deque[str] = deque(maxlen=MSG_HISTORY_LEN)
        self._lock = threading.Lock()
        self._source = PublicKey(environment.key_addresses(), transport.get)
        self._asked = False
        if getattr(metrics, "send_server_data", False):  # it talks to an autoscaler, so ask now
            self._ask()

    @property
    def public_key(self) -> RSAPublicKey | None:
        """The autoscaler's key. Waits for a moment where it is not there yet, then says None."""
        if self._source.key is None:
            self._ask()
            self._source.wait(KEY_WAIT_S)
        return self._source.key

    def teardown(self) -> None:
        """The worker is ending: fetch and report no more."""
        self._source.stop(STOP_WAIT_S)
        if hasattr(self.metrics, "stop"):
            self.metrics.stop()

    def _ask(self) -> None:
        with self._lock:
            if not self._asked:
                self._asked = True
                self._source.start()

    def check_master_token(self, token: object) -> bool:
        """Whether ``token`` is the master token; without one, nothing is."""
        if not self.master_token or not isinstance(token, str):
            return False
        return hmac.compare_digest(token.encode(), self.master_token.encode())

    def format_request(
        self, request: Mapping[str, Any]
    ) -> tuple[dict[str, Any] | None, dict[str, Any]]:
        """Part a body into what to pass to ``check_signature`` and what the model gets.

        Takes both bodies: grant and model fields side by side (2024), and ``auth_data`` beside
        ``payload`` (today). The first is None for an unsigned request where those are welcome;
        elsewhere it is something that never verifies.
        """
        if isinstance(request.get("auth_data"), Mapping):
            return _checkable(request["auth_data"], "url"), dict(request.get("payload") or {})
        names = {"signature", *grants.FIELDS["four"]}
        model_request = {name: value for name, value in request.items() if name not in names}
        if names <= request.keys():
            return _checkable(request, "four"), model_request
        welcome = environment.settings().accepts_unsigned
        return (None if welcome else dict(UNSIGNED)), model_request

    def check_signature(self, reqnum: float, message: str, signature: str) -> bool:
        """Whether the autoscaler signed ``message``, for this worker, and it is no replay.

        A message that signs the url alone (today's) is the same every time and may be repeated.
        """
        if not verify_signature(self.public_key, message, signature):
            self._source.refresh()
            return False
        fields = json.loads(message)
        if fields.get("url") != environment.settings().url:
            _log.info("refused a grant for another worker")
            return False
        return "reqnum" not in fields or self._admit(reqnum, message)

    def _admit(self, reqnum: float, message: str) -> bool:
        with self._lock:
            if reqnum < self.reqnum - MSG_HISTORY_LEN or message in self.msg_history:
                return False
            self.reqnum = max(reqnum, self.reqnum)
            self.msg_history.append(message)
            return True

    def generate(
        self,
        model_request: dict[str, Any],
        model_server_addr: str,
        endpoint: str,
        response_func: Callable[[requests.Response], Any],
        metrics: bool = False,
    ) -> tuple[int, Any, float | None]:
        """Post to ``http://{model_server_addr}/{endpoint}``; status, content and seconds taken.

        Content is ``response_func(response)``; it and the seconds are None unless the status is
        200. A model server that cannot be reached is a 500. With ``metrics`` the request is
        counted, and ``finish_req`` finds the seconds in it as ``time_elapsed``.
        """
        if metrics:
            self.metrics.start_req(model_request)
        code, content, elapsed_s = 500, None, None
        try:
            code, content, elapsed_s = self._post(
                f"http://{model_server_addr}/{endpoint}", model_request, response_func
            )
        finally:
            if metrics and elapsed_s is None:
                self.metrics.error_req(model_request, code)
        if metrics and elapsed_s is not None:
            self.metrics.finish_req({**model_request, "time_elapsed": elapsed_s})
        return code, content, elapsed_s

    def _post(
        self, url: str, body: Any, response_func: Callable[[requests.Response], Any]
    ) -> tuple[int, Any, float | None]:
        started = time.monotonic()
        try:
            with requests.post(url, json=body, timeout=environment.model_timeout()) as response:
                elapsed_s = time.monotonic() - started
                if response.status_code == 200:
                    return 200, response_func(response), elapsed_s
                return response.status_code, None, None
        except requests.RequestException as exc:
            _log.warning("no answer from the model server at %s: %s", url, type(exc).__name__)
            return 500, None, None

    def get(
        self,
        request: Any,
        model_server_addr: str,
        endpoint: str,
        response_func: Callable[[requests.Response], Any],
    ) -> tuple[int, Any]:
        """Get ``http://{model_server_addr}/{endpoint}`` with a JSON body: status and content."""
        url = f"http://{model_server_addr}/{endpoint}"
        try:
            with requests.get(url, json=request, timeout=environment.model_timeout()) as response:
                if response.status_code == 200:
                    return 200, response_func(response)
                return response.status_code, None
        except requests.RequestException as exc:
            _log.warning("no answer from the model server at %s: %s", url, type(exc).__name__)
            return 500, None


def _checkable(grant: Mapping[str, Any], form: grants.Form) -> dict[str, Any]:
    """The keywords of ``check_signature`` for a grant; UNSIGNED where it lacks a field."""
    try:
        message = grants.message(grant, form).decode()
        return {
            "signature": grant["signature"],
            "message": message,
            "reqnum": grant.get("reqnum", 0),
        }
    except KeyError:
        return dict(UNSIGNED)
