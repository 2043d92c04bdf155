"""The GPU gauge over pynvml itself, over a library that speaks NVML's C interface.

The library is found by the dynamic loader, so each reading takes a process of its own.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from vast_pyworker.worker.reports.gpu import Gpu, GpuGauge

SOURCE = Path(__file__).parents[3] / "native" / "fake_nvml.c"
GIB = 2**30

READER = """
import json, logging, sys, threading, time
from dataclasses import asdict
from vast_pyworker.worker.reports.gpu import GpuGauge

logging.basicConfig(stream=sys.stderr, format="%(message)s", level=logging.INFO)
gauge = GpuGauge(interval_s=0.01)
gauge.start(wait_s=20)
readings = [gauge.snapshot()]
give_up_at = time.monotonic() + 20
while not (WANTED) and time.monotonic() < give_up_at:
    time.sleep(0.005)
    readings.append(gauge.snapshot())
documents = gauge.documents()
thread = [each for each in threading.enumerate() if each.name == "gpu"]
gauge.stop()
last = readings[-1]
print(json.dumps({
    "gpus": None if last is None else [asdict(each) for each in last],
    "documents": documents,
    "first": None if readings[0] is None else len(readings[0]),
    "driver": gauge.driver_version,
    "stopped": not any(each.is_alive() for each in thread),
}))
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with our libnvidia-ml.so.1."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler to build the stand-in for NVML with")
    folder = tmp_path_factory.mktemp("nvml")
    target = folder / "libnvidia-ml.so.1"
    flags = ["-shared", "-fPIC", "-Wall", "-Wextra", "-Werror"]
    subprocess.run([compiler, *flags, "-o", str(target), str(SOURCE)], check=True, timeout=60)
    return folder


class Readings:
    """What one process read, and the lines that it logged."""

    def __init__(self, library: Path | None, wanted: str = "True", **behaviour: object) -> None:
        env = {name: value for name, value in os.environ.items() if name != "LD_LIBRARY_PATH"}
        env.update({f"FAKE_NVML_{name}": str(value) for name, value in behaviour.items()})
        if library is not None:
            env["LD_LIBRARY_PATH"] = str(library)
        ran = subprocess.run(
            [sys.executable, "-c", READER.replace("WANTED", wanted)],
            env=env,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        told: dict[str, Any] = json.loads(ran.stdout)
        self.gpus: list[dict[str, Any]] | None = told["gpus"]
        self.documents: list[dict[str, Any]] | None = told["documents"]
        self.first: int | None = told["first"]
        self.driver: str | None = told["driver"]
        self.stopped: bool = told["stopped"]
        self.lines: list[str] = ran.stderr.splitlines()

    def gpu(self, index: int) -> dict[str, Any]:
        assert self.gpus is not None
        return self.gpus[index]


def test_everything_is_read_in_the_units_that_the_names_say(library: Path) -> None:
    read = Readings(library)
    assert read.driver == "570.86.15"
    assert read.gpus is not None and len(read.gpus) == 2
    assert read.gpu(0) == {
        "index": 0,
        "name": "Stand-in 9000",
        "uuid": "GPU-00000000",
        "utilization_ratio": 0.75,
        "memory_used_bytes": 6 * GIB,
        "memory_total_bytes": 24 * GIB,
        "temperature_celsius": 60,
        "power_watts": 250.5,
        "ecc_corrected": 3,
        "ecc_uncorrected": 0,
        "xids": [],
        "processes": [
            {"pid": 4242, "memory_used_bytes": 5 * GIB},
            {"pid": 4243, "memory_used_bytes": None},
        ],
        "is_lost": False,
    }
    assert read.gpu(1)["processes"] == []
    assert read.documents == read.gpus
    assert read.lines == []
    assert read.stopped


def test_what_a_gpu_does_not_support_is_none_and_the_rest_is_there(library: Path) -> None:
    gpu = Readings(library, ECC="none", EVENTS="none", PROCESSES=4).gpu(0)
    unknown = {name for name, value in gpu.items() if value is None}
    assert unknown == {"ecc_corrected", "ecc_uncorrected", "xids", "processes"}


def test_a_critical_error_is_kept_and_logged_once(library: Path) -> None:
    read = Readings(library, "len(readings) > 20", XID=79)
    assert read.gpu(1)["xids"] == [79]
    assert read.gpu(0)["xids"] == []
    assert read.lines == ["GPU 1 reports Xid 79."]


def test_a_storm_of_errors_neither_holds_nor_fills_us(library: Path) -> None:
    read = Readings(library, "len(readings) > 20", XID="storm")
    assert read.gpu(1)["xids"] == [31] * 64


def test_a_gpu_lost_on_the_way_is_said_once_and_the_other_goes_on(library: Path) -> None:
    read = Readings(library, "readings[-1][1].memory_used_bytes is None", LOST_AFTER=2)
    assert read.gpu(1) == {
        **dict.fromkeys(read.gpu(1)),
        "index": 1,
        "name": "Stand-in 9010",
        "uuid": "GPU-00000001",
        "xids": [],
        "is_lost": True,
    }
    assert read.gpu(0)["utilization_ratio"] == 0.75
    assert [line for line in read.lines if "lost" in line] == [
        "GPU 1 is lost: restart the instance, or rent another."
    ]


def test_a_gpu_lost_from_the_beginning_has_its_place_in_the_list(library: Path) -> None:
    read = Readings(library, LOST_AFTER=0)
    assert read.gpu(1)["is_lost"]
    assert read.gpu(1)["name"] is None
    assert not read.gpu(0)["is_lost"]


def test_no_gpus_is_an_empty_list_and_not_unknown(library: Path) -> None:
    assert Readings(library, GPUS=0).gpus == []


@pytest.mark.parametrize("behaviour", [{"INIT": 9}, {"INIT": 999}, {"COUNT": 15}])
def test_a_failing_nvml_is_unknown_and_logged_once(
    library: Path, behaviour: dict[str, int]
) -> None:
    read = Readings(library, "len(readings) > 20", **behaviour)
    assert read.gpus is None
    assert len(read.lines) == 1
    assert read.lines[0].startswith("GPUs are unknown")
    assert read.stopped


def test_a_driver_that_hangs_makes_the_gpus_unknown_and_holds_nobody(library: Path) -> None:
    read = Readings(library, "readings[-1] is None", HANG_AFTER=4)
    assert read.first == 2
    assert read.gpus is None
    assert not read.stopped  # the thread is a daemon: the process has ended all the same


def test_a_library_of_another_kind_is_no_nvml(tmp_path: Path) -> None:
    (tmp_path / "libnvidia-ml.so.1").write_text("not a library")
    read = Readings(tmp_path)
    assert read.gpus is None
    assert read.documents is None
    assert len(read.lines) == 1


def test_nothing_is_known_before_start_and_after_stop() -> None:
    gauge = GpuGauge()
    assert gauge.snapshot() is None
    gauge.start()
    gauge.stop()
    assert gauge.snapshot() is None
    assert "gpu" not in {each.name for each in threading.enumerate()}


@pytest.mark.gpu
def test_a_real_gpu_says_what_it_is() -> None:
    gauge = GpuGauge()
    gauge.start(wait_s=20.0)
    gpus, driver = gauge.snapshot(), gauge.driver_version
    gauge.stop()
    if not gpus:
        pytest.skip("no NVIDIA GPU on this machine")
    assert driver
    for gpu in gpus:
        assert isinstance(gpu, Gpu)
        assert gpu.name and gpu.uuid and not gpu.is_lost
        assert gpu.memory_total_bytes is not None and gpu.memory_used_bytes is not None
        assert 0 <= gpu.memory_used_bytes <= gpu.memory_total_bytes
        assert gpu.utilization_ratio is None or 0 <= gpu.utilization_ratio <= 1
        assert gpu.temperature_celsius is None or 0 < gpu.temperature_celsius < 120
        assert gpu.power_watts is None or 0 < gpu.power_watts < 2000
