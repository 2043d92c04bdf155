"""Sign and verify a route grant: RSASSA-PKCS1-v1_5 with SHA-256 over a small JSON text.

What is here: the signed bytes of every form in use, pure functions on keys. What is not: fetching
the key (``worker.traffic.pubkey``) and what a grant is allowed to do (``worker.traffic.auth``).

    form   since                     signed fields
    url    1.1.0, January 2026       url
    five   October 2025, to 1.0.0    cost, endpoint, reqnum, request_idx, url
    four   July 2024                 cost, endpoint, reqnum, url

The text is ``json.dumps(fields, indent=4, sort_keys=True)``. Only ``five`` and ``four`` carry a
number that tells a replay.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import (
    RSAPrivateKey,
    RSAPublicKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.hashes import SHA256

Form = Literal["url", "five", "four"]

FIELDS: dict[Form, tuple[str, ...]] = {
    "url": ("url",),
    "five": ("cost", "endpoint", "reqnum", "request_idx", "url"),
    "four": ("cost", "endpoint", "reqnum", "url"),
}
FORMS: tuple[Form, ...] = ("url", "five", "four")


def form_of(version: str) -> Form:
    """The form that a worker of this protocol version expects; ``five`` below 1.1.0.

    A version that is no number (a 2024 worker sends none) means ``four``.
    """
    try:
        major, minor = (int(part) for part in version.split(".")[:2])
    except ValueError:
        return "four"
    return "url" if (major, minor) >= (1, 1) else "five"


def message(grant: Mapping[str, Any], form: Form = "url") -> bytes:
    """The bytes that are signed; KeyError where the grant lacks a field of the form."""
    fields = {name: grant[name] for name in FIELDS[form]}
    return json.dumps(fields, indent=4, sort_keys=True).encode("ascii")


def sign(key: RSAPrivateKey, grant: Mapping[str, Any], form: Form = "url") -> str:
    """The value of a grant's ``signature``: base64, standard alphabet."""
    return base64.b64encode(key.sign(message(grant, form), PKCS1v15(), SHA256())).decode("ascii")


def verify(key: RSAPublicKey, grant: Mapping[str, Any], form: Form = "url") -> bool:
    """Whether ``grant["signature"]`` signs the grant in this form; False for any garbage."""
    try:
        signature = base64.b64decode(grant["signature"])  # lenient, as every peer is
        key.verify(signature, message(grant, form), PKCS1v15(), SHA256())
    except (InvalidSignature, KeyError, TypeError, ValueError, RecursionError):
        return False
    return True


def verified_form(
    key: RSAPublicKey, grant: Mapping[str, Any], forms: Sequence[Form] = FORMS
) -> Form | None:
    """The first of ``forms`` in which the grant verifies, else None."""
    return next((form for form in forms if verify(key, grant, form)), None)


def load_public_key(pem: str | bytes) -> RSAPublicKey:
    """Read an RSA public key from PEM, PKCS#1 or SubjectPublicKeyInfo; ValueError if it is none."""
    raw = pem.encode("utf-8", "replace") if isinstance(pem, str) else pem
    try:
        key = serialization.load_pem_public_key(raw.strip())
    except UnsupportedAlgorithm as exc:
        raise ValueError(f"not an RSA public key: {exc}") from exc
    if not isinstance(key, RSAPublicKey):
        raise ValueError("not an RSA public key")
    return key


def public_pem(key: RSAPrivateKey | RSAPublicKey) -> str:
    """The PEM text that ``/pubkey/`` answers."""
    public = key.public_key() if isinstance(key, RSAPrivateKey) else key
    return public.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    ).decode("ascii")


def new_private_key() -> RSAPrivateKey:
    """A fresh 2048-bit key, for an autoscaler of one's own."""
    return generate_private_key(public_exponent=65537, key_size=2048)
