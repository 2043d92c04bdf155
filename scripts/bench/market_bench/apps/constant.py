"""The ceiling: the same engine and Flask, and an answer that nobody has to work out.

``python -m market_bench.apps.constant FOLDER`` answers ``/NAME`` with the bytes of FOLDER/NAME,
whatever is asked, once it has read what was sent.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from flask import Flask, Response, request

from vast_pyworker.engine.running import RunningServer

THREADS = 16  # as the market


def build_app(folder: Path) -> Flask:
    """Files are read once, when they are first asked for."""
    app = Flask("constant", static_folder=None)
    kept: dict[str, bytes] = {}

    def answer(name: str) -> Response:
        request.get_data()
        if name not in kept:
            kept[name] = (folder / name).read_bytes()
        return Response(kept[name], content_type="application/json")

    app.add_url_rule("/<name>", view_func=answer, methods=["GET", "POST", "PUT", "DELETE"])
    return app


def main() -> None:
    with RunningServer(build_app(Path(sys.argv[1])), threads=THREADS) as server:
        host, port = server.address
        print(f"constant at http://{host}:{port}", flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
