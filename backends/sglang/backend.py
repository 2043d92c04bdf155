"""SGLang: its OpenAI routes and its own ``/generate``."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence

from vast_pyworker.settings import Settings
from vast_pyworker.worker import OpenAIBackend, Pattern, openai_routes
from vast_pyworker.worker.backend import HUB_PROGRESS, extra_arguments
from vast_pyworker.worker.modellog.patterns import TORCH_FATAL


class Backend(OpenAIBackend):
    """One SGLang server. Its HTTP process survives the death of its scheduler: the log tells."""

    default_model_server = "http://127.0.0.1:30000"
    concurrency = 256
    gauges_path = "/metrics"
    running_gauge = "sglang:num_running_reqs"
    waiting_gauge = "sglang:num_queue_reqs"
    progress_counters = ("sglang:prompt_tokens_total", "sglang:generation_tokens_total")
    log_patterns = (
        Pattern("loading", r"Init torch distributed begin|Load weight begin"),
        Pattern("progress", r"Load weight end|KV Cache is allocated|Capture cuda graph begin"),
        Pattern("progress", r"(?:Prefill|Decode) batch\b"),
        *HUB_PROGRESS,
        Pattern("capacity", r"max_total_num_tokens=(?P<capacity>\d+)"),
        Pattern("loaded", r"The server is fired up and ready to roll!"),
        Pattern("error", r"(?:Scheduler|Detokenizer(?:Manager)?) hit an exception"),
        Pattern("error", r"Received sigquit from a child process"),
        *TORCH_FATAL,
        Pattern("ignore", r"is longer than the model's context length|Request .*was aborted"),
        Pattern("ignore", r'"(?:GET|POST) /.* HTTP/1\.\d" \d{3}'),
    )

    def model_command(self, settings: Settings) -> Sequence[str] | None:
        """Serve MODEL_PATH or MODEL_NAME where SGLang is installed; SGLANG_ARGS come last.

        SGLANG_PYTHON names the interpreter that has it, if it is not the worker's own.
        """
        own = sys.executable if importlib.util.find_spec("sglang") else None
        python = settings.environ.get("SGLANG_PYTHON") or own
        model = settings.model_path or settings.model_name
        if not model or not python:
            return None
        host, port = self.listens_on(settings)
        return [
            *(python, "-m", "sglang.launch_server", "--model-path", model),
            *("--host", host, "--port", str(port), "--enable-metrics"),
            *("--max-running-requests", str(self.slots(settings))),
            *(("--served-model-name", settings.model_name) if settings.model_name else ()),
            *extra_arguments("SGLANG_ARGS", settings),
        ]


flask_dict = openai_routes(
    generate=("generate",),
    embed=("encode", "v1/rerank", "v1/score"),
    read=("health", "get_model_info"),
    inspect=("get_server_info",),
)
