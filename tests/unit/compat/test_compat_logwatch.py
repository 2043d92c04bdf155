"""``GenericLogWatch``: from log lines to what the worker and the autoscaler are told."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from vast_pyworker.compat.logwatch import GenericLogWatch
from vast_pyworker.worker.modellog.legacy_logwatch import LineHandler


class Measured:
    """A performance test with a known result."""

    def __init__(self, *result):
        self.result = result
        self.runs = 0

    def run(self, num_batches):
        self.runs += 1
        return self.result


class Watch(GenericLogWatch):
    loading_line = "Loading weights"

    def handle_line(self, line):
        if "loaded" in line:
            self.model_loaded()
        elif "wait" in line:
            self.send_model_update({"wait_time": float(line.split()[-1])})


@pytest.fixture
def watched(peer, environ, tmp_path):
    """Make a watch whose worker and autoscaler are the same peer."""
    environ["AUTH_PORT"] = peer.url.rpartition(":")[2]

    def make(perf_test=None, kind=Watch):
        watch = kind("7", peer.url, "secret", perf_test)
        watch.perf_file = str(tmp_path / "perf_results.json")
        return watch

    return make


def follow(watch, lines):
    """Hand lines over as the worker does."""
    handler = LineHandler(watch)
    for line in lines:
        handler.handle(line)


def told(peer):
    return [peer.got.get() for _ in range(peer.got.qsize())]


def test_the_loading_line_is_told_once(watched, peer):
    watch = watched()
    follow(watch, ["hello", "Loading weights [x]", "Loading weights [y]"])
    assert told(peer) == [("/report_loading", {"mtoken": "secret"})]
    assert watch.loading


def test_a_watch_without_a_loading_line_reads_on(watched, peer):
    class Plain(Watch):
        loading_line = None

    follow(watched(kind=Plain), ["wait 3.5"])
    assert told(peer) == [("/report_done", {"id": "7", "mtoken": "secret", "wait_time": 3.5})]


def test_a_loaded_model_is_measured_and_told_to_worker_and_autoscaler(watched, peer):
    follow(watched(Measured(True, 40.0, 0.5)), ["model loaded"])
    (first, early), (second, late), (third, status) = told(peer)
    assert (first, second, third) == ("/report_loaded", "/report_loaded", "/worker_status/")
    assert "max_perf" not in early
    assert late["max_perf"] == status["max_perf"] == 40.0
    assert status["avg_latency"] == 0.5
    assert status["loaded"] is True
    assert status["id"] == "7"
    assert status["mtoken"] == "secret"


def test_a_second_line_does_not_measure_again_but_a_reload_does(watched, peer):
    test = Measured(False, 0.0, 0.0)
    watch = watched(test)
    follow(watch, ["model loaded", "model loaded"])
    assert test.runs == 1
    watch.check_loading("Loading weights")
    follow(watch, ["model loaded"])
    assert test.runs == 2


def test_a_failed_measurement_is_an_error_and_no_capacity(watched, peer):
    follow(watched(Measured(False, 0.0, 0.0)), ["model loaded"])
    _, (path, error), (_, status) = told(peer)
    assert path == "/report_error"
    assert error["error_msg"] == status["error_msg"] == "not all test requests succeeded"
    assert "max_perf" not in status


@pytest.mark.parametrize("throughput", [0.0, -1.0, math.inf, math.nan])
def test_a_capacity_that_cannot_be_is_an_error(throughput, watched, peer):
    follow(watched(Measured(True, throughput, 0.5)), ["model loaded"])
    assert told(peer)[-1][1]["error_msg"] == "performance metrics out of bounds"


def test_the_bounds_of_the_sanity_file_hold(watched, tmp_path):
    watch = watched()
    watch.sanity_file = str(tmp_path / "bounds.json")
    assert watch.metrics_sanity_check(50.0, 1.0)
    (tmp_path / "bounds.json").write_text('{"max_throughput": 100, "min_avg_latency": 0.1}')
    assert watch.metrics_sanity_check(50.0, 1.0)
    assert not watch.metrics_sanity_check(500.0, 1.0)
    assert not watch.metrics_sanity_check(50.0, 0.01)


def test_nothing_to_measure_with_still_ends_in_loaded(watched, peer):
    follow(watched(None), ["model loaded"])
    _, (path, late), _ = told(peer)
    assert path == "/report_loaded"
    assert late["measured"] is True


class TestKeptResults:
    def test_they_spare_a_second_measurement(self, watched):
        test = Measured(True, 40.0, 0.5)
        for _ in range(2):
            follow(watched(test), ["model loaded"])
        assert test.runs == 1

    def test_not_for_another_model(self, watched, environ):
        test = Measured(True, 40.0, 0.5)
        for name in ("small", "large"):
            environ["MODEL_NAME"] = name
            follow(watched(test), ["model loaded"])
        assert test.runs == 2

    @pytest.mark.parametrize(
        "text", ["", "[]", '{"throughput": 9, "avg_latency": 1}', json.dumps({"throughput": 9})]
    )
    def test_a_file_that_does_not_say_what_for_is_of_no_use(self, text, watched):
        test = Measured(True, 40.0, 0.5)
        watch = watched(test)
        Path(watch.perf_file).write_text(text)
        follow(watch, ["model loaded"])
        assert test.runs == 1
