"""The run as tables in Markdown that a terminal shows well too. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from . import ratios as r
from .candidates import ALL, Candidate
from .plan import LATENCY_AT, MEMORY_AT
from .results import Run, Visit
from .targets import STREAM_COUNTS, verdicts

NONE = "-"
UNARY_HEADER = (
    "candidate", "requests/s", "CPU-s per 10,000", "x nginx", "official is", "p50 us", "p99 us",
)  # fmt: skip


def number(value: float) -> str:
    """Three digits or so, whatever the size."""
    size = abs(value)
    if size >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if size >= 10 else f"{value:.2f}" if size >= 1 else f"{value:.3f}"


def cell(values: list[float]) -> str:
    """Median and range: ``2.0 (1.9-2.3)``; one value alone: ``2.0``."""
    found = r.spread(values)
    if found is None:
        return NONE
    if len(values) == 1:
        return number(found.median)
    return f"{number(found.median)} ({number(found.low)}-{number(found.high)})"


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table whose columns are padded to one width."""
    cells = [list(header), *map(list, rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    rule = ["-" * width for width in widths]
    lines = [cells[0], rule, *cells[1:]]
    return "\n".join(
        "| "
        + " | ".join(text.ljust(width) for text, width in zip(line, widths, strict=True))
        + " |"
        for line in lines
    )


def _present(run: Run) -> list[Candidate]:
    return [c for c in ALL if any(c.name in each for each in run.rounds)]


def unary_table(run: Run) -> str:
    return markdown(UNARY_HEADER, [*_plain_rows(run), *_varied_rows(run)])


def _plain_rows(run: Run) -> list[list[str]]:
    return [
        [
            c.label,
            cell(r.values(run, c.name, r.requests_per_s)),
            cell(r.values(run, c.name, r.cpu_per_10k)),
            cell(r.ratios(run, c.name, "nginx", r.cpu_per_10k)),
            cell(r.ratios(run, "official", c.name, r.cpu_per_10k)),
            cell(r.values(run, c.name, r.unary_p50_us)),
            cell(r.values(run, c.name, r.unary_p99_us)),
        ]
        for c in _present(run)
    ]


def _varied_rows(run: Run) -> list[list[str]]:
    return [
        [
            f"{c.label}, every head different",
            cell(r.values(run, c.name, r.varied_requests_per_s)),
            cell(r.values(run, c.name, r.varied_cpu_per_10k)),
            cell(r.ratios(run, c.name, "nginx", r.varied_cpu_per_10k)),
            *[NONE] * 3,
        ]
        for c in _present(run)
        if c.varied
    ]


def event_table(run: Run) -> str:
    header = ["candidate"]
    for count in STREAM_COUNTS:
        header += [f"{count:,} streams", "x nginx", "official is"]
    rows = []
    for c in _present(run):
        row = [c.label]
        for count in STREAM_COUNTS:
            metric = r.cpu_per_million(count)
            row.append(cell(r.values(run, c.name, metric)))
            row.append(cell(r.ratios(run, c.name, "nginx", metric)))
            row.append(cell(r.ratios(run, "official", c.name, metric)))
        rows.append(row)
    return markdown(header, [row for row in rows if set(row[1:]) != {NONE}])


def stream_table(run: Run, good: Run) -> str:
    n, m = f"{LATENCY_AT:,}", f"{MEMORY_AT:,}"
    header = [
        "candidate", f"first byte p50, {n}: us", "less direct", "p99: us", "less direct",
        "event p99: us", f"{n}: done / failed / waiting", f"{m}: done / failed / waiting",
        f"memory MB, {m}",
    ]  # fmt: skip
    return markdown(header, [_stream_row(run, good, c) for c in _present(run)])


def _stream_row(run: Run, good: Run, c: Candidate) -> list[str]:
    p50, p99 = r.ttfb_p50_us(LATENCY_AT), r.ttfb_p99_us(LATENCY_AT)
    direct = c.program is None
    return [
        c.label,
        cell(r.values(good, c.name, p50)),
        NONE if direct else cell(r.differences(good, c.name, "direct", p50)),
        cell(r.values(good, c.name, p99)),
        NONE if direct else cell(r.differences(good, c.name, "direct", p99)),
        cell(r.values(good, c.name, r.event_p99_us(LATENCY_AT))),
        _outcomes(run, c, LATENCY_AT),
        _outcomes(run, c, MEMORY_AT),
        cell(r.values(run, c.name, r.memory_mb(MEMORY_AT))),
    ]


def _outcomes(run: Run, c: Candidate, count: int) -> str:
    """The worst round of each kind."""
    done = r.values(run, c.name, r.done(count))
    if not done:
        return NONE
    failed, waiting = (r.values(run, c.name, m(count)) for m in (r.failed, r.unfinished))
    return f"{min(done):.0f} / {max(failed):.0f} / {max(waiting):.0f}"


def target_table(run: Run) -> str:
    rows = [(v.target, v.measured, v.word) for v in verdicts(run)]
    return markdown(("target", "measured", "met or missed"), rows)


def _distance_sentence(run: Run) -> str:
    ns = r.usual_distance_ns(run)
    if ns is None:
        return ""
    kept, count = r.comparable_share(run)
    return (
        f" The two CPUs lay {ns:.0f} ns apart (a cache line there and back) in {kept} of {count} "
        "measurements; only those are in the figures."
    )


def document(run: Run) -> str:
    """Everything about a run, for the terminal and the documentation."""
    good = r.comparable(run)
    facts = "; ".join(f"{name}: {value}" for name, value in run.machine.items())
    rounds = f"{len(run.rounds)} round{'s' if len(run.rounds) != 1 else ''}"
    parts = [
        f"Run of {run.began}, profile {run.profile}, {rounds}. {facts}." + _distance_sentence(run),
        "Unary requests, 32 connections (median of the rounds, least-greatest):",
        unary_table(good),
        "CPU-seconds per million events:",
        event_table(good),
        f"Open streams, {LATENCY_AT:,} and {MEMORY_AT:,} (done, failed, waiting: the worst round):",
        stream_table(run, good),
        "Targets:",
        target_table(run),
    ]
    parts += [f"{name} was not measured to the end: {why}" for name, why in run.failures.items()]
    return "\n\n".join(parts) + "\n"


def visit_sentence(visit: Visit) -> str:
    """One candidate in one round, for the progress line."""
    parts = [f"{r.requests_per_s(visit) or 0:,.0f} requests/s"]
    if (cpu := r.cpu_per_10k(visit)) is not None:
        parts.append(f"{number(cpu)} CPU-s/10k")
    if (cpu := r.varied_cpu_per_10k(visit)) is not None:
        parts.append(f"{number(cpu)} with heads that differ")
    for count, streams in visit.streams.items():
        cpu = r.cpu_per_million(int(count))(visit)
        shown = f", {number(cpu)} CPU-s/M" if cpu is not None else ""
        parts.append(f"{streams.done}/{count} streams{shown}")
    return "; ".join(parts)
