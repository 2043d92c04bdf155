"""Templates: an image with how it is to be launched, under a hash.

The hash is made from the content: the same content gives the same hash, and an update makes a new
version with a new hash. ``env`` of a template is docker's flags as one text, unlike an instance's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from vast_pyworker.errors import InvalidRequest, NotFound, ProviderError

from . import values
from .http import Endpoint, Transport
from .reading import bad, object_of, rows_of, says_absent

LIST = Endpoint("GET", "/template/")
CREATE = Endpoint("POST", "/template/")
UPDATE = Endpoint("PUT", "/template/", version=1)
DELETE = Endpoint("DELETE", "/template/")
USER = Endpoint("GET", "/users/current")

# What may be written, as the API spells it.
WRITABLE = frozenset({
    "args_str", "desc", "docker_login_pass", "docker_login_repo", "docker_login_user", "env",
    "extra_filters", "href", "image", "jup_direct", "jupyter_dir", "name", "onstart", "private",
    "readme", "readme_visible", "recommended_disk_space", "repo", "runtype", "ssh_direct", "tag",
    "use_jupyter_lab", "use_ssh", "volume_info",
})  # fmt: skip


@dataclass(frozen=True)
class Template:
    """Any field may be None; ``raw`` is the row as it came."""

    id: int | None = None
    hash_id: str | None = None
    name: str | None = None
    image: str | None = None
    tag: str | None = None
    creator_id: int | None = None
    private: bool | None = None
    disk_gb: float | None = None  # recommended
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Template:
        return cls(
            id=values.whole(row.get("id")),
            hash_id=values.text(row.get("hash_id")),
            name=values.text(row.get("name")),
            image=values.text(row.get("image")),
            tag=values.text(row.get("tag")),
            creator_id=values.whole(row.get("creator_id")),
            private=values.flag(row.get("private")),
            disk_gb=values.not_negative(row.get("recommended_disk_space")),
            raw=row,
        )


class Templates:
    """The templates an account can see, and those it made."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(self, filters: Mapping[str, Any] | None = None) -> list[Template]:
        """``filters`` as in a parsed query: ``{"name": {"eq": "x"}}``."""
        query = {"select_cols": ["*"], "select_filters": dict(filters or {})}
        try:
            answer = self._transport.call(LIST, query=query)
        except ProviderError as exc:
            if exc.status == 200 and "no templates found" in str(exc).lower():
                return []
            raise
        return [Template.of(row) for row in rows_of(answer, "templates", LIST)]

    def show(self, hash_id: str) -> Template | None:
        """The account's own where others have the same content; None where there is none."""
        found = self.list({"hash_id": {"eq": hash_id}})
        if len(found) < 2:
            return next(iter(found), None)
        mine = values.whole(values.mapping(self._transport.call(USER)).get("id"))
        own = (each for each in found if mine is not None and each.creator_id == mine)
        return next(own, found[0])

    def create(self, name: str, image: str, fields: Mapping[str, Any] | None = None) -> Template:
        """``fields`` are of WRITABLE. One with the same content is returned, not made twice."""
        body = {**checked(fields or {}), "name": name, "image": image}
        try:
            answer = self._transport.call(CREATE, json=body, effect="idempotent")
        except ProviderError as exc:
            found = self._same(name, image) if _exists(exc) else None
            if found is None:
                raise
            return found
        return Template.of(object_of(answer, "template", CREATE))

    def update(self, hash_id: str, changes: Mapping[str, Any]) -> Template:
        """Change the fields named and keep the others; the answer has a new ``hash_id``.

        Raises NotFound without such a template, OutcomeUnknown where it may have been done.
        """
        template = self.show(hash_id)
        if template is None or template.id is None:
            raise NotFound(f"There is no template {hash_id}; see the list of templates.")
        kept = {key: value for key, value in template.raw.items() if key in WRITABLE}
        body = {**_as_sent(kept), **checked(changes), "id": template.id, "hash_id": hash_id}
        answer = self._transport.call(UPDATE, json=body, effect="once", label=template.name)
        return _updated(answer)

    def delete(self, *, hash_id: str | None = None, template_id: int | None = None) -> bool:
        """By one of the two; False where it was not there."""
        body = {"template_id": template_id} if hash_id is None else {"hash_id": hash_id}
        try:
            self._transport.call(DELETE, json=body, effect="idempotent")
        except ProviderError as exc:
            # An id that is a number is "invalid" where there is none.
            if says_absent(exc) or "invalid template id" in str(exc).lower():
                return False
            raise
        return True

    def _same(self, name: str, image: str) -> Template | None:
        found = self.list({"name": {"eq": name}})
        return next((each for each in found if each.image == image), None)


def checked(fields: Mapping[str, Any]) -> dict[str, Any]:
    """``fields``, if the API knows every one; raises InvalidRequest."""
    unknown = sorted(set(fields) - WRITABLE)
    if unknown:
        raise InvalidRequest(
            f"A template has no field {unknown[0]!r}; it has {', '.join(sorted(WRITABLE))}."
        )
    return dict(fields)


def _exists(error: ProviderError) -> bool:
    return error.status == 200 and "existing template" in str(error).lower()


def _as_sent(row: Mapping[str, Any]) -> dict[str, Any]:
    """Rows may hold ``extra_filters`` as JSON in a text; it is written as an object."""
    filters = row.get("extra_filters")
    if not isinstance(filters, str):
        return dict(row)
    try:
        return {**row, "extra_filters": json.loads(filters or "{}")}
    except ValueError:
        return {key: value for key, value in row.items() if key != "extra_filters"}


def _updated(answer: object) -> Template:
    known = values.mapping(answer)
    row = {**values.mapping(known.get("template"))}
    row.setdefault("hash_id", known.get("hash_id"))
    template = Template.of(row)
    if template.hash_id is None:
        raise bad(UPDATE, "no hash_id")
    return template
