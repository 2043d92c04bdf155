"""``vast-pyworker``: the command line.

A composition root: the commands read the environment, print, and exit with a code of ``exits``.
What they do is done by the modules they call. A command's module is imported when the command is
run, so that a worker starts without the client of Vast and the client without the worker.
"""

from __future__ import annotations

import click

from vast_pyworker import __version__

from .catalogue import COMMANDS
from .lazy import LazyGroup


@click.group(cls=LazyGroup, entries=COMMANDS)
@click.version_option(__version__, prog_name="vast-pyworker")
def main() -> None:
    """Serve models on rented GPUs, and pay only for those that work."""
