"""The candidates: how each is started in front of the model server. Data and small functions."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from string import Template

from .errors import BenchError
from .processes import free_port, started

APPS = Path(__file__).parent / "apps"
BACKENDS = Path(__file__).parent.parent / "backends"
REPOSITORY = Path(__file__).parent.parent.parent.parent
INSTALL = "install it with: apt-get install nginx wrk"


@dataclass(frozen=True)
class Site:
    """Where one candidate runs: its own folder and port, and whom it talks to."""

    folder: Path
    port: int
    model_server: str
    autoscaler: str
    official_python: str = ""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        return self.folder / "log"


@dataclass(frozen=True)
class Program:
    """What to run, with which environment variables."""

    command: list[str]
    environ: Mapping[str, str]


@dataclass(frozen=True)
class Candidate:
    """``program`` prepares the site's folder. ``signed``: it must refuse a forged grant.
    ``varied``: it is also measured with heads that all differ. No program: the model server."""

    name: str
    label: str
    program: Callable[[Site], Program] | None
    signed: bool = False
    varied: bool = False


def nginx_path() -> str:
    """Debian keeps nginx where only root looks."""
    found = shutil.which("nginx") or shutil.which("/usr/sbin/nginx")
    if not found:
        raise BenchError(f"nginx is missing, what the others are compared with: {INSTALL}")
    return found


def nginx(site: Site) -> Program:
    conf = Template((APPS / "nginx.conf").read_text()).substitute(
        folder=site.folder,
        user="user root;" if os.geteuid() == 0 else "",  # else its worker may not enter the folder
        model_address=site.model_server.removeprefix("http://"),
        port=site.port,
    )
    path = site.folder / "nginx.conf"
    path.write_text(conf)
    return Program([nginx_path(), "-e", "stderr", "-p", str(site.folder), "-c", str(path)], {})


def instance_environ(site: Site) -> dict[str, str]:
    """What a worker finds on an instance."""
    return {
        "WORKER_PORT": str(site.port),
        f"VAST_TCP_PORT_{site.port}": str(site.port),
        "PUBLIC_IPADDR": "127.0.0.1",
        "CONTAINER_ID": "1",
        "MASTER_TOKEN": "bench",
        "REPORT_ADDR": site.autoscaler,
        "MODEL_SERVER_URL": site.model_server,
    }


def ours(backend: str) -> Callable[[Site], Program]:
    """Our worker, as start_server.sh runs it, with one of the benchmark's backends."""

    def program(site: Site) -> Program:
        environ = {
            **instance_environ(site),
            "BACKEND": backend,
            "PYWORKER_BACKENDS": str(BACKENDS),
            "PYWORKER_HOST": "127.0.0.1",
            "PYWORKER_STATE": str(site.folder),
            "WORKSPACE_DIR": str(site.folder),
            "PYTHONPATH": str(REPOSITORY),
        }
        conf = "python:vast_pyworker.worker.gunicorn_conf"
        return Program([sys.executable, "-m", "gunicorn", "-c", conf], environ)

    return program


def official(site: Site) -> Program:
    """The official worker, as it ships: debug log to a file, the model's log followed."""
    (site.folder / ".has_benchmark").write_text("1000.0")
    model_log = site.folder / "model.log"
    model_log.write_text("model is loaded\n")
    environ = {
        **instance_environ(site),
        "WORKER_HTTP_PORT": str(free_port()),
        "MODEL_LOG": str(model_log),
        "UNSECURED": "true",
    }
    return Program([site.official_python, str(APPS / "official_worker.py")], environ)


def gthread(site: Site) -> Program:
    """gunicorn's threads, as many as there are streams."""
    command = [sys.executable, "-m", "gunicorn", "gthread_proxy:create_app()"]
    command += ["--pythonpath", str(APPS), "--bind", f"127.0.0.1:{site.port}", "--workers", "1"]
    command += ["--worker-class", "gthread", "--threads", "1024", "--worker-connections", "4096"]
    command += ["--keep-alive", "75", "--backlog", "4096", "--no-control-socket"]
    return Program(command, {"MODEL_SERVER_URL": site.model_server})


DIRECT = Candidate("direct", "none (load straight to the model server)", None)
ALL = (
    DIRECT,
    Candidate("nginx", "nginx", nginx, varied=True),
    Candidate("forward", "ours, forward()", ours("bench_forward"), signed=True, varied=True),
    Candidate("flask", "ours, Flask handler returning Relay", ours("bench_flask"), signed=True),
    Candidate("official", "official worker (vastai 1.9.1)", official),
    Candidate("gthread", "gunicorn gthread + requests", gthread),
)
NAMES = tuple(candidate.name for candidate in ALL)


@contextmanager
def running(candidate: Candidate, site: Site) -> Iterator[int | None]:
    """Start the candidate; yields its pid, or None for the model server itself."""
    if candidate.program is None:
        yield None
        return
    run = candidate.program(site)
    with started(run.command, cwd=site.folder, log=site.log, environ=run.environ) as process:
        yield process.pid
