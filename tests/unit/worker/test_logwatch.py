"""The log watch in the worker and as a process, and the log watches of 2024."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from vast_pyworker.settings import Settings
from vast_pyworker.worker.logwatch import LogWatch
from vast_pyworker.worker.modellog.legacy_logwatch import LegacyLogWatch, LineHandler
from vast_pyworker.worker.modellog.log_reports import MEASURING, LogReporter, match_of, message_of
from vast_pyworker.worker.modellog.logwatch_process import LogWatchProcess, poster, process_from
from vast_pyworker.worker.modellog.patterns import LOG_ERROR, Match, Pattern, PatternTable
from vast_pyworker.worker.modellog.tail import Tail

SAFETY_S = 30.0
PATTERNS = (
    Pattern("loading", "Loading weights"),
    Pattern("loaded", r"Model loaded in (?P<seconds>[\d.]+)s"),
    Pattern("capacity", r"max batch total tokens to (?P<capacity>\d+)"),
    Pattern("progress", r"(?P<percent>\d+)%"),
    Pattern("error", "CUDA error"),
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.log"


@pytest.fixture
def watch(path):
    watching = LogWatch(Tail(path), PatternTable(PATTERNS))
    yield watching
    watching.close()


def test_matches_come_in_the_order_of_the_lines(watch, path):
    path.write_text("Loading weights\n 50%\nhello\nModel loaded in 3.2s\n")
    assert [match.action for match in watch.poll(0.0)] == ["loading", "progress", "loaded"]
    assert watch.lines == 4
    assert watch.document()["matches"] == {"loading": 1, "progress": 1, "loaded": 1}


def test_one_poll_is_bounded_in_time_however_large_the_log(path):
    ticks = iter(range(1000))
    watch = LogWatch(
        Tail(path), PatternTable(PATTERNS), budget_s=2.0, clock=lambda: float(next(ticks))
    )
    path.write_text("x" * 99 + "\n" * 1 + ("y" * 99 + "\n") * 20_000)
    polls = 1
    watch.poll(0.0)
    while watch.behind:
        watch.poll(0.0)
        polls += 1
    watch.close()
    assert watch.lines == 20_001
    assert polls > 1


def test_another_life_of_the_model_begins_where_it_began(watch, path):
    path.write_text("CUDA error of an earlier life\n")
    watch.renew(path.stat().st_size)
    with path.open("a") as file:
        file.write("Model loaded in 1.0s\n")
    assert [match.action for match in watch.poll(0.0)] == ["loaded"]


def test_a_file_that_is_not_there_is_told(watch, path):
    assert watch.poll(0.0) == []
    assert watch.document()["problem"] == "there is no such file yet"


def test_others_are_handed_every_line(path):
    heard = []

    class Listener:
        def feed(self, lines):
            heard.extend(lines)

    watch = LogWatch(Tail(path), PatternTable(PATTERNS), listener=Listener())
    path.write_text("a\nb\n")
    watch.poll(0.0)
    watch.close()
    assert heard == ["a", "b"]


@pytest.mark.parametrize(
    "match",
    [
        Match("loading", "Loading weights"),
        Match("progress", "50%", {"percent": 50.0}),
        Match("loaded", "the log watch says that the model has loaded", {"load_time": 3.2}),
        Match("error", LOG_ERROR + "CUDA error"),
        Match("capacity", "", {"capacity": 4096.0}),
    ],
)
def test_what_is_posted_means_the_same_to_the_worker(match):
    message = message_of(match)
    assert message is not None
    path, body = message
    assert match_of(path.removeprefix("/report_"), json.loads(json.dumps(body))) == match


def test_an_error_of_one_request_is_not_posted():
    assert message_of(Match("ignore", "too long")) is None


@pytest.mark.parametrize(
    ("kind", "body", "action", "fields"),
    [
        ("loading", {}, "loading", {}),
        (
            "loaded",
            {"id": "1", "loaded": True, "loadtime": 9.5, "cur_perf": 0.0},
            MEASURING,
            {"load_time": 9.5},
        ),
        (
            "loaded",
            {"loadtime": 9.5, "cur_perf": 0.0, "max_perf": 80.0},
            "loaded",
            {"load_time": 9.5, "max_perf": 80.0},
        ),
        ("loaded", {"cur_perf": 0.0, "measured": True}, "loaded", {}),
        ("capacity", {"max_batch_tokens": 5000}, "capacity", {"capacity": 5000.0}),
        ("error", {"error_msg": "not all test requests succeeded"}, "error", {}),
    ],
)
def test_what_log_watches_of_2024_post_is_understood(kind, body, action, fields):
    match = match_of(kind, body)
    assert match is not None
    assert (match.action, dict(match.fields)) == (action, fields)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("done", {"wait_time": 1.0}),
        ("capacity", {}),
        ("capacity", {"max_capacity": "big"}),
        ("x", {}),
    ],
)
def test_what_says_nothing_about_readiness_is_no_match(kind, body):
    assert match_of(kind, body) is None


def test_numbers_that_are_none_are_left_out():
    match = match_of("loaded", {"max_perf": float("nan"), "loadtime": "soon", "measured": True})
    assert match is not None
    assert match.fields == {}


def test_many_alike_in_a_row_are_one_post_a_second():
    posted = []
    reporter = LogReporter(lambda path, body: posted.append((path, body)) or 200, "secret")
    for millisecond in range(0, 3000, 10):
        reporter.tell(Match("progress", "x"), 100.0 + millisecond / 1000)
    assert len(posted) == 3
    for action in ("loaded", "error", "loaded"):
        reporter.tell(Match(action, "x"), 200.0)
    assert [path for path, _ in posted[3:]] == ["/report_loaded", "/report_error", "/report_loaded"]
    assert all(body["mtoken"] == "secret" for _, body in posted)


def test_a_post_that_nobody_takes_is_told(caplog):
    reporter = LogReporter(lambda path, body: 0, "secret")
    assert not reporter.tell(Match("loaded"), 0.0)
    assert "no answer" in caplog.text
    assert "secret" not in caplog.text


class Watch2024:
    """A log watch as backends of 2024 wrote them, without their base class."""

    def __init__(self, id="", control_server_url="", master_token=""):
        self.loading = False
        self.lines = []

    def check_loading(self, line):
        self.loading = "Loading" in line
        return self.loading

    def handle_line(self, line):
        self.lines.append(line)
        if "bad" in line:
            raise ValueError(line)


def test_a_log_watch_of_2024_is_asked_about_loading_until_it_is():
    watch = Watch2024()
    handler = LineHandler(watch)
    for line in ("hello", "Loading weights", "Loading again"):
        handler.handle(line)
    assert watch.lines == ["hello", "Loading again"]


def test_a_log_watch_of_2024_that_raises_gets_further_lines_and_is_logged_once(caplog):
    watch = Watch2024()
    handler = LineHandler(watch)
    for line in ("bad", "bad", "good"):
        handler.handle(line)
    assert watch.lines == ["bad", "bad", "good"]
    assert len(caplog.records) == 1


def test_a_log_watch_of_2024_without_a_loading_line_works_all_the_same():
    class Forgetful(Watch2024):
        def check_loading(self, line):
            return self.loading_line in line

    watch = Forgetful()
    handler = LineHandler(watch)
    handler.handle("a")
    handler.handle("b")
    assert watch.lines == ["a", "b"]


def test_in_the_worker_a_log_watch_of_2024_has_a_thread_and_never_blocks():
    enough = threading.Event()
    begun = threading.Event()

    class Slow(Watch2024):
        def handle_line(self, line):
            begun.set()
            enough.wait(SAFETY_S)
            super().handle_line(line)

    watch = Slow()
    legacy = LegacyLogWatch(watch, most_waiting_lines=3)
    legacy.start()
    legacy.feed(["1"])
    assert begun.wait(SAFETY_S)
    legacy.feed(["2", "3", "4", "5", "6"])
    assert legacy.dropped == 2
    enough.set()
    legacy.stop(SAFETY_S)
    assert watch.lines[0] == "1"


def test_what_is_still_waiting_at_the_end_is_left():
    legacy = LegacyLogWatch(Watch2024())
    legacy.feed(["1", "2"])
    legacy.stop()
    assert legacy.dropped == 0


@pytest.fixture
def worker():
    """The built-in routes that a log watch posts to."""

    class Posts(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            server.posts.append((self.path, body))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Posts)
    server.posts = []
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join(SAFETY_S)
    server.server_close()


def make_backend(folder, *, logwatch="", backend=""):
    directory = folder / "mine"
    directory.mkdir()
    (directory / "backend.py").write_text(
        backend + "\nclass Backend:\n    def __init__(self, *a, **k):\n        raise SystemExit\n"
        "    log_patterns = [('loaded', 'server is up'), ('error', 'broken')]\nflask_dict = {}\n"
    )
    if logwatch:
        (directory / "logwatch.py").write_text(logwatch)
    return directory


def environment(folder, worker, **more):
    return {
        "BACKEND": "mine",
        "PYWORKER_BACKENDS": str(folder),
        "MASTER_TOKEN": "the-token",
        "WORKER_PORT": str(worker.server_port),
        **more,
    }


def test_tail_f_into_the_process_tells_the_worker(tmp_path, worker):
    make_backend(tmp_path)
    ended = subprocess.run(
        [sys.executable, "-m", "vast_pyworker.worker.logwatch"],
        input=b"hello\nserver is up\npart",
        env={**os.environ, **environment(tmp_path, worker)},
        capture_output=True,
        timeout=SAFETY_S,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert worker.posts == [("/report_loaded", {"loaded": True, "mtoken": "the-token"})]
    assert b"the-token" not in ended.stderr


def test_the_process_runs_the_log_watch_of_2024_and_the_settings_lines(tmp_path, worker):
    make_backend(
        tmp_path,
        logwatch=(
            "class LogWatch:\n"
            "    made = []\n"
            "    def __init__(self, id, control_server_url, master_token):\n"
            "        self.lines = []\n"
            "        self.made.append((id, control_server_url, master_token))\n"
            "    def handle_line(self, line):\n"
            "        self.lines.append(line)\n"
        ),
    )
    settings = Settings.from_env(
        environment(
            tmp_path,
            worker,
            MODEL_ERROR_LOG_MSGS="it exploded",
            CONTAINER_ID="17",
            REPORT_ADDR="http://a,http://b",
        )
    )
    process = process_from(settings)
    assert process is not None
    chunks = iter([b"it expl", b"oded\nfine\n", b""])
    process.run(lambda: next(chunks))
    assert [path for path, _ in worker.posts] == ["/report_error"]
    assert process.legacy is not None
    legacy = process.legacy._watch
    assert legacy.lines == ["it exploded", "fine"]
    assert legacy.made == [("17", "http://a,http://b", "the-token")]


def test_without_anything_to_watch_for_the_process_says_so_and_ends(tmp_path, worker):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "backend.py").write_text("class Backend: ...\nflask_dict = {}\n")
    assert process_from(Settings.from_env(environment(tmp_path, worker))) is None


@pytest.mark.parametrize(
    ("change", "part"),
    [({"BACKEND": "nosuch"}, b"There is no backend"), ({"MASTER_TOKEN": ""}, b"MASTER_TOKEN")],
)
def test_what_the_process_cannot_do_is_one_sentence(tmp_path, worker, change, part):
    make_backend(tmp_path)
    ended = subprocess.run(
        [sys.executable, "-m", "vast_pyworker.worker.logwatch"],
        input=b"",
        env={**os.environ, **environment(tmp_path, worker), **change},
        capture_output=True,
        timeout=SAFETY_S,
        check=False,
    )
    assert ended.returncode == 1
    assert part in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_a_post_waits_for_the_worker_to_come_up(worker):
    port, pauses = worker.server_port, []
    worker.posts.clear()
    post = poster(f"http://127.0.0.1:{port}", tries=3, pause=pauses.append)
    assert post("/report_loaded", {"a": 1}) == 200
    assert pauses == []
    nobody = poster("http://127.0.0.1:1", tries=3, pause=pauses.append)
    assert nobody("/report_loaded", {}) == 0
    assert len(pauses) == 2


def test_a_process_that_is_given_nothing_ends():
    posted: list[str] = []
    reporter = LogReporter(lambda path, body: posted.append(path) or 200, "t")
    LogWatchProcess(PatternTable([]), reporter).run(lambda: b"")
    assert posted == []
