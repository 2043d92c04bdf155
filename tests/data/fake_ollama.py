"""Speaks as much of Ollama's API as a launcher needs: ``fake_ollama.py serve`` at OLLAMA_HOST.

Models are names. ``big`` cannot be loaded, ``embed`` does not generate, ``none`` cannot be pulled;
every other is pulled in two layers and loaded when asked for. FAKE_OLLAMA_HAS are on disk already.
"""

from __future__ import annotations

import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Handler(BaseHTTPRequestHandler):
    """One request; what is on disk and in memory is the server's."""

    server: FakeOllama

    def do_GET(self) -> None:
        if self.path == "/":
            self._answer(200, b"Ollama is running")
        elif self.path == "/api/tags":
            self._list(self.server.on_disk)
        else:
            self._list(self.server.in_memory)

    def do_POST(self) -> None:
        told = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append((self.path, told))
        {"/api/pull": self._pull, "/api/generate": self._generate, "/api/embed": self._embed}[
            self.path
        ](told)

    def _pull(self, told: dict[str, Any]) -> None:
        if told["model"] == "none":
            self._answer(200, b'{"error":"pull model manifest: file does not exist"}\n')
            return
        self.server.on_disk.add(told["model"])
        steps: list[dict[str, Any]] = [{"status": "pulling manifest"}]
        for digest, total in (("sha256:a", 1000), ("sha256:b", 10)):
            layer = {"status": f"pulling {digest}", "digest": digest, "total": total}
            steps += [{**layer, "completed": done} for done in (0, total // 2, total)]
        steps.append({"status": "success"})
        self._answer(200, b"".join(json.dumps(step).encode() + b"\n" for step in steps))

    def _generate(self, told: dict[str, Any]) -> None:
        if told["model"] == "embed":
            self._answer(400, b'{"error":"\\"embed\\" does not support generate"}')
        elif told["model"] == "big":
            self._answer(500, b'{"error":"model requires more system memory than is available"}')
        else:
            self._load(told)

    def _embed(self, told: dict[str, Any]) -> None:
        self._load(told)

    def _load(self, told: dict[str, Any]) -> None:
        assert told["keep_alive"] == -1
        self.server.in_memory.add(told["model"])
        self._answer(200, b'{"done":true,"done_reason":"load"}')

    def _list(self, models: set[str]) -> None:
        names = [name if ":" in name else f"{name}:latest" for name in sorted(models)]
        self._answer(200, json.dumps({"models": [{"name": name} for name in names]}).encode())

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        sys.stderr.write(f"[GIN] {format % args}\n")


class FakeOllama(ThreadingHTTPServer):
    """Listens at ``address``; ``asked`` is what it was told to do, in order."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], on_disk: set[str]) -> None:
        super().__init__(address, Handler)
        self.on_disk = on_disk
        self.in_memory: set[str] = set()
        self.asked: list[tuple[str, dict[str, Any]]] = []


def main() -> None:
    host, _, port = os.environ["OLLAMA_HOST"].rpartition(":")
    on_disk = set(os.environ.get("FAKE_OLLAMA_HAS", "").split())
    with FakeOllama((host, int(port)), on_disk) as server:
        parallel = os.environ["OLLAMA_NUM_PARALLEL"]
        sys.stderr.write(f"Listening on {host}:{port} (version 0.0.0) for {parallel}\n")
        server.serve_forever()


if __name__ == "__main__":
    main()
