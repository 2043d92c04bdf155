"""Auth data of any kind: what is not signed for this worker never gets in, and nothing breaks."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from vast_pyworker import signature
from vast_pyworker.errors import Refused
from vast_pyworker.worker.traffic.auth import Gatekeeper
from vast_pyworker.worker.traffic.envelope import GRANT_FIELDS, open_envelope

URL = "https://1.2.3.4:40001"
PRIVATE = signature.new_private_key()
MESSAGE = {"cost": 242.0, "endpoint": "demo", "reqnum": 12, "request_idx": 7, "url": URL}
GOOD = {**MESSAGE, "signature": signature.sign(PRIVATE, MESSAGE)}


class Keys:
    key = PRIVATE.public_key()
    revision = 1

    def refresh(self) -> None:
        """There is no other key."""


_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)
_objects = st.dictionaries(st.text(), _json, max_size=5)
_changes = st.dictionaries(st.sampled_from(GRANT_FIELDS), _json, min_size=1, max_size=3)


def _gets_in(auth: Any, authorization: str | None = None) -> bool:
    gatekeeper = Gatekeeper(Keys(), [URL], api_keys=["the-key"], master_token="the-token")
    try:
        gatekeeper.check_grant(auth, authorization)
    except Refused as exc:
        assert exc.status in (401, 422)
        return False
    return True


@given(_json | st.dictionaries(st.sampled_from(GRANT_FIELDS), _json))
def test_what_nobody_signed_never_gets_in(auth: Any) -> None:
    assert not _gets_in(auth)


@given(_changes)
def test_a_signed_grant_bears_changes_of_all_but_what_is_signed(changes: dict[str, Any]) -> None:
    changed = GOOD | changes
    is_same = all(changed[name] == GOOD[name] for name in ("url", "signature"))
    assert _gets_in(changed) is is_same


@given(st.sets(st.sampled_from(GRANT_FIELDS), min_size=1))
def test_a_grant_without_a_field_is_refused_by_its_name(missing: set[str]) -> None:
    auth = {name: value for name, value in GOOD.items() if name not in missing}
    try:
        Gatekeeper(Keys(), [URL]).check_grant(auth)
    except Refused as exc:
        assert exc.body == {"auth_data": dict.fromkeys(sorted(missing), "missing parameter")}
    else:
        raise AssertionError("a grant without a field got in")


@given(st.text())
def test_no_header_but_the_key_itself_gets_in(header: str) -> None:
    assert _gets_in(None, header) is (header.removeprefix("Bearer ").strip() == "the-key")


@given(st.binary() | _json.map(lambda value: json.dumps(value).encode()))
def test_any_body_is_opened_or_refused(body: bytes) -> None:
    try:
        opened = open_envelope(body)
        assert isinstance(opened.payload, dict)
    except Refused as exc:
        assert exc.status == 422
        assert json.dumps(exc.body)


@given(_objects, _objects, st.none() | st.text())
def test_an_envelope_gives_back_what_was_put_in(
    payload: dict[str, Any], auth: dict[str, Any], session_id: str | None
) -> None:
    spelt = json.dumps(payload).encode()
    rest = json.dumps({"auth_data": auth, "session_id": session_id}).encode()
    opened = open_envelope(rest[:-1] + b', "payload": ' + spelt + b"}")
    assert opened.payload_bytes == spelt
    assert opened.payload == msgspec.json.decode(spelt)
    assert opened.auth == msgspec.json.decode(json.dumps(auth))
    assert opened.session_id == session_id


@given(_objects)
def test_a_flat_body_gives_back_what_was_put_in(payload: dict[str, Any]) -> None:
    model = {f"model_{name}": value for name, value in payload.items()}
    flat = {name: value for name, value in GOOD.items() if name != "request_idx"}
    opened = open_envelope(json.dumps(model | flat).encode())
    assert opened.payload == msgspec.json.decode(json.dumps(model))
    assert opened.auth == flat | {"request_idx": 0}


@given(st.binary(max_size=30), st.integers(0, 200))
def test_a_body_cut_or_spoilt_anywhere_is_opened_or_refused(noise: bytes, at: int) -> None:
    whole = json.dumps({"auth_data": GOOD, "payload": {"prompt": "é"}}).encode()
    for body in (whole[:at], whole[:at] + noise + whole[at:]):
        try:
            _gets_in(open_envelope(body).auth)
        except Refused as exc:
            assert exc.status == 422
