"""The commands of the worker: serve, dev, check, init, doctor, routes, settings.

They exit with 0 for yes and 1 for a fault that was found or met.
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

from vast_pyworker.settings import TABLE, Setting, Settings
from vast_pyworker.worker import dev as development
from vast_pyworker.worker import start
from vast_pyworker.worker.built_in import BUILT_IN_ROUTES
from vast_pyworker.worker.contract.checking import check_backend
from vast_pyworker.worker.contract.loading import folders, load_backend
from vast_pyworker.worker.contract.routes import document, routes_of
from vast_pyworker.worker.contract.scaffold import TEMPLATES, write_backend
from vast_pyworker.worker.starting.doctor import examine

from .tables import AS_JSON, print_table

COLOURS = {"ok": "green", "warning": "yellow", "fault": "red"}
Finding = tuple[str, str, str, dict[str, Any]]


@click.command()
@click.argument("backend")
@click.option("--port", type=click.IntRange(1, 65535), help="Instead of WORKER_PORT.")
def serve(backend: str, port: int | None) -> None:
    """Be the worker of BACKEND, in the foreground.

    BACKEND is a name or a directory.
    """
    name, environ = _place_of(backend)
    os.environ.update(environ, **({"WORKER_PORT": str(port)} if port else {}))
    sys.exit(start.main(["foreground", name]))


@click.command()
@click.argument("backend")
def dev(backend: str) -> None:
    """Be the worker of BACKEND at a desk, anew on each change.

    Every report it would send is printed. BACKEND is a name or a directory.
    """
    name, environ = _place_of(backend)
    directory = load_backend(name, _search_path(environ)).directory
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):  # set even where a shell had them ignored
        signal.signal(number, lambda *_: stop.set())
    development.run(name, [directory], environ, click.echo, stop)


@click.command()
@click.argument("backend")
@AS_JSON
def check(backend: str, as_json: bool) -> None:
    """Put BACKEND through the contract suite.

    BACKEND is a name or a directory.
    """
    name, environ = _place_of(backend)
    checks = check_backend(name, _search_path(environ), environ)
    rows = ((_mark(each.ok), each.name, each.found or each.fault, asdict(each)) for each in checks)
    sys.exit(_print_findings(rows, as_json))


@click.command()
@click.argument("name")
@click.option(
    "--template",
    type=click.Choice(sorted(TEMPLATES)),
    default="plain",
    show_default=True,
    help="What to start from.",
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


@click.command()
@AS_JSON
def doctor(as_json: bool) -> None:
    """Look at everything that a worker needs.

    For use before it starts, with the settings that the start would have.
    """
    rows = ((each.level, each.name, each.sentence, asdict(each)) for each in examine(os.environ))
    sys.exit(_print_findings(rows, as_json))


@click.command()
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
    print_table(
        (each.method, each.path, each.kind, signed[each.signed], each.limits, each.summary)
        for each in table
    )


@click.command()
@AS_JSON
def settings(as_json: bool) -> None:
    """List every setting: name, type, default.

    Each is an environment variable, with a sentence that says what it means.
    """
    if as_json:
        click.echo(json.dumps([_setting(each) for each in TABLE], indent=2))
        return
    print_table(
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
