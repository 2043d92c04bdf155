"""``GenericLogWatch`` of 2024: turns the model's log lines into reports about the model.

A subclass sets ``loading_line`` (a regular expression) and overrides ``handle_line``, which calls
``model_loaded`` and ``send_model_update``. They tell the worker's own server (``/report_*``) and
the autoscaler. Measured capacity is kept in ``perf_file`` for the configuration it was measured
with, and for no other. What is not here: where lines come from
(``worker.modellog.legacy_logwatch``).
"""

from __future__ import annotations

import json
import logging
import math
import re
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

from . import environment
from .utils import send_data

INTERNAL = "logwatch-internal"
ROUNDS = 2
_CONFIGURATION = ("BACKEND", "MODEL_NAME", "MODEL_PATH", "MODEL_ARGS", "MODEL_CMD")

_log = logging.getLogger(__name__)


class GenericLogWatch(ABC):
    """Base of the 2024 log watches.

    ``perf_test`` measures capacity once the model is loaded: ``run(rounds)`` answers
    ``(success, units per second, seconds of latency)``. None: nothing is measured.
    """

    loading_line: str | None = None

    def __init__(
        self, id: Any, control_server_url: str, master_token: str | None, perf_test: Any
    ) -> None:
        self.id = id
        self.control_server_url = control_server_url
        self.master_token = master_token
        self.perf_test = perf_test
        self.auth_server_url = environment.own_address()
        self.start_time = time.time()
        self.max_total_tokens: Any = None
        self.max_batch_total_tokens: Any = None
        self.loading = False
        self.loaded = False
        self.perf_file = "perf_results.json"
        self.sanity_file: str | None = None

    @abstractmethod
    def handle_line(self, line: str) -> None:
        """Make of ``line`` what is to be made of it."""

    def check_loading(self, line: str) -> bool:
        """Whether ``line`` is the one that loading begins with; if so, the worker is told."""
        if self.loading_line is None or not re.search(self.loading_line, line):
            return False
        self.loading, self.loaded = True, False
        self._tell("/report_loading", {})
        return True

    def model_loaded(self) -> None:
        """Tell that the model is loaded, measure it, tell what it can do. Once for each loading."""
        if self.loaded:
            return
        self.loaded = True
        data = {"id": self.id, "loaded": True, "cur_perf": 0.0}
        data["loadtime"] = time.time() - self.start_time
        self._tell("/report_loaded", data)  # it takes no requests yet, but it is on its way
        data.update(self._measured())
        path = "/report_error" if "error_msg" in data else "/report_loaded"
        self._tell(path, {**data, "measured": True})
        status = {**data, "mtoken": self.master_token}
        send_data(status, self.control_server_url, "/worker_status/", "logwatch")

    def send_model_update(self, update_params: dict[str, Any]) -> None:
        """Tell the worker what the log says about a finished request."""
        self._tell("/report_done", {"id": self.id, **update_params})

    def load_perf_results(self, data: dict[str, Any]) -> None:
        """Add the kept ``max_perf`` and ``avg_latency`` to ``data``; nothing where none fit."""
        try:
            kept = json.loads(Path(self.perf_file).read_text("utf-8"))
            if kept["configuration"] == _configuration():
                data["max_perf"] = float(kept["throughput"])
                data["avg_latency"] = float(kept["avg_latency"])
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError, TypeError) as exc:
            _log.warning("%s is of no use and is measured again: %s", self.perf_file, exc)

    def run_perf_test(self, data: dict[str, Any]) -> None:
        """Measure, and add ``max_perf`` and ``avg_latency`` to ``data``, or an ``error_msg``."""
        if self.perf_test is None:
            return
        success, throughput, avg_latency = self.perf_test.run(ROUNDS)
        if not success:
            data["error_msg"] = "not all test requests succeeded"
        elif not self.metrics_sanity_check(throughput, avg_latency):
            data["error_msg"] = "performance metrics out of bounds"
        else:
            data["max_perf"], data["avg_latency"] = throughput, avg_latency
            self._keep(throughput, avg_latency)

    def metrics_sanity_check(self, throughput: float, avg_latency: float) -> bool:
        """Whether both are possible, and within the bounds in ``sanity_file`` if there is one."""
        if not (math.isfinite(throughput) and throughput > 0 and math.isfinite(avg_latency)):
            return False
        if self.sanity_file is None or not Path(self.sanity_file).exists():
            return True
        bounds = json.loads(Path(self.sanity_file).read_text("utf-8"))
        return bool(
            throughput < bounds["max_throughput"] and avg_latency > bounds["min_avg_latency"]
        )

    def _measured(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        self.load_perf_results(found)
        if not found:
            self.run_perf_test(found)
        return found

    def _keep(self, throughput: float, avg_latency: float) -> None:
        kept = {"throughput": throughput, "avg_latency": avg_latency}
        try:
            Path(self.perf_file).write_text(
                json.dumps({**kept, "configuration": _configuration()}), "utf-8"
            )
        except OSError as exc:
            _log.warning("%s cannot be written, so it is measured again: %s", self.perf_file, exc)

    def _tell(self, path: str, data: dict[str, Any]) -> None:
        send_data({**data, "mtoken": self.master_token}, self.auth_server_url, path, INTERNAL)


def _configuration() -> dict[str, str]:
    environ = environment.settings().environ
    return {name: environ.get(name, "") for name in _CONFIGURATION}
