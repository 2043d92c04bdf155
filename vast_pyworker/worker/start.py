"""Starts, stops and shows the worker of one backend: the second step of ``start_server.sh``.

A composition root: it reads the environment, makes the certificate, launches gunicorn and waits
until the worker answers. What the worker then does is ``gunicorn_conf``'s; installing packages
came before (``vast_pyworker.install``).
"""

from __future__ import annotations

import fcntl
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from vast_pyworker.errors import NotStarted, UnknownBackend
from vast_pyworker.failure import Exit, guarded

from .contract.loading import available, folders
from .starting import certificate, listening, pidfile
from .starting.launching import Launch, launch, wait_until_it_answers
from .starting.site import ROOT, Site, site_of, with_defaults

STARTING = ("start", "foreground")
CONFIGURATION = "python:vast_pyworker.worker.gunicorn_conf"
ANSWER_DEADLINE_S = 120.0
STOP_MARGIN_S = 30.0
SHOWN_LINES = 200


def main(argv: Sequence[str] | None = None) -> int:
    """``start.py ACTION [BACKEND]``: start, foreground, stop, status or logs."""
    action, *rest = sys.argv[1:] if argv is None else argv
    environ = with_defaults(os.environ, rest[0] if rest else "")
    step = ACTIONS[action]
    return guarded(lambda: step(site_of(environ)), environ, reports=action in STARTING)


def start(site: Site) -> int:
    """Launch the worker and return once it answers; one that runs already is left alone."""
    with _one_start(site):
        if not _prepared(site):
            return 0
        said = launch(_launch_of(site), site.environ)
        running = _record(site, said.pid)
        try:
            wait_until_it_answers(said, site.place, ANSWER_DEADLINE_S)
        except BaseException:  # also a signal: a start that fails leaves nothing behind
            pidfile.end(running, deadline_s=10.0, say=_say)
            site.pidfile.unlink(missing_ok=True)
            raise
    _say(f"{site.backend} answers at {site.place.url} (pid {running.pid}, log {site.log}).")
    _say_where(site)
    return 0


def foreground(site: Site) -> int:
    """Become the worker; returns only where one runs already."""
    with _one_start(site):
        if not _prepared(site):
            return 0
        _record(site, os.getpid())
        _say(f"{site.backend} will listen at {site.place.url}.")
        _say_where(site)
        command = _launch_of(site).command
        os.execve(command[0], command, dict(site.environ))


def stop(site: Site) -> int:
    """End the recorded worker: SIGTERM, and wait until it has drained."""
    running = pidfile.read(site.pidfile)
    if running is None:
        _say(f"No worker runs on port {site.settings.port}.")
        return 0
    drained = pidfile.end(running, site.settings.drain_s + STOP_MARGIN_S, _say)
    site.pidfile.unlink(missing_ok=True)
    how = "has ended" if drained else "was killed"
    _say(f"The {running.backend} worker (pid {running.pid}) {how}.")
    return 0


def status(site: Site) -> int:
    """Say what runs and whether it answers and is ready."""
    running = _running(site)
    ready = listening.status_of(site.place, "/readyz")
    state = "does not answer" if ready is None else "is ready" if ready < 300 else "is not ready"
    _say(f"The {running.backend} worker (pid {running.pid}) at {running.url} {state}.")
    return 0


def logs(site: Site) -> int:
    """Become ``tail -F`` on the worker's log."""
    if not site.log.exists():
        raise NotStarted(Exit.NOT_RUNNING, f"There is no log {site.log}: nothing was started.")
    follow = ("-F",) if sys.stdout.isatty() else ()
    os.execvp("tail", ("tail", *follow, "-n", str(SHOWN_LINES), str(site.log)))


ACTIONS: dict[str, Callable[[Site], int]] = {
    "start": start,
    "foreground": foreground,
    "stop": stop,
    "status": status,
    "logs": logs,
}


def _prepared(site: Site) -> bool:
    """Check everything that can be checked before the launch; False: it runs already."""
    _check_backend(site)
    running = pidfile.read(site.pidfile)
    if running is not None and running.backend != site.backend:
        raise NotStarted(
            Exit.PORT_TAKEN,
            f"Port {running.port} is taken by our {running.backend} worker (pid {running.pid}): "
            "end it with --stop, or set WORKER_PORT.",
        )
    if running is not None:
        _say(f"{site.backend} runs already at {running.url} (pid {running.pid}).")
        return False
    listening.check_free(site.place)
    _certify(site)
    return True


def _check_backend(site: Site) -> None:
    search_path = folders(site.settings.backend_path)
    names = available(search_path)
    if not site.backend:
        raise NotStarted(Exit.USAGE, f"Which backend? There are: {', '.join(names)}.")
    if site.backend not in names and "." not in site.backend:  # a dotted name may be a module
        raise UnknownBackend(
            f"There is no backend {site.backend!r}; there are: {', '.join(names)}."
        )


def _certify(site: Site) -> None:
    """On an instance, have its certificate signed. Elsewhere the files are the operator's."""
    settings = site.settings
    if settings.use_ssl and settings.container_id is not None:
        pair = certificate.Pair(Path(settings.cert_file), Path(settings.key_file))
        console = site.environ.get("VAST_API_URL") or certificate.CONSOLE
        certificate.obtain(pair, settings.container_id, time.sleep, console=console)


def _launch_of(site: Site) -> Launch:
    configuration = site.environ.get("PYWORKER_GUNICORN_CONF") or CONFIGURATION
    boot = str(ROOT / "vast_pyworker" / "boot.py")
    return Launch((sys.executable, boot, "gunicorn.app.wsgiapp:run", "-c", configuration), site.log)


def _record(site: Site, pid: int) -> pidfile.Running:
    identity = pidfile.identity_of(pid) or ""
    running = pidfile.Running(
        pid,
        identity,
        site.backend,
        site.settings.port,
        site.place.url,
        str(site.log),
        time.time(),
    )
    pidfile.write(site.pidfile, running)
    return running


def _running(site: Site) -> pidfile.Running:
    running = pidfile.read(site.pidfile)
    if running is None:
        raise NotStarted(Exit.NOT_RUNNING, f"No worker runs on port {site.settings.port}.")
    return running


@contextmanager
def _one_start(site: Site) -> Iterator[None]:
    """Only one start at a time for a port; the file is closed by an ``exec`` too."""
    site.state.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = os.open(site.state / f"start-{site.settings.port}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _say_where(site: Site) -> None:
    """Off an instance, what that means and a command to try."""
    if site.settings.on_instance:
        return
    heard = "this machine only" if site.place.local_host == site.place.host else site.place.host
    told = ", ".join(site.settings.reports_to)
    reports = f"reports to {told}" if told else "no reports"
    _say(f"Not on a Vast.ai instance (no CONTAINER_ID): for {heard}, {reports}. Try:")
    _say(f"  {site.place.curl('/pyworker/status')}")


def _say(sentence: str) -> None:
    sys.stdout.write(f"{sentence}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
