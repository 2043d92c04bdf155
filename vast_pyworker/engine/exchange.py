"""One request and its answer, as handlers on the loop see them.

An exchange is answered once: by ``respond``, by ``relay``, or piece by piece by ``begin``,
``write`` and ``finish``. It ends when the answer is out or the client has left, and then tells
``on_gone`` or the relaying it belongs to. All methods are for the loop's thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import IO, TYPE_CHECKING

import msgspec

from vast_pyworker.model import Outcome

from .answer import json_error, plain_answer
from .head import RequestHead
from .plan import RelayEnd, RelayObserver, RelayPlan
from .relaying import Relaying
from .tunnel import Tunnel

if TYPE_CHECKING:
    from .client import ClientConnection


class Exchange(msgspec.Struct, eq=False):  # a Struct is made in a third of a class's time
    """A request that has arrived whole.

    ``body`` is its body; ``peer`` the client's address; ``scheme`` http or https; ``request_id``
    what the client sent as X-Request-ID, or a new one; ``closes`` whether the connection ends with
    the answer. Set ``on_gone`` to be told that the client left before the answer began.
    """

    client: ClientConnection
    head: RequestHead
    body_file: IO[bytes] | bytes
    request_id: bytes
    started_at: float
    closes: bool
    relaying: Relaying | Tunnel | None = None
    on_gone: Callable[[], None] | None = None
    on_writable: Callable[[], None] | None = None
    status: int = 0
    bytes_sent: int = 0
    over: bool = False
    until_close: bool = False

    __repr__ = object.__repr__  # a Struct's own shows its fields: no log is to hold a body

    @property
    def body(self) -> bytes:
        """The whole body. Read from disk at the first call where it was large."""
        if not isinstance(self.body_file, bytes):
            file = self.body_file
            file.seek(0)
            self.body_file = file.read()
            file.close()
        return self.body_file

    @property
    def peer(self) -> str:
        return self.client.peer

    @property
    def peer_port(self) -> int:
        return self.client.peer_port

    @property
    def write_paused(self) -> bool:
        """Whether the client has not taken yet what was written."""
        return self.client.write_paused

    @property
    def scheme(self) -> str:
        return self.client.scheme

    @property
    def must_close(self) -> bool:
        """Whether the connection ends with this answer."""
        return self.closes or self.client.server.draining

    def respond(self, status: int, headers: Sequence[tuple[str, str]], body: bytes) -> None:
        """Answer with a whole body; Content-Length, Date and X-Request-ID are added."""
        if self.over:
            return
        self.closes = self.must_close
        named = (*headers, ("X-Request-ID", self.request_id.decode("latin-1")))
        date = self.client.server.date_line
        self.status = status
        self.write(plain_answer(self.head, status, named, body, date=date, close=self.closes))
        self.finish()

    def relay(self, plan: RelayPlan, body: bytes | msgspec.Raw, observer: RelayObserver) -> None:
        """Send the request on by ``plan`` and pass the answer back; ``observer`` is told of it.

        It, and no longer ``on_gone``, is told where the client leaves.
        """
        if self.over:
            observer.on_end(RelayEnd(Outcome.CANCELLED, None, error="The client left."))
            return
        client = self.client
        request = plan.render(self.head, body, self.request_id)
        server = client.server
        now = server.now
        relaying = self.relaying = Relaying(
            self, plan, request, observer, server, now, now, client.write_paused
        )
        relaying.start()

    def begin(self, status: int, close: bool) -> None:
        """The head of the answer is about to be written."""
        self.status = status
        self.closes = close
        if type(self.body_file) is bytes:
            self.body_file = b""  # a thousand streams would keep a thousand prompts until they end

    def write(self, data: bytes) -> None:
        """Send bytes of the answer, framed already."""
        if not self.over:
            self.bytes_sent += len(data)
            self.client.transport.write(data)

    def unbuffered(self) -> Callable[[bytes], None]:
        """How to send many small pieces of the answer, framed already: each is out at once.

        Elsewise uvloop keeps what is written until it has read from all who have sent something.
        """
        transport = self.client.transport
        transport.set_write_buffer_limits(high=1)
        return transport.write

    def finish(self) -> None:
        """The answer is complete."""
        if not self.over:
            self.over = True
            if type(self.body_file) is not bytes:
                self._close_body()
            self.client.finished(self)

    def cut(self, gently: bool) -> None:
        """End the connection: after what has been written, or at once so that it is noticed."""
        if self.over:
            return
        self.closes = True
        if gently:
            self.finish()
        else:
            self.over = True
            self._close_body()
            self.client.abandoned(self)

    def gone(self) -> None:
        """The client has left."""
        self.over = True
        self._close_body()
        self._tell_gone()

    def cancel(self) -> None:
        """End the exchange by somebody's wish: the work stops, the connection closes."""
        if self.over:
            return
        self.closes = True
        self._tell_gone()
        if self.status:
            self.cut(gently=False)
        else:
            headers = (("Content-Type", "application/json"),)
            self.respond(499, headers, json_error("The request was cancelled."))

    def call_soon(self, call: Callable[[], None]) -> None:
        """Call ``call`` on the loop; the one method for other threads."""
        self.client.server.loop.call_soon_threadsafe(call)

    def later(self, seconds: float, call: Callable[[], None]) -> asyncio.TimerHandle:
        """Call ``call`` on the loop after ``seconds``, unless the handle is cancelled."""
        return self.client.server.loop.call_later(seconds, call)

    def paused(self, paused: bool) -> None:
        """The client reads too slowly, or fast enough again."""
        if self.relaying is not None:
            self.relaying.pause(paused)
        elif not paused and self.on_writable is not None:
            self.on_writable()

    def _tell_gone(self) -> None:
        on_gone, self.on_gone = self.on_gone, None
        if self.relaying is not None:
            self.relaying.cancel()
        elif on_gone is not None:
            on_gone()

    def _close_body(self) -> None:
        if not isinstance(self.body_file, bytes):
            self.body_file.close()
