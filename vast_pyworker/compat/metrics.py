"""``GenericMetrics`` of 2024: counts requests and reports them to the autoscaler from a thread.

A subclass counts with plain ``+=`` from many request threads, while the report thread reads and
zeroes the same fields. Its counting methods are therefore run one at a time, without it having to
know. The thread starts when the whole constructor is done, so it does not matter whether a
subclass calls ``super().__init__`` first or last. An error is reported, and the reports go on.
"""

from __future__ import annotations

import functools
import inspect
import logging
import math
import threading
import time
from abc import ABC, ABCMeta, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

import psutil

from .utils import send_data

KEEP_ALIVE_S = 10.0
_COUNTING = (
    "start_req",
    "finish_req",
    "error_req",
    "send_data_condition",
    "fill_data",
    "report_loading",
    "report_loaded",
    "report_error",
    "report_req_stats",
    "report_batch_capacity",
)

_log = logging.getLogger(__name__)


def _one_at_a_time(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def guarded(self: GenericMetrics, *args: Any, **kwargs: Any) -> Any:
        with self._lock:
            return method(self, *args, **kwargs)

    return guarded


class _Begun(ABCMeta):
    """Starts what it has made, once every constructor in the line has run."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        made = super().__call__(*args, **kwargs)
        if made.send_server_data:
            made.start()
        return made

    @property
    def __signature__(cls) -> inspect.Signature:
        """That of the constructor, which ``__call__`` would hide."""
        signature = inspect.signature(cls.__init__)  # type: ignore[misc]  # asked for by name only
        return signature.replace(parameters=list(signature.parameters.values())[1:])


class GenericMetrics(ABC, metaclass=_Begun):
    """Base of the 2024 metrics. ``id`` is the instance's number; ``send_server_data``: report.

    Fields named for load and performance are in the backend's own units of work.
    """

    _lock: threading.RLock

    def __new__(cls, *args: Any, **kwargs: Any) -> GenericMetrics:
        made = super().__new__(cls)
        made._lock = threading.RLock()  # subclasses may count before they call our constructor
        return made

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name in _COUNTING:
            if name in cls.__dict__:
                setattr(cls, name, _one_at_a_time(cls.__dict__[name]))

    def __init__(
        self, id: Any, master_token: str | None, control_server_url: str, send_server_data: bool
    ) -> None:
        self.id = int(id or 0)
        self.master_token = master_token
        self.control_server_url = control_server_url
        self.send_server_data = send_server_data
        self.overloaded = False
        self.error = False
        self.error_msg = ""
        self.num_requests_recieved = 0
        self.num_requests_finished = 0
        self.num_requests_working = 0
        self.cur_load = 0.0
        self.cur_perf = 0.0
        self.max_perf = 1.0
        self.cur_capacity = 0.0
        self.cur_capacity_lastreport = math.nan  # differs from every number: nothing was reported
        self.fill_data_lut = 0.0
        self.model_loading = False
        self.model_loaded = False
        self.loadtime = 0.0
        self.base_disk_usage = 0.0
        self.last_disk_usage = 0.0
        self.update_interval = 1.0
        self._sent_at = -math.inf
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    @abstractmethod
    def start_req(self, request: Any) -> None:
        """A request begins."""

    @abstractmethod
    def finish_req(self, request: Any) -> None:
        """It has been answered."""

    @abstractmethod
    def error_req(self, request: Any, code: int | None = None) -> None:
        """It has failed, with the model server's status where there was one."""

    @abstractmethod
    def send_data_condition(self) -> bool:
        """Whether there is something new to report."""

    @abstractmethod
    def fill_data(self, data: dict[str, Any]) -> None:
        """Put what is to be reported into ``data``; begin with ``fill_data_generic``."""

    def fill_data_generic(self, data: dict[str, Any]) -> None:
        """What every backend reports."""
        data["num_requests_working"] = self.num_requests_working
        data["num_requests_recieved"] = self.num_requests_recieved
        data["overloaded"] = self.overloaded
        data["cur_perf"] = self.cur_perf
        data["error"] = self.error
        if self.error:
            data["error_msg"] = self.error_msg
        if self.model_loaded:
            data["loadtime"] = self.loadtime
            data["max_perf"] = self.max_perf

    def update_loading(self, data: dict[str, Any]) -> None:
        """Disk use in GiB, now and since the last loading update."""
        usage = _disk_usage_gib()
        data["disk_usage"] = usage
        data["additional_disk_usage"] = usage - self.last_disk_usage
        self.last_disk_usage = usage

    def report_loading(self, log_data: Mapping[str, Any]) -> None:
        """The log says that the model is being loaded."""
        with self._lock:
            self.base_disk_usage = self.last_disk_usage = _disk_usage_gib()
            self.model_loading = True

    def report_loaded(self, log_data: Mapping[str, Any]) -> None:
        """The model is loaded, and ``measured`` where it says so. Clears an error."""
        with self._lock:
            self.model_loaded = True
            self.overloaded = self.error = False
            self.loadtime = log_data.get("loadtime", self.loadtime)
            self.max_perf = log_data.get("max_perf", self.max_perf)
            if "max_perf" in log_data or "measured" in log_data:
                self.model_loading = False

    def report_error(self, log_data: Mapping[str, Any]) -> None:
        """The model has failed; the next report says so."""
        with self._lock:
            self.error = True
            self.error_msg = str(log_data.get("error_msg", ""))
            self._sent_at = -math.inf

    def report_req_stats(self, log_data: Mapping[str, Any]) -> None:
        """The log tells of a finished request; override to learn from it."""

    def report_batch_capacity(self, json_data: Mapping[str, Any]) -> None:
        """The log tells how much fits in a batch; override to learn from it."""

    def start(self) -> None:
        """Begin to report, from a thread; does nothing where one is at work."""
        if self._thread is None or not self._thread.is_alive():
            self._stop.clear()
            self._thread = threading.Thread(
                target=self.send_data_loop, name="compat-metrics", daemon=True
            )
            self._thread.start()

    def stop(self) -> None:
        """Report no more; returns once a report under way has ended, within seconds."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(15.0)

    def send_data_loop(self) -> None:
        """Report until stopped, one message at a time."""
        while True:
            try:
                message = self.next_message(time.monotonic())
                if message is not None:
                    send_data(message, self.control_server_url, "/worker_status/", "metrics")
            except Exception:  # a subclass's counting is foreign code; the reports must go on
                _log.exception("%s could not say what to report", type(self).__name__)
            if self._stop.wait(self.update_interval):
                return

    def next_message(self, now: float) -> dict[str, Any] | None:
        """What is due at ``now`` (monotonic seconds), None for nothing.

        Every tenth interval while the model loads; nothing while it is measured; then whatever is
        new, and a sign of life every ten seconds.
        """
        data: dict[str, Any] = {"id": self.id, "mtoken": self.master_token}
        with self._lock:
            silent_s = now - self._sent_at
            if self.model_loading and not self.error:
                if self.model_loaded or silent_s < 10 * self.update_interval:
                    return None
                data["message"] = "loading update"
                self.update_loading(data)
            else:
                alive = (self.model_loaded or self.error) and silent_s >= KEEP_ALIVE_S
                if not (self.send_data_condition() or alive):
                    return None
                data["message"] = "data update"
                self.fill_data(data)
            self._sent_at = now
        return data


def _disk_usage_gib() -> float:
    return float(psutil.disk_usage("/").used) / 2**30
