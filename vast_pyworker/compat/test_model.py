"""``ModelPerfTest`` of 2024: how many units of work a second the model server does when it is full.

The log watches of 2024 make one with the name of their backend, tell it what a usual request
costs, and run it once the model is loaded. Requests go through the backend's own ``generate``,
uncounted. Throughput is work done over wall time, to the last byte; failed requests do no work.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from vast_pyworker.worker.contract.loading import construct, folders, load_backend

from . import environment

AT_ONCE = 100
LEAST_FINISHED = 0.75
TOKENS_PER_WORD = 2.75
_WORDS = "amber birch cedar delta ember fjord grove heath inlet juniper kelp lagoon"

Payload = Callable[[str, float], dict[str, Any]]
Cost = tuple[float, float]


def _tgi(prompt: str, output_cost: float) -> dict[str, Any]:
    return {"inputs": prompt, "parameters": {"max_new_tokens": int(output_cost)}}


def _ooba(prompt: str, output_cost: float) -> dict[str, Any]:
    return {"prompt": prompt, "max_new_tokens": int(output_cost)}


def _sdauto(prompt: str, output_cost: float) -> dict[str, Any]:
    side = max(8, int(math.sqrt(output_cost)) // 8 * 8)
    return {"prompt": prompt, "width": side, "height": side, "batch_size": 1, "steps": 3}


PAYLOADS: dict[str, Payload] = {"tgi": _tgi, "ooba": _ooba, "sdauto": _sdauto}


class ModelPerfTest:
    """Measures the backend ``backend_name``, the one that BACKEND and PYWORKER_BACKENDS find.

    Costs are in the backend's units of work. The backend is constructed, without reports, at the
    first request.
    """

    def __init__(self, backend_name: str = "tgi") -> None:
        self.backend_name = backend_name
        self.avg_req_load: float = 64.0
        self.max_req_load: float = 64.0
        self.avg_batch_load: float = 1024.0
        self._backend: Any = None

    @property
    def backend(self) -> Any:
        if self._backend is None:
            self._backend = _construct(self.backend_name)
        return self._backend

    def update_params(
        self, avg_req_load: float, max_req_load: float, avg_batch_load: float
    ) -> None:
        """What a usual request costs, the dearest one, and all those of a round together."""
        self.avg_req_load = avg_req_load
        self.max_req_load = max_req_load
        self.avg_batch_load = avg_batch_load

    def first_run(self) -> str:
        """``success``, or what went wrong with sixteen small requests."""
        requests = [(48.0, 16.0)] * 16
        _, _, _, finished = self.send_batch(requests)
        if finished == len(requests):
            return "success"
        return f"{finished} of {len(requests)} requests finished"

    def run(self, num_batches: int) -> tuple[bool, float, float]:
        """Whether enough requests finished, units of work a second, seconds a request took."""
        if num_batches < 1:
            raise ValueError("a measurement needs at least one round")
        rounds = [self.send_batch(self.make_batch()) for _ in range(num_batches)]
        elapsed_s, latency_s, work, finished = (sum(column) for column in zip(*rounds, strict=True))
        asked = num_batches * len(self.make_batch())
        if not finished or elapsed_s <= 0:
            return False, 0.0, 0.0
        return finished / asked > LEAST_FINISHED, work / elapsed_s, latency_s / finished

    def make_batch(self) -> list[Cost]:
        """The (input, output) costs of one round."""
        if self.backend_name == "tgi":
            return [(800.0, 256.0)] * 56
        count = max(1, int(self.avg_batch_load // max(self.avg_req_load, 1.0)))
        return [(self.avg_req_load * 3 / 4, self.avg_req_load / 4)] * min(count, AT_ONCE)

    def send_batch(self, req_load: list[Cost]) -> tuple[float, float, float, int]:
        """Seconds for all of them, the sum of their latencies, work done, how many finished."""
        backend = self.backend  # constructed before the clock starts
        started = time.monotonic()
        with ThreadPoolExecutor(min(AT_ONCE, len(req_load))) as pool:
            answers = list(pool.map(lambda cost: self._ask(backend, *cost), req_load))
        elapsed_s = time.monotonic() - started
        finished = [(latency_s, work) for code, latency_s, work in answers if code == 200]
        return (
            elapsed_s,
            sum(latency_s for latency_s, _ in finished),
            sum(work for _, work in finished),
            len(finished),
        )

    def prompt_model(self, input_cost: float, output_cost: float) -> tuple[int, float, float]:
        """Send one request: status, seconds and the work that was done."""
        return self._ask(self.backend, input_cost, output_cost)

    def _ask(self, backend: Any, input_cost: float, output_cost: float) -> tuple[int, float, float]:
        payload = PAYLOADS[self.backend_name](_prompt(input_cost), output_cost)
        started = time.monotonic()
        code, _, _ = backend.generate(payload, metrics=False)
        return code, time.monotonic() - started, input_cost + output_cost


def _prompt(tokens: float) -> str:
    count = max(1, int(tokens // TOKENS_PER_WORD))
    return " ".join(itertools.islice(itertools.cycle(_WORDS.split()), count))


def _construct(backend_name: str) -> Any:
    settings = environment.settings()
    loaded = load_backend(settings.backend or backend_name, folders(settings.backend_path))
    return construct(
        loaded,
        container_id=settings.container_id,
        control_server_url=",".join(settings.reports_to),
        master_token=settings.master_token,
        send_data=False,
    )
