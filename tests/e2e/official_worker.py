"""Vast's own worker (the package ``vastai``) in front of a model server. It runs in an instance,
in whose folder are the model's log and a capacity that was measured before.
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


def main() -> None:
    address, port = os.environ["MODEL_SERVER_URL"].rsplit(":", 1)
    handler = HandlerConfig(
        route="/generate",
        allow_parallel_requests=True,
        max_queue_time=10.0,
        workload_calculator=lambda payload: float(payload.get("load", 10.0)),
        benchmark_config=BenchmarkConfig(dataset=[{"script": {}}]),
    )
    config = WorkerConfig(
        model_server_url=address,
        model_server_port=int(port),
        model_log_file="model.log",
        model_healthcheck_url="/health",
        log_action_config=LogActionConfig(on_load=["model is loaded"]),
        handlers=[handler],
    )
    Worker(config).run(host="127.0.0.1")


if __name__ == "__main__":
    main()
