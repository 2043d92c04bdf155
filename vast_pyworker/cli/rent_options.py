"""The options of ``rent``, and what to launch as they say it."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from vast_pyworker.vastai.creating import LaunchRequest, new_label
from vast_pyworker.vastai.launch import resolve_runtype

from .connecting import from_environment
from .exits import refuse
from .launch_options import environment

_PRICE = click.FloatRange(0.001)
_SECONDS = click.FloatRange(0)
_FILE = click.Path(path_type=Path)


def _shown(
    name: str, kind: click.ParamType[Any], default: object, sentence: str
) -> Callable[..., Any]:
    return click.option(name, type=kind, default=default, show_default=True, help=sentence)


def _flag(name: str, sentence: str) -> Callable[..., Any]:
    return click.option(name, is_flag=True, help=sentence)


_OPTIONS = (
    click.option("--count", type=click.IntRange(1), help="How many, by a query.  [default: 1]"),
    click.option("--image", help="The image to run, or --template."),
    click.option("--template", help="The hash of a template to start from."),
    _shown("--disk", click.FloatRange(1), 10.0, "GB of disk; it stays so for life."),
    click.option("--price", type=_PRICE, help="Bid so many $/h for the GPUs: interruptible."),
    click.option("--max-price", type=_PRICE, help="Nothing above so many $/h, disk included."),
    click.option("--env", multiple=True, help="NAME=VALUE, NAME (takes yours), or docker's flags."),
    click.option("--ports", multiple=True, help="Ports to open: 8080,5000/udp,80:8080."),
    click.option("--onstart", type=_FILE, help="A script to run at the start; no secrets in it."),
    click.option("--onstart-cmd", help="The same as text."),
    click.option("--args", help="Arguments of the image's own entry point."),
    _flag("--ssh", "With ssh, as without any of these."),
    _flag("--jupyter", "With Jupyter and ssh."),
    _flag("--direct", "With --ssh or --jupyter: reached directly, too."),
    click.option("--label", help="A label of your own; else one is made."),
    _shown("--order", click.STRING, "dph_total", "Which offers go first."),
    _flag("--no-defaults", "Not only what is verified, rentable and Vast's own."),
    _flag("--keep-stopped", "Keep what does not start at once; else it is destroyed."),
    _shown("--settle-s", _SECONDS, 20.0, "How long to look for what a lost call made."),
    _flag("--dry-run", "Say what would be rented and at what price; rent nothing."),
)


def rent_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def launch_request(options: Mapping[str, Any]) -> LaunchRequest:
    """Ends the command where the options do not make one."""
    image, template = options["image"], options["template"]
    if not image and not template:
        refuse("There is nothing to run: give --image or --template.")
    runtype, args = resolve_runtype(
        ssh=options["ssh"],
        jupyter=options["jupyter"],
        direct=options["direct"],
        args=_words(options["args"]),
        template=bool(template),
        default="ssh",
    )
    request = LaunchRequest(
        image=image,
        template_hash=template,
        disk_gb=options["disk"],
        label=options["label"] or new_label(),
        env=environment(options["env"], options["ports"], from_environment),
        bid_usd_per_hour=options["price"],
        onstart=onstart(options["onstart"], options["onstart_cmd"]),
        runtype=runtype,
        args=[args] if isinstance(args, str) else args,
    )
    request.body()  # raises InvalidRequest for what would be refused, also in a dry run
    return request


def onstart(path: Path | None, text: str | None) -> str | None:
    """The script, of a file or as it was given."""
    if path is None:
        return text
    if text is not None:
        refuse("Give --onstart or --onstart-cmd, not both.")
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as exc:
        refuse(f"The script {path} cannot be read ({type(exc).__name__}); name a text file.")


def _words(args: str | None) -> list[str] | None:
    try:
        return None if args is None else shlex.split(args)
    except ValueError as exc:
        refuse(f"--args {args!r} cannot be split into words: {exc}; mend the quotes.")
