"""A market, a controller on it and Vast's own client in front, for tests of a whole fleet."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import requests
from soak_parts.groups import Group, groups_text
from soak_parts.services import Controller, Market

__all__ = ["Fleet", "Group", "Relayed", "relaying", "running_fleet"]

CLIENT_S = 60.0
Play = Callable[[Any], Awaitable[Any]]


class Fleet:
    """The processes, and who uses them."""

    def __init__(self, market: Market, controller: Controller) -> None:
        self.market = market
        self.controller = controller

    def run(self, play: Play, endpoint: str, *, by: str = "", key: str = "") -> Any:
        """What ``play`` returns for an endpoint of the official client, which sends ``/route/`` to
        the address ``by``, else to the controller itself."""
        from vastai import Serverless

        here = self.controller.url

        class LocalServerless(Serverless):  # type: ignore[misc]
            SSL_CERT_URL = here + "/static/jvastai_root.cer"

        async def main() -> Any:
            account = key or self.controller.admin_key
            async with LocalServerless(
                account, autoscaler_url=by or here, webserver_url=here
            ) as client:
                return await play(await client.get_endpoint(endpoint))

        return asyncio.run(asyncio.wait_for(main(), CLIENT_S))

    def ask(self, endpoint: str, path: str, payload: Any, *, by: str = "", **options: Any) -> Any:
        """One request of the official client."""

        async def play(found: Any) -> Any:
            return await found.request(path, payload, **options)

        return self.run(play, endpoint, by=by)

    def end_all(self) -> int:
        """End the controller, which destroys what it rented; its exit code."""
        return self.controller.end()


@contextmanager
def running_fleet(folder: Path, *groups: Group, **options: Any) -> Iterator[Fleet]:
    """A market and a controller that keeps ``groups``; all of it ended afterwards."""
    with (
        Market(folder / "market") as market,
        Controller(folder / "controller", market, groups_text("e2e", *groups), **options) as own,
    ):
        assert isinstance(market, Market) and isinstance(own, Controller)
        fleet = Fleet(market, own)
        try:
            yield fleet
        finally:
            if own.is_running:
                own.kill()  # what is left ends with the market: a failed test waits for nothing


class Relayed(list[dict[str, Any]]):
    """The answers that went through, each with ``_status``; ``url`` is where to send calls."""

    url = ""

    @property
    def urls(self) -> list[str]:
        """Where the client was sent to."""
        return [answer["url"] for answer in self if "url" in answer]

    @property
    def idxs(self) -> set[Any]:
        return {answer.get("request_idx") for answer in self}


@contextmanager
def relaying(to: str) -> Iterator[Relayed]:
    """Passes POSTs on to ``to`` and notes what was answered."""
    relayed = Relayed()
    session = requests.Session()
    session.trust_env = False

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {"Authorization": self.headers.get("Authorization", "")}
            with session.post(to + self.path, body, headers=headers, timeout=10) as answer:
                relayed.append({**json.loads(answer.content), "_status": answer.status_code})
                self.send_response(answer.status_code)
                self.send_header("Content-Type", answer.headers["Content-Type"])
                self.send_header("Content-Length", str(len(answer.content)))
                self.end_headers()
                self.wfile.write(answer.content)

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    relayed.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), name="relay")
    thread.start()
    try:
        yield relayed
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        session.close()
