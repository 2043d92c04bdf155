"""SSH keys of the account, and of single instances.

A key of the account reaches instances created after it; one that runs needs ``attach``. Only
public keys are sent: what looks like a private one is refused here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from vast_pyworker.errors import InvalidRequest, ProviderError

from . import values
from .http import Endpoint, Transport
from .reading import bad, rows_of, says_absent

LIST = Endpoint("GET", "/ssh/")
ADD = Endpoint("POST", "/ssh/")
REPLACE = Endpoint("PUT", "/ssh/{id}/")
REMOVE = Endpoint("DELETE", "/ssh/{id}/")
ATTACHED = Endpoint("GET", "/instances/{id}/ssh/")
ATTACH = Endpoint("POST", "/instances/{id}/ssh/")
DETACH = Endpoint("DELETE", "/instances/{id}/ssh/{key_id}/")
_KINDS = ("ssh-", "ecdsa-", "sk-")


@dataclass(frozen=True)
class SshKey:
    """A public key as it is kept; ``raw`` is the row as it came."""

    id: int | None
    public_key: str | None
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> SshKey:
        texts = (values.text(row.get(name)) for name in ("public_key", "ssh_key", "key"))
        return cls(values.whole(row.get("id")), next(filter(None, texts), None), row)


class SshKeys:
    """The keys of one account."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def add(self, public_key: str) -> SshKey:
        """Add it to the account; one that is there already is returned as it is."""
        wanted = checked(public_key)
        try:
            answer = self._transport.call(ADD, json={"ssh_key": wanted}, effect="idempotent")
        except InvalidRequest as exc:
            found = self._same(wanted) if "already exists" in str(exc) else None
            if found is None:
                raise
            return found
        return _key_in(answer, wanted)

    def replace(self, key_id: int, public_key: str) -> SshKey:
        wanted = checked(public_key)
        answer = self._transport.call(
            REPLACE, {"id": key_id}, json={"ssh_key": wanted}, effect="idempotent"
        )
        return _key_in(answer, wanted)

    def remove(self, key_id: int) -> bool:
        """Take it off the account; False where it was not there."""
        try:
            self._transport.call(REMOVE, {"id": key_id}, effect="idempotent")
        except ProviderError as exc:
            if says_absent(exc) or exc.code == "no_ssh_key":
                return False
            raise
        return True

    def attached(self, instance_id: int) -> list[SshKey]:
        """Those of one instance."""
        answer = self._transport.call(ATTACHED, {"id": instance_id})
        return [SshKey.of(row) for row in rows_of(_decoded(answer), "ssh_keys", ATTACHED)]

    def attach(self, instance_id: int, public_key: str) -> bool:
        """Let the key in, also while the instance runs; False where it was let in before."""
        try:
            self._transport.call(
                ATTACH,
                {"id": instance_id},
                json={"ssh_key": checked(public_key)},
                effect="idempotent",
            )
        except ProviderError as exc:
            if exc.status == 200 and "already associated" in str(exc):
                return False
            raise
        return True

    def detach(self, instance_id: int, key_id: int) -> bool:
        """Shut the key out; False where it was not there."""
        names = {"id": instance_id, "key_id": key_id}
        try:
            self._transport.call(DETACH, names, effect="idempotent")
        except ProviderError as exc:
            if exc.code == "no_such_ssh_key":
                return False
            raise
        return True

    def list(self) -> list[SshKey]:
        """Those of the account."""
        rows = rows_of(self._transport.call(LIST), "ssh_keys", LIST)
        return [SshKey.of(row) for row in rows]

    def _same(self, public_key: str) -> SshKey | None:
        return next((key for key in self.list() if key.public_key == public_key), None)


def checked(public_key: str) -> str:
    """One line without its end; raises InvalidRequest for what is no public key."""
    key = public_key.strip()
    if "PRIVATE KEY" in key:
        raise InvalidRequest("That is a private key; give the public one, of the file in .pub.")
    if not key.startswith(_KINDS) or len(key.split()) < 2 or "\n" in key:
        raise InvalidRequest("That is not a public SSH key; it is one line like: ssh-ed25519 AAAA…")
    return key


def _key_in(answer: object, wanted: str) -> SshKey:
    row = values.mapping(answer).get("key")
    return SshKey.of(row) if isinstance(row, Mapping) else SshKey(None, wanted)


def _decoded(answer: object) -> object:
    """``ssh_keys`` comes as a list written into a string."""
    keys = answer.get("ssh_keys") if isinstance(answer, Mapping) else None
    if not isinstance(keys, str):
        return answer
    try:
        return json.loads(keys or "[]")
    except ValueError:
        raise bad(ATTACHED, "no readable ssh_keys") from None
