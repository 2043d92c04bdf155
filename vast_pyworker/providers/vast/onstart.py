"""What an instance of a plain image is told to run. Pure."""

from __future__ import annotations

import shlex

START_URL = "https://raw.githubusercontent.com/vast-ai/vast-pyworker/main/start_server.sh"


def start_script(backend: str, url: str = START_URL) -> str:
    """The text of an ``onstart``: fetches the script at ``url`` and lets it start the worker.

    A script cut short does nothing (see ``start_server.sh``). Holds no secret: what the worker
    must know comes by its environment.
    """
    at, name = shlex.quote(url), shlex.quote(backend)
    return (
        "#!/usr/bin/env bash\n"
        f"if command -v wget >/dev/null; then wget -O - {at}; else curl -fsSL {at}; fi |\n"
        f"    bash -s {name}\n"
    )
