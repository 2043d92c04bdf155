"""What a request body says: the payload, byte for byte, and the grant that came with it.

Three shapes are understood: the envelope ``{"auth_data", "session_id", "payload"}`` of today's
clients; the flat body of 2024, where ``signature, cost, endpoint, reqnum, url`` stand beside the
model's own fields; and a bare payload, as any OpenAI client sends it. An object whose only fields
are ``payload`` and perhaps ``session_id`` is an envelope without a grant.

What is here: shapes and their refusals. What is not: whether the grant is any good (``auth``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import UNSET, Raw, UnsetType

from vast_pyworker.errors import Invalid

GRANT_FIELDS = ("cost", "endpoint", "reqnum", "request_idx", "signature", "url")
FLAT_FIELDS = ("cost", "endpoint", "reqnum", "signature", "url")

_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_BRACE = ord("{")
_MISSING = "field missing"
_NOT_AN_OBJECT = {"data": "payload must be a dictionary"}
_OUT_OF_RANGE = {"data": "payload holds a number that is not finite"}


class Grant(msgspec.Struct, gc=False):
    """A grant with all of ``GRANT_FIELDS``: as much of it as is looked at for every request."""

    cost: Any
    endpoint: Any
    reqnum: Any
    request_idx: Any
    signature: str
    url: str


class Envelope(msgspec.Struct, eq=False, gc=False):
    """One request body, opened.

    ``sent`` are the client's own bytes of the payload, where they lie in the body if that saves a
    copy; ``payload_bytes`` the same on their own; ``payload`` is the object they spell, read when
    it is first asked for (Invalid if they spell none). ``auth`` is the grant, or None where there
    was none; ``grant`` the same where it is whole; ``session_id`` the session the request belongs
    to, or None.
    """

    sent: bytes | Raw
    session_id: str | None = None
    grant: Grant | None = None
    _auth: dict[str, Any] | None = None
    _payload: dict[str, Any] | None = None
    _body: bytes = b""

    @classmethod
    def bare(cls, payload_bytes: bytes, payload: dict[str, Any] | None = None) -> Envelope:
        """A payload that came without a grant."""
        return cls(payload_bytes, _payload=payload)

    @property
    def auth(self) -> dict[str, Any] | None:
        if self._auth is None and self.grant is not None:
            # Only what is new to us is verified, so few grants are ever read to the last field.
            self._auth = _decode_any(self._body).auth_data  # type: ignore[assignment]
        return self._auth

    @property
    def payload_bytes(self) -> bytes:
        return bytes(self.sent)

    @property
    def payload(self) -> dict[str, Any]:
        if self._payload is None:
            self._payload = read_object(self.sent)
        return self._payload


class _Body(msgspec.Struct, gc=False):
    """The fields that tell the shapes apart; what else there is stays in the bytes."""

    auth_data: Grant | UnsetType | None = UNSET
    payload: Raw | UnsetType = UNSET
    session_id: str | None = None
    signature: Raw | UnsetType = UNSET
    reqnum: Raw | UnsetType = UNSET


class _AnyBody(_Body, gc=False):
    """The same with a grant of any fields."""

    auth_data: dict[str, Any] | UnsetType | None = UNSET  # type: ignore[assignment]


_decode_body = msgspec.json.Decoder(_Body).decode
_decode_any = msgspec.json.Decoder(_AnyBody).decode
_decode_object = msgspec.json.Decoder(dict[str, Any]).decode
_decode_fields = msgspec.json.Decoder(dict[str, Raw]).decode


def open_envelope(body: bytes) -> Envelope:
    """Open a request body; Invalid (422) with the reference's map of fields where it is malformed.

    An empty body is an empty payload without a grant. What came with a whole grant may still prove
    to be no object: ``payload`` tells.
    """
    if not body:
        return Envelope.bare(b"{}")
    try:
        read = _decode_body(body)
    except _UNREADABLE:
        read = _read_any(body)
    auth, sent = read.auth_data, read.payload
    if sent is not UNSET:
        if isinstance(auth, Grant):
            return Envelope(sent, read.session_id, auth, None, None, body)
        if auth is not UNSET or _is_wrapped(body):
            raw = bytes(sent)
            if raw[0] != _BRACE:
                errors = _payload_errors(None if auth is UNSET else auth, _NOT_AN_OBJECT)
                raise Invalid("The payload is not an object.", body=errors)
            return Envelope(raw, read.session_id, _auth=None if auth is UNSET else auth)
    if read.auth_data is not UNSET:
        raise Invalid("The body has no payload.", body=_payload_errors(read.auth_data, _MISSING))
    if read.signature is not UNSET and read.reqnum is not UNSET:
        return _flat(body)
    return Envelope.bare(body)


def _read_any(body: bytes) -> _AnyBody:
    """The fields of a body whose grant is not whole."""
    try:
        return _decode_any(body)
    except _UNREADABLE:
        raise _complaint(body) from None


def grant_errors(auth: object) -> dict[str, str] | str | None:
    """What is wrong with the shape of a grant, as the 422 answer words it; None: nothing."""
    if auth is None:
        return _MISSING
    if isinstance(auth, Grant):
        return None
    if not isinstance(auth, Mapping):
        return "auth_data must be a dictionary"
    return {name: "missing parameter" for name in GRANT_FIELDS if name not in auth} or None


def _payload_errors(auth: object, problem: object) -> dict[str, Any]:
    """The 422 answer for a bad payload, with what is wrong with the grant beside it."""
    errors = grant_errors(auth)
    return {"payload": problem} if errors is None else {"auth_data": errors, "payload": problem}


def _is_wrapped(body: bytes) -> bool:
    """Whether an object without a grant has only an envelope's fields."""
    return _fields(body).keys() <= {"payload", "session_id"}


def _flat(body: bytes) -> Envelope:
    """Part a body of 2024 into the grant and what is left; a bare payload if it is not one."""
    fields = _fields(body)
    if not all(name in fields for name in FLAT_FIELDS):
        return Envelope.bare(body)
    # 2024 had no request_idx, and the form of that year does not sign one.
    auth = read_object(msgspec.json.encode({name: fields.pop(name) for name in FLAT_FIELDS}))
    return Envelope(msgspec.json.encode(fields), _auth=auth | {"request_idx": 0})


def _fields(body: bytes) -> dict[str, Raw]:
    """The top level of an object, its values unread."""
    try:
        return _decode_fields(body)
    except _UNREADABLE:
        raise Invalid("invalid JSON") from None


def read_object(raw: bytes | Raw) -> dict[str, Any]:
    """The object that ``raw`` spells; Invalid (422) if it is none."""
    try:
        return _decode_object(raw)
    except msgspec.ValidationError:
        is_object = bytes(raw).lstrip()[:1] == b"{"
        problem = _OUT_OF_RANGE if is_object else _NOT_AN_OBJECT
        raise Invalid("The payload cannot be read.", body={"payload": problem}) from None
    except _UNREADABLE:
        raise Invalid("invalid JSON") from None


def _complaint(body: bytes) -> Invalid:
    """Why a body could not be opened."""
    try:
        read = msgspec.json.decode(body)
    except _UNREADABLE:
        return Invalid("invalid JSON")
    if not isinstance(read, dict):
        return Invalid("The body is not an object.", body={"payload": _NOT_AN_OBJECT})
    errors: dict[str, Any] = {}
    if "auth_data" in read and (problem := grant_errors(read["auth_data"])) is not None:
        errors["auth_data"] = problem
    if "auth_data" in read and not isinstance(read.get("payload"), dict):
        errors["payload"] = _NOT_AN_OBJECT if "payload" in read else _MISSING
    if not isinstance(read.get("session_id"), str | None):
        errors["session_id"] = "session_id must be a string"
    return Invalid("The body has a wrong field.", body=errors)
