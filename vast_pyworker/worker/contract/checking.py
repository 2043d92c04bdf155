"""The contract suite that any backend directory can be put through.

Each check is one line: what was found, or what is wrong and the remedy. What is not here: a real
model; routes are asked in front of one that answers anything (``trying``).
"""

from __future__ import annotations

import inspect
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from vast_pyworker.errors import BackendError, PyworkerError
from vast_pyworker.settings import Settings
from vast_pyworker.worker.traffic.forwarding import Forward
from vast_pyworker.worker.units.work import Work

from .contract import arguments_for
from .loading import Loaded, construct, describe, load_backend
from .spec import spec_from
from .trying import FakeModel, faults_of

HOOKS = {
    "setup": 0,
    "teardown": 0,
    "health": 0,
    "benchmark_payload": 0,
    "workload": 1,
    "cancel": 1,
    "settle": 2,
}
SHELL_DEADLINE_S = 60.0


@dataclass(frozen=True)
class Check:
    """One line of the suite: what was ``found``, or the ``fault``, a sentence with its remedy."""

    name: str
    found: str = ""
    fault: str = ""

    @property
    def ok(self) -> bool:
        return not self.fault


@dataclass(frozen=True)
class _Subject:
    loaded: Loaded
    backend: Any
    settings: Settings
    model_url: str

    @property
    def file(self) -> str:
        return f"{self.loaded.directory.name}/backend.py"


def check_backend(
    name: str, search_path: Sequence[Path], environ: Mapping[str, str]
) -> Iterator[Check]:
    """Put one backend through the suite; what cannot be loaded or constructed ends it early."""
    with FakeModel() as model:
        settings = _settings(environ)
        loads, loaded = _tried("loads", lambda: load_backend(name, search_path))
        if loaded is None:
            yield loads
            return
        yield replace(loads, found=str(loaded.directory))
        yield Check("routes", _routes(loaded))
        constructs, backend = _tried("constructs", lambda: _construct(loaded))
        if backend is None:
            yield constructs
            return
        yield replace(constructs, found=loaded.backend_class.__name__)
        subject = _Subject(loaded, backend, settings, model.url)
        for step, check in CHECKS.items():
            checked, found = _tried(step, partial(check, subject))
            yield replace(checked, found=found or "")


def _settings(environ: Mapping[str, str]) -> Settings:
    """The operator's settings, but with nobody to report to or to ask for a signature."""
    ours = {"CONTAINER_ID": "", "REPORT_ADDR": "", "UNSECURED": "true"}
    return Settings.from_env({**environ, **ours})


def _tried(name: str, step: Callable[[], Any]) -> tuple[Check, Any]:
    try:
        return Check(name), step()
    except PyworkerError as exc:
        return Check(name, fault=str(exc)), None


def _construct(loaded: Loaded) -> Any:
    return construct(
        loaded, container_id=0, control_server_url="", master_token="check", send_data=False
    )


def _routes(loaded: Loaded) -> str:
    shown = (f"{m} /{endpoint}" for m, routes in loaded.flask_dict.items() for endpoint in routes)
    return ", ".join(shown) or "none"


def _hooks(subject: _Subject) -> str:
    present = []
    for name, count in HOOKS.items():
        hook = getattr(subject.backend, name, None)
        if hook is None:
            continue
        if not _takes(hook, count):
            raise BackendError(f"{subject.file}: {name} must be callable with {count} arguments.")
        present.append(name)
    return ", ".join(present) or "none"


def _takes(hook: Any, count: int) -> bool:
    if not callable(hook):
        return False
    try:
        inspect.signature(hook).bind(*[None] * count)
    except TypeError:
        return False
    except ValueError:  # written in C, without a signature: give it the benefit of the doubt
        return True
    return True


def _model(subject: _Subject) -> str:
    """Attributes of the right kind, patterns that compile, a command that can be told."""
    loaded = subject.loaded
    spec = spec_from(
        subject.backend,
        subject.settings,
        loaded.directory,
        benchmark_module=loaded.benchmark_module,
        has_log_watch=loaded.logwatch_class is not None,
    )
    if not spec.evidence:
        return "no model server to wait for"
    return f"ready by {' + '.join(sorted(spec.evidence))}, {len(spec.patterns)} log patterns"


def _workload(subject: _Subject) -> str:
    payload = _payload(subject)
    if payload is None:
        return "no benchmark payload to try it on"
    units = Work(_calculator(subject), subject.backend, has_payload=True).before(payload)
    unit = getattr(subject.backend, "unit", None) or "units"
    return f"{units:g} {unit} in the benchmark payload"


def _payload(subject: _Subject) -> Mapping[str, Any] | None:
    """The first benchmark payload, None where the backend offers none."""
    offered = getattr(subject.loaded.benchmark_module, "payloads", None)
    one = getattr(subject.backend, "benchmark_payload", None)
    try:
        payload = next(iter(offered()), None) if callable(offered) else one() if one else None
    except Exception as exc:  # a hook is foreign code: whatever it raises is its fault
        cause = describe(exc, subject.loaded.directory)
        raise BackendError(f"{subject.file}: the benchmark payload fails: {cause}.") from exc
    if payload is not None and not isinstance(payload, Mapping):
        raise BackendError(
            f"{subject.file}: the benchmark payload must be a dict, not {payload!r}."
        )
    return payload


def _calculator(subject: _Subject) -> Any:
    """The calculator of the route that capacity is measured on, where it has its own."""
    wanted = str(getattr(subject.backend, "benchmark_route", "")).lstrip("/")
    handler = subject.loaded.flask_dict.get("POST", {}).get(wanted)
    return handler.workload if isinstance(handler, Forward) else None


def _metrics(subject: _Subject) -> str:
    given = {"id": 0, "master_token": "check", "control_server_url": "", "send_server_data": False}
    return _made(subject, subject.loaded.metrics_class, "metrics.py", given)


def _logwatch(subject: _Subject) -> str:
    given = {"id": 0, "control_server_url": "", "master_token": "check"}
    return _made(subject, subject.loaded.logwatch_class, "logwatch.py", given)


def _made(subject: _Subject, kind: type | None, file: str, given: dict[str, Any]) -> str:
    if kind is None:
        return "none"
    directory = subject.loaded.directory
    where = f"{directory.name}/{file}"
    args, kwargs = arguments_for(kind, given, where)
    try:
        kind(*args, **kwargs)
    except Exception as exc:  # a constructor is foreign code: whatever it raises is its fault
        cause = describe(exc, directory)
        raise BackendError(
            f"{where}: {kind.__name__} could not be constructed: {cause}. Correct its __init__."
        ) from exc
    return kind.__name__


def _launch_script(subject: _Subject) -> str:
    script = subject.loaded.directory / "launch.sh"
    shown = f"{script.parent.name}/launch.sh"
    if not script.is_file():
        raise BackendError(f"{shown} is missing: `vast-pyworker init` writes one to copy.")
    checker = shutil.which("shellcheck")
    command = [checker, "--format=gcc", str(script)] if checker else ["bash", "-n", str(script)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SHELL_DEADLINE_S)
    except subprocess.TimeoutExpired as exc:
        raise BackendError(f"{shown} could not be checked within a minute; shorten it.") from exc
    if done.returncode:
        first = (done.stdout or done.stderr).strip().splitlines()[0].replace(str(script), shown)
        raise BackendError(f"{first.rstrip('.')}; correct it.")
    return "clean" if checker else "its syntax is right (shellcheck is not installed)"


def _answers(subject: _Subject) -> str:
    payload = _payload(subject) or {}
    faults = faults_of(
        subject.loaded, subject.backend, subject.settings, payload, subject.model_url
    )
    if faults:
        route, cause = next(iter(faults.items()))
        more = f" ({len(faults) - 1} more routes fail)" if len(faults) > 1 else ""
        raise BackendError(
            f"{route} lets an exception through: {cause}{more}; answer 400 to what cannot be "
            "used, or give the handler an `example` payload."
        )
    return "every route"


CHECKS: dict[str, Callable[[_Subject], str]] = {
    "hooks": _hooks,
    "model": _model,
    "workload": _workload,
    "metrics": _metrics,
    "logwatch": _logwatch,
    "launch.sh": _launch_script,
    "answers": _answers,
}
