"""What the doctor looks at on this machine: Python, packages, disk, memory, GPU, port, TLS."""

from __future__ import annotations

import datetime
import re
import shutil
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import psutil
from cryptography import x509

from vast_pyworker.errors import PyworkerError
from vast_pyworker.worker.reports.gpu import GpuGauge

from . import certificate, pidfile
from .finding import Finding, fault, ok, warning
from .listening import check_free
from .site import ROOT, Site

NVML_WAIT_S = 5.0
OLDEST_PYTHON = (3, 10)
LEAST_DISK_GIB = 2.0
SCARCE_DISK_GIB = 10.0
SCARCE_MEMORY_GIB = 0.5


def _python(site: Site) -> Finding:
    version = ".".join(str(part) for part in sys.version_info[:3])
    if sys.version_info < OLDEST_PYTHON:
        return fault(f"Python {version} is too old; install 3.10 or newer.")
    return ok(f"Python {version}.")


def _packages(site: Site) -> Finding:
    lock = ROOT / "requirements.txt"
    if not lock.is_file():
        return warning("There is no requirements.txt to compare the installed packages with.")
    wrong = sorted(package_faults(lock.read_text("utf-8"), _installed))
    if wrong:
        return fault(f"{'; '.join(wrong)}: run `pip install -r requirements.txt`.")
    return ok("The installed packages are those of requirements.txt.")


def package_faults(lock: str, installed: Callable[[str], str | None]) -> set[str]:
    """What differs between a lock's text and the versions that ``installed(name)`` tells.

    A package that is only wanted somewhere (a line with a marker) may be missing.
    """
    lines = [re.match(r"([\w.-]+)==([\w.!+-]+)\s*(;)?", line) for line in lock.splitlines()]
    wanted: dict[str, set[str]] = {}
    optional = {found[1] for found in lines if found and found[3]}
    for found in filter(None, lines):
        wanted.setdefault(found[1], set()).add(found[2])
    versions = {name: installed(name) for name in wanted}
    missing = {f"{name} is missing" for name in wanted.keys() - optional if not versions[name]}
    return missing | {
        f"{name} is {version}, not {' or '.join(sorted(wanted[name]))}"
        for name, version in versions.items()
        if version and version not in wanted[name]
    }


def _installed(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _disk(site: Site) -> Finding:
    place = next(path for path in (site.state, *site.state.parents) if path.exists())
    free_gib = shutil.disk_usage(place).free / 2**30
    said = f"{free_gib:.1f} GiB are free at {place}"
    if free_gib < LEAST_DISK_GIB:
        return fault(f"{said}; free some, or rent with more disk.")
    return warning(f"{said}; models are large.") if free_gib < SCARCE_DISK_GIB else ok(f"{said}.")


def _memory(site: Site) -> Finding:
    memory = psutil.virtual_memory()
    free_gib, total_gib = memory.available / 2**30, memory.total / 2**30
    said = f"{free_gib:.1f} of {total_gib:.1f} GiB of memory are free."
    return warning(said) if free_gib < SCARCE_MEMORY_GIB else ok(said)


def _port(site: Site) -> Finding:
    running = pidfile.read(site.pidfile)
    if running is not None:
        return ok(f"Our {running.backend} worker (pid {running.pid}) has {running.url}.")
    try:
        check_free(site.place)
    except PyworkerError as exc:
        return fault(str(exc))
    return ok(f"{site.place.url} is free.")


def _gpu(site: Site) -> Finding:
    gauge = GpuGauge()
    gauge.start(wait_s=NVML_WAIT_S)
    try:
        gpus = gauge.snapshot()
    finally:
        gauge.stop()
    if gpus is None:
        return warning("NVML tells of no GPU here; a model can only run on the CPU.")
    lost = [str(gpu.index) for gpu in gpus if gpu.is_lost]
    if lost:
        return fault(f"The driver has lost GPU {', '.join(lost)}; rent another machine.")
    names = ", ".join(gpu.name or f"GPU {gpu.index}" for gpu in gpus) or "none"
    return ok(f"{len(gpus)} GPUs with driver {gauge.driver_version}: {names}.")


def _certificate(site: Site) -> Finding:
    settings = site.settings
    if not settings.use_ssl:
        return ok("TLS is off (USE_SSL).")
    pair = certificate.Pair(Path(settings.cert_file), Path(settings.key_file))
    if settings.on_instance and not certificate.serves(pair):
        return warning(f"{pair.cert} does not serve; a start will ask for a new one.")
    try:
        until = x509.load_pem_x509_certificate(pair.cert.read_bytes()).not_valid_after_utc
    except (OSError, ValueError):
        return fault(f"{pair.cert} is no certificate; set PYWORKER_CERT, or USE_SSL=false.")
    if until < datetime.datetime.now(datetime.timezone.utc):
        return fault(f"{pair.cert} was valid until {until:%F}; replace it.")
    return ok(f"{pair.cert} is valid until {until:%F}.")


LOOKS: dict[str, Callable[[Site], Finding]] = {
    "python": _python,
    "packages": _packages,
    "disk": _disk,
    "memory": _memory,
    "gpu": _gpu,
    "port": _port,
    "certificate": _certificate,
}
