"""The request that every candidate gets: a payload in the signed envelope of Vast's clients.

The grant is signed as today's autoscaler does it: RSASSA-PKCS1-v1_5 with SHA-256 over the JSON
text of the worker's url alone. Bodies are templates: each ``@@`` becomes a number of nine digits.
"""

from __future__ import annotations

import base64
import json

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

NUMBER = "@@"
PROMPT = "Explain how a relay passes bytes on without holding a thread for each of them. " * 12
MAX_NEW_TOKENS = 256


class Signer:
    """The autoscaler's key."""

    def __init__(self, key: rsa.RSAPrivateKey) -> None:
        self._key = key

    @classmethod
    def new(cls) -> Signer:
        return cls(rsa.generate_private_key(public_exponent=65537, key_size=2048))

    @property
    def public_pem(self) -> bytes:
        return self._key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def sign(self, url: str) -> str:
        """Base64 of the signature of the grant for ``url``."""
        message = json.dumps({"url": url}, indent=4, sort_keys=True).encode()
        signature = self._key.sign(message, padding.PKCS1v15(), hashes.SHA256())
        return base64.b64encode(signature).decode()


def payload(**model_server: int) -> dict[str, object]:
    """What the model server gets; ``model_server`` are the stub's own parameters, put first
    because it looks for them from the start."""
    return {
        **model_server,
        "inputs": PROMPT,
        "parameters": {"max_new_tokens": MAX_NEW_TOKENS, "temperature": 0.7},
    }


def body(url: str, signature: str, **model_server: int) -> str:
    """Template of one request body for the worker at ``url``."""
    grant = {
        "cost": MAX_NEW_TOKENS,
        "endpoint": "bench",
        "reqnum": NUMBER,
        "request_idx": NUMBER,
        "signature": signature,
        "url": url,
    }
    envelope = {"auth_data": grant, "session_id": None, "payload": payload(**model_server)}
    return json.dumps(envelope).replace(f'"{NUMBER}"', NUMBER)


def filled(template: str, number: int) -> bytes:
    """The body of request ``number``."""
    return template.replace(NUMBER, str(number)).encode()
