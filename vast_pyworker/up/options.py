"""What can be said to ``scripts/up``."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence

from vast_pyworker.controller.main import DEFAULT_PORT


def read_options(argv: Sequence[str] | None) -> argparse.Namespace:
    """What was typed; ends the program with 2 where it cannot be."""
    parser = _parser()
    options = parser.parse_args(argv)
    for wrong, why in (
        (options.load < 0, "--load is a number of clients, from 0 up."),
        (options.most < 1, "--most is a number of instances, from 1 up."),
        (not 0 <= options.port < 65536, "--port is a port, or 0 for any that is free."),
        (not 0 <= (options.seconds or 0) < math.inf, "--seconds are seconds, from 0 up."),
        (not 0 <= (options.load_seconds or 0) < math.inf, "--load-seconds are from 0 up."),
        (options.load_seconds is not None and not options.load, "--load-seconds needs --load."),
    ):
        if wrong:
            parser.error(why)
    return options


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/up",
        description="A marketplace, a controller and a served model on this machine. Ctrl-C ends "
        "it all and says what it cost, in the market's money.",
    )
    parser.add_argument("backend", help="a directory of backends/, such as llamacpp")
    parser.add_argument(
        "--load", type=int, default=0, metavar="N", help="send N requests at a time"
    )
    parser.add_argument(
        "--load-seconds", type=float, metavar="S", help="end the load after S seconds"
    )
    parser.add_argument("--most", type=int, default=2, metavar="N", help="at most N instances")
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help="of the controller's page")
    parser.add_argument(
        "--seconds", type=float, metavar="S", help="end by itself S seconds after a worker is ready"
    )
    parser.add_argument("--keep", action="store_true", help="leave logs and the ledger behind")
    return parser
