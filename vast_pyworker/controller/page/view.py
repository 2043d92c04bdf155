"""What the page shows, as plain data for its templates; and the templates, rendered in parts.

A part is replaced in the browser when it changes, so each is a whole of its own.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader

from vast_pyworker.controller.history import Sample

from . import words
from .charts import HEIGHT, WIDTH, Chart, Points, chart

FOLDER = Path(__file__).parent
PARTS = ("alarm", "totals", "groups", "money", "instances", "decisions")
INSTANCES_SHOWN = 200
BLOCKS_SHOWN = 48
GROUPS_FIRST = 6  # with more of them money comes first, or nobody would find it
SILENT_S = 60.0
TONES = {
    "ready": "good",
    "ordered": "coming", "loading": "coming", "joining": "coming", "warming": "coming",
    "starting": "coming",
    "suspect": "bad", "missing": "bad",
    "draining": "going", "stopping": "going", "destroying": "going",
    "cold": "cold",
}  # fmt: skip
_ORDER = list(TONES)


@dataclass(frozen=True)
class Shown:
    """What a page is made of; rows are those of ``showing``, money that of ``api.money``."""

    fleet: str
    totals: Mapping[str, Any]
    groups: Sequence[Mapping[str, Any]]
    members: Sequence[Mapping[str, Any]]
    decisions: Sequence[Mapping[str, Any]]
    money: Mapping[str, Any]
    samples: Sequence[Sample]
    failure: str
    operates: bool


def render_parts(shown: Shown) -> dict[str, str]:
    """The HTML of every part."""
    context = _context(shown)
    environment = _environment()
    return {
        name: environment.get_template(f"parts/{name}.html").render(context).strip()
        for name in PARTS
    }


def render_page(shown: Shown, *, csrf: str, who: str, flash: str) -> str:
    """The whole page."""
    return _environment().get_template("page.html").render(
        parts=render_parts(shown), fleet=shown.fleet, csrf=csrf, who=who, flash=flash,
        operates=shown.operates, many=len(shown.groups) > GROUPS_FIRST, version=assets_version(),
    )  # fmt: skip


def render_login(error: str) -> str:
    return _environment().get_template("login.html").render(error=error, version=assets_version())


@functools.cache
def assets_version() -> str:
    """Changes with the files, so that a browser may keep them."""
    found = sha256()
    for name in ("page.css", "page.js"):
        found.update((FOLDER / "static" / name).read_bytes())
    return found.hexdigest()[:12]


def _context(shown: Shown) -> dict[str, Any]:
    members = sorted(shown.members, key=_rank)
    return {
        "fleet": shown.fleet,
        "totals": shown.totals,
        "wanted": sum(each["wanted"] or 0 for each in shown.groups),
        "groups": [_group(each, shown) for each in shown.groups],
        "members": [_member(each) for each in members[:INSTANCES_SHOWN]],
        "members_hidden": max(len(members) - INSTANCES_SHOWN, 0),
        "decisions": shown.decisions,
        "money": shown.money,
        "cost": _cost_chart(shown),
        "spent": _spent_chart(shown),
        "failure": shown.failure,
        "operates": shown.operates,
        "width": WIDTH,
        "height": HEIGHT,
    }


def _rank(row: Mapping[str, Any]) -> tuple[bool, str, int, int]:
    """Those in trouble first, then by group and by how far they are."""
    well = TONES[row["stage"]] != "bad"
    return well, row["group"], _ORDER.index(row["stage"]), row["id"] or 0


def _group(row: Mapping[str, Any], shown: Shown) -> dict[str, Any]:
    return {
        **row,
        "blocks": _blocks(row),
        "chart": _load_chart(row["name"], shown.samples),
        "busy": _percent(row["load"], row["capacity"]),
        "key": row["name"],
    }


def _blocks(row: Mapping[str, Any]) -> list[str]:
    """One for each instance, in its tone, and one for each that is wanted and not there yet."""
    blocks = (
        ["good"] * row["ready"]
        + ["coming"] * row["booting"]
        + ["bad"] * row["suspect"]
        + ["going"] * row["leaving"]
        + ["cold"] * row["cold"]
    )
    missing = (row["wanted"] or 0) - row["ready"] - row["booting"] - row["suspect"]
    return (blocks + ["wanted"] * max(missing, 0))[:BLOCKS_SHOWN]


def _member(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **row,
        "tone": TONES[row["stage"]],
        "trouble_text": row["error"] or (row["evidence"] if row["trouble"] else ""),
        "silent": row["stage"] != "cold" and (row["reported_s"] or 0.0) > SILENT_S,
    }


def _percent(part: float | None, whole: float | None) -> int | None:
    if part is None or not whole:
        return None
    return min(round(part / whole * 100), 999)


def _load_chart(name: str, samples: Iterable[Sample]) -> Chart:
    known = [(each.at, each.groups[name]) for each in samples if name in each.groups]

    def series(field: str) -> Points:
        return [(at, getattr(group, field)) for at, group in known]

    return chart({"load": series("load")}, {"capacity": series("capacity")})


def _cost_chart(shown: Shown) -> Chart:
    points = [(each.at, each.usd_per_hour) for each in shown.samples]
    limit = shown.money["usd_per_hour_limit"]
    return chart({"cost": points}, {"cost": points}, limit=limit, show_limit=True)


def _spent_chart(shown: Shown) -> Chart:
    points = [(each.at, each.spent_today) for each in shown.samples]
    limit = shown.money["usd_per_day_limit"]
    return chart({"spent": points}, {"spent": points}, limit=limit, show_limit=True)


@functools.cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        age=words.age, clock=words.clock, minute=words.minute, iso=words.iso, money=words.money,
        price=words.price, amount=words.amount, tick=words.tick,
    )  # fmt: skip
    return environment
