"""Talk TLS to the worker's own server, which is known by its certificate and not by a name.

The certificate names the public address, so a call over loopback could never verify by name.
"""

from __future__ import annotations

import hashlib
import ssl
from pathlib import Path
from typing import Any

import requests
from requests.adapters import HTTPAdapter


class _Pinned(HTTPAdapter):
    def __init__(self, fingerprint: str) -> None:
        self._fingerprint = fingerprint
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, assert_fingerprint=self._fingerprint, **kwargs)


def pinned_session(cert_file: Path) -> requests.Session:
    """A session that talks to whoever holds the first certificate in ``cert_file``, and no other.

    Raises OSError or ValueError where there is no such certificate.
    """
    der = ssl.PEM_cert_to_DER_cert(_first_certificate(cert_file.read_text("ascii")))
    session = requests.Session()
    session.verify = False  # the fingerprint is compared instead
    session.mount("https://", _Pinned(hashlib.sha256(der).hexdigest()))
    return session


def _first_certificate(pem: str) -> str:
    head, mark, _ = pem.partition(ssl.PEM_FOOTER)
    return head[head.find(ssl.PEM_HEADER) :] + mark
