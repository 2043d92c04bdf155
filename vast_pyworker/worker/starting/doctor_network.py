"""What the doctor looks at beyond this process: backend, model server, autoscaler, clock."""

from __future__ import annotations

import datetime
import email.utils
import time
from collections.abc import Callable
from urllib.parse import urlsplit

import requests

from vast_pyworker.errors import PyworkerError
from vast_pyworker.signature import load_public_key
from vast_pyworker.worker.contract.loading import folders, load_backend
from vast_pyworker.worker.contract.spec import server_url_of

from .finding import Finding, fault, ok, warning
from .site import Site

TIMEOUT_S = 5.0
MOST_SKEW_S = 60.0
FIRST_SANE_YEAR = 2025


def _autoscaler(site: Site) -> Finding:
    addresses = site.settings.reports_to
    if not addresses:
        return ok("No autoscaler is set (REPORT_ADDR), so there are no reports.")
    wrong = [sentence for sentence in map(_key_fault, addresses) if sentence]
    if len(wrong) == len(addresses):
        return fault(f"{'; '.join(wrong)}: check REPORT_ADDR and the network.")
    return warning(f"{'; '.join(wrong)}.") if wrong else ok(f"{', '.join(addresses)} answers.")


def _key_fault(address: str) -> str:
    answer = _get(f"{address}/pubkey/")
    if isinstance(answer, str):
        return f"{_without_secrets(address)} does not answer ({answer})"
    try:
        load_public_key(answer.content)
    except ValueError:
        return f"{_without_secrets(address)} answers {answer.status_code} without a public key"
    return ""


def _clock(site: Site) -> Finding:
    now = time.time()
    shown = datetime.datetime.fromtimestamp(now, datetime.timezone.utc).strftime("%F %T UTC")
    if int(shown[:4]) < FIRST_SANE_YEAR:
        return fault(f"The clock says {shown}; set it, or no certificate is valid.")
    for address in site.settings.reports_to:
        answer = _get(f"{address}/pubkey/")
        date = None if isinstance(answer, str) else answer.headers.get("Date")
        if date:
            skew_s = now - email.utils.parsedate_to_datetime(date).timestamp()
            said = f"The clock says {shown}, {abs(skew_s):.0f} s off the autoscaler's"
            return fault(f"{said}; set it.") if abs(skew_s) > MOST_SKEW_S else ok(f"{said}.")
    return ok(f"The clock says {shown}; there is nothing to compare it with.")


def _backend(site: Site) -> Finding:
    if not site.backend:
        return ok("No backend is set (BACKEND).")
    try:
        loaded = load_backend(site.backend, folders(site.settings.backend_path))
    except PyworkerError as exc:
        return fault(str(exc))
    return ok(f"{site.backend} loads from {loaded.directory}.")


def _model(site: Site) -> Finding:
    address = _declared_server(site)
    if not address:
        return ok("No model server is named, by the backend or by MODEL_SERVER_URL.")
    if address.startswith("unix:"):
        return ok(f"The model server is to listen at {address}.")
    answer = _get(address)
    shown = _without_secrets(address)
    if isinstance(answer, str):
        return warning(f"No model server answers at {shown} ({answer}); it may start later.")
    return ok(f"A model server answers at {shown}.")


def _declared_server(site: Site) -> str | None:
    """The address by the backend's class, which is not constructed for it, and the settings."""
    try:
        loaded = load_backend(site.backend, folders(site.settings.backend_path))
    except PyworkerError:
        return site.settings.model_server
    named = vars(loaded.backend_class).keys() & {"model_server", "default_model_server"}
    if not named and not site.settings.model_server:
        return None
    address = server_url_of(loaded.backend_class, site.settings)
    return address if isinstance(address, str) else None


def _get(url: str) -> requests.Response | str:
    """The answer, or in one word why there is none."""
    try:
        return requests.get(url, timeout=TIMEOUT_S)
    except requests.RequestException as exc:
        return type(exc).__name__


def _without_secrets(address: str) -> str:
    """An address without user, password and query."""
    parts = urlsplit(address)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()


LOOKS: dict[str, Callable[[Site], Finding]] = {
    "backend": _backend,
    "model": _model,
    "autoscaler": _autoscaler,
    "clock": _clock,
}
