"""Any server that speaks OpenAI's API, started by somebody else, at MODEL_SERVER_URL."""

from __future__ import annotations

from vast_pyworker.worker import OpenAIBackend, openai_routes


class Backend(OpenAIBackend):
    """A server of which nothing is known but its API, so nothing but its API is asked of it."""

    readiness = "probe"
    health_path = "/v1/models"
    concurrency = 256
    benchmark_route = "/v1/chat/completions"
    ignores_eos = False


flask_dict = openai_routes(embed=("v1/rerank",))
