"""Text Generation Inference (TGI): ``/generate``, ``/generate_stream`` and OpenAI's routes."""

from __future__ import annotations

from collections.abc import Sequence

from vast_pyworker.settings import Settings
from vast_pyworker.worker import OpenAIBackend, Pattern, token_routes
from vast_pyworker.worker.backend import HUB_PROGRESS, extra_arguments, has_program
from vast_pyworker.worker.modellog.patterns import TORCH_FATAL

OUT_OF_MEMORY = r"OutOfMemoryError"


class Backend(OpenAIBackend):
    """One TGI launcher. It turns down what is above ``concurrency`` itself, with 429."""

    default_model_server = "http://127.0.0.1:5001"
    concurrency = 128
    gauges_path = "/metrics"
    running_gauge = "tgi_batch_current_size"
    waiting_gauge = "tgi_queue_size"
    progress_counters = ("tgi_batch_inference_count", "tgi_request_generated_tokens_sum")
    ignores_eos = False
    log_patterns = (
        Pattern("loading", r"Starting (?:check and )?download|Starting shard|Starting Webserver"),
        Pattern("progress", r"Successfully downloaded weights|Download(?:ed|ing)? .*\.safetensors"),
        Pattern("progress", r"Shard ready in|Waiting for shard to be ready|Warming up model"),
        *HUB_PROGRESS,
        Pattern("capacity", r"Setting max batch total tokens to (?P<capacity>\d+)"),
        Pattern("loaded", r'"message":\s*"Connected"'),
        Pattern("loaded", r"text_generation_router.*[:m] Connected\b"),
        Pattern("error", r"Shard \d+ (?:failed to start|crashed)|Webserver Crashed"),
        Pattern("error", r"Shard process was signaled|ShardFailed"),
        Pattern("error", r"(?:WebserverFailed|DownloadError|ShardCannotStart)"),
        Pattern("error", r"Not enough memory to handle"),
        # One batch out of memory fails its requests and no more; one after another is a fault.
        Pattern("error", OUT_OF_MEMORY, count=3, window_s=60, reason="the GPU is out of memory"),
        *(each for each in TORCH_FATAL if OUT_OF_MEMORY not in each.regex),
        Pattern("ignore", r"Server error: CUDA out of memory|Model is overloaded"),
        Pattern("ignore", r"`inputs` (?:tokens|must have)|Input validation error"),
        Pattern("ignore", r"Request failed during generation"),
    )

    def model_command(self, settings: Settings) -> Sequence[str] | None:
        """Serve MODEL_PATH or MODEL_NAME where TGI is installed; TGI_ARGS come last and win."""
        model = settings.model_path or settings.model_name
        if not model or not has_program("text-generation-launcher", settings):
            return None
        host, port = self.listens_on(settings)
        return [
            *("text-generation-launcher", "--model-id", model, "--json-output"),
            *("--hostname", host, "--port", str(port)),
            *("--max-concurrent-requests", str(self.slots(settings))),
            *extra_arguments("TGI_ARGS", settings),
        ]


flask_dict = token_routes(
    generate=("", "generate", "generate_stream", "v1/chat/completions", "v1/completions"),
    quick=("tokenize", "chat_tokenize"),
    read=("info", "health", "v1/models"),
)
