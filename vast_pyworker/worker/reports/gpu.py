"""What the GPUs say of themselves, through NVML; what they do not say is None.

What is here: one thread that asks every few seconds and keeps the latest answer. What is not:
judging it (``metrics`` and reports show it). A thread, because a driver that has lost a GPU can
hold a call for minutes, and the report that says so must not wait for it.

Nothing here raises. A machine without NVML, or with one that fails, has unknown GPUs, which is
logged once and is not the same as having none.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

log = logging.getLogger(__name__)

INTERVAL_S = 5.0
MISSED_READINGS = 3
STOP_WAIT_S = 1.0
MOST_EVENTS = 64  # in one reading: an endless storm of errors must not hold the thread


@dataclass(frozen=True)
class GpuProcess:
    """A process on a GPU, by the number it has on the host. None: the driver does not tell."""

    pid: int
    memory_used_bytes: int | None


@dataclass(frozen=True)
class Gpu:
    """One reading of one GPU; None is unknown, or not supported by it.

    ``utilization_ratio`` is from 0 to 1. ECC errors count since the driver was loaded. ``xids``
    are the driver's critical errors since we began to listen, oldest first, the latest 64.
    ``is_lost`` says that the driver cannot reach the GPU any more; its name stays known.
    """

    index: int
    name: str | None = None
    uuid: str | None = None
    utilization_ratio: float | None = None
    memory_used_bytes: int | None = None
    memory_total_bytes: int | None = None
    temperature_celsius: int | None = None
    power_watts: float | None = None
    ecc_corrected: int | None = None
    ecc_uncorrected: int | None = None
    xids: tuple[int, ...] | None = None
    processes: tuple[GpuProcess, ...] | None = None
    is_lost: bool = False


class GpuGauge:
    """The GPUs of this machine. ``driver_version`` is None until it is known."""

    def __init__(
        self, interval_s: float = INTERVAL_S, now: Callable[[], float] = time.monotonic
    ) -> None:
        self.driver_version: str | None = None
        self._interval_s = interval_s
        self._now = now
        self._latest: tuple[float, tuple[Gpu, ...]] | None = None
        self._asked = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, wait_s: float = 2.0) -> None:
        """Begin to ask; waits for the first answer, but for ``wait_s`` at most."""
        if self._thread is None:
            self._stopping.clear()
            self._thread = threading.Thread(target=self._run, name="gpu", daemon=True)
            self._thread.start()
        self._asked.wait(wait_s)

    def stop(self) -> None:
        """Ask no more. A call that hangs in the driver is left behind with its thread."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(STOP_WAIT_S)
            self._thread = None
        self._latest = None

    def snapshot(self) -> tuple[Gpu, ...] | None:
        """The latest reading, in the driver's order; None: unknown, or too old to be believed."""
        latest = self._latest
        if latest is None or self._now() - latest[0] > MISSED_READINGS * self._interval_s:
            return None
        return latest[1]

    def documents(self) -> tuple[dict[str, Any], ...] | None:
        """The same as JSON objects, for reports and metrics."""
        gpus = self.snapshot()
        return None if gpus is None else tuple(asdict(gpu) for gpu in gpus)

    def _run(self) -> None:
        try:
            nvml = _open()
            if nvml is not None:
                self._watch(nvml)
        except Exception:  # the edge of the thread: a surprise is unknown GPUs, not a dead worker
            log.exception("GPUs are unknown from now on.")
        finally:
            self._asked.set()

    def _watch(self, nvml: Any) -> None:
        devices: list[_Device] = []
        try:
            version = _ask(nvml, nvml.nvmlSystemGetDriverVersion)
            self.driver_version = None if version is None else str(version)
            count = _ask(nvml, nvml.nvmlDeviceGetCount)
            if count is None:
                log.warning("GPUs are unknown, because NVML cannot count them: run nvidia-smi.")
                return
            devices.extend(_Device(nvml, index) for index in range(count))
            while not self._stopping.is_set():
                self._latest = (self._now(), tuple(device.read() for device in devices))
                self._asked.set()
                self._stopping.wait(self._interval_s)
        finally:
            for device in devices:
                device.close()
            _ask(nvml, nvml.nvmlShutdown)


def _open() -> Any:
    """NVML, ready to be asked, or None with a line that says why."""
    try:
        import pynvml  # here, because a machine without GPUs need not wait for it
    except ImportError as exc:
        log.info("GPUs are unknown, because pynvml cannot be imported (%s).", exc)
        return None
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as exc:
        log.info("GPUs are unknown, because NVML is not available (%s).", exc)
        return None
    return pynvml


def _ask(nvml: Any, call: Callable[..., Any], *args: Any) -> Any:
    try:
        return call(*args)
    except nvml.NVMLError:
        return None


class _Device:
    """One GPU; remembers what is told only once."""

    def __init__(self, nvml: Any, index: int) -> None:
        self._nvml = nvml
        self._index = index
        self._is_lost = self._was_lost = False
        self._name: str | None = None
        self._uuid: str | None = None
        self._xids: list[int] = []
        self._handle = self._ask(nvml.nvmlDeviceGetHandleByIndex, index)
        self._events = self._of(_event_set, nvml)

    def read(self) -> Gpu:
        nvml = self._nvml
        self._is_lost = False
        if self._handle is None:
            self._handle = self._ask(nvml.nvmlDeviceGetHandleByIndex, self._index)
        self._name = self._name or self._of(nvml.nvmlDeviceGetName)
        self._uuid = self._uuid or self._of(nvml.nvmlDeviceGetUUID)
        memory = self._of(nvml.nvmlDeviceGetMemoryInfo)
        utilization = self._of(nvml.nvmlDeviceGetUtilizationRates)
        milliwatts = self._of(nvml.nvmlDeviceGetPowerUsage)
        reading = Gpu(
            index=self._index,
            name=self._name,
            uuid=self._uuid,
            utilization_ratio=None if utilization is None else utilization.gpu / 100,
            memory_used_bytes=None if memory is None else memory.used,
            memory_total_bytes=None if memory is None else memory.total,
            temperature_celsius=self._of(nvml.nvmlDeviceGetTemperature, nvml.NVML_TEMPERATURE_GPU),
            power_watts=None if milliwatts is None else milliwatts / 1000,
            ecc_corrected=self._ecc(nvml.NVML_MEMORY_ERROR_TYPE_CORRECTED),
            ecc_uncorrected=self._ecc(nvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED),
            xids=self._hear(),
            processes=self._processes(),
            is_lost=self._is_lost,  # said by any of the answers before
        )
        if reading.is_lost and not self._was_lost:
            log.error("GPU %d is lost: restart the instance, or rent another.", self._index)
        self._was_lost = reading.is_lost
        return reading

    def close(self) -> None:
        """Hear no more."""
        if self._events is not None:
            self._ask(self._nvml.nvmlEventSetFree, self._events)

    def _of(self, call: Callable[..., Any], *args: Any) -> Any:
        return None if self._handle is None else self._ask(call, self._handle, *args)

    def _ask(self, call: Callable[..., Any], *args: Any) -> Any:
        try:
            return call(*args)
        except self._nvml.NVMLError as exc:
            self._is_lost = self._is_lost or exc.value == self._nvml.NVML_ERROR_GPU_IS_LOST
            return None

    def _ecc(self, kind: int) -> int | None:
        volatile = self._nvml.NVML_VOLATILE_ECC
        count: int | None = self._of(self._nvml.nvmlDeviceGetTotalEccErrors, kind, volatile)
        return count

    def _processes(self) -> tuple[GpuProcess, ...] | None:
        found = self._of(self._nvml.nvmlDeviceGetComputeRunningProcesses)
        if found is None:
            return None
        return tuple(GpuProcess(each.pid, each.usedGpuMemory) for each in found)

    def _hear(self) -> tuple[int, ...] | None:
        """Every critical error since we began to listen; None: this GPU does not tell."""
        if self._events is None:
            return None
        for _ in range(MOST_EVENTS):
            event = self._ask(self._nvml.nvmlEventSetWait, self._events, 0)
            if event is None:  # most often a time-out: there is nothing new
                break
            self._xids.append(event.eventData)
            log.error("GPU %d reports Xid %d.", self._index, event.eventData)
        del self._xids[:-MOST_EVENTS]
        return tuple(self._xids)


def _event_set(handle: Any, nvml: Any) -> Any:
    """Raises NVMLError where this GPU does not report critical errors."""
    events = nvml.nvmlEventSetCreate()
    try:
        nvml.nvmlDeviceRegisterEvents(handle, nvml.nvmlEventTypeXidCriticalError, events)
    except nvml.NVMLError:
        nvml.nvmlEventSetFree(events)
        raise
    return events
