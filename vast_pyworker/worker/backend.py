"""Base classes for backends of model servers, and the routes they share. None must be inherited.

What is here: the attributes the worker looks for on a Backend, with their defaults; what a server
that speaks OpenAI's API needs; builders of ``flask_dict``. What is not: anything that runs. The
environment is read by ``Settings``; a backend is handed them where it needs them.
"""

from __future__ import annotations

import itertools
import shlex
import shutil
from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import urlsplit

from vast_pyworker.settings import Settings

from .contract.spec import server_url_of
from .modellog.patterns import Pattern
from .traffic.forwarding import Forward, forward
from .units.token_work import Tokens
from .units.work import Calculator
from .units.workload import constant, tokens

FlaskDict = dict[str, dict[str, Forward]]

GENERATE = ("v1/chat/completions", "v1/completions", "v1/responses")
EMBED = ("v1/embeddings",)
READ = ("v1/models",)

QUICK_CONCURRENCY = 64
"""Requests at once on each route that computes next to nothing: it does not wait for the model."""

HUB_PROGRESS = (
    Pattern(
        "progress",
        r"\.(?:safetensors|bin|gguf|pth?): +(?P<percent>\d+)%\|.*\| "
        r"(?P<done>[\d.]+[kMGT]?)/(?P<total>[\d.]+[kMGT]?) \[[^,]*"
        r"(?:, *(?P<rate>[\d.]+[kMGT]?B/s))?",
    ),
    Pattern("progress", r"Fetching \d+ files: +(?P<percent>\d+)%"),
    Pattern("progress", r"checkpoint shards: +(?P<percent>\d+)% Completed"),
)
"""How libraries of Hugging Face log a download, and the loading of what was downloaded."""

BENCHMARK_SENTENCE = "The quick brown fox jumps over the lazy dog near the river bank. "


class ModelBackend:
    """A backend whose model server runs beside the worker.

    Everything here may be overridden by an attribute of the same name, and most of it by a setting
    (named in brackets, which goes first).

    ``model_server``       its address, whatever MODEL_SERVER_URL says
    ``default_model_server``  its address where there is no MODEL_SERVER_URL
    ``model_name``         the name that requests call it by [MODEL_NAME]
    ``model_log``          path of its log [MODEL_LOG]
    ``log_patterns``       what lines of the log mean
    ``readiness``          evidence that it can serve: log, probe, port, joined by + [READINESS]
    ``health_path``        answers 200 when it can serve [MODEL_HEALTH_ENDPOINT]
    ``gauges_path``        its Prometheus metrics; ``running_gauge`` and ``waiting_gauge`` are the
                           requests in it, ``progress_counters`` grow while it works
    ``concurrency``        requests it works on at once; more wait in the worker [MODEL_CONCURRENCY]
    ``unit``               what ``workload(payload)`` counts
    ``benchmark_route``    where ``benchmark_payload()``, if there is one, is sent to
    """

    model_server: str | None = None
    default_model_server: str | None = None
    model_name: str = ""
    model_log: str | None = None
    log_patterns: Sequence[Pattern] = ()
    readiness: str = "log+probe"
    health_path: str = "/health"
    gauges_path: str | None = None
    running_gauge: str | None = None
    waiting_gauge: str | None = None
    progress_counters: Sequence[str] = ()
    concurrency: int | None = None
    unit: str = "tokens"
    workload: Calculator = tokens
    benchmark_route: str | None = None

    def __init__(
        self,
        container_id: int | None = None,
        control_server_url: str | None = None,
        master_token: str | None = None,
        send_data: bool | None = None,
        **_: Any,
    ) -> None:
        self.container_id = container_id
        self.control_server_url = control_server_url
        self.master_token = master_token
        self.send_data = send_data

    def model_command(self, settings: Settings) -> Sequence[str] | None:
        """The command that starts the model server; None: it is started elsewhere."""
        return None

    def listens_on(self, settings: Settings) -> tuple[str, int]:
        """Host and port for the model server to listen on, out of its address."""
        parts = urlsplit(server_url_of(self, settings))
        return parts.hostname or "127.0.0.1", parts.port or 80

    def slots(self, settings: Settings) -> int | None:
        """Requests for the model server to work on at once: as many as the worker lets through."""
        return settings.model_concurrency or self.concurrency


class OpenAIBackend(ModelBackend):
    """A backend whose model server speaks OpenAI's API; capacity is measured with completions.

    A benchmark request has about ``benchmark_prompt_tokens`` and asks for
    ``benchmark_output_tokens``. ``ignores_eos``: the server knows the parameter ``ignore_eos``, so
    that an answer is as long as was asked for.
    """

    benchmark_route = "/v1/completions"
    benchmark_prompt_tokens = 256
    benchmark_output_tokens = 256
    ignores_eos = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._serial = itertools.count(1)

    def model_command(self, settings: Settings) -> Sequence[str] | None:
        """None: the server is started elsewhere. What it calls its model is kept for benchmarks."""
        self.model_name = settings.model_name or self.model_name
        return None

    def benchmark_payload(self) -> dict[str, Any]:
        """A request that no prompt cache has seen: every call gives another one."""
        repeats = 4 * self.benchmark_prompt_tokens // len(BENCHMARK_SENTENCE)
        prompt = f"{next(self._serial)}. {BENCHMARK_SENTENCE * repeats}"
        payload: dict[str, Any] = {"max_tokens": self.benchmark_output_tokens}
        if "chat" in str(self.benchmark_route):
            payload["messages"] = [{"role": "user", "content": prompt}]
        else:
            payload["prompt"] = prompt
        if self.model_name:
            payload["model"] = self.model_name
        return payload | ({"ignore_eos": True} if self.ignores_eos else {})


def token_routes(
    *,
    generate: Iterable[str] = (),
    embed: Iterable[str] = (),
    quick: Iterable[str] = (),
    read: Iterable[str] = (),
    inspect: Iterable[str] = (),
) -> FlaskDict:
    """A ``flask_dict`` that passes these paths on as they are, counted in tokens.

    ``generate``: POST, prompt and answer count. ``embed``: POST, the prompt counts. ``quick``: POST
    that the model has no part in. ``read``: GET, open to everybody. ``inspect``: GET, signed.
    """
    prompt_only = Tokens(default_output=0)
    posts = {path: forward(f"/{path}", workload=tokens) for path in generate}
    posts |= {path: forward(f"/{path}", workload=prompt_only) for path in embed}
    posts |= {path: _quick(path) for path in quick}
    gets = {path: _read(path, signed=False) for path in read}
    gets |= {path: _read(path, signed=True) for path in inspect}
    return {"POST": posts, "GET": gets}


def openai_routes(
    *,
    generate: Iterable[str] = (),
    embed: Iterable[str] = (),
    quick: Iterable[str] = (),
    read: Iterable[str] = (),
    inspect: Iterable[str] = (),
) -> FlaskDict:
    """OpenAI's routes for text, and these besides; see ``token_routes``."""
    return token_routes(
        generate=(*GENERATE, *generate),
        embed=(*EMBED, *embed),
        quick=quick,
        read=(*READ, *read),
        inspect=inspect,
    )


def has_program(name: str, settings: Settings) -> bool:
    """Whether a program of this name can be started."""
    return shutil.which(name, path=settings.environ.get("PATH")) is not None


def extra_arguments(name: str, settings: Settings) -> list[str]:
    """What the operator adds to the model's command by the variable ``name``, as a shell splits."""
    return shlex.split(settings.environ.get(name, ""))


def _quick(path: str) -> Forward:
    return forward(f"/{path}", concurrency=QUICK_CONCURRENCY, workload=constant(1.0))


def _read(path: str, *, signed: bool) -> Forward:
    return forward(f"/{path}", method="GET", concurrency=QUICK_CONCURRENCY, signed=signed)
