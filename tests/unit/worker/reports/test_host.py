from __future__ import annotations

import os
import shutil
import socket
import threading
import time
from dataclasses import asdict
from pathlib import Path

import pytest

from vast_pyworker.worker.reports.host import GIB, DiskGauge, HostGauge


def burn_until_clock_ticks() -> None:
    """The kernel counts processor time in hundredths of a second."""
    until = time.monotonic() + 0.05
    while time.monotonic() < until:
        pass


def test_everything_is_known_on_an_ordinary_machine(tmp_path: Path) -> None:
    gauge = HostGauge(tmp_path)
    gauge.snapshot()
    burn_until_clock_ticks()
    host = gauge.snapshot()
    assert [name for name, value in asdict(host).items() if value is None] == []
    assert host.cpu_ratio is not None and 0 <= host.cpu_ratio <= 1
    assert host.memory_total_bytes is not None and host.memory_used_bytes is not None
    assert 0 < host.memory_used_bytes < host.memory_total_bytes
    assert host.rss_bytes is not None and host.rss_bytes > 2**20


def test_the_processor_is_unknown_at_first_and_not_idle() -> None:
    assert HostGauge().snapshot().cpu_ratio is None


def test_disk_is_in_gibibytes() -> None:
    usage = shutil.disk_usage("/")
    host = HostGauge().snapshot()
    assert host.disk_used_gib == pytest.approx(usage.used / GIB, rel=0.05)
    assert host.disk_free_gib == pytest.approx(usage.free / GIB, rel=0.05)


def test_a_missing_workspace_is_unknown_and_the_rest_is_there(tmp_path: Path) -> None:
    host = HostGauge(tmp_path / "nowhere").snapshot()
    assert host.workspace_used_gib is None
    assert host.workspace_free_gib is None
    assert host.disk_used_gib is not None


def test_open_files_and_threads_are_this_process_s() -> None:
    gauge = HostGauge()
    before = gauge.snapshot()
    release = threading.Event()
    thread = threading.Thread(target=release.wait)
    thread.start()
    sockets = [socket.socket() for _ in range(10)]
    after = gauge.snapshot()
    release.set()
    thread.join()
    for each in sockets:
        each.close()
    assert before.open_fds is not None and after.open_fds is not None
    assert after.open_fds == before.open_fds + 10
    assert before.threads is not None and after.threads == before.threads + 1


def test_what_was_sent_is_counted_by_the_machine() -> None:
    network = HostGauge().snapshot()
    assert network.network_sent_bytes is not None and network.network_sent_bytes >= 0
    assert network.network_received_bytes is not None


def test_growth_counts_from_what_was_delivered() -> None:
    disk = DiskGauge()
    assert disk.delta(10.0) is None
    disk.delivered(10.0)
    assert disk.delta(10.5) == 0.5
    assert disk.delta(11.0) == 1.0  # the report before was lost: its growth is in this one
    disk.delivered(11.0)
    assert disk.delta(10.75) == -0.25


def test_an_unknown_use_of_the_disk_is_neither_zero_nor_forgetful(tmp_path: Path) -> None:
    disk = DiskGauge(tmp_path / "nowhere")
    assert disk.used_gib() is None
    assert disk.used_bytes() is None
    disk.delivered(10.0)
    disk.delivered(None)
    assert disk.delta(None) is None
    assert disk.delta(10.5) == 0.5


def test_used_disk_is_what_the_kernel_says(tmp_path: Path) -> None:
    facts = os.statvfs(tmp_path)
    used_bytes = (facts.f_blocks - facts.f_bfree) * facts.f_frsize
    assert DiskGauge(tmp_path).used_bytes() == pytest.approx(used_bytes, rel=0.05)
