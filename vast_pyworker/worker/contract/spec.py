"""What the worker must know about one model server, read from a Backend and the settings.

What is here: defaults, precedence (a setting goes before the backend's attribute) and checks;
whatever is wrong is one sentence. What is not: anything that runs, or that asks the server.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vast_pyworker.errors import SettingError
from vast_pyworker.settings import MODEL_SERVER, Settings
from vast_pyworker.worker.capacity.benchmark import BenchmarkSpec
from vast_pyworker.worker.capacity.benchmark_spec import benchmark_spec_from
from vast_pyworker.worker.modellog.patterns import Pattern, containing

from .declared import Declared

INSTALLATION = Path(__file__).resolve().parents[3]
EVIDENCE = ("log", "probe", "port")


@dataclass(frozen=True)
class Hooks:
    """What the backend wants to be called for; None: nothing.

    ``setup`` after each load of the model, before it is measured; ``teardown`` before it is
    stopped; ``health`` with each health check, for what only the backend can know.
    """

    setup: Callable[[], Any] | None = None
    teardown: Callable[[], Any] | None = None
    health: Callable[[], bool] | None = None


@dataclass(frozen=True)
class Limits:
    """Times in seconds, 0 for no limit, and how many bad health checks make a ready model bad."""

    readiness_timeout_s: float = 1800.0
    probe_interval_s: float = 10.0
    probe_timeout_s: float = 20.0
    probe_failures: int = 3
    progress_timeout_s: float = 120.0


@dataclass(frozen=True)
class ModelSpec:
    """One model server, and how to tell what it is doing.

    ``evidence``: what must all be seen before it counts as loaded, of ``log``, ``probe``, ``port``;
    empty: there is no model to wait for. ``command`` None: it is started elsewhere; ``env`` is its
    whole environment. ``health_url`` and ``gauges_url`` None: there is no such page. ``max_perf``
    is the capacity the backend claims without measurement, in ``unit`` per second.
    """

    name: str
    server_url: str
    evidence: frozenset[str] = frozenset()
    command: tuple[str, ...] | None = None
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    cwd: Path | None = None
    log_path: Path | None = None
    patterns: tuple[Pattern, ...] = ()
    health_url: str | None = None
    gauges_url: str | None = None
    running_gauge: str | None = None
    waiting_gauge: str | None = None
    progress_counters: tuple[str, ...] = ()
    download_dir: Path | None = None
    download_bytes: float | None = None
    model_name: str = ""
    unit: str = "requests"
    max_perf: float = 0.0
    benchmark: BenchmarkSpec | None = None
    hooks: Hooks = Hooks()
    limits: Limits = Limits()

    @property
    def tells_capacity(self) -> bool:
        """Whether the capacity is claimed, or can be measured."""
        return self.benchmark is not None or self.max_perf > 0


def state_folder(settings: Settings) -> Path:
    """Where pid files, logs and the measured capacity are kept."""
    return Path(settings.state_dir or INSTALLATION / ".pyworker")


def server_url_of(backend: object, settings: Settings) -> str:
    """Address of the model server.

    The Backend's ``model_server``, else MODEL_SERVER_URL, else the Backend's
    ``default_model_server``, else the default of all.
    """
    own, usual = (getattr(backend, f"{kind}model_server", None) for kind in ("", "default_"))
    return own or settings.model_server or usual or MODEL_SERVER


def spec_from(
    backend: object,
    settings: Settings,
    backend_dir: Path,
    *,
    benchmark_module: Any = None,
    has_log_watch: bool = False,
) -> ModelSpec:
    """Read ``backend``'s attributes and hooks; raises BackendError or SettingError.

    ``benchmark_module`` is the directory's ``benchmark.py``; ``has_log_watch`` says that it has a
    ``LogWatch`` of 2024, which tells when the model has loaded.
    """
    told = Declared(backend, backend_dir / "backend.py")
    server_url = told.url(server_url_of(backend, settings), "model_server")
    command = told.command(settings)
    health_url = told.page(server_url, settings.health_path or told.text("health_path"))
    log_path = _log_path(told, settings, backend_dir.name if command else None)
    patterns = patterns_of(told, settings)
    says_loaded = has_log_watch or any(pattern.action == "loaded" for pattern in patterns)
    means = {"port"}
    means |= {"log"} if log_path and says_loaded else set()
    means |= {"probe"} if health_url or told.hook("health") else set()
    return ModelSpec(
        name=backend_dir.name,
        server_url=server_url,
        evidence=_evidence(told, settings, frozenset(means), supervised=command is not None),
        command=command,
        env=told.environment(settings),
        cwd=backend_dir if command else None,
        log_path=log_path,
        patterns=patterns,
        health_url=health_url,
        gauges_url=told.page(server_url, told.text("gauges_path")),
        running_gauge=told.text("running_gauge"),
        waiting_gauge=told.text("waiting_gauge"),
        progress_counters=told.names("progress_counters"),
        download_dir=_download_dir(told, settings),
        download_bytes=told.number("download_bytes"),
        model_name=_model_name(told, settings),
        unit=told.text("unit") or "requests",
        max_perf=told.number("max_perf") or 0.0,
        benchmark=benchmark_spec_from(told, settings, server_url, benchmark_module),
        hooks=Hooks(told.hook("setup"), told.hook("teardown"), told.hook("health")),
        limits=_limits(told, settings),
    )


def _evidence(
    told: Declared, settings: Settings, means: frozenset[str], *, supervised: bool
) -> frozenset[str]:
    """What is asked for by the setting, else by the backend, else what there are means to see.

    A setting that asks for what cannot be seen is an error. A backend does not know where it will
    run, so what it asks for is taken as far as possible.
    """
    if settings.readiness:
        return _asked_by_setting(settings.readiness, means)
    asked = told.text("readiness")
    if asked:
        wanted = _words(asked)
        if wanted - set(EVIDENCE):
            raise told.wrong(f"readiness is {asked!r}; it is any of log, probe, port, joined by +.")
        if not wanted & means:
            raise told.wrong(
                f"readiness is {asked!r}, but there is nothing of that to see: "
                "give log_patterns with a loaded line and MODEL_LOG, or a health_path."
            )
        return wanted & means
    seen = means - {"port"}
    told_of = told.text("model_server") or told.text("default_model_server")
    has_server = supervised or told_of is not None
    return seen or (means if has_server else frozenset())


def _asked_by_setting(asked: str, means: frozenset[str]) -> frozenset[str]:
    wanted = _words(asked)
    if not wanted or wanted - set(EVIDENCE):
        raise SettingError(f"READINESS cannot be {asked!r}; it is log, probe, port, joined by +.")
    if "log" in wanted - means:
        raise SettingError(
            "READINESS asks for log, but there is none to watch: set MODEL_LOG, and "
            "MODEL_LOAD_LOG_MSG if the backend has no pattern for its loaded line."
        )
    if "probe" in wanted - means:
        raise SettingError(
            "READINESS asks for probe, but there is none: set MODEL_HEALTH_ENDPOINT."
        )
    return wanted


def _words(text: str) -> frozenset[str]:
    return frozenset(word.strip().lower() for word in text.split("+") if word.strip())


def _log_path(told: Declared, settings: Settings, supervised_as: str | None) -> Path | None:
    """The log to watch; a server that we start ourselves always has one."""
    if settings.model_log:
        return Path(settings.model_log).expanduser()
    own = told.path("model_log")
    if own is not None or supervised_as is None:
        return own
    return state_folder(settings) / f"{supervised_as}.log"


def patterns_of(told: Declared, settings: Settings) -> tuple[Pattern, ...]:
    """The backend's patterns, and the texts that the settings add to them."""
    loaded = (containing("loaded", text) for text in settings.load_log_lines)
    fatal = (containing("error", text) for text in settings.error_log_lines)
    return (*told.patterns(), *loaded, *fatal)


def _download_dir(told: Declared, settings: Settings) -> Path | None:
    """Where weights arrive: the backend's word, else Hugging Face's variables."""
    hub, home = settings.environ.get("HF_HUB_CACHE"), settings.environ.get("HF_HOME")
    named = told.path("download_dir")
    if named or not (hub or home):
        return named
    return Path(hub) if hub else Path(home or "") / "hub"


def _model_name(told: Declared, settings: Settings) -> str:
    return settings.model_name or told.text("model_name") or ""


def _limits(told: Declared, settings: Settings) -> Limits:
    own = told.number("progress_timeout_s")
    is_default = settings.progress_timeout_s == Settings.progress_timeout_s
    return Limits(
        readiness_timeout_s=settings.readiness_timeout_s,
        probe_interval_s=settings.probe_interval_s,
        probe_timeout_s=settings.probe_timeout_s,
        probe_failures=max(settings.probe_failures, 1),
        progress_timeout_s=settings.progress_timeout_s if own is None or not is_default else own,
    )
