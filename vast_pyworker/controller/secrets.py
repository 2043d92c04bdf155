"""The controller's own secrets, each made once and kept in a file that only its owner may read.

``secret`` is what the tokens of instances are made from, ``signing.pem`` the RSA key that signs
grants. Whoever loses them makes strangers of all workers that run. What is not here: the keys of
people (the ledger keeps their hashes) and the key of the provider's account.
"""

from __future__ import annotations

import contextlib
import hmac
import os
import re
import secrets
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from vast_pyworker.errors import SettingError
from vast_pyworker.signature import new_private_key

SECRET_FILE = "secret"
SIGNING_FILE = "signing.pem"
_SECRET = re.compile(r"[0-9a-f]{64}")
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_LONGEST_FILE = 65_536


@dataclass(frozen=True)
class Secrets:
    """``open_secrets`` makes one. Safe to use from any thread."""

    signing_key: RSAPrivateKey = field(repr=False)
    secret: bytes = field(repr=False)

    def token_of(self, intent_id: str) -> str:
        """What the instance of this intent must show at every report: HMAC-SHA256, 64 hex digits.

        The same after a restart; it tells nothing of another's, nor of the secret.
        """
        return hmac.digest(self.secret, intent_id.encode(), "sha256").hex()

    def is_token_of(self, token: str, intent_id: str) -> bool:
        """Whether it is that intent's, compared in constant time."""
        return hmac.compare_digest(
            self.token_of(intent_id).encode(), token.encode("utf-8", "replace")
        )


def open_secrets(folder: Path) -> Secrets:
    """Read both files of ``folder``; what is not there is made, mode 0600, folder and all.

    Two that start at the same time get the same secrets. Raises SettingError, one sentence, for a
    file that others may read or write, that holds something else, or that cannot be had.
    """
    secret = _kept(folder / SECRET_FILE, lambda: f"{secrets.token_hex(32)}\n".encode())
    key = _kept(folder / SIGNING_FILE, _new_pem)
    return Secrets(_key_in(folder / SIGNING_FILE, key), _secret_in(folder / SECRET_FILE, secret))


def _kept(path: Path, make: Callable[[], bytes]) -> bytes:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            return _read(path)
        except FileNotFoundError:
            _create(path, make())
            return _read(path)
    except OSError as error:
        raise SettingError(
            f"The secret file {path} cannot be read or made: {error.strerror or error}; "
            "mend its folder, or name another."
        ) from error


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
        if mode & _OTHERS:
            raise SettingError(
                f"The secret file {path} has mode {mode:04o}, so others may read or change it: "
                f"say chmod 600 {path}, and make it anew if somebody has read it."
            )
        return file.read(_LONGEST_FILE)


def _create(path: Path, content: bytes) -> None:
    """Whole or not at all; nothing where there is one by now."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, 0o600)  # whatever the umask takes away
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        with contextlib.suppress(FileExistsError):  # another was faster: its secret is the one
            os.link(draft, path)
    finally:
        draft.unlink()


def _new_pem() -> bytes:
    return new_private_key().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _secret_in(path: Path, content: bytes) -> bytes:
    text = content.decode("ascii", "replace").strip()
    if not _SECRET.fullmatch(text):
        raise SettingError(
            f"The secret file {path} does not hold 64 hex digits: bring back the file that was "
            "there, or remove it to have a new secret, which no running worker knows."
        )
    return bytes.fromhex(text)


def _key_in(path: Path, content: bytes) -> RSAPrivateKey:
    try:
        key = serialization.load_pem_private_key(content, password=None)
    except (ValueError, TypeError):  # TypeError: it is encrypted
        key = None
    if not isinstance(key, RSAPrivateKey):
        raise SettingError(
            f"The secret file {path} does not hold an RSA key as unencrypted PEM: bring back the "
            "file that was there, or remove it to have a new key."
        )
    return key
