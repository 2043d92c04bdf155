"""``vast-pyworker``: one short function per command.

A composition root: it reads the environment, prints, and exits with 0 for yes, 1 for a fault that
was found or met (one sentence on stderr), 2 for a wrong command line. What the commands do is done
by the modules they call.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from vast_pyworker import __version__
from vast_pyworker.errors import PyworkerError
from vast_pyworker.settings import TABLE, Setting, Settings
from vast_pyworker.worker import dev as development
from vast_pyworker.worker import start
from vast_pyworker.worker.built_in import BUILT_IN_ROUTES
from vast_pyworker.worker.checking import check_backend
from vast_pyworker.worker.doctor import examine
from vast_pyworker.worker.loading import folders, load_backend
from vast_pyworker.worker.routes import document, routes_of
from vast_pyworker.worker.scaffold import TEMPLATES, write_backend

AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
COLOURS = {"ok": "green", "warning": "yellow", "fault": "red"}
Finding = tuple[str, str, str, dict[str, Any]]


class _Group(click.Group):
    """Turns every error raised on purpose into its one sentence."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except PyworkerError as exc:
            raise click.ClickException(str(exc)) from exc


@click.group(cls=_Group)
@click.version_option(__version__, prog_name="vast-pyworker")
def main() -> None:
    """Serve models on rented GPUs, and pay only for those that work."""


@main.command()
@click.argument("backend")
@click.option("--port", type=click.IntRange(1, 65535), help="Instead of WORKER_PORT.")
def serve(backend: str, port: int | None) -> None:
    """Be the worker of BACKEND, a name or a directory, in the foreground."""
    name, environ = _place_of(backend)
    os.environ.update(environ, **({"WORKER_PORT": str(port)} if port else {}))
    sys.exit(start.main(["foreground", name]))


@main.command()
@click.argument("backend")
def dev(backend: str) -> None:
    """Be the worker of BACKEND, started anew when it changes; print every report it would send."""
    name, environ = _place_of(backend)
    directory = load_backend(name, _search_path(environ)).directory
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):  # set even where a shell had them ignored
        signal.signal(number, lambda *_: stop.set())
    development.run(name, [directory], environ, click.echo, stop)


@main.command()
@click.argument("backend")
@AS_JSON
def check(backend: str, as_json: bool) -> None:
    """Put BACKEND, a name or a directory, through the contract suite."""
    name, environ = _place_of(backend)
    checks = check_backend(name, _search_path(environ), environ)
    rows = ((_mark(each.ok), each.name, each.found or each.fault, asdict(each)) for each in checks)
    sys.exit(_print_findings(rows, as_json))


@main.command()
@click.argument("name")
@click.option(
    "--template", type=click.Choice(sorted(TEMPLATES)), default="plain", show_default=True
)
@click.option(
    "--directory",
    type=click.Path(path_type=Path),
    default=Path("backends"),
    show_default=True,
    help="Folder to write it in.",
)
def init(name: str, template: str, directory: Path) -> None:
    """Write a new backend NAME, to change from there."""
    for file in write_backend(name, template, directory):
        click.echo(f"wrote {file}")
    click.echo(f"Next: vast-pyworker check {directory / name}")


@main.command()
@AS_JSON
def doctor(as_json: bool) -> None:
    """Look at everything that a worker needs before it starts."""
    rows = ((each.level, each.name, each.sentence, asdict(each)) for each in examine(os.environ))
    sys.exit(_print_findings(rows, as_json))


@main.command()
@click.argument("backend")
@AS_JSON
def routes(backend: str, as_json: bool) -> None:
    """List the routes of BACKEND, and the worker's own."""
    name, environ = _place_of(backend)
    table = routes_of(load_backend(name, _search_path(environ)), BUILT_IN_ROUTES)
    if as_json:
        click.echo(json.dumps([document(route) for route in table], indent=2))
        return
    signed = {True: "signed", False: "open", None: ""}
    _print_table(
        (each.method, each.path, each.kind, signed[each.signed], each.limits, each.summary)
        for each in table
    )


@main.command()
@AS_JSON
def settings(as_json: bool) -> None:
    """List every setting: an environment variable, its type, its default, what it means."""
    if as_json:
        click.echo(json.dumps([_setting(each) for each in TABLE], indent=2))
        return
    _print_table(
        (" ".join((each.name, *each.aliases)), each.type_name, _shown(each.default), each.sentence)
        for each in TABLE
    )


def _place_of(backend: str) -> tuple[str, dict[str, str]]:
    """The name of BACKEND, and the environment in which it is found by that name.

    The parent of a directory becomes the first place to look for backends.
    """
    environ = dict(os.environ)
    if os.sep not in backend and backend != ".":
        return backend, environ
    directory = Path(backend).expanduser().resolve()
    others = environ.get("PYWORKER_BACKENDS", "")
    environ["PYWORKER_BACKENDS"] = os.pathsep.join(filter(None, (str(directory.parent), others)))
    return directory.name, environ


def _search_path(environ: Mapping[str, str]) -> tuple[Path, ...]:
    return folders(Settings.from_env(environ).backend_path)


def _mark(good: bool) -> str:
    return "ok" if good else "fault"


def _print_findings(rows: Iterable[Finding], as_json: bool) -> int:
    """Print each as it comes; the exit code."""
    documents, faults = [], 0
    for level, name, sentence, fields in rows:
        faults += level == "fault"
        documents.append(fields)
        if not as_json:
            click.secho(f"{level:8}", fg=COLOURS[level], nl=False)
            click.echo(f"{name:12} {sentence}")
    if as_json:
        click.echo(json.dumps(documents, indent=2))
    return 1 if faults else 0


def _print_table(rows: Iterable[tuple[str, ...]]) -> None:
    """Columns as wide as they need to be; the last one runs on."""
    table = list(rows)
    widths = [max(map(len, column)) for column in zip(*table, strict=True)][:-1]
    for *cells, last in table:
        padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
        click.echo("  ".join((*padded, last)).rstrip())


def _setting(setting: Setting) -> dict[str, Any]:
    return {
        "name": setting.name,
        "aliases": setting.aliases,
        "type": setting.type_name,
        "default": setting.default,
        "secret": setting.secret,
        "sentence": setting.sentence,
    }


def _shown(default: Any) -> str:
    if default is None or default in ("", ()):
        return "-"
    return str(default).lower() if isinstance(default, bool) else str(default)


if __name__ == "__main__":
    main()
