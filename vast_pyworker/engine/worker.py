"""gunicorn's worker class: gunicorn owns the process, this owns its event loop.

    gunicorn --worker-class vast_pyworker.engine.worker.EngineWorker --threads 32 module:app

Signals, ``--timeout``, reload, TLS settings, hooks and logs are gunicorn's and mean what its manual
says. One worker process only, because the application's state is in its memory; no restart after a
number of requests, because that would throw the state away.
"""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import signal
import sys
from functools import cache
from typing import Any

import psutil
from gunicorn.sock import ssl_context
from gunicorn.workers.base import Worker

from vast_pyworker.errors import SettingError

from .access import GunicornAccessLog
from .limits import Limits
from .server import Server
from .threads import HandlerThreads

# CPython's 5 ms would let one computing thread hold up every stream; a tenth of one costs little
# and keeps the loop's turn short.
SWITCH_S = 0.0001
# CPython would look for cycles after every 700 new objects: for every twentieth stream that opens,
# whose client would wait. What the engine makes has no cycles; what handlers make can wait.
_COLLECTED_AT_ONCE = 10_000
_HEARTBEAT_S = 0.5
# gunicorn's master kills at ``graceful_timeout``; cutting and telling must be over by then.
_LAST_WORDS_S = 1.0
_ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)


class Unfit(SettingError, RuntimeError):
    """A configuration refused; gunicorn prints a RuntimeError as the sentence it is, and exits."""


class EngineWorker(Worker):  # type: ignore[misc]
    """Runs one ``Server`` for the application until gunicorn says stop."""

    @classmethod
    def check_config(cls, cfg: Any, log: Any) -> None:
        """Refuse what would split or lose the state; gunicorn calls this before it forks."""
        if cfg.workers > 1:
            raise Unfit(
                f"workers is {cfg.workers}, but the backend and the load counters live in one "
                "process; set workers to 1 and use threads."
            )
        if cfg.max_requests > 0:
            raise Unfit(
                f"max_requests is {cfg.max_requests}, but a restart would lose the backend's "
                "state and every open stream; set it to 0."
            )
        _let_signals_through_after_forks()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Made by the master right before it forks. A signal that comes before the new process has
        handlers of its own would be taken for the master's, and lost: it is held back."""
        super().__init__(*args, **kwargs)
        signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)

    def init_process(self) -> None:
        self.loop = _new_loop()
        asyncio.set_event_loop(self.loop)
        self.graceful = False
        self.stopping = asyncio.Event()
        grow_file_table()
        sys.setswitchinterval(SWITCH_S)
        super().init_process()

    def init_signals(self) -> None:
        for number in self.SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        for number in _ENDING:  # uvloop's own handlers lose what comes before it runs
            signal.signal(number, self._stop_soon)
        self.loop.add_signal_handler(signal.SIGUSR1, self.log.reopen_files)
        signal.signal(signal.SIGABRT, self.handle_abort)
        signal.signal(signal.SIGWINCH, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the master answers it with a new worker
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)

    def _stop_soon(self, number: int, frame: object) -> None:
        """Also while the application loads: then the loop stops as soon as it has begun."""
        self.loop.call_soon_threadsafe(self._stop, number == signal.SIGTERM)

    def _stop(self, graceful: bool) -> None:
        if not graceful:
            self.cfg.worker_int(self)
        self.graceful = graceful
        self.alive = False
        self.stopping.set()

    def run(self) -> None:
        gc.collect()
        gc.freeze()  # what was loaded leaves the collector: no long collections while streams run
        gc.set_threshold(_COLLECTED_AT_ONCE, *gc.get_threshold()[1:])
        try:
            self.loop.run_until_complete(self._serve())
        finally:
            self.loop.close()

    async def _serve(self) -> None:
        cfg = self.cfg
        threads = HandlerThreads(cfg.threads, getattr(self.wsgi, "limits", Limits()).wsgi_queue)
        threads.start()
        access = GunicornAccessLog(self.log) if _wants_access_log(cfg) else None
        limits = getattr(self.wsgi, "limits", Limits())
        server = Server(self.wsgi, self.loop, threads, limits, access)
        tls = ssl_context(cfg) if cfg.is_ssl else None
        for listener in self.sockets:
            await server.listen(listener.sock, tls)
        self._call_hook("on_serving", server)
        await self._until_stopped()
        await self._drain(server)
        await server.close()
        threads.stop()

    async def _until_stopped(self) -> None:
        """Tell gunicorn that we live, until we shall not."""
        while self.alive:
            self.notify()
            if self.ppid != os.getppid():
                self.log.info("The master is gone; stopping.")
                self.graceful = True
                return
            try:
                await asyncio.wait_for(self.stopping.wait(), _HEARTBEAT_S)
            except asyncio.TimeoutError:
                continue

    async def _drain(self, server: Server) -> None:
        """Let requests in flight finish, so that all is told before the master kills us."""
        server.replaced = self.graceful and self._is_replaced()
        self._call_hook("on_draining", server)
        server.drain(listening=self.graceful and not server.replaced)
        if not self.graceful:
            return
        in_all_s = self.cfg.graceful_timeout
        last_words_s = getattr(self.wsgi, "last_words_s", _LAST_WORDS_S)
        deadline_s = in_all_s - min(last_words_s, in_all_s / 2)
        waited = self.loop.create_task(server.drained(deadline_s))
        await self._alive_while(waited)
        if not waited.result():
            self.log.warning("Cut %d connections at the deadline.", len(server.connections))
            await server.close()  # before the last report, which is to tell of them
        stopped = self.loop.run_in_executor(None, self._call_hook, "on_stopped", server)
        await self._alive_while(stopped)

    async def _alive_while(self, waited: asyncio.Future[Any]) -> None:
        while not waited.done():
            self.notify()
            await asyncio.wait((waited,), timeout=_HEARTBEAT_S)

    def _call_hook(self, name: str, server: Server) -> None:
        hook = getattr(self.wsgi, name, None)
        if hook is not None:
            hook(server)

    def _is_replaced(self) -> bool:
        """Whether the master has started a successor (SIGHUP), which listens on our sockets."""
        try:
            siblings = psutil.Process(self.ppid).children()
        except psutil.Error:
            return False
        return any(sibling.pid != self.pid for sibling in siblings)


@cache
def _let_signals_through_after_forks() -> None:
    """In the parent, once per process; the child does so when it is ready for them."""

    def let_through() -> None:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)

    os.register_at_fork(after_in_parent=let_through)


def _new_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:  # the worker runs on asyncio too, some 20 % dearer
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop


def grow_file_table() -> None:
    """Grow the process' table of open files now, while it has one thread.

    Later, with threads, Linux waits for an RCU grace period at every doubling: 10 to 25 ms during
    which no stream moves (docs/performance.md).
    """
    top = min(resource.getrlimit(resource.RLIMIT_NOFILE)[0], 16384) - 1
    null = os.open(os.devnull, os.O_RDONLY)
    try:
        os.dup2(null, top)
        os.close(top)
    finally:
        os.close(null)


def _wants_access_log(cfg: Any) -> bool:
    configured = cfg.logconfig or cfg.logconfig_dict or cfg.logconfig_json
    return bool(cfg.accesslog or configured or cfg.syslog or cfg.statsd_host)
