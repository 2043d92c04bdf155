"""A way out of this machine that leads nowhere and tells whether somebody took it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager


class Outside:
    """The settings of a proxy. Whatever does not stay on this machine would go through it."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self.proxy = "http://{}:{}".format(*listener.getsockname())

    @property
    def environ(self) -> dict[str, str]:
        proxies = dict.fromkeys(("http_proxy", "https_proxy", "all_proxy"), self.proxy)
        return {**proxies, "no_proxy": "127.0.0.1,localhost"}

    def was_asked(self) -> bool:
        try:
            self._listener.accept()[0].close()
        except BlockingIOError:
            return False
        return True


@contextmanager
def nothing_outside() -> Iterator[Outside]:
    """Fails at its end if anything wanted to leave the machine."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        outside = Outside(listener)
        yield outside
        assert not outside.was_asked(), "something wanted to leave this machine"
