"""Ollama: its own routes, which stream JSON lines, and OpenAI's.

``server.py`` beside this file starts Ollama where nobody else does, pulls MODEL_NAME and keeps it
in memory: Ollama itself says that it is well long before, and forgets a model that is not used.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from vast_pyworker.settings import Settings
from vast_pyworker.worker import OpenAIBackend, Pattern, constant, forward, openai_routes
from vast_pyworker.worker.contract.spec import server_url_of

SERVER = Path(__file__).with_name("server.py")


class Backend(OpenAIBackend):
    """One Ollama. It has no gauges; ``concurrency`` is its OLLAMA_NUM_PARALLEL."""

    default_model_server = "http://127.0.0.1:11434"
    concurrency = 4
    health_path = "/"
    benchmark_output_tokens = 128
    ignores_eos = False
    log_patterns = (
        Pattern("loading", r"Listening on \S+ \(version|^ollama: loading |starting runner"),
        Pattern(
            "progress",
            r"^ollama: pulling \S+: (?P<percent>\d+)%, (?P<done>\d+) of (?P<total>\d+) bytes",
        ),
        Pattern("progress", r"model load progress|waiting for llama runner to start"),
        Pattern("loaded", r"^ollama: (?:\S+ is in memory|no model was named)"),
        Pattern("error", r"^ollama: it failed"),
        Pattern("error", r"\bLoad failed\b", count=3, window_s=120),  # one may be a client's wish
        Pattern("error", r"CUDA error: |cudaMalloc failed: out of memory"),
        Pattern("ignore", r"server busy, please try again|maximum pending requests exceeded"),
        Pattern("ignore", r"aborting completion request|client connection closed"),
        Pattern("ignore", r"^\[GIN\]"),
    )

    def model_command(self, settings: Settings) -> Sequence[str]:
        """``server.py``; it waits for an Ollama that somebody else starts, if none is installed."""
        super().model_command(settings)
        return [
            *(sys.executable, str(SERVER), "--url", server_url_of(self, settings)),
            *("--parallel", str(self.slots(settings))),
            *(("--model", self.model_name) if self.model_name else ()),
        ]


flask_dict = openai_routes(
    generate=("api/generate", "api/chat", "v1/messages"),
    embed=("api/embed", "api/embeddings"),
    quick=("api/show",),
    read=("api/tags", "api/version"),
    inspect=("api/ps",),
)
flask_dict["POST"]["api/pull"] = forward("/api/pull", workload=constant(1.0), concurrency=1)
