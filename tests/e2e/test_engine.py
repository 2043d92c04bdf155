"""The engine as gunicorn's worker: signals, timeouts, reload, logs, TLS, sockets, WebSockets."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from engine_support import WORKER, Gunicorn, get, gunicorn, ipv6_loopback, wait_until

from vast_pyworker.engine.certificates import contexts
from vast_pyworker.engine.fakes import Message, ScriptedServer, Wire, connect

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


@contextmanager
def held_stream() -> Iterator[tuple[ScriptedServer, threading.Event]]:
    """A model server whose stream ends when the event is set."""
    told = threading.Event()

    def script(wire: Wire, request: Message) -> None:
        wire.send(HEAD + b"9\r\ndata: 1\n\n\r\n")
        told.wait(60)
        wire.send(b"9\r\ndata: 2\n\n\r\n0\r\n\r\n")

    with ScriptedServer(script) as upstream:
        try:
            yield upstream, told
        finally:
            told.set()


@contextmanager
def with_stream(folder: Path, *options: str) -> Iterator[tuple[Gunicorn, Wire, threading.Event]]:
    """gunicorn with a relayed stream in flight, of which the first event has come."""
    with (
        held_stream() as (upstream, told),
        gunicorn(folder, *options, env={"ENGINE_TEST_ORIGIN": upstream.url}) as server,
        server.open() as wire,
    ):
        wire.send(get("/relay"))
        wire.read_until(b"data: 1\n\n\r\n")
        yield server, wire, told


def test_sigterm_lets_streams_finish_and_turns_new_requests_down(tmp_path: Path) -> None:
    with with_stream(tmp_path, "--graceful-timeout", "30") as (server, wire, told):
        with server.open() as flask:
            flask.send(get("/stream?n=20&s=0.05"))
            flask.read_until(b"data: 0\n\n")
            server.signal(signal.SIGTERM)
            refused = wait_until(
                lambda: answer if (answer := server.get("/threads")).status == 503 else None,
                "refusal",
            )
            assert refused.get("connection") == "close"
            told.set()
            assert wire.read_to_end() == b"9\r\ndata: 2\n\n\r\n0\r\n\r\n"
            assert b"data: 19\n\n\r\n0\r\n\r\n" in flask.read_to_end()
        assert server.exited() == 0
        assert "Cut" not in server.log


def test_graceful_timeout_cuts_what_takes_longer(tmp_path: Path) -> None:
    with with_stream(tmp_path, "--graceful-timeout", "2") as (server, wire, _):
        server.signal(signal.SIGTERM)
        assert wire.gone()
        assert server.exited() == 0
        assert "Cut 1 connection" in server.log


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT])
def test_sigint_and_sigquit_do_not_wait(number: signal.Signals, tmp_path: Path) -> None:
    with with_stream(tmp_path, "--graceful-timeout", "30") as (server, wire, _):
        started = time.monotonic()
        server.signal(number)
        assert wire.gone()
        server.exited()
        assert time.monotonic() - started < 15


def test_sighup_starts_a_new_worker_while_the_old_one_finishes_its_stream(tmp_path: Path) -> None:
    with with_stream(tmp_path, "--graceful-timeout", "30") as (server, wire, told):
        old = server.worker_pid()
        server.signal(signal.SIGHUP)
        new = wait_until(
            lambda: pid if (pid := _pid(server)) not in (None, old) else None, "worker"
        )
        for _ in range(5):
            assert server.worker_pid() == new
        told.set()
        assert wire.read_to_end() == b"9\r\ndata: 2\n\n\r\n0\r\n\r\n"
        wait_until(lambda: not Path(f"/proc/{old}").exists(), "end of the old worker")
        assert server.worker_pid() == new


def _pid(server: Gunicorn) -> int | None:
    try:
        return server.worker_pid()
    except (OSError, EOFError, ValueError):
        return None


def test_sigusr1_reopens_the_logs(tmp_path: Path) -> None:
    log, moved = tmp_path / "access.log", tmp_path / "access.log.1"
    with gunicorn(tmp_path, "--access-logfile", str(log)) as server:
        server.get("/pid?one")
        log.rename(moved)
        server.signal(signal.SIGUSR1)
        wait_until(log.exists, "new access log")
        wait_until(lambda: server.get("/pid?two") and "/pid?two" in log.read_text(), "line")
        assert "/pid?one" in moved.read_text()


def test_the_access_log_has_gunicorns_format_and_no_key(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    line_format = '%(h)s "%(r)s" %(s)s %(a)s %({x-mine}i)s'
    options = ("--access-logfile", str(log), "--access-logformat", line_format)
    with gunicorn(tmp_path, *options) as server, server.open() as wire:
        wire.send(get("/threads?api_key=SECRET&a=1", "User-Agent: me/1\r\nX-Mine: yes\r\n"))
        wire.read_message()
        expected = '127.0.0.1 "GET /threads?api_key=***&a=1 HTTP/1.1" 200 me/1 yes\n'
        wait_until(lambda: expected in log.read_text(), "line")
        assert "SECRET" not in log.read_text() + server.log


def test_timeout_kills_a_worker_whose_loop_is_blocked_and_no_other(tmp_path: Path) -> None:
    with gunicorn(tmp_path, "--timeout", "2", "--threads", "2") as server:
        old = server.worker_pid()
        assert server.get("/sleep?s=3.5").body == b"slept"  # a blocked thread is no blocked loop
        assert server.worker_pid() == old
        with server.open() as wire:
            wire.send(get("/block"))
            assert wire.gone(20)
        wait_until(lambda: _pid(server) not in (None, old), "new worker")
        assert "WORKER TIMEOUT" in server.log


def test_a_worker_whose_master_is_gone_ends_by_itself(tmp_path: Path) -> None:
    with gunicorn(tmp_path) as server:
        pid = server.worker_pid()
        server.process.kill()
        server.exited()
        assert wait_until(lambda: not Path(f"/proc/{pid}").exists(), "end of the orphan")


@pytest.mark.parametrize(
    ("options", "named"),
    [(("--workers", "2"), "workers is 2"), (("--max-requests", "5"), "max_requests is 5")],
)
def test_what_would_split_or_lose_the_state_is_refused(
    options: tuple[str, ...], named: str, tmp_path: Path
) -> None:
    server = Gunicorn(tmp_path, *options)
    try:
        assert server.exited() == 1
        assert named in server.log
        assert "Traceback" not in server.log
    finally:
        server.stop()


def test_the_application_may_be_loaded_before_the_fork(tmp_path: Path) -> None:
    with gunicorn(tmp_path, "--preload") as server:
        assert server.get("/threads").status == 200
        server.signal(signal.SIGTERM)
        assert server.exited() == 0


def test_it_runs_on_asyncio_where_uvloop_is_missing(tmp_path: Path) -> None:
    shim = tmp_path / "shim"
    shim.mkdir()
    (shim / "uvloop.py").write_text("raise ImportError('hidden by a test')\n")
    with held_stream() as (upstream, told):
        env = {"PYTHONPATH": str(shim), "ENGINE_TEST_ORIGIN": upstream.url}
        with gunicorn(tmp_path, env=env) as server, server.open() as wire:
            assert server.get("/loop").body.startswith(b"asyncio.")
            assert server.get("/stream?n=3&s=0").body == b"data: 0\n\ndata: 1\n\ndata: 2\n\n"
            wire.send(get("/relay"))
            wire.read_until(b"data: 1\n\n\r\n")
            server.signal(signal.SIGTERM)
            told.set()
            assert wire.read_to_end() == b"9\r\ndata: 2\n\n\r\n0\r\n\r\n"
            assert server.exited() == 0


def test_uvloop_is_used_where_it_is(tmp_path: Path) -> None:
    pytest.importorskip("uvloop")
    with gunicorn(tmp_path) as server:
        assert server.get("/loop").body == b"uvloop"


def test_tls_is_gunicorns(tmp_path: Path) -> None:
    _, client_tls = contexts(tmp_path)
    options = ("--certfile", str(tmp_path / "cert.pem"), "--keyfile", str(tmp_path / "key.pem"))
    server = Gunicorn(tmp_path, *options)
    try:
        wait_until(lambda: "Booting worker" in server.log, "worker")
        with connect(server.address, tls=client_tls) as wire:
            wire.send(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n")
            wire.send(b"x" * 200_000)
            assert wire.read_message().body == b"x" * 200_000
            wire.send(get("/stream?n=3&s=0"))
            assert wire.read_message().body.endswith(b"data: 2\n\n")
        server.signal(signal.SIGTERM)
        assert server.exited() == 0
    finally:
        server.stop()


def test_a_unix_socket_is_listened_on_and_survives_a_reload(tmp_path: Path) -> None:
    path = tmp_path / "worker.sock"
    server = Gunicorn(tmp_path, "-b", f"unix:{path}")
    try:
        pids = []
        for _ in range(2):
            wait_until(lambda: server.log.count("Booting worker") > len(pids), "worker")
            wait_until(lambda: len(_children(server)) == 1, "one worker")
            with connect(str(path)) as wire:
                wire.send(get("/pid"))
                pids.append(wire.read_message().body)
            server.signal(signal.SIGHUP)
        assert pids[0] != pids[1]
    finally:
        server.signal(signal.SIGTERM)
        server.exited()


def _children(server: Gunicorn) -> list[str]:
    pid = server.process.pid
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


STOPPED_AT_BIRTH = """
import os, pathlib, signal
def {hook}({arguments}):
    mark = pathlib.Path({mark!r})
    if not mark.exists():
        mark.write_text(str(os.getpid()))
        os.kill(os.getpid(), signal.SIGTERM)
"""


@pytest.mark.parametrize(
    ("hook", "arguments"), [("post_fork", "server, worker"), ("post_worker_init", "worker")]
)
def test_a_signal_that_comes_before_the_loop_runs_is_not_lost(
    hook: str, arguments: str, tmp_path: Path
) -> None:
    mark, conf = tmp_path / "first", tmp_path / "conf.py"
    conf.write_text(STOPPED_AT_BIRTH.format(mark=str(mark), hook=hook, arguments=arguments))
    with gunicorn(tmp_path, "-c", str(conf)) as server:
        first = wait_until(mark.exists, "first worker") and int(mark.read_text())
        wait_until(lambda: not Path(f"/proc/{first}").exists(), "end of the first worker")
        assert wait_until(lambda: _pid(server) not in (None, first), "its successor")


def test_ipv6_is_listened_on(tmp_path: Path) -> None:
    if not ipv6_loopback():
        pytest.skip("this machine has no IPv6 loopback")
    with gunicorn(tmp_path, "-b", "[::1]:0") as server:
        assert server.address[0] == "::1"
        assert server.get("/threads").status == 200


def test_websockets_are_relayed_between_the_websockets_library_and_itself(tmp_path: Path) -> None:
    sync_server = pytest.importorskip("websockets.sync.server")
    sync_client = pytest.importorskip("websockets.sync.client")

    def echo(socket: Any) -> None:
        for message in socket:
            socket.send(message[::-1])

    with sync_server.serve(echo, "127.0.0.1", 0) as model:
        thread = threading.Thread(target=model.serve_forever)
        thread.start()
        origin = f"http://127.0.0.1:{model.socket.getsockname()[1]}"
        with gunicorn(tmp_path, env={"ENGINE_TEST_ORIGIN": origin}) as server:
            host, port = server.address
            with sync_client.connect(f"ws://{host}:{port}/relay", proxy=None) as socket:
                socket.send("hello")
                assert socket.recv(10) == "olleh"
                large = os.urandom(900_000)
                socket.send(large)
                assert socket.recv(10) == large[::-1]
                socket.ping().wait(10)
            assert server.get("/threads").status == 200
        model.shutdown()
        thread.join(10)


def test_hooks_of_gunicorn_are_called(tmp_path: Path) -> None:
    config = tmp_path / "conf.py"
    config.write_text(
        "def post_worker_init(worker): worker.log.info('hook: init')\n"
        "def worker_int(worker): worker.log.info('hook: int')\n"
        "def worker_exit(server, worker): worker.log.info('hook: exit')\n"
        "def on_exit(server): server.log.info('hook: on_exit')\n"
    )
    with gunicorn(tmp_path, "-c", str(config)) as server:
        server.signal(signal.SIGINT)
        server.exited()
        for hook in ("init", "int", "exit", "on_exit"):
            assert f"hook: {hook}" in server.log


def test_check_config_of_gunicorn_accepts_the_worker_class() -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "gunicorn",
            "--check-config",
            "-k",
            WORKER,
            "engine_support:build_app()",
        ],
        cwd=Path(__file__).parent,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
