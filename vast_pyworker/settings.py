"""One table of settings: name, type, default, sentence; help, validation and docs come from it.

Pure: ``Settings.from_env`` takes a mapping; only the composition roots hand it ``os.environ``.
A setting that is absent or empty takes its default; one that cannot be read is one sentence.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any
from urllib.parse import urlsplit

from .errors import SettingError

AUTOSCALER = "https://run.vast.ai"
MODEL_SERVER = "http://127.0.0.1:5001"


@dataclass(frozen=True)
class Setting:
    """One environment variable: how it is read and what it means."""

    attr: str
    default: Any
    name: str
    read: Callable[[str], Any]
    sentence: str
    aliases: tuple[str, ...] = ()
    secret: bool = False

    @property
    def type_name(self) -> str:
        return self.read.__name__.removeprefix("read_")


def read_text(raw: str) -> str:
    return raw


def read_integer(raw: str) -> int:
    return int(raw)


def read_port(raw: str) -> int:
    port = int(raw)
    if not 1 <= port <= 65535:
        raise ValueError("a port is a number from 1 to 65535")
    return port


def read_seconds(raw: str) -> float:
    value = float(raw)
    if not 0 <= value < float("inf"):
        raise ValueError("seconds are a number of 0 or more")
    return value


def read_count(raw: str) -> int:
    value = int(raw)
    if value < 0:
        raise ValueError("a count is a whole number of 0 or more")
    return value


def read_flag(raw: str) -> bool:
    value = raw.strip().lower()
    if value in ("1", "true", "yes", "on", "y", "t"):
        return True
    if value in ("0", "false", "no", "off", "n", "f"):
        return False
    raise ValueError("a flag is true or false")


def read_list(raw: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in re.split(r"[,\n]", raw) if part.strip())


def read_lines(raw: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in raw.splitlines() if line.strip())


def read_url(raw: str) -> str:
    parts = urlsplit(raw)
    if parts.scheme not in ("http", "https", "unix") or not (parts.netloc or parts.path):
        raise ValueError("a url starts with http://, https:// or unix:")
    return raw.rstrip("/")


def read_addresses(raw: str) -> tuple[str, ...]:
    return tuple(read_url(part) for part in read_list(raw))


def _setting(
    name: str,
    read: Callable[[str], Any],
    default: Any,
    sentence: str,
    *,
    aliases: tuple[str, ...] = (),
    secret: bool = False,
) -> Any:
    described = {"setting": (name, read, sentence, aliases, secret)}
    return field(default=default, metadata=described, repr=not secret)


@dataclass(frozen=True)
class Settings:
    """Every setting, read and checked. ``TABLE`` lists them."""

    backend: str = _setting("BACKEND", read_text, "", "Name of the backend directory to load.")
    backend_path: str = _setting(
        "PYWORKER_BACKENDS",
        read_text,
        "",
        "Folders to look for backends in before the shipped ones, joined by a colon.",
    )
    port: int = _setting(
        "WORKER_PORT", read_port, 3000, "Port the worker listens on.", aliases=("AUTH_PORT",)
    )
    host: str = _setting(
        "PYWORKER_HOST",
        read_text,
        "",
        "Address to bind; empty: 0.0.0.0 on an instance, 127.0.0.1 elsewhere; unix:PATH for a socket.",
    )
    http_port: int | None = _setting(
        "WORKER_HTTP_PORT",
        read_port,
        None,
        "Plain HTTP port for /session/end beside a TLS worker; default: WORKER_PORT + 1 on an instance.",
    )
    container_id: int | None = _setting(
        "CONTAINER_ID",
        read_integer,
        None,
        "Number of the instance; its presence means that this is a rented instance.",
    )
    public_ip: str = _setting("PUBLIC_IPADDR", read_text, "", "Public address of the instance.")
    report_addresses: tuple[str, ...] | None = _setting(
        "REPORT_ADDR",
        read_addresses,
        None,
        f"Autoscaler addresses, tried in order; default {AUTOSCALER} on an instance, none elsewhere.",
    )
    master_token: str | None = _setting(
        "MASTER_TOKEN",
        read_text,
        None,
        "Token shared with the autoscaler; never defaulted, nothing is accepted without one.",
        secret=True,
    )
    api_keys: tuple[str, ...] = _setting(
        "PYWORKER_API_KEYS",
        read_list,
        (),
        "Keys that may call signed routes directly as a Bearer token.",
        secret=True,
    )
    unsecured: bool | None = _setting(
        "UNSECURED",
        read_flag,
        None,
        "Accept unsigned requests on signed routes; default: only off an instance.",
    )
    use_ssl: bool = _setting(
        "USE_SSL", read_flag, False, "Serve TLS with PYWORKER_CERT and PYWORKER_KEY."
    )
    cert_file: str = _setting(
        "PYWORKER_CERT", read_text, "/etc/instance.crt", "Certificate file, PEM."
    )
    key_file: str = _setting(
        "PYWORKER_KEY", read_text, "/etc/instance.key", "Private key file, PEM."
    )
    model_server: str | None = _setting(
        "MODEL_SERVER_URL",
        read_url,
        None,
        f"Address of the model server; default: the backend's, else {MODEL_SERVER}.",
    )
    model_command: str | None = _setting(
        "MODEL_COMMAND",
        read_text,
        None,
        "Command that starts the model server; default: the backend's; none: it is started elsewhere.",
    )
    model_log: str | None = _setting(
        "MODEL_LOG", read_text, None, "Log file of the model server, watched for its state."
    )
    health_path: str | None = _setting(
        "MODEL_HEALTH_ENDPOINT",
        read_text,
        None,
        "Path or URL of the model server's health check; default: the backend's.",
    )
    model_name: str = _setting(
        "MODEL_NAME", read_text, "", "Name of the model, handed to the model server."
    )
    model_path: str = _setting(
        "MODEL_PATH", read_text, "", "Model file on disk, handed to the model server."
    )
    model_concurrency: int | None = _setting(
        "MODEL_CONCURRENCY",
        read_count,
        None,
        "Requests the model server works on at once, the rest wait in the worker; default: the backend's.",
    )
    load_log_lines: tuple[str, ...] = _setting(
        "MODEL_LOAD_LOG_MSG",
        read_lines,
        (),
        "Lines whose text means that the model has loaded; added to the backend's patterns.",
    )
    error_log_lines: tuple[str, ...] = _setting(
        "MODEL_ERROR_LOG_MSGS",
        read_lines,
        (),
        "Lines whose text means a fatal error of the model; added to the backend's patterns.",
    )
    readiness: str = _setting(
        "READINESS",
        read_text,
        "",
        "Evidence of readiness: any of log, probe, port, joined by +; default: the backend's.",
    )
    readiness_timeout_s: float = _setting(
        "READINESS_TIMEOUT",
        read_seconds,
        1800.0,
        "Seconds the model may take to load before the worker reports an error.",
    )
    probe_interval_s: float = _setting(
        "HEALTHCHECK_INTERVAL",
        read_seconds,
        10.0,
        "Seconds between health checks of a ready model.",
    )
    probe_timeout_s: float = _setting(
        "HEALTHCHECK_PROBE_TIMEOUT", read_seconds, 20.0, "Seconds one health check may take."
    )
    probe_failures: int = _setting(
        "HEALTHCHECK_FAILURES",
        read_count,
        3,
        "Consecutive failed health checks before a ready worker is degraded.",
    )
    progress_timeout_s: float = _setting(
        "PROGRESS_TIMEOUT",
        read_seconds,
        120.0,
        "Seconds without a byte or counter advancing, with requests running, before degraded.",
    )
    max_restarts: int = _setting(
        "MODEL_RESTARTS",
        read_count,
        5,
        "Restarts of the model within ten minutes before the worker gives up and reports an error.",
    )
    benchmark_file: str = _setting(
        "BENCHMARK_PAYLOADS",
        read_text,
        "",
        "JSON Lines file of payloads to measure capacity with; default: the backend's.",
    )
    benchmark_runs: int = _setting(
        "BENCHMARK_RUNS", read_count, 3, "Measured rounds of the benchmark."
    )
    benchmark_concurrency: int | None = _setting(
        "BENCHMARK_CONCURRENCY",
        read_count,
        None,
        "Requests at once in each round; default: the route's concurrency, at most 8.",
    )
    queue_timeout_s: float = _setting(
        "QUEUE_TIMEOUT",
        read_seconds,
        30.0,
        "Longest estimated wait, in seconds, that a request may be queued for; 0: no limit.",
    )
    max_queue: int = _setting("MAX_QUEUE", read_count, 256, "Deepest queue of one route.")
    connect_timeout_s: float = _setting(
        "CONNECT_TIMEOUT", read_seconds, 5.0, "Seconds to connect to the model server."
    )
    first_byte_timeout_s: float = _setting(
        "FIRST_BYTE_TIMEOUT",
        read_seconds,
        600.0,
        "Seconds until the model server's first byte; 0: no limit.",
    )
    silence_timeout_s: float = _setting(
        "SILENCE_TIMEOUT",
        read_seconds,
        120.0,
        "Seconds between two pieces of an answer; 0: no limit.",
    )
    total_timeout_s: float = _setting(
        "TOTAL_TIMEOUT", read_seconds, 0.0, "Seconds one request may take in all; 0: no limit."
    )
    max_body_bytes: int = _setting(
        "MAX_BODY", read_count, 64 * 1024 * 1024, "Largest request body in bytes."
    )
    threads: int = _setting("WORKER_THREADS", read_count, 32, "Threads for handlers that block.")
    max_connections: int = _setting(
        "MAX_CONNECTIONS", read_count, 4096, "Client connections at once."
    )
    drain_s: float = _setting(
        "DRAIN_TIMEOUT",
        read_seconds,
        60.0,
        "Seconds that requests in flight may take after SIGTERM.",
    )
    max_sessions: int = _setting(
        "MAX_SESSIONS", read_count, 10, "Open sessions at once; 0: no limit."
    )
    workspace: str = _setting(
        "WORKSPACE_DIR", read_text, "/home/workspace", "Folder of the installation."
    )
    state_dir: str = _setting(
        "PYWORKER_STATE",
        read_text,
        "",
        "Folder of pid files, logs and the measured capacity; default: .pyworker in the installation.",
    )
    log_level: str = _setting("LOG_LEVEL", read_text, "info", "Least severity that is logged.")
    log_format: str = _setting(
        "LOG_FORMAT", read_text, "json", "json: one object a line; text: for people."
    )
    extended_reports: bool | None = _setting(
        "PYWORKER_EXTENDED",
        read_flag,
        None,
        "Send our extra report fields; default: where the autoscaler announces that it takes them.",
    )
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Settings:
        """Read every setting from ``environ``; raise SettingError for the first bad one."""
        return cls(**{s.attr: _read(s, environ) for s in TABLE}, environ=dict(environ))

    @property
    def on_instance(self) -> bool:
        """Whether this is a rented instance: it has a number."""
        return self.container_id is not None

    @property
    def bind_host(self) -> str:
        default = "0.0.0.0" if self.on_instance else "127.0.0.1"
        return self.host or default

    @property
    def reports_to(self) -> tuple[str, ...]:
        """Autoscaler addresses in the order to try; empty: no reports."""
        if self.report_addresses is not None:
            return self.report_addresses
        return (AUTOSCALER,) if self.on_instance else ()

    @property
    def accepts_unsigned(self) -> bool:
        """Whether signed routes take unsigned requests."""
        if self.unsecured is not None:
            return self.unsecured
        return not self.on_instance and not self.reports_to

    @property
    def url(self) -> str:
        """The address clients are sent to, byte for byte the one that grants are signed for."""
        scheme = "https" if self.use_ssl else "http"
        mapped = self.environ.get(f"VAST_TCP_PORT_{self.port}") or str(self.port)
        return f"{scheme}://{self.public_ip or '127.0.0.1'}:{mapped}"


TABLE: tuple[Setting, ...] = tuple(
    Setting(f.name, f.default, *f.metadata["setting"]) for f in fields(Settings) if f.metadata
)


def _read(setting: Setting, environ: Mapping[str, str]) -> Any:
    for name in (setting.name, *setting.aliases):
        raw = environ.get(name, "")
        if not raw.strip():
            continue
        try:
            return setting.read(raw.strip())
        except ValueError as exc:
            shown = "its value" if setting.secret else repr(raw)
            raise SettingError(
                f"{name} cannot be {shown}: {exc}. {setting.sentence} Correct or unset it."
            ) from exc
    return setting.default
