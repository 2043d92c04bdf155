"""The page at /market/: hosts, instances, money and faults as HTML, rendered whole on this side.

It runs no script and loads nothing from anywhere; the browser asks again every few seconds.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from jinja2 import Environment, Template

HTML = "text/html; charset=utf-8"
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:",
    "Cache-Control": "no-store",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
}
REFRESH_S = 5
_TONES = {
    "running": "good",
    "loading": "coming",
    "creating": "coming",
    "created": "coming",
    "rebooting": "coming",
    "scheduling": "odd",
    "unknown": "odd",
    "exited": "bad",
    "offline": "bad",
}
_PORTS_SHOWN = 6


def render(summary: Mapping[str, Any], url: str) -> bytes:
    """The page for the answer of /market/summary; ``url`` is how the reader reached the market.

    What UTF-8 cannot carry is replaced.
    """
    instances = [_instance(row) for row in summary["newest_instances"]]
    moment = datetime.fromtimestamp(summary["now"], timezone.utc)
    shown = {
        **summary,
        "newest_instances": instances,
        "has_places": any(row.get("geolocation") for row in instances),
        "has_ports": any(row["port_lines"] for row in instances),
        "accounts": [{**row, "lasts": lasts(row)} for row in summary["accounts"]],
        "statuses": ", ".join(
            f"{n}\N{NO-BREAK SPACE}{name}" for name, n in summary["instances_by_status"].items()
        ),
        "faults": [{**row, "when": when(row)} for row in summary["faults"]],
        "now_iso": moment.isoformat(timespec="seconds"),
        "now_text": f"{moment:%d %B %Y, %H:%M:%S} UTC",
        "refresh_s": REFRESH_S,
        "url": url.rstrip("/"),
    }
    return _template().render(shown).encode("utf-8", "replace")


def lasts(account: Mapping[str, Any]) -> str:
    """For how long the credit lasts at the present rate."""
    if account["usd_per_hour"] <= 0:
        return "nothing is being spent"
    if account["credit"] <= 0:
        return "spent"
    return f"lasts {age(account['credit'] / account['usd_per_hour'] * 3600)}"


def when(fault: Mapping[str, Any]) -> str:
    """When a fault comes, in words."""
    if fault.get("count") is not None:
        return f"the first {fault['count']}"
    if fault.get("script") is not None:
        return "script " + "".join(map(str, fault["script"]))
    probability = fault.get("probability")
    return "always" if probability in (None, 1.0) else f"{probability:.3g} of calls"


def age(seconds: float) -> str:
    """A time in its two largest units, as ``3 h 20 min``."""
    whole = int(max(seconds, 0))
    for name, size, part, part_size in (
        ("d", 86_400, "h", 3600),
        ("h", 3600, "min", 60),
        ("min", 60, "s", 1),
    ):
        if whole >= size:
            return f"{whole // size:,} {name} {whole % size // part_size} {part}"
    return f"{whole} s"


def dollars(usd: float) -> str:
    """An amount with cents."""
    return f"-${-usd:,.2f}" if usd <= -0.005 else f"${abs(usd):,.2f}"


def rate(usd: float) -> str:
    """A price by the hour, which is often below a cent."""
    return f"${usd:,.3f}"


def _instance(row: Mapping[str, Any]) -> dict[str, Any]:
    state = row["actual_status"] or "creating"
    wanted = row["intended_status"]
    differs = {wanted, state} == {"running", "stopped"}
    return {
        **row,
        "state": state,
        "tone": _TONES.get(state, ""),
        "wish": f"to be {wanted}" if differs else "",
        "port_lines": _port_lines(row.get("ports") or {}),
    }


def _port_lines(ports: Mapping[str, Any]) -> list[str]:
    """``8000 → 40123`` for each port, at most a few."""
    lines = [f"{inside} → {to[0]['HostPort']}" for inside, to in ports.items() if to]
    more = len(lines) - _PORTS_SHOWN
    return lines if more <= 0 else [*lines[:_PORTS_SHOWN], f"and {more} more"]


@functools.cache
def _template() -> Template:
    source = Path(__file__).with_name("page.html").read_text(encoding="utf-8")
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(age=age, dollars=dollars, rate=rate)
    return environment.from_string(source)
