"""Templates: what to launch, kept under a hash of their content.

The hash is made of the content alone, so that equal templates of two users share it, and every
change gives a new one. An edit keeps the numeric id; the former content can still be launched by
its former hash, since groups refer to it, but is listed no more.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from vast_pyworker.market.offers.filters import number
from vast_pyworker.market.refusal import MarketRefusal, invalid

# name -> (accepted types, what stands where nothing was said)
CONTENT: dict[str, tuple[tuple[type, ...], Any]] = {
    "name": ((str,), None),
    "image": ((str,), None),
    "tag": ((str,), None),
    "href": ((str,), None),
    "repo": ((str,), None),
    "env": ((str,), None),
    "onstart": ((str,), None),
    "args_str": ((str,), None),
    "jup_direct": ((bool,), False),
    "ssh_direct": ((bool,), False),
    "use_ssh": ((bool,), False),
    "use_jupyter_lab": ((bool,), False),
    "runtype": ((str,), "ssh"),
    "jupyter_dir": ((str,), None),
    "docker_login_repo": ((str,), None),
    "docker_login_user": ((str,), None),
    "docker_login_pass": ((str,), None),
    "extra_filters": ((dict,), {}),
    "recommended_disk_space": ((int, float), None),
    "readme": ((str,), None),
    "readme_visible": ((bool,), True),
    "desc": ((str,), None),
    "private": ((bool,), True),
    "volume_info": ((dict,), None),
}
_NOT_SHOWN = ("docker_login_user", "docker_login_pass")
_KEYS_OF_THE_CALL = frozenset(("id", "hash_id", "template", "client_id"))
_LONGEST = 65_536
_FIRST_ID = 300_001


@dataclass
class Template:
    """One template; ``content`` has every name of CONTENT."""

    id: int
    hash_id: str
    creator_id: int
    content: dict[str, Any]
    created_at: float
    count_created: int = 0
    former_hashes: dict[str, dict[str, Any]] = field(default_factory=dict)

    def row(self) -> dict[str, Any]:
        """As the API shows it; docker credentials are not shown to anybody."""
        shown = {name: value for name, value in self.content.items() if name not in _NOT_SHOWN}
        return {
            "id": self.id,
            "hash_id": self.hash_id,
            "creator_id": self.creator_id,
            "created_at": self.created_at,
            "count_created": self.count_created,
            "recommended": False,
            **shown,
        }


def content_of(body: Mapping[str, Any], before: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The whole content that ``body`` asks for; MarketRefusal(400) for what cannot be."""
    given = {name: value for name, value in body.items() if name not in _KEYS_OF_THE_CALL}
    unknown = sorted(set(given) - set(CONTENT))
    if unknown:
        raise invalid(f"Unexpected Key '{unknown[0]}' found in Template.")
    base = {name: default for name, (_, default) in CONTENT.items()}
    content = {**base, **(before or {}), **{n: _value(n, v) for n, v in given.items()}}
    for name in ("name", "image"):
        if not content[name]:
            raise invalid(f"Missing or invalid template {name}.")
    return content


def hash_of(content: Mapping[str, Any]) -> str:
    """32 hex digits made of the content and nothing else."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.md5(text.encode("utf-8"), usedforsecurity=False).hexdigest()


def _value(name: str, value: Any) -> Any:
    types, default = CONTENT[name]
    if value is None:
        return default
    if float in types:
        value = _as_float(value)
    if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
        raise invalid(f"Template field '{name}' cannot be {type(value).__name__}.")
    if isinstance(value, str) and len(value) > _LONGEST:
        raise invalid(f"Template field '{name}' exceeds its max length of {_LONGEST}.")
    if isinstance(value, int | float) and not isinstance(value, bool) and value < 0:
        raise invalid(f"Template field '{name}' cannot be negative.")
    return value


def _as_float(value: Any) -> Any:
    """A number as one, also out of a text, as the official command line sends it."""
    read = None if isinstance(value, bool) else number(value)
    return value if read is None else read


class Templates:
    """All templates; safe from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_id: dict[int, Template] = {}
        self._next_id = _FIRST_ID

    def visible_to(self, account_id: int) -> list[dict[str, Any]]:
        """Rows of the account's own templates and of everybody's public ones."""
        with self._lock:
            return [t.row() for t in self._by_id.values() if _visible(t, account_id)]

    def create(
        self, account_id: int, body: Mapping[str, Any], now: float
    ) -> tuple[dict[str, Any], bool]:
        """The template's row, and whether it is new: False where the account has just this one."""
        content = content_of(body)
        hash_id = hash_of(content)
        with self._lock:
            for each in self._by_id.values():
                if each.hash_id == hash_id and each.creator_id == account_id:
                    return each.row(), False
            made = Template(self._next_id, hash_id, account_id, content, now)
            self._by_id[made.id] = made
            self._next_id += 1
            return made.row(), True

    def update(
        self, account_id: int, template_id: int, hash_id: str, body: Mapping[str, Any]
    ) -> tuple[dict[str, Any], bool]:
        """The row after the edit, and whether anything changed. Fields left out stay."""
        with self._lock:
            found = self._by_id.get(template_id)
            if found is None or found.hash_id != hash_id or not _visible(found, account_id):
                raise MarketRefusal(404, "invalid_template", "error 404: Template not found")
            if found.creator_id != account_id:
                raise invalid("Only the Template Creator may Update Existing Template.")
            content = content_of(body, found.content)
            new_hash = hash_of(content)
            if new_hash == found.hash_id:
                return found.row(), False
            found.former_hashes[found.hash_id] = found.content
            found.content, found.hash_id = content, new_hash
            return found.row(), True

    def id_of(self, account_id: int, hash_id: str) -> int | None:
        """The number behind a hash, the account's own before a public one."""
        with self._lock:
            found = self._find(account_id, None, hash_id)
            return None if found is None or found.hash_id != hash_id else found.id

    def delete(self, account_id: int, template_id: int) -> None:
        with self._lock:
            found = self._by_id.get(template_id)
            if found is None or not _visible(found, account_id):
                raise MarketRefusal(400, "", "Invalid Template ID or User ID", shape="msg")
            if found.creator_id != account_id:
                text = "Templates can ONLY be Deleted by their Creator"
                raise MarketRefusal(401, "", text, shape="msg")
            del self._by_id[template_id]

    def used(
        self, account_id: int, template_id: int | None, hash_id: str | None
    ) -> Template | None:
        """The template to launch, counted; a former hash gives its former content."""
        with self._lock:
            found = self._find(account_id, template_id, hash_id)
            if found is None:
                return None
            found.count_created += 1
            former = found.former_hashes.get(hash_id or "")
            if former is None:
                return found
            return Template(found.id, hash_id or "", found.creator_id, former, found.created_at)

    def known(self, account_id: int, template_id: int | None, hash_id: str | None) -> bool:
        with self._lock:
            return self._find(account_id, template_id, hash_id) is not None

    def state(self) -> dict[str, Any]:
        """Everything here as JSON values, for ``restore``."""
        with self._lock:
            rows = [dict(vars(template)) for template in self._by_id.values()]
            return {"templates": rows, "next_id": self._next_id}

    def restore(self, state: Mapping[str, Any]) -> None:
        with self._lock:
            self._by_id = {row["id"]: Template(**row) for row in state["templates"]}
            self._next_id = state["next_id"]

    def _find(
        self, account_id: int, template_id: int | None, hash_id: str | None
    ) -> Template | None:
        own_first = sorted(self._seen_by(account_id), key=lambda t: t.creator_id != account_id)
        for each in own_first:
            if hash_id is not None and hash_id in (each.hash_id, *each.former_hashes):
                return each
            if hash_id is None and template_id is not None and each.id == template_id:
                return each
        return None

    def _seen_by(self, account_id: int) -> Iterator[Template]:
        return (each for each in self._by_id.values() if _visible(each, account_id))


def _visible(template: Template, account_id: int) -> bool:
    return template.creator_id == account_id or not template.content["private"]
