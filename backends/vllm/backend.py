"""vLLM: its OpenAI routes, and those beside them that it serves on the same port."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vast_pyworker.settings import Settings
from vast_pyworker.worker import (
    OpenAIBackend,
    Pattern,
    audio_seconds,
    forward,
    openai_routes,
)
from vast_pyworker.worker.backend import HUB_PROGRESS, extra_arguments, has_program
from vast_pyworker.worker.modellog.patterns import TORCH_FATAL

AUDIO_TOKENS_PER_SECOND = 50  # Whisper turns 30 seconds into 1,500


class Backend(OpenAIBackend):
    """One vLLM server. ``concurrency`` is its own limit of sequences (--max-num-seqs)."""

    default_model_server = "http://127.0.0.1:18000"
    concurrency = 256
    gauges_path = "/metrics"
    running_gauge = "vllm:num_requests_running"
    waiting_gauge = "vllm:num_requests_waiting"
    progress_counters = (
        "vllm:iteration_tokens_total_count",
        "vllm:prompt_tokens_total",
        "vllm:generation_tokens_total",
    )
    log_patterns = (
        Pattern("loading", r"vLLM API server version|Starting to load model|Loading weights took"),
        Pattern("progress", r"Capturing CUDA graphs?\b.*: +(?P<percent>\d+)%"),
        Pattern("progress", r"torch\.compile takes|Available KV cache memory"),
        *HUB_PROGRESS,
        Pattern("capacity", r"GPU KV cache size: (?P<capacity>[\d,]+) tokens"),
        Pattern("loaded", r"Application startup complete\."),
        Pattern("error", r"EngineCore failed to start|RuntimeError: Engine |INFO exited: vllm"),
        Pattern("error", r"EngineDeadError|\(engine dead\)", reason="the engine is dead"),
        Pattern("error", r"less than desired GPU memory utilization|No available memory for the"),
        Pattern(
            "error", r"larger than the maximum number of tokens that can be stored in KV cache"
        ),
        *TORCH_FATAL,
        Pattern("ignore", r"Error in preprocessing prompt inputs|maximum context length is"),
        Pattern("ignore", r'"(?:GET|POST) /.* HTTP/1\.\d" \d{3}'),
    )

    def model_command(self, settings: Settings) -> Sequence[str] | None:
        """Serve MODEL_PATH or MODEL_NAME where vLLM is installed; VLLM_ARGS come last and win."""
        model = settings.model_path or settings.model_name
        if not model or not has_program("vllm", settings):
            return None
        host, port = self.listens_on(settings)
        return [
            *("vllm", "serve", model, "--host", host, "--port", str(port)),
            *("--max-num-seqs", str(self.slots(settings))),
            *(("--served-model-name", settings.model_name) if settings.model_name else ()),
            *extra_arguments("VLLM_ARGS", settings),
        ]


def audio_tokens(payload: Mapping[str, Any]) -> float:
    """Work of a transcription in the unit of the other routes."""
    return AUDIO_TOKENS_PER_SECOND * audio_seconds(payload)


flask_dict = openai_routes(
    generate=("v1/messages",),
    embed=("v1/rerank", "v1/score", "pooling"),
    quick=("tokenize", "detokenize"),
    read=("version", "health"),
    inspect=("load",),
)
flask_dict["POST"]["v1/audio/transcriptions"] = forward(
    "/v1/audio/transcriptions", workload=audio_tokens
)
