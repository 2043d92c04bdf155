"""Secrets are made once, stay private, and are refused where they are not."""

from __future__ import annotations

import hashlib
import hmac
import os
import threading
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key

from vast_pyworker.controller.secrets import SECRET_FILE, SIGNING_FILE, Secrets, open_secrets
from vast_pyworker.errors import SettingError
from vast_pyworker.signature import public_pem, sign, verify

FILES = (SECRET_FILE, SIGNING_FILE)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Secrets]:
    folder = tmp_path_factory.mktemp("secrets")
    return folder, open_secrets(folder)


@pytest.fixture
def folder(made: tuple[Path, Secrets], tmp_path: Path) -> Path:
    """A copy, for tests that spoil it: a key takes long to make."""
    for name in FILES:
        (tmp_path / name).write_bytes((made[0] / name).read_bytes())
        (tmp_path / name).chmod(0o600)
    return tmp_path


def test_files_are_made_for_their_owner_alone_whatever_the_umask_leaves(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        open_secrets(tmp_path / "new" / "state")
    finally:
        os.umask(before)
    made_in = tmp_path / "new" / "state"
    assert {each.name: each.stat().st_mode & 0o777 for each in made_in.iterdir()} == {
        SECRET_FILE: 0o600,
        SIGNING_FILE: 0o600,
    }


def test_the_folder_is_made_private(tmp_path: Path, made: tuple[Path, Secrets]) -> None:
    open_secrets(tmp_path / "state")
    assert (tmp_path / "state").stat().st_mode & 0o077 == 0


def test_the_same_secrets_come_back(made: tuple[Path, Secrets]) -> None:
    again = open_secrets(made[0])
    assert again.token_of("i1") == made[1].token_of("i1")
    assert public_pem(again.signing_key) == public_pem(made[1].signing_key)


def test_a_token_is_the_hmac_of_the_intent(made: tuple[Path, Secrets]) -> None:
    secret = bytes.fromhex((made[0] / SECRET_FILE).read_text())
    wanted = hmac.new(secret, b"0123abcd", hashlib.sha256).hexdigest()
    assert made[1].token_of("0123abcd") == wanted


def test_a_token_speaks_for_its_own_intent_only(made: tuple[Path, Secrets]) -> None:
    ours = made[1]
    assert ours.is_token_of(ours.token_of("a"), "a")
    assert not ours.is_token_of(ours.token_of("a"), "b")
    assert not ours.is_token_of("", "a")
    assert not ours.is_token_of("\ud800é", "a")


def test_the_key_signs_grants(made: tuple[Path, Secrets]) -> None:
    key = made[1].signing_key
    grant = {"url": "http://203.0.113.1:3000"}
    assert verify(key.public_key(), {**grant, "signature": sign(key, grant)})


def test_nothing_of_them_is_shown(made: tuple[Path, Secrets]) -> None:
    assert repr(made[1]) == "Secrets()"


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o610])
def test_a_file_open_to_others_is_refused_in_a_sentence(folder: Path, name: str, mode: int) -> None:
    (folder / name).chmod(mode)
    with pytest.raises(SettingError, match=f"{name} has mode 0{mode:o}.*chmod 600") as caught:
        open_secrets(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"short", b"g" * 64, b"0" * 65, b"\xff" * 64])
def test_a_spoiled_secret_is_refused_and_left_alone(folder: Path, content: bytes) -> None:
    (folder / SECRET_FILE).write_bytes(content)
    with pytest.raises(SettingError, match="does not hold 64 hex digits"):
        open_secrets(folder)
    assert (folder / SECRET_FILE).read_bytes() == content


def test_a_spoiled_key_is_refused(folder: Path, made: tuple[Path, Secrets]) -> None:
    key, pem = made[1].signing_key, serialization.Encoding.PEM
    pkcs8 = serialization.PrivateFormat.PKCS8
    other = generate_private_key(SECP256R1())
    for content in (
        b"",
        b"no key",
        key.private_bytes(pem, pkcs8, serialization.BestAvailableEncryption(b"word")),
        other.private_bytes(pem, pkcs8, serialization.NoEncryption()),
    ):
        (folder / SIGNING_FILE).write_bytes(content)
        with pytest.raises(SettingError, match="does not hold an RSA key"):
            open_secrets(folder)


def test_what_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingError, match="cannot be read or made"):
        open_secrets(tmp_path / "file" / "state")


def test_two_that_start_together_have_the_same(tmp_path: Path) -> None:
    found: list[str] = []
    together = threading.Barrier(3)

    def start() -> None:
        together.wait(10)
        found.append(open_secrets(tmp_path).token_of("i"))

    threads = [threading.Thread(target=start) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(found) == 3 and len(set(found)) == 1
    assert sorted(each.name for each in tmp_path.iterdir()) == sorted(FILES)
