"""The signed bytes of every form, byte for byte, and a verification that nothing can upset."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as ec_key
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from hypothesis import given
from hypothesis import strategies as st

from vast_pyworker import signature
from vast_pyworker.signature import FORMS, Form

URL = "https://1.2.3.4:40001"
GRANT = {"cost": 242.0, "endpoint": "demo", "reqnum": 12, "request_idx": 7, "url": URL}


@pytest.fixture(scope="module")
def key() -> RSAPrivateKey:
    return signature.new_private_key()


@pytest.mark.parametrize(
    ("form", "digest"),
    [
        ("url", "0c2e9568f3f10c5cac3aaa6e2c6785d48620e9959e187aa6b221a6276a9dbc71"),
        ("five", "8c6dcf686123b6072b4a8e9a444761da5750099bcfda349dc0dfcb0c47b79cc6"),
        ("four", "6ad29d05b68afa76276814a510829af7a5411db2b5f88840965892d8e028f0a4"),
    ],
)
def test_signed_bytes_are_those_of_the_reference(form: Form, digest: str) -> None:
    assert hashlib.sha256(signature.message(GRANT, form)).hexdigest() == digest


def test_the_url_form_is_38_bytes_of_indented_json() -> None:
    assert signature.message(GRANT) == b'{\n    "url": "https://1.2.3.4:40001"\n}'


def test_text_outside_ascii_is_escaped() -> None:
    assert signature.message({"url": "https://é"}) == b'{\n    "url": "https://\\u00e9"\n}'


@pytest.mark.parametrize("form", FORMS)
def test_what_is_signed_verifies_in_its_own_form_only(key: RSAPrivateKey, form: Form) -> None:
    signed = {**GRANT, "signature": signature.sign(key, GRANT, form)}
    found = [each for each in FORMS if signature.verify(key.public_key(), signed, each)]
    assert found == [form]
    assert signature.verified_form(key.public_key(), signed) == form


@pytest.mark.parametrize(
    ("form", "field", "value", "still_good"),
    [
        ("url", "cost", 1.0, True),
        ("url", "url", "https://1.2.3.4:40002", False),
        ("four", "cost", 1.0, False),
        ("four", "request_idx", 8, True),
        ("five", "request_idx", 8, False),
    ],
)
def test_a_change_of_a_signed_field_breaks_the_signature(
    key: RSAPrivateKey, form: Form, field: str, value: object, still_good: bool
) -> None:
    signed = {**GRANT, "signature": signature.sign(key, GRANT, form), field: value}
    assert signature.verify(key.public_key(), signed, form) is still_good


def test_another_key_does_not_verify(key: RSAPrivateKey) -> None:
    signed = {**GRANT, "signature": signature.sign(signature.new_private_key(), GRANT)}
    assert not signature.verify(key.public_key(), signed)


def test_line_breaks_within_base64_are_no_matter(key: RSAPrivateKey) -> None:
    signed = signature.sign(key, GRANT)
    broken = "\n".join(signed[at : at + 76] for at in range(0, len(signed), 76))
    assert signature.verify(key.public_key(), {**GRANT, "signature": broken})


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from([*GRANT, "signature"]) | st.text(), _JSON))
def test_garbage_never_raises_and_never_verifies(grant: dict[str, Any]) -> None:
    public = _shared_key().public_key()
    assert signature.verified_form(public, grant) is None


def test_garbage_that_nests_without_end_never_raises(key: RSAPrivateKey) -> None:
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    assert not signature.verify(key.public_key(), {"url": deep, "signature": "AAAA"})


def test_both_kinds_of_public_pem_are_read(key: RSAPrivateKey) -> None:
    spki = signature.public_pem(key)
    pkcs1 = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.PKCS1
    )
    for pem in (spki, pkcs1, f"\n  {spki}\n"):
        assert signature.load_public_key(pem).public_numbers() == key.public_key().public_numbers()


@pytest.mark.parametrize("pem", ["", "<html>502</html>", "\ud800", b"\xff\x00", "-----BEGIN"])
def test_what_is_no_key_is_a_value_error(pem: str | bytes) -> None:
    with pytest.raises(ValueError):
        signature.load_public_key(pem)


def test_a_key_of_another_kind_is_a_value_error() -> None:
    pem = (
        ec_key(SECP256R1())
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    with pytest.raises(ValueError, match="not an RSA public key"):
        signature.load_public_key(pem)


@pytest.mark.parametrize(
    ("version", "form"),
    [
        ("1.1.0", "url"),
        ("1.2", "url"),
        ("2.0.0", "url"),
        ("1.0.0", "five"),
        ("0.2.1", "five"),
        ("0", "four"),
        ("", "four"),
        ("nightly.1", "four"),
    ],
)
def test_the_version_tells_which_form_a_worker_expects(version: str, form: Form) -> None:
    assert signature.form_of(version) == form


_KEYS: list[RSAPrivateKey] = []


def _shared_key() -> RSAPrivateKey:
    """One key for all examples: making one takes a tenth of a second."""
    if not _KEYS:
        _KEYS.append(signature.new_private_key())
    return _KEYS[0]
