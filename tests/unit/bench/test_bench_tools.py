"""The compiled tools against each other, without a relay between them."""

from __future__ import annotations

import http.client
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from relay_bench.load import Tools
from relay_bench.plan import StreamLoad
from relay_bench.processes import first_line, run_bounded, started
from relay_bench.run import BENCH

pytestmark = pytest.mark.skipif(not shutil.which("gcc"), reason="gcc is missing")

LOAD = StreamLoad(streams=20, events=10, interval_us=10_000, ramp_ms=20)


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bin")
    run_bounded([str(BENCH / "build"), str(folder)], timeout_s=120)
    return folder


@pytest.fixture(scope="module")
def port(tools: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    folder = tmp_path_factory.mktemp("stub")
    with started([str(tools / "stub"), "0"], cwd=folder, log=folder / "log") as process:
        yield int(first_line(process, folder / "log").split()[1])


@pytest.fixture
def client(port: int) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    yield connection
    connection.close()


def no_memory() -> None:
    return None


def test_unary_answer_is_1024_bytes_of_json(client: http.client.HTTPConnection) -> None:
    client.request("POST", "/generate", b"{}")
    body = client.getresponse().read()
    assert len(body) == 1024
    assert json.loads(body)["generated_text"]


def test_heads_differ_where_that_is_asked_for(client: http.client.HTTPConnection) -> None:
    seen = set()
    for _ in range(3):
        client.request("POST", "/generate", b'{"unique_head": 1}')
        answer = client.getresponse()
        answer.read()
        seen.add(answer.headers["X-Request-ID"])
    assert len(seen) == 3
    assert None not in seen


def test_stream_has_the_events_asked_for(client: http.client.HTTPConnection) -> None:
    client.request("POST", "/generate_stream", b'{"n_events": 3, "interval_us": 0}')
    answer = client.getresponse()
    assert answer.headers["Content-Type"] == "text/event-stream"
    events = answer.read().decode().split("\n\n")
    assert [json.loads(event.removeprefix("data: "))["i"] for event in events[:3]] == [0, 1, 2]
    assert events[3:] == [""]


def test_chunked_request_body_is_read_to_its_end(client: http.client.HTTPConnection) -> None:
    pieces = [b'{"n_events": 2, ', b'"interval_us": 0}']
    client.request("POST", "/generate_stream", iter(pieces), encode_chunked=True)
    assert client.getresponse().read().count(b"data: ") == 2
    client.request("POST", "/generate", b"{}")
    assert client.getresponse().read()[:1] == b"{"


def test_load_generator_sees_every_event(tools: Path, port: int, tmp_path: Path) -> None:
    body = tmp_path / "body"
    body.write_text('{"reqnum": @@, "n_events": 10, "interval_us": 10000}')
    seen = Tools("wrk", str(tools / "lg")).streams(port, body, LOAD, [os.getpid()], no_memory)
    assert (seen.done, seen.failed, seen.unfinished, seen.events) == (20, 0, 0, 200)
    assert 0 < seen.ttfb_p50_us <= seen.ttfb_p99_us


def test_window_counts_events_and_cpu_time_of_the_processes(
    tools: Path, port: int, tmp_path: Path
) -> None:
    body = tmp_path / "body"
    body.write_text('{"n_events": 100, "interval_us": 5000}')
    load = StreamLoad(streams=4, events=100, interval_us=5_000, ramp_ms=0)
    seen = Tools("wrk", str(tools / "lg")).streams(port, body, load, [os.getpid()], no_memory)
    assert seen.window_events is not None and 0 < seen.window_events < 400
    assert seen.window_cpu_s is not None and seen.window_cpu_s >= 0


def test_streams_with_other_events_than_expected_count_as_failed(
    tools: Path, port: int, tmp_path: Path
) -> None:
    body = tmp_path / "body"
    body.write_text('{"n_events": 9, "interval_us": 1000}')
    seen = Tools("wrk", str(tools / "lg")).streams(port, body, LOAD, [], no_memory)
    assert (seen.done, seen.failed) == (0, 20)


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two CPUs")
def test_distance_of_two_cpus_is_some_nanoseconds(tools: Path) -> None:
    one, other = sorted(os.sched_getaffinity(0))[:2]
    printed = run_bounded([str(tools / "distance"), str(one), str(other)], timeout_s=60)
    assert 1 < float(printed) < 1e6
