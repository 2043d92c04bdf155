"""The calls of workers and clients, answered on the engine's loop.

    POST /worker_status/     from workers; 200 {}, 401 wrong token, 413, 422 malformed
    POST /delete_requests/   from workers; the same
    POST /route/             from clients; 200 with or without url, 400, 401
    GET  /pubkey/            PEM

A fault of our own on ``/route/`` is answered 200 without ``url``, because Vast's client takes every
5xx of it for final.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

import msgspec

from vast_pyworker.engine import Exchange, NativeHandler
from vast_pyworker.engine.head import RequestHead
from vast_pyworker.errors import Refused
from vast_pyworker.wire import ENDS_PATH, EXTENDED_HEADER, PUBKEY_PATH, REPORT_PATH

from .bodies import read_object
from .routing import Ask
from .switchboard import Switchboard

log = logging.getLogger(__name__)

ROUTE_PATH = "/route/"
REPORT_BYTES = 256 * 1024
ENDS_BYTES = 4 * 1024 * 1024
ROUTE_BYTES = 64 * 1024
KEY_LENGTH = 512

_JSON = (("Content-Type", "application/json"),)
_TO_WORKERS = (*_JSON, (EXTENDED_HEADER, "1"))
_PEM = (("Content-Type", "application/x-pem-file"),)
_encode = msgspec.json.encode


def native_routes(switchboard: Switchboard) -> dict[tuple[str, str], NativeHandler]:
    """What an application puts into its ``native_routes``."""
    return {
        ("POST", REPORT_PATH): _taking(switchboard.take_report, REPORT_BYTES),
        ("POST", ENDS_PATH): _taking(switchboard.take_ends, ENDS_BYTES),
        ("POST", ROUTE_PATH): _routing(switchboard),
        ("GET", PUBKEY_PATH): lambda exchange: exchange.respond(200, _PEM, switchboard.public_pem),
    }


def _taking(take: Callable[[bytes], None], limit: int) -> NativeHandler:
    def handle(exchange: Exchange) -> None:
        if _length(exchange) > limit:
            _refuse(exchange, 413, f"The body is larger than {limit} bytes; send less at once.")
            return
        try:
            take(exchange.body)
        except Refused as exc:
            exchange.respond(exc.status, _TO_WORKERS, _encode({"error": str(exc)}))
            return
        exchange.respond(200, _TO_WORKERS, b"{}")

    return handle


def _routing(switchboard: Switchboard) -> NativeHandler:
    def handle(exchange: Exchange) -> None:
        if _length(exchange) > ROUTE_BYTES:
            sentence = (
                f"The body is larger than {ROUTE_BYTES} bytes; the payload goes to the worker."
            )
            _refuse(exchange, 413, sentence)
            return
        try:
            body = read_object(exchange.body)
        except ValueError as exc:
            _refuse(exchange, 400, str(exc))
            return
        endpoint = body.get("endpoint")
        if type(endpoint) is not str or not endpoint:
            _refuse(exchange, 400, "The body needs the name of an endpoint as `endpoint`.")
            return
        try:
            _route(exchange, switchboard, endpoint, body)
        except Exception:  # whatever it was, the client shall ask again and not give up
            log.exception("A request could not be routed to %s.", endpoint)
            apology = _apology(exchange, switchboard, endpoint, body)
            exchange.respond(200, _JSON, _encode(apology))

    return handle


def _route(
    exchange: Exchange, switchboard: Switchboard, endpoint: str, body: dict[str, Any]
) -> None:
    key = key_of(exchange.head, body)
    if not key or not switchboard.may_route(key, endpoint):
        unknown = f"invalid api_key or endpoint {endpoint[:255]} not found"
        _refuse(exchange, 401, f"authenticate_endpoint_apikey: {unknown}")
        return
    answer = switchboard.route(endpoint, _ask(exchange, body, hash((key, endpoint))))
    exchange.respond(200, _JSON, _encode(answer))


def _ask(exchange: Exchange, body: dict[str, Any], owner: int) -> Ask:
    return Ask(
        owner=owner,
        client=hash((owner, exchange.peer)),
        cost=body.get("cost"),
        request_idx=body.get("request_idx"),
        replay_timeout=body.get("replay_timeout"),
        request_id=exchange.request_id.decode("latin-1"),
    )


def _apology(
    exchange: Exchange, switchboard: Switchboard, endpoint: str, body: dict[str, Any]
) -> dict[str, Any]:
    idx = body.get("request_idx")
    return {
        "endpoint": endpoint,
        "status": "The controller failed at this call; its log says why.",
        "request_idx": idx if type(idx) is int and idx > 0 else switchboard.new_number(),
        "__request_id": exchange.request_id.decode("latin-1"),
    }


def key_of(head: RequestHead, body: dict[str, Any]) -> str:
    """The client's key: the Bearer token, else ``api_key`` of the body, else of the query."""
    scheme, _, bearer = (head.get(b"authorization") or b"").partition(b" ")
    if scheme.lower() == b"bearer" and bearer.strip():
        return bearer.strip().decode("latin-1")[:KEY_LENGTH]
    in_body = body.get("api_key")
    if type(in_body) is str and in_body:
        return in_body[:KEY_LENGTH]
    in_query = parse_qs(head.query).get("api_key", [""])
    return in_query[0][:KEY_LENGTH]


def _length(exchange: Exchange) -> int:
    """Bytes of the body, without reading one that lies on disk."""
    body = exchange.body_file
    return len(body) if isinstance(body, bytes) else body.seek(0, 2)


def _refuse(exchange: Exchange, status: int, sentence: str) -> None:
    exchange.respond(status, _JSON, _encode({"error": sentence}))
