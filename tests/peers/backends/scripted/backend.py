"""Passes requests on to a fake model server in every way there is, each with limits of its own."""

import time

from vast_pyworker.worker import Pattern, Relay, constant, forward, tokens
from vast_pyworker.worker.traffic.grants import signed_payload


class Backend:
    """Watched by whatever evidence READINESS names; measured where BENCHMARK_PAYLOADS is set."""

    default_model_server = "http://127.0.0.1:9"
    health_path = "/health"
    gauges_path = "/metrics"
    running_gauge = "fake:requests_running"
    progress_counters = ("fake:tokens_total",)
    readiness = "probe"
    concurrency = 64
    unit = "tokens"
    benchmark_route = "/benchmark"
    log_patterns = (
        Pattern("loading", r"^loading"),
        Pattern("progress", r"^fetched (?P<done>\S+) of (?P<total>\S+)"),
        Pattern("loaded", r"^up after (?P<seconds>\S+) s"),
        Pattern("error", r"^engine died"),
        Pattern("ignore", r"request \d+ failed"),
    )

    def __init__(self, *args, **kwargs):
        self.left = 0  # generators that were closed before their end


def by_flask(backend, request):
    """A handler of today: decides, and lets the worker carry the answer."""
    return Relay("/generate", json=signed_payload(request), workload=tokens)


def dozes(backend, request):
    """A handler that blocks its thread."""
    time.sleep(request.json["seconds"])
    return {"slept": request.json["seconds"]}


def drips(backend, request):
    """A stream that Flask itself writes, without end."""

    def pieces():
        try:
            while True:
                yield b"drip\n"
                time.sleep(0.02)
        finally:
            backend.left += 1

    return pieces(), {"Content-Type": "text/plain"}


def breaks(backend, request):
    """A stream that Flask itself writes, and that fails in its middle."""

    def pieces():
        yield b"piece\n"
        raise RuntimeError("in the middle")

    return pieces(), {"Content-Type": "text/plain"}


def left(backend, request):
    """How many of those streams were ended by their clients."""
    return {"left": backend.left}


flask_dict = {
    "POST": {
        "generate": forward("/generate", workload=tokens),
        "constant": forward("/generate", workload=constant(10.0)),
        "alone": forward("/generate", concurrency=1, max_queue=1, max_queue_time=0),
        "in_turn": forward("/generate", concurrency=1, max_queue=8, max_queue_time=0),
        "hurried": forward("/generate", concurrency=1, max_queue=8, max_queue_time=0.5),
        "by_flask": by_flask,
        "dozes": dozes,
    },
    "GET": {
        "info": forward("/info", method="GET", signed=False),
        "redirect": forward("/redirect", method="GET", signed=False),
        "socket": forward("/socket", method="GET", signed=False),
        "drips": drips,
        "breaks": breaks,
        "left": left,
    },
}
