"""The official worker (the package vastai) in front of the same model server, by its own code.

Both handlers run in parallel and never refuse for queueing, so that every request is relayed. The
file .has_benchmark in the working folder holds a measured capacity: it does not benchmark itself.
"""

from __future__ import annotations

import os

from vastai.serverless.server.worker import (
    BenchmarkConfig,
    HandlerConfig,
    LogActionConfig,
    Worker,
    WorkerConfig,
)


def work(payload: dict) -> float:
    return len(payload["inputs"]) / 4 + payload["parameters"]["max_new_tokens"]


def handler(route: str, benchmark: BenchmarkConfig | None = None) -> HandlerConfig:
    return HandlerConfig(
        route=route,
        allow_parallel_requests=True,
        max_queue_time=None,
        workload_calculator=work,
        benchmark_config=benchmark,
    )


def main() -> None:
    sample = {"inputs": "", "parameters": {"max_new_tokens": 1}}
    address, port = os.environ["MODEL_SERVER_URL"].rsplit(":", 1)
    config = WorkerConfig(
        model_server_url=address,
        model_server_port=int(port),
        model_log_file=os.environ["MODEL_LOG"],
        log_action_config=LogActionConfig(on_load=["model is loaded"]),
        handlers=[
            handler("/generate", BenchmarkConfig(dataset=[sample])),
            handler("/generate_stream"),
        ],
    )
    Worker(config).run(host="127.0.0.1")


if __name__ == "__main__":
    main()
