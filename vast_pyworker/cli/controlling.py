"""``controller``, and what needs none that runs: ``plan`` and ``import``."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from vast_pyworker.controller.desired.magister import import_magister
from vast_pyworker.controller.desired.reading import read_wishes
from vast_pyworker.controller.desk import NOTE
from vast_pyworker.controller.ledger_copy import copy_of
from vast_pyworker.controller.main import LEDGER_FILE, ControllerOptions, provider_of, run
from vast_pyworker.controller.overlay import Overlay, laid_over
from vast_pyworker.controller.planning.sentence import printed
from vast_pyworker.controller.preview import Preview, preview
from vast_pyworker.errors import WishError

from . import connecting
from .controller_door import state_folder
from .exits import refuse
from .tables import AS_JSON, dollars, plain, print_json

MARKET_KEY = "market"
_FILE = click.Path(path_type=Path, dir_okay=False)
GROUPS = click.option(
    "--groups", type=_FILE, default="groups.toml", show_default=True, envvar="CONTROLLER_GROUPS",
    help="What is wanted.",
)  # fmt: skip
STATE = click.option(
    "--state", type=click.Path(path_type=Path, file_okay=False),
    help="Folder of ledger, keys and secrets; CONTROLLER_STATE says it too.",
)  # fmt: skip
LEDGER = click.option("--ledger", help="The ledger's file, if not in --state.")
MARKET = click.option(
    "--market", metavar="URL", help="A local market instead of Vast.ai.", envvar="CONTROLLER_MARKET"
)


@click.command()
@GROUPS
@STATE
@LEDGER
@MARKET
@click.option("--host", default=ControllerOptions.host, show_default=True, help="Where it listens.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=ControllerOptions.port,
    show_default=True,
    help="Where it listens; 0 for any that is free.",
)
@click.option(
    "--address", metavar="URL", help="How workers reach it, if not where it listens.",
    envvar="CONTROLLER_ADDRESS",
)  # fmt: skip
@click.option("--tls-cert", type=_FILE, help="Its certificate, PEM.")
@click.option("--tls-key", type=_FILE, help="The key of the certificate, PEM.")
@click.option(
    "--worker-ca", type=_FILE,
    help="Authority of workers' certificates, PEM, that clients are told to trust as well.",
)  # fmt: skip
@click.option(
    "--every", "every_s", metavar="SECONDS", type=click.FloatRange(0.05),
    help="Between two ticks: 5, or 1 with --market.",
)  # fmt: skip
@click.option(
    "--shutdown", "shutdown_s", metavar="SECONDS", type=click.FloatRange(0),
    default=ControllerOptions.shutdown_s, show_default=True,
    help="How long on_shutdown may take at the end.",
)  # fmt: skip
@click.option(
    "--open-magister", is_flag=True,
    help="Need no key for /summary, /instances, /verify and /drop.",
)  # fmt: skip
def controller(state: Path | None, market: str | None, **options: Any) -> None:
    """Be the controller of groups.toml.

    It rents, routes, scales and heals until SIGINT or SIGTERM; then on_shutdown of each group is
    carried out. A second signal ends it at once. SIGHUP has groups.toml read again.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    key, url = _account(market)
    sys.exit(
        run(
            ControllerOptions(
                state=_state(state), market=market, api_key=key, vast_url=url, **options
            )
        )
    )


@click.command()
@GROUPS
@STATE
@LEDGER
@MARKET
@AS_JSON
def plan(
    groups: Path, state: Path | None, ledger: str | None, market: str | None, as_json: bool
) -> None:
    """Print what would be done now, and its cost.

    Nothing is done; a controller may run meanwhile. Without a ledger what exists is found by its
    labels alone.
    """
    wishes = read_wishes(groups, os.environ)
    key, url = _account(market)
    options = ControllerOptions(
        groups, _state(state), api_key=key, vast_url=url, market=market, ledger=ledger
    )
    place = options.ledger or str(options.state / LEDGER_FILE)
    now = time.time()
    with provider_of(options) as provider, copy_of(place) as known:
        note = ""
        if known is None:
            note = f"There is no ledger at {place} yet: the budget is taken for unspent."
        else:
            wishes = laid_over(wishes, Overlay.from_json(known.notes.get(NOTE, {})), now)
        made = preview(wishes, provider, known, now)
    if as_json:
        print_json(_document(made, note))
    else:
        _print(made, note)


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("--output", "-o", type=_FILE, help="Where to write it, if not to standard output.")
def import_(file: Path, output: Path | None) -> None:
    """Turn a magister.toml into a groups.toml.

    What magister took from the environment is taken from there, too. A file that is there is not
    written over.
    """
    try:
        text = import_magister(file.read_text("utf-8"), os.environ, name=str(file))
    except (OSError, UnicodeDecodeError) as exc:
        raise WishError(f"{file} cannot be read: {exc}.") from exc
    if output is None:
        click.echo(text, nl=False)
        return
    try:
        with output.open("x", encoding="utf-8") as written:
            written.write(text)
    except FileExistsError:
        refuse(f"{output} is there already; remove it, or name another file.")
    except OSError as exc:
        refuse(f"{output} cannot be written ({exc.strerror}).")
    click.echo(f"{output} is written; `vast-pyworker plan --groups {output}` shows what it does.")


def _state(chosen: Path | None) -> Path:
    return state_folder(os.environ) if chosen is None else chosen


def _account(market: str | None) -> tuple[str, str]:
    """The key and the address of the account to rent with."""
    if market is not None:
        return os.environ.get("VAST_API_KEY", "").strip() or MARKET_KEY, ""
    url = os.environ.get("VAST_URL", "")
    return connecting.api_key(os.environ), connecting.base_url(url) if url else ""


def _print(made: Preview, note: str) -> None:
    for name, decision in made.decisions.items():
        click.echo(plain_lines(printed(decision.made)))
        for offer in made.offers.get(name, ()):
            click.echo(
                f"  offer    {offer.id}, {offer.num_gpus}x {plain(offer.gpu_name)} in "
                f"{plain(offer.place)}, {dollars(offer.usd_per_hour, 3)} $/h"
            )
        if name in made.unread:
            click.echo(f"  offers could not be read: {plain(made.unread[name])}")
    click.echo(
        f"It costs {dollars(made.usd_per_hour, 3)} $/h now, and would cost "
        f"{dollars(made.usd_per_hour_then, 3)} of at most {dollars(made.limits.usd_per_hour, 2)}. "
        "Nothing was done."
    )
    if note:
        click.echo(plain(note))


def plain_lines(text: str) -> str:
    return "\n".join(
        f"{line[: len(line) - len(line.lstrip())]}{plain(line)}" for line in text.splitlines()
    )


def _document(made: Preview, note: str) -> Mapping[str, Any]:
    return {
        "groups": {
            name: {
                **decision.inputs(),
                "sentence": decision.made.sentence,
                "offers": [vars(each) for each in made.offers.get(name, ())],
                "offers_unread": made.unread.get(name),
            }
            for name, decision in made.decisions.items()
        },
        "usd_per_hour": made.usd_per_hour,
        "usd_per_hour_then": made.usd_per_hour_then,
        "note": note or None,
    }
