"""The benchmark against real HTTP servers, whose time passes as they say."""

from __future__ import annotations

import json
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from vast_pyworker.errors import BenchmarkFailed, SettingError
from vast_pyworker.worker.capacity.benchmark import Benchmark, BenchmarkSpec, read_payloads
from vast_pyworker.worker.capacity.benchmark_cache import BenchmarkCache, Subject
from vast_pyworker.worker.units.settling import settle_tokens

SAFETY_S = 20.0
NOW = 1_700_000_000.0


class Clock:
    """Seconds that pass when a server says so."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._lock = threading.Lock()

    def __call__(self) -> float:
        return self.seconds

    def pass_(self, seconds: float) -> None:
        with self._lock:
            self.seconds += seconds


class Request(BaseHTTPRequestHandler):
    """One request to the model; the test decides what is answered."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: ModelServer

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with self.server.lock:
            self.number = len(self.server.payloads)
            self.server.payloads.append(json.loads(body))
        self.server.answer(self)

    def say(self, body: bytes | str, status: int = 200, kind: str = "application/json") -> None:
        data = body.encode() if isinstance(body, str) else body
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    @contextmanager
    def stream(self, kind: str = "text/event-stream") -> Iterator[Callable[[str], None]]:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

        def chunk(text: str) -> None:
            self.wfile.write(f"{len(text.encode()):x}\r\n{text}\r\n".encode())

        yield chunk
        self.wfile.write(b"0\r\n\r\n")

    def address_string(self) -> str:
        return "a client"

    def log_message(self, format: str, *args: Any) -> None:
        pass


Answer = Callable[[Request], None]


class ModelServer(ThreadingHTTPServer):
    def __init__(self, answer: Answer, *, listens: bool = True) -> None:
        super().__init__(("127.0.0.1", 0), Request, bind_and_activate=False)
        self.answer = answer
        self.payloads: list[Any] = []
        self.lock = threading.Lock()
        self.server_bind()
        if listens:
            self.server_activate()
        self.url = f"http://127.0.0.1:{self.server_port}/v1/completions"

    def handle_error(self, request: object, client_address: object) -> None:
        pass  # clients that hang up in the middle are the point of some tests


@contextmanager
def serving(server: socketserver.BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def model() -> Iterator[Callable[[Answer], ModelServer]]:
    with ExitStack() as running:

        def start(answer: Answer) -> ModelServer:
            server = ModelServer(answer)
            running.enter_context(serving(server))
            return server

        yield start


Models = Callable[[Answer], ModelServer]


def spec_for(url: str, **changes: Any) -> BenchmarkSpec:
    usual: dict[str, Any] = {
        "payloads": ({"prompt": "hello"},),
        "workload": lambda payload: 10.0,
        "timeout_s": SAFETY_S,
    }
    return BenchmarkSpec(url=url, **{**usual, **changes})


def ok(request: Request) -> None:
    request.say("{}")


# What is measured


def test_capacity_is_work_over_the_time_of_a_round(model: Models) -> None:
    clock = Clock()

    def answer(request: Request) -> None:
        clock.pass_(2.0)
        request.say("{}")

    server = model(answer)
    measured = Benchmark(clock=clock).measure(spec_for(server.url, unit="tokens"), NOW)
    assert measured.max_perf == 5.0
    assert measured.runs == (5.0, 5.0, 5.0)
    assert measured.unit == "tokens"
    assert not measured.from_cache
    assert len(server.payloads) == 4  # the first does not count


def test_the_median_of_the_rounds_is_taken(model: Models) -> None:
    clock = Clock()
    seconds = iter((50.0, 1.0, 10.0, 2.0))

    def answer(request: Request) -> None:
        clock.pass_(next(seconds))
        request.say("{}")

    measured = Benchmark(clock=clock).measure(spec_for(model(answer).url, timeout_s=100.0), NOW)
    assert measured.runs == (10.0, 1.0, 5.0)
    assert measured.max_perf == 5.0


@pytest.mark.parametrize("kind", ["text/event-stream", "application/json"])
def test_a_request_takes_until_its_last_byte(model: Models, kind: str) -> None:
    clock = Clock()

    def answer(request: Request) -> None:
        with request.stream(kind) as chunk:
            for _ in range(4):
                clock.pass_(1.0)
                chunk("data: {}\n\n")

    measured = Benchmark(clock=clock).measure(spec_for(model(answer).url), NOW)
    assert measured.max_perf == 10.0 / 4.0


def test_all_requests_of_a_round_are_asked_at_once(model: Models) -> None:
    together = threading.Barrier(4, timeout=SAFETY_S)

    def answer(request: Request) -> None:
        if request.number:
            together.wait()
        request.say("{}")

    server = model(answer)
    measured = Benchmark().measure(spec_for(server.url, concurrency=4, runs=2), NOW)
    assert len(measured.runs) == 2
    assert len(server.payloads) == 1 + 2 * 4


def test_payloads_take_turns_across_rounds(model: Models) -> None:
    server = model(ok)
    payloads = tuple({"n": n} for n in range(3))
    Benchmark().measure(spec_for(server.url, payloads=payloads, runs=5), NOW)
    assert [each["n"] for each in server.payloads] == [0, 0, 1, 2, 0, 1]


def test_measured_work_replaces_the_estimate_where_the_answer_tells(model: Models) -> None:
    clock = Clock()

    def answer(request: Request) -> None:
        clock.pass_(1.0)
        usage = {"usage": {"prompt_tokens": 2, "completion_tokens": 5}}
        with request.stream() as chunk:
            chunk('data: {"choices": []}\n\n')
            chunk(f"data: {json.dumps(usage if request.number != 2 else {})}\n\n")

    spec = spec_for(model(answer).url, settle=lambda payload, tail: settle_tokens(tail))
    assert Benchmark(clock=clock).measure(spec, NOW).runs == (7.0, 10.0, 7.0)


def test_headers_are_sent(model: Models) -> None:
    seen: list[str | None] = []

    def answer(request: Request) -> None:
        seen.append(request.headers["Authorization"])
        request.say("{}")

    Benchmark().measure(spec_for(model(answer).url, headers={"Authorization": "Bearer x"}), NOW)
    assert set(seen) == {"Bearer x"}


def test_connections_are_kept_and_opened_again_when_the_server_closed_them(model: Models) -> None:
    peers: list[int] = []

    def answer(request: Request) -> None:
        peers.append(request.client_address[1])
        request.close_connection = len(peers) == 2  # without a word
        request.say("{}")

    measured = Benchmark().measure(spec_for(model(answer).url), NOW)
    assert len(measured.runs) == 3
    assert len(set(peers)) == 2
    assert peers[0] == peers[1]


def test_a_unix_socket_will_do(tmp_path: Path) -> None:
    class UnixRequest(Request):
        disable_nagle_algorithm = False

    class UnixServer(socketserver.ThreadingUnixStreamServer):
        payloads: list[Any] = []  # noqa: RUF012 - one server in one test
        lock = threading.Lock()
        answer = staticmethod(ok)

    path = tmp_path / "model.sock"
    with serving(UnixServer(str(path), UnixRequest)):
        assert Benchmark().measure(spec_for(f"unix:{path}:/v1"), NOW).max_perf > 0


def test_no_thread_is_left_behind(model: Models) -> None:
    Benchmark().measure(spec_for(model(ok).url, concurrency=8), NOW)
    assert not [each for each in threading.enumerate() if each.name.startswith("benchmark")]


# What is a failure


def failing(*numbers: int) -> Answer:
    def answer(request: Request) -> None:
        request.say("no more memory", 500 if request.number in numbers else 200)

    return answer


def test_a_quarter_of_failures_is_tolerated_but_counts_for_nothing(model: Models) -> None:
    clock = Clock()
    fail = failing(2)

    def answer(request: Request) -> None:
        clock.pass_(1.0)
        fail(request)

    measured = Benchmark(clock=clock).measure(spec_for(model(answer).url, runs=4), NOW)
    assert measured.runs == (10.0, 0.0, 10.0, 10.0)
    assert measured.max_perf == 10.0


def test_more_failures_end_the_benchmark_with_the_first_cause(model: Models) -> None:
    server = model(failing(1, 2, 3, 4))
    with pytest.raises(BenchmarkFailed, match=r"2 of 2 .*answered 500, saying no more memory"):
        Benchmark().measure(spec_for(server.url, runs=4), NOW)
    assert len(server.payloads) == 3  # and does not go on for the sake of it


def test_the_first_request_fails_at_once_on_a_true_error(model: Models) -> None:
    server = model(failing(0))
    with pytest.raises(BenchmarkFailed, match=r"first request failed, because .* answered 500"):
        Benchmark().measure(spec_for(server.url), NOW)
    assert len(server.payloads) == 1


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("text/event-stream", 'data: {"token": 1}\n\ndata: {"error": "out of memory"}\n\n'),
        ("text/event-stream", "data: {}\n\nevent: error\ndata: sorry\n\n"),
        ("text/event-stream; charset=utf-8", 'data: {"error": {"message": "x"}}'),
        ("application/x-ndjson", '{"response": "a"}\n{"error": "unexpected EOF"}\n'),
        ("application/json", '{"error": {"message": "model is overloaded"}}'),
    ],
)
def test_an_error_in_the_body_is_a_failure_in_spite_of_its_status(
    model: Models, kind: str, body: str
) -> None:
    with pytest.raises(BenchmarkFailed, match="error"):
        Benchmark().measure(spec_for(model(lambda request: request.say(body, 200, kind)).url), NOW)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("text/event-stream", 'data: {"error": null, "text": "\\"error\\""}\n\ndata: [DONE]\n\n'),
        ("application/json", '{"text": {"error": "a quoted word"}, "error": null}'),
        ("application/json", '["error"]'),
        ("text/plain", 'an "error" in a text'),
    ],
)
def test_the_mere_word_is_no_error(model: Models, kind: str, body: str) -> None:
    server = model(lambda request: request.say(body, 200, kind))
    assert Benchmark().measure(spec_for(server.url), NOW).max_perf > 0


def test_a_body_that_ends_early_is_a_failure(model: Models) -> None:
    def short(request: Request) -> None:
        request.send_response(200)
        request.send_header("Content-Length", "100")
        request.end_headers()
        request.wfile.write(b"{}")
        request.close_connection = True

    def cut(request: Request) -> None:
        request.send_response(200)
        request.send_header("Content-Type", "text/event-stream")
        request.send_header("Transfer-Encoding", "chunked")
        request.end_headers()
        request.wfile.write(b"a\r\ndata: {}\n\n\r\n")
        request.close_connection = True

    for answer in (short, cut):
        with pytest.raises(BenchmarkFailed, match="broke off"):
            Benchmark().measure(spec_for(model(answer).url), NOW)


def test_a_request_that_drips_for_ever_is_cut_at_its_deadline(model: Models) -> None:
    over = threading.Event()

    def answer(request: Request) -> None:
        with request.stream() as chunk:
            while not over.wait(0.01):
                chunk(": still here\n")

    began = time.monotonic()
    with pytest.raises(BenchmarkFailed, match=r"no whole answer within 0\.3 s"):
        Benchmark().measure(spec_for(model(answer).url, timeout_s=0.3), NOW)
    over.set()
    assert time.monotonic() - began < SAFETY_S


@pytest.mark.parametrize("work", [0.0, -1.0, float("nan"), float("inf"), 1e300])
def test_a_number_that_cannot_be_a_capacity_is_refused(model: Models, work: float) -> None:
    with pytest.raises(BenchmarkFailed, match=r"no number to go by .* workload"):
        Benchmark().measure(spec_for(model(ok).url, workload=lambda payload: work), NOW)


def test_a_calculator_that_raises_is_the_cause(model: Models) -> None:
    def workload(payload: Any) -> float:
        return float(payload["steps"])

    with pytest.raises(BenchmarkFailed, match=r"its work cannot be told \(KeyError\('steps'\)\)"):
        Benchmark().measure(spec_for(model(ok).url, workload=workload), NOW)


def test_payloads_must_be_there_and_be_json() -> None:
    with pytest.raises(BenchmarkFailed, match="nothing to measure with"):
        Benchmark().measure(spec_for("http://127.0.0.1:9", payloads=()), NOW)
    with pytest.raises(BenchmarkFailed, match="not JSON"):
        Benchmark().measure(spec_for("http://127.0.0.1:9", payloads=({"x": {1}},)), NOW)


# A server that is not there yet


def test_a_port_that_opens_late_is_waited_for() -> None:
    server = ModelServer(ok, listens=False)
    asked = 0

    def clock() -> float:
        nonlocal asked
        asked += 1
        if asked == 6:  # by then it has been refused
            server.server_activate()
        return time.monotonic()

    with serving(server):
        assert Benchmark(clock=clock).measure(spec_for(server.url), NOW).max_perf > 0
    assert asked > 6


def test_a_server_that_is_loading_is_waited_for(model: Models) -> None:
    def answer(request: Request) -> None:
        request.say("loading", 503 if request.number < 2 else 200)

    server = model(answer)
    assert Benchmark().measure(spec_for(server.url), NOW).max_perf > 0
    assert len(server.payloads) == 2 + 4


def test_a_port_that_stays_closed_is_given_up() -> None:
    server = ModelServer(ok, listens=False)
    with pytest.raises(BenchmarkFailed, match=r"cannot be reached .*refused"):
        Benchmark().measure(spec_for(server.url, boot_grace_s=0.3), NOW)
    server.server_close()


# Cancelling


def cancelled(benchmark: Benchmark, spec: BenchmarkSpec, when: threading.Event) -> str:
    said: list[str] = []

    def measure() -> None:
        try:
            benchmark.measure(spec, NOW)
        except BenchmarkFailed as exc:
            said.append(str(exc))

    thread = threading.Thread(target=measure)
    thread.start()
    assert when.wait(SAFETY_S)
    benchmark.cancel()
    thread.join(SAFETY_S)
    return said[0]


@pytest.mark.parametrize("hanging", [0, 1])
def test_a_hanging_request_can_be_cancelled(model: Models, hanging: int) -> None:
    arrived, over = threading.Event(), threading.Event()

    def answer(request: Request) -> None:
        if request.number >= hanging:
            arrived.set()
            over.wait(SAFETY_S)
        request.say("{}")

    said = cancelled(Benchmark(), spec_for(model(answer).url, concurrency=3), arrived)
    over.set()
    assert "cancelled" in said


def test_waiting_for_a_port_can_be_cancelled() -> None:
    server = ModelServer(ok, listens=False)
    waiting = threading.Event()
    asked = 0

    def clock() -> float:
        nonlocal asked
        asked += 1
        if asked == 4:
            waiting.set()
        return time.monotonic()

    assert "cancelled" in cancelled(Benchmark(clock=clock), spec_for(server.url), waiting)
    server.server_close()


def test_a_cancelled_benchmark_can_be_run_again(model: Models) -> None:
    benchmark = Benchmark()
    benchmark.cancel()
    assert benchmark.measure(spec_for(model(ok).url), NOW).max_perf > 0


# What is remembered


def remembering(tmp_path: Path, **changes: Any) -> Benchmark:
    subject = Subject("llamacpp", "smol", "0.1.0", gpus=("H200",), driver="570.1")
    changed = Subject(**{**vars(subject), **changes})
    return Benchmark(BenchmarkCache(tmp_path / "benchmark.json"), lambda: changed)


def test_the_same_is_not_measured_twice(model: Models, tmp_path: Path) -> None:
    server = model(ok)
    first = remembering(tmp_path).measure(spec_for(server.url), NOW)
    again = remembering(tmp_path).measure(spec_for(server.url), NOW + 1)
    assert again.from_cache
    assert (again.max_perf, again.unit, again.runs) == (first.max_perf, first.unit, first.runs)
    assert len(server.payloads) == 4


@pytest.mark.parametrize(
    "changes",
    [
        {"model": "other"},
        {"model_changed_at": 7.0},
        {"gpus": ("H200", "H200")},
        {"driver": "580.0"},
        {"version": "0.2.0"},
        {"backend": "vllm"},
    ],
)
def test_another_subject_is_measured_anew(
    model: Models, tmp_path: Path, changes: dict[str, Any]
) -> None:
    spec = spec_for(model(ok).url)
    remembering(tmp_path).measure(spec, NOW)
    assert not remembering(tmp_path, **changes).measure(spec, NOW).from_cache


@pytest.mark.parametrize("changes", [{"payloads": ({"p": 2},)}, {"concurrency": 2}, {"unit": "x"}])
def test_another_way_of_measuring_is_measured_anew(
    model: Models, tmp_path: Path, changes: dict[str, Any]
) -> None:
    url = model(ok).url
    remembering(tmp_path).measure(spec_for(url), NOW)
    assert not remembering(tmp_path).measure(spec_for(url, **changes), NOW).from_cache


def test_what_was_forgotten_is_measured_anew(model: Models, tmp_path: Path) -> None:
    benchmark, spec = remembering(tmp_path), spec_for(model(ok).url)
    benchmark.measure(spec, NOW)
    benchmark.forget(spec)
    assert not benchmark.measure(spec, NOW).from_cache


def test_a_failure_is_not_remembered(model: Models, tmp_path: Path) -> None:
    server = model(failing(0))
    benchmark, spec = remembering(tmp_path), spec_for(server.url)
    with pytest.raises(BenchmarkFailed):
        benchmark.measure(spec, NOW)
    assert not benchmark.measure(spec, NOW).from_cache


# The user's payloads


def test_payloads_are_read_from_json_lines(tmp_path: Path) -> None:
    path = tmp_path / "payloads.jsonl"
    path.write_text('{"prompt": "a"}\n\n{"prompt": "\u00e9"}')
    assert read_payloads(path) == ({"prompt": "a"}, {"prompt": "\u00e9"})


@pytest.mark.parametrize("text", ['{"a": 1}\n[1]\n', '{"a": 1}\n{"a"\n'])
def test_a_bad_line_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "payloads.jsonl"
    path.write_text(text)
    with pytest.raises(SettingError, match=r"Line 2 of .*payloads\.jsonl"):
        read_payloads(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"BENCHMARK_PAYLOADS .*none\.jsonl"):
        read_payloads(tmp_path / "none.jsonl")
