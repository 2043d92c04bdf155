"""The autoscaler's public key, and whether it signed a message.

The key comes from ``/pubkey/`` of the first address in ``REPORT_ADDR``. Each try asks again; what
could not be had is None, and nothing verifies against None.
"""

from __future__ import annotations

import base64
import logging
import time

import requests
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256

from vast_pyworker import wire
from vast_pyworker.signature import load_public_key

from . import environment

TIMEOUT_S = 5.0
PAUSES_S = (1.0, 2.0, 4.0, 8.0)

_log = logging.getLogger(__name__)


def fetch_public_key() -> RSAPublicKey | None:
    """Ask for the key up to five times; None if there was no key to be had in that time."""
    url = environment.key_addresses()[0] + wire.PUBKEY_PATH
    for pause_s in (*PAUSES_S, None):
        try:
            with requests.get(url, timeout=TIMEOUT_S) as response:
                response.raise_for_status()
                return load_public_key(response.content)
        except (requests.RequestException, ValueError) as exc:
            _log.info("no public key from %s: %s", url, type(exc).__name__)
        if pause_s is not None:
            time.sleep(pause_s)
    _log.warning("no public key from %s: signed requests are refused until there is one", url)
    return None


def verify_signature(public_key: RSAPublicKey | None, message: str, signature: str) -> bool:
    """Whether ``signature`` (base64) is the key's over ``message``; False for any garbage."""
    if public_key is None:
        return False
    try:
        public_key.verify(base64.b64decode(signature), message.encode(), PKCS1v15(), SHA256())
    except (InvalidSignature, TypeError, ValueError):
        return False
    return True
