"""A request's body opened and its caller checked, for Flask handlers and declared routes alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Request, current_app

from .envelope import Envelope
from .state import EXTENSION, Worker

ENVELOPE = "pyworker.envelope"


def current_worker() -> Worker:
    """The worker that serves the request in hand (a Flask application context is needed)."""
    worker: Worker = current_app.extensions[EXTENSION]
    return worker


def open_request(worker: Worker, request: Request, *, signed: bool) -> Envelope:
    """The request's envelope, checked where ``signed``; raises Refused."""
    if is_opened(request):
        envelope = worker.gatekeeper.open_envelope(request.get_data())
    else:
        envelope = Envelope(request.get_data(), None, None)
    if signed:
        worker.gatekeeper.check_grant(envelope.auth, request.environ.get("HTTP_AUTHORIZATION"))
    request.environ[ENVELOPE] = envelope
    return envelope


def is_opened(request: Request) -> bool:
    """Whether the body is JSON and may hold a grant; other kinds are passed on unopened."""
    return request.mimetype in ("", "application/json") or not request.get_data()


def signed_payload(request: Request) -> dict[str, Any]:
    """The payload of a request whose grant or API key was found good.

    For handlers of one's own: ``return Relay("/generate", json=signed_payload(request))``. What is
    not good is answered with 401 or 422 as on any declared route.
    """
    return open_request(current_worker(), request, signed=True).payload


def request_idx_of(auth: Mapping[str, Any] | None) -> int:
    """The autoscaler's number of a request whose grant was verified; 0 for none."""
    number = auth.get("request_idx", 0) if auth else 0
    return number if isinstance(number, int) and not isinstance(number, bool) else 0
