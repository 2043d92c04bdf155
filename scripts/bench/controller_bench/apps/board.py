"""One process that is measured: python -m controller_bench.apps.board KIND WORKERS GROUPS.

board: the controller's native routes, with workers published. constant: the same engine, which
answers every one of these calls with a constant. bare: no HTTP at all; whatever bytes come, the
bytes of an answer go. Prints ``listening PORT``.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import time
from collections.abc import Iterable
from typing import Any

import uvloop

from controller_bench import messages
from vast_pyworker import signature, wire
from vast_pyworker.controller.traffic.native import ROUTE_PATH, native_routes
from vast_pyworker.controller.traffic.switchboard import Switchboard
from vast_pyworker.engine import Exchange
from vast_pyworker.engine.running import RunningServer
from vast_pyworker.engine.worker import SWITCH_S

_JSON = (("Content-Type", "application/json"),)
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


class App:
    """Native routes and nothing else."""

    def __init__(self, routes: dict[tuple[str, str], Any]) -> None:
        self.native_routes = routes

    def __call__(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("404 Not Found", [])
        return []


def board(workers: int, groups: int) -> App:
    key = signature.new_private_key()
    found = Switchboard(
        key,
        lambda key, endpoint: key == messages.KEY,
        now=time.time,
        mono=time.monotonic,
        max_queue_s=lambda endpoint: None,  # nobody ends a request here, so all would be full
    )
    found.publish(messages.places(workers, groups))
    return App(native_routes(found))


def constant() -> App:
    def answer(exchange: Exchange) -> None:
        exchange.respond(200, _JSON, b"{}")

    return App({("POST", wire.REPORT_PATH): answer, ("POST", ROUTE_PATH): answer})


class Bare(asyncio.Protocol):
    """Answers each piece of data."""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._transport.write(_ANSWER)


async def serve_bare() -> None:
    server = await asyncio.get_running_loop().create_server(Bare, "127.0.0.1", 0, backlog=4096)
    print("listening", server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def main(kind: str, workers: str, groups: str) -> None:
    if kind == "bare":
        uvloop.run(serve_bare())
        return
    app = board(int(workers), int(groups)) if kind == "board" else constant()
    sys.setswitchinterval(SWITCH_S)
    gc.collect()
    gc.freeze()
    with RunningServer(app, new_loop=uvloop.new_event_loop) as running:
        print("listening", running.address[1], flush=True)
        while True:
            time.sleep(3600)


if __name__ == "__main__":
    main(*sys.argv[1:])
