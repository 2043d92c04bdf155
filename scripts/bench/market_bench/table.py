"""The run as tables in Markdown that a terminal shows well too. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from relay_bench.table import cell, markdown, number

from .results import Many, Pair, Run

HEADER = (
    "call", "requests/s", "a constant answer", "share of it", "p50 ms", "p99 ms", "answer kB",
)  # fmt: skip


def rates(run: Run) -> str:
    """Medians of the rounds, least and greatest."""
    return markdown(HEADER, [_row(name, pairs) for name, pairs in run.pairs.items()])


def _row(name: str, pairs: Sequence[Pair]) -> list[str]:
    return [
        name,
        cell([each.market_per_s for each in pairs]),
        cell([each.constant_per_s for each in pairs]),
        cell([each.market_per_s / each.constant_per_s for each in pairs]),
        cell([each.p50_us / 1e3 for each in pairs]),
        cell([each.p99_us / 1e3 for each in pairs]),
        cell([each.answer_bytes / 1e3 for each in pairs[:1]]),
    ]


def many(found: Many) -> str:
    rows = [
        ("instances", f"{found.instances:,}"),
        ("seconds to create them, 64 to a call", number(found.create_s)),
        ("memory of the process before: MB", number(found.before_mb)),
        ("memory with them: MB", number(found.after_mb)),
        ("memory of one: kB", number(found.kb_each)),
        ("pages of the list", f"{found.pages:,}"),
        ("seconds to read all pages, one after the other", number(found.pages_s)),
    ]
    return markdown(("many instances", "measured"), rows)


def document(run: Run) -> str:
    """Everything about a run, for the terminal and the documentation."""
    facts = "; ".join(f"{name}: {value}" for name, value in run.machine.items())
    parts = [
        f"Run of {run.began}, profile {run.profile}. {facts}.",
        "8 connections, one process each (median of the rounds, least-greatest):",
        rates(run),
        many(run.many),
    ]
    return "\n\n".join(parts) + "\n"
