"""Sockets bound, ports that are taken, and who has them."""

from __future__ import annotations

import os
import re
import socket

import pytest

from vast_pyworker.errors import SettingError
from vast_pyworker.ports import bound, is_loopback, owner_of, url_of


def test_a_taken_port_names_its_owner() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        us = f"(pid {os.getpid()})"
        assert owner_of(port).endswith(us)
        with pytest.raises(SettingError, match=f"Port {port} is taken by .* {re.escape(us)}"):
            bound("127.0.0.1", port)
    bound("127.0.0.1", port).close()


def test_an_address_that_is_not_ours_is_explained() -> None:
    with pytest.raises(SettingError, match=r"192\.0\.2\.1:0 cannot be listened on"):
        bound("192.0.2.1", 0)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("[::1]", True), ("localhost", True),
     ("0.0.0.0", False), ("::", False), ("10.0.0.1", False), ("localhost.evil", False)],
)  # fmt: skip
def test_what_only_this_machine_reaches(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


def test_the_url_is_one_that_this_machine_can_use() -> None:
    with bound("0.0.0.0", 0) as sock:
        port = sock.getsockname()[1]
        assert url_of(sock) == f"http://127.0.0.1:{port}"
        assert url_of(sock, tls=True) == f"https://127.0.0.1:{port}"
