"""Is the place free, who has it, does it answer: with real sockets."""

from __future__ import annotations

import os
import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from vast_pyworker.errors import NotStarted, SettingError
from vast_pyworker.settings import Settings
from vast_pyworker.worker.starting.listening import Place, check_free, place_of, status_of


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def test_where_a_worker_listens() -> None:
    assert place_of(Settings()) == Place("127.0.0.1", 3000, "", False)
    assert place_of(Settings(container_id=1, use_ssl=True)) == Place("0.0.0.0", 3000, "", True)
    assert place_of(Settings(host="unix:/run/w.sock")).path == "/run/w.sock"


@pytest.mark.parametrize(
    ("place", "url", "curl"),
    [
        (Place("0.0.0.0", 1, "", False), "http://127.0.0.1:1", "curl http://127.0.0.1:1/x"),
        (Place("::", 1, "", True), "https://[::1]:1", "curl --insecure https://[::1]:1/x"),
        (Place("", 1, "/s", False), "unix:/s", "curl --unix-socket /s http://localhost/x"),
    ],
)
def test_how_this_machine_reaches_it(place: Place, url: str, curl: str) -> None:
    assert (place.url, place.curl("/x")) == (url, curl)


def test_a_free_port_is_free_and_a_taken_one_names_its_owner() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(NotStarted, match=rf"Port {port} is taken by .* \(pid {os.getpid()}\)"):
            check_free(Place("127.0.0.1", port, "", False))
    check_free(Place("127.0.0.1", port, "", False))
    check_free(Place("", 0, "/some.sock", False))


def test_an_address_that_is_not_ours_is_a_wrong_setting() -> None:
    with pytest.raises(SettingError, match="PYWORKER_HOST"):
        check_free(Place("203.0.113.1", 3000, "", False))


def test_any_http_answer_counts() -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(503 if self.path == "/readyz" else 404)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, name="server")
        thread.start()
        place = Place("127.0.0.1", server.server_address[1], "", False)
        try:
            assert (status_of(place), status_of(place, "/readyz")) == (404, 503)
        finally:
            server.shutdown()
            thread.join()


def test_silence_and_noise_are_no_answer(tmp_path: Path) -> None:
    assert status_of(Place("127.0.0.1", free_port(), "", False)) is None
    assert status_of(Place("", 0, str(tmp_path / "none.sock"), False)) is None
    with socket.create_server(("127.0.0.1", 0)) as server:

        def babble() -> None:
            client, _ = server.accept()
            with client:
                client.recv(1000)
                client.sendall(b"SSH-2.0-none\r\n")

        thread = threading.Thread(target=babble, name="babbler")
        thread.start()
        assert status_of(Place("127.0.0.1", server.getsockname()[1], "", False)) is None
        thread.join()
