"""The access log: gunicorn's logger and format, and no secret in it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from gunicorn.config import Config
from gunicorn.glogging import Logger

from vast_pyworker.engine import Exchange
from vast_pyworker.engine.access import GunicornAccessLog
from vast_pyworker.engine.fakes import connect
from vast_pyworker.engine.running import RunningServer

FORMAT = '%(h)s "%(r)s" %(s)s %(U)s?%(q)s "%(f)s" "%(a)s" %({x-mine}i)s %(m)s %(H)s'


@pytest.fixture
def log(tmp_path: Path) -> Iterator[tuple[GunicornAccessLog, Path]]:
    path = tmp_path / "access.log"
    config = Config()
    config.set("accesslog", str(path))
    config.set("access_log_format", FORMAT)
    logger = Logger(config)
    yield GunicornAccessLog(logger), path
    for handler in [*logger.access_log.handlers, *logger.error_log.handlers]:
        handler.close()
        logger.access_log.removeHandler(handler)
        logger.error_log.removeHandler(handler)


class App:
    """``/held`` is answered by nobody."""

    def __init__(self) -> None:
        self.native_routes = {("GET", "/held"): self.hold}
        self.held = threading.Event()

    def hold(self, exchange: Exchange) -> None:
        self.held.set()

    def __call__(self, environ: Any, start_response: Any) -> list[bytes]:
        start_response("201 Created", [("Content-Length", "2")])
        return [b"ok"]


def logged(log: tuple[GunicornAccessLog, Path], data: bytes, *, answered: bool = True) -> list[str]:
    access, path = log
    app = App()
    with RunningServer(app, access_log=access) as server, connect(server.address) as wire:
        wire.send(data)
        if answered:
            wire.read_message()
        else:
            assert app.held.wait(10)
    return path.read_text().splitlines()


def test_a_line_has_what_gunicorns_format_asks_for(log: tuple[GunicornAccessLog, Path]) -> None:
    lines = logged(
        log,
        b"GET /a%20b?x=1&y HTTP/1.1\r\nHost: a\r\nUser-Agent: me/1\r\nX-Mine: yes\r\n"
        b"Referer: http://b/c\r\n\r\n",
    )
    asked = "/a%20b?x=1&y"
    assert lines == [
        f'127.0.0.1 "GET {asked} HTTP/1.1" 201 {asked} "http://b/c" "me/1" yes GET HTTP/1.1'
    ]


@pytest.mark.parametrize(
    "query", ["api_key=SECRET", "a=1&api_key=SECRET&b=2", "API_KEY=SECRET", "api%5Fkey=SECRET"]
)
def test_keys_in_the_query_or_referer_are_not_logged(
    query: str, log: tuple[GunicornAccessLog, Path]
) -> None:
    asked = f"GET /x?{query} HTTP/1.1\r\nHost: a\r\nReferer: http://b/c?{query}\r\n\r\n"
    (line,) = logged(log, asked.encode())
    assert "SECRET" not in line
    assert line.count("=***") == 3


def test_a_client_that_leaves_without_an_answer_is_499(log: tuple[GunicornAccessLog, Path]) -> None:
    (line,) = logged(log, b"GET /held HTTP/1.1\r\nHost: a\r\n\r\n", answered=False)
    assert '"GET /held HTTP/1.1" 499' in line


def test_a_control_character_cannot_begin_a_line(log: tuple[GunicornAccessLog, Path]) -> None:
    asked = b"GET /x?a%0Ab=1 HTTP/1.1\r\nHost: a\r\nUser-Agent: \xe9\r\n\r\n"
    assert len(logged(log, asked)) == 1


def test_what_is_no_request_is_told_without_its_bytes(
    log: tuple[GunicornAccessLog, Path], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    assert logged(log, b"GET /?api_key=SECRET HTTP/1.1\r\nSECRET\r\n\r\n") == []
    assert "Refused what 127.0.0.1 sent (400)" in caplog.text
    assert "SECRET" not in caplog.text
