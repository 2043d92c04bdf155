"""Text Embeddings Inference (TEI): embeddings, reranking and classification. Nothing streams."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vast_pyworker.settings import Settings
from vast_pyworker.worker import OpenAIBackend, Pattern, token_routes
from vast_pyworker.worker.backend import HUB_PROGRESS, extra_arguments, has_program

PROGRAM = "text-embeddings-router"


class Backend(OpenAIBackend):
    """One TEI router; work is the tokens of the inputs. It batches, and turns down with 429."""

    default_model_server = "http://127.0.0.1:5002"  # its own default, 3000, is the worker's
    concurrency = 512
    gauges_path = "/metrics"
    waiting_gauge = "te_queue_size"
    progress_counters = ("te_request_success", "te_request_count")
    benchmark_route = "/v1/embeddings"
    log_patterns = (
        Pattern("loading", r"text_embeddings_router.*Args \{|Starting model backend"),
        Pattern("progress", r"Starting download|Model artifacts downloaded in|Warming up model"),
        Pattern("progress", r"Downloading `|Maximum number of tokens per request"),
        *HUB_PROGRESS,
        Pattern("loaded", r'"message":\s*"Ready"|text_embeddings_router.*[:m] Ready\b'),
        Pattern("error", r"^Error: |Could not (?:download model artifacts|create backend)"),
        Pattern("error", r"CUDA_ERROR_(?:OUT_OF_MEMORY|ILLEGAL_ADDRESS)|`?CUDA`? runtime error"),
        Pattern("ignore", r"must have less than \d+ tokens|batch size \d+ > maximum allowed"),
        Pattern("ignore", r"Model is overloaded|Input validation error|cannot be empty"),
    )

    def model_command(self, settings: Settings) -> Sequence[str] | None:
        """Serve MODEL_PATH or MODEL_NAME where TEI is installed; TEI_ARGS come last and win."""
        model = settings.model_path or settings.model_name
        if not model or not has_program(PROGRAM, settings):
            return None
        host, port = self.listens_on(settings)
        return [
            *(PROGRAM, "--model-id", model, "--json-output"),
            *("--hostname", host, "--port", str(port)),
            *("--max-concurrent-requests", str(self.slots(settings))),
            *extra_arguments("TEI_ARGS", settings),
        ]

    def benchmark_payload(self) -> dict[str, Any]:
        told = super().benchmark_payload()
        return {"input": told["prompt"], "model": self.model_name or "tei"}


flask_dict = token_routes(
    embed=(
        *("embed", "embed_all", "embed_sparse", "v1/embeddings"),
        *("rerank", "predict", "similarity"),
    ),
    quick=("tokenize", "decode"),
    read=("info", "health"),
)
