"""One model's life, step by step, with a clock that is set and parts that do as they are told."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vast_pyworker.errors import ModelError
from vast_pyworker.model import State
from vast_pyworker.worker.capacity.benchmark import BenchmarkSpec
from vast_pyworker.worker.contract.spec import Hooks, Limits, ModelSpec
from vast_pyworker.worker.fakes import (
    OK,
    REFUSED,
    TIMED_OUT,
    UNWELL,
    Clock,
    FakeBenchmark,
    FakeSupervisor,
    FakeTraffic,
    InlineJobs,
    ScriptedLog,
    ScriptedProbe,
)
from vast_pyworker.worker.modellog.patterns import LOG_ERROR, Pattern
from vast_pyworker.worker.modelserver.probe import ProbeResult
from vast_pyworker.worker.modelserver.progress import DownloadMeter
from vast_pyworker.worker.modelserver.senses import Senses, senses_of
from vast_pyworker.worker.phases.lifecycle import Lifecycle
from vast_pyworker.worker.phases.readiness import Readiness

SAFETY_S = 20.0
MIB = 2**20
PATTERNS = (
    Pattern("loading", "Loading weights"),
    Pattern("progress", r"(?P<percent>\d+)%"),
    Pattern("loaded", r"startup complete(?: in (?P<seconds>[\d.]+)s)?"),
    Pattern("capacity", r"max tokens (?P<capacity>\d+)"),
    Pattern("error", "EngineDeadError|Traceback"),
    Pattern("ignore", "request .* failed"),
)
MEASURE = BenchmarkSpec("http://127.0.0.1:5001/v1", ({},), lambda payload: 1.0)


class Life:
    """A lifecycle and everything around it."""

    def __init__(self, *evidence, supervised=False, benchmark=False, hooks=None, **spec):
        self.clock = Clock()
        self.readiness = Readiness(self.clock, monotonic=self.clock)
        self.traffic = FakeTraffic()
        self.supervisor = FakeSupervisor() if supervised else None
        self.benchmark = FakeBenchmark()
        self.log = ScriptedLog(PATTERNS)
        self.probe = ScriptedProbe(REFUSED)
        self.gauges: dict[str, float] = {}
        self.jobs = InlineJobs()
        self.model = ModelSpec(
            name="mine",
            server_url="http://127.0.0.1:5001",
            evidence=frozenset(evidence),
            health_url="http://127.0.0.1:5001/health" if "probe" in evidence else None,
            progress_counters=("tokens",),
            benchmark=MEASURE if benchmark else None,
            hooks=hooks or Hooks(),
            **spec,
        )
        self.lifecycle = Lifecycle(
            self.model,
            self.readiness,
            self.traffic,
            supervisor=self.supervisor,
            benchmark=self.benchmark,
            senses=Senses(self.log, self.probe, lambda: dict(self.gauges), DownloadMeter(None)),
            jobs=self.jobs,
            now=self.clock,
            wall=self.clock,
        )
        self.lifecycle.begin()

    @property
    def state(self):
        return str(self.readiness.state)

    def tick(self, seconds=0.0):
        return self.lifecycle.tick(self.clock.forward(seconds))

    def run(self, seconds, step=1.0):
        """Tick for some time; the states that were passed through, each once."""
        states = []
        for _ in range(int(seconds / step)):
            self.tick(step)
            if not states or states[-1] != self.state:
                states.append(self.state)
        return states

    def up(self):
        """Bring the model up, whatever it takes."""
        self.run(5)
        self.log.write("startup complete")
        self.probe.answer = OK
        self.run(5)
        assert self.state == "ready"
        return self


# On the way up


def test_a_backend_without_a_model_is_ready_before_the_first_tick():
    life = Life(max_perf=12.0, unit="tokens")
    assert (life.state, life.readiness.max_perf) == ("ready", 12.0)
    assert life.tick() == "serving up to 12 tokens per second"
    assert life.jobs.begun == []


def test_the_log_alone_is_enough_where_it_is_all_that_was_asked_for():
    life = Life("log")
    assert life.tick() == "waiting for the loaded line in its log"
    assert life.state == "loading"
    life.log.write("startup complete")
    assert life.tick(1.0) == "serving"
    assert life.readiness.reason == "the model has loaded"
    assert life.state == "ready"


def test_a_refused_connection_while_loading_is_no_error():
    life = Life("probe")
    assert life.run(600) == ["loading"]
    assert life.readiness.error_msg == ""
    assert life.tick() == "waiting for its health check (nobody listens on its port)"
    life.probe.answer = OK
    life.run(2)
    assert life.state == "ready"


def test_log_and_probe_are_both_needed_and_the_probe_is_not_asked_before_the_line():
    life = Life("log", "probe")
    life.probe.answer = OK
    life.run(10)
    assert (life.state, life.probe.asked) == ("loading", 0)
    life.log.write("startup complete")
    life.tick(0.1)
    assert life.probe.asked == 1
    life.tick(0.1)
    assert life.state == "ready"


def test_the_loaded_line_before_the_port_opens_hurts_nobody():
    life = Life("log", "probe", benchmark=True)
    life.log.write("startup complete")
    life.run(10)
    assert (life.state, life.benchmark.measured) == ("loading", 0)
    life.probe.answer = OK
    life.run(3)
    assert (life.state, life.benchmark.measured) == ("ready", 1)


def test_an_open_port_is_evidence_whatever_the_health_check_says():
    life = Life("port")
    life.probe.answer = UNWELL
    life.run(3)
    assert life.state == "ready"


def test_the_load_time_in_the_log_is_believed():
    life = Life("log")
    life.log.write("startup complete in 7.5s", "max tokens 4096")
    life.run(2)
    assert life.readiness.load_time_s == 7.5
    assert life.readiness.capacity == 4096.0


def test_taking_too_long_is_an_error_that_clears_when_the_evidence_comes():
    life = Life("log", limits=Limits(readiness_timeout_s=60.0))
    assert life.run(120) == ["loading", "error"]
    assert "has not loaded within 60 s" in life.readiness.error_msg
    assert "the loaded line in its log" in life.readiness.error_msg
    life.log.write("Loading weights")
    assert life.run(60) == ["error"]
    life.log.write("startup complete")
    life.tick()
    assert (life.state, life.readiness.error_msg) == ("ready", "")


def test_a_readiness_timeout_of_0_waits_for_ever():
    life = Life("log", limits=Limits(readiness_timeout_s=0.0))
    assert life.run(10_000, step=100.0) == ["loading"]


def test_an_error_line_while_loading_clears_when_the_model_loads_after_all():
    life = Life("log")
    life.log.write("Traceback (most recent call last):")
    life.run(2)
    assert (life.state, life.readiness.error_msg) == (
        "error",
        LOG_ERROR + "Traceback (most recent call last):",
    )
    life.log.write("Loading weights")
    life.run(2)
    assert life.state == "loading"
    life.log.write("startup complete")
    life.run(2)
    assert life.state == "ready"


def test_an_error_of_one_request_changes_nothing():
    life = Life("log").up()
    life.log.write("request 7 failed: EngineDeadError")
    assert life.run(5) == ["ready"]


def test_a_download_in_the_log_is_told_with_its_progress():
    life = Life("log")
    life.log.write(" 10%", " 42%")
    assert life.tick(1.0) == "downloading, 40%; waiting for the loaded line in its log"
    assert life.state == "downloading"
    assert life.readiness.progress is not None
    assert life.readiness.progress["percent"] == 42.0
    assert life.run(60)[-1] == "loading"


def test_a_download_on_disk_is_measured_beside_the_loop(tmp_path):
    life = Life("log")
    life.lifecycle._scene.senses.download = DownloadMeter(tmp_path, total_bytes=10 * MIB)
    life.run(2)
    for number in range(3):
        (tmp_path / f"{number}").write_bytes(b"x" * MIB)
        life.run(2)
    assert life.state == "downloading"
    assert "disk" in life.jobs.begun
    assert life.readiness.progress is not None
    assert life.readiness.progress["percent"] == pytest.approx(30, abs=2)


# Setup and capacity


def test_setup_runs_after_the_load_and_before_the_measurement():
    order = []
    life = Life("log", benchmark=True, hooks=Hooks(setup=lambda: order.append("setup")))
    life.tick()
    assert order == []
    life.log.write("startup complete")
    life.run(3)
    assert order == ["setup"]
    assert life.jobs.begun == ["setup", "benchmark"]
    assert life.readiness.max_perf == 100.0


def test_a_setup_that_fails_is_an_error_and_is_tried_again():
    attempts = []

    def setup():
        attempts.append(1)
        if len(attempts) < 3:
            raise OSError("no adapter")

    life = Life("log", hooks=Hooks(setup=setup))
    life.log.write("startup complete")
    life.run(3)
    assert life.readiness.error_msg == "the backend's setup() raised OSError: no adapter"
    assert life.run(30) == ["error", "ready"]
    assert len(attempts) == 3


def test_a_benchmark_that_fails_is_an_error_and_is_tried_again_until_it_works():
    life = Life("log", benchmark=True)
    life.benchmark.failure = "8 of 8 benchmark requests failed"
    life.log.write("startup complete")
    assert life.run(200) == ["benchmarking", "error"]
    assert life.readiness.error_msg == "8 of 8 benchmark requests failed"
    assert (life.readiness.load_time_s, life.readiness.max_perf) == (0.0, 0.0)
    assert 3 <= life.benchmark.measured <= 8
    life.benchmark.failure = ""
    assert life.run(400) == ["error", "ready"]
    assert life.readiness.max_perf == 100.0


@pytest.mark.parametrize("nothing", [0.0, -5.0, float("nan")])
def test_a_capacity_of_nothing_is_never_called_loaded(nothing):
    life = Life("log", benchmark=True)
    life.benchmark.max_perf = nothing
    life.log.write("startup complete")
    assert life.run(100) == ["benchmarking", "error"]
    assert life.readiness.load_time_s == 0.0


def test_while_it_is_measured_nothing_is_accepted_and_the_log_is_read():
    life = Life("log", benchmark=True)
    life.jobs.held = True
    life.log.write("startup complete")
    assert life.run(30) == ["benchmarking"]
    life.log.write("max tokens 99")
    life.tick()
    assert life.readiness.capacity == 99.0
    life.jobs.release()
    life.tick()
    assert life.state == "ready"


def test_an_error_line_during_the_measurement_is_told_until_the_number_is_there():
    life = Life("log", benchmark=True)
    life.jobs.held = True
    life.log.write("startup complete")
    life.run(2)
    life.log.write("Traceback (most recent call last):")
    assert life.run(5) == ["error"]
    life.jobs.release()
    life.tick()
    assert life.state == "ready"


def test_a_second_loaded_line_does_not_measure_again():
    life = Life("log", benchmark=True).up()
    life.log.write("startup complete", "startup complete")
    assert life.run(10) == ["ready"]
    assert life.benchmark.measured == 1
    assert life.readiness.document()["counts"]["ready"] == 1


# Watching it serve


def test_three_failed_probes_degrade_and_a_good_one_recovers():
    life = Life("probe").up()
    life.probe.answer = UNWELL
    assert life.run(25) == ["ready"]
    assert life.run(15) == ["ready", "degraded"]
    assert life.readiness.error_msg == "3 health checks in a row failed: its health check says 503"
    assert not life.readiness.accepting
    life.probe.answer = OK
    assert life.run(5)[-1] == "ready"
    assert life.readiness.error_msg == ""
    assert life.lifecycle.probe_failures >= 3


def test_a_port_that_closes_is_noticed_within_seconds():
    life = Life("probe").up()
    life.probe.answer = REFUSED
    life.run(10)
    life.run(5)
    assert life.state == "degraded"
    assert "nobody listens" in life.readiness.error_msg


def test_a_busy_model_that_misses_its_probes_is_left_alone():
    life = Life("probe", supervised=True).up()
    life.probe.answer = TIMED_OUT
    life.traffic.in_flight = 64
    for _ in range(600):
        life.traffic.progress += 3
        life.tick(1.0)
        assert life.state == "ready"
    assert life.supervisor.asked == []


def test_a_model_that_hangs_while_its_health_is_good_is_degraded_and_restarted():
    life = Life("probe", supervised=True).up()
    life.traffic.in_flight = 3
    assert life.run(115) == ["ready"]
    states = life.run(10)
    assert states[:2] == ["ready", "degraded"]
    assert life.supervisor.asked == ["no progress for 120 s with 3 requests running"]
    life.traffic.in_flight = 0
    life.run(10)
    assert life.state == "ready"
    assert life.supervisor.starts == 2
    assert life.lifecycle.restarts == {"stalled": 1}


def test_a_counter_of_the_model_that_moves_is_progress():
    life = Life("probe", supervised=True).up()
    life.traffic.in_flight = 1
    for second in range(600):
        life.gauges = {"tokens": float(second)}
        life.tick(1.0)
    assert (life.state, life.supervisor.asked) == ("ready", [])
    life.run(200)
    assert len(life.supervisor.asked) == 1


def test_the_models_own_count_of_requests_is_compared_with_ours(caplog):
    life = Life("probe", running_gauge="running", waiting_gauge="waiting")
    life.probe.answer = OK
    life.run(5)
    life.gauges |= {"running": 2.0, "waiting": 1.0}
    life.traffic.in_flight = life.traffic.at_model = 3
    life.run(100)
    assert life.lifecycle.model_requests == {"running": 2.0, "waiting": 1.0, "surplus": 0.0}
    assert "did not come through" not in caplog.text
    life.traffic.in_flight = life.traffic.at_model = 0
    life.run(100)
    assert life.lifecycle.model_requests["surplus"] == 3.0
    assert caplog.text.count("has had 3 requests") == 1
    life.gauges.clear()
    life.run(20)
    assert life.lifecycle.model_requests == {}, "what is not on the page is not known"


def test_progress_lines_in_the_log_are_progress():
    life = Life("log", supervised=True).up()
    life.traffic.in_flight = 1
    for _ in range(30):
        life.log.write("step 7%")
        life.run(10)
    assert life.supervisor.asked == []


def test_a_hang_of_a_model_that_is_not_ours_stays_degraded_until_it_moves():
    life = Life("probe").up()
    life.traffic.in_flight = 3
    assert life.run(300) == ["ready", "degraded"]
    life.traffic.progress += 1
    assert life.run(2) == ["ready"]


def test_a_backend_without_a_model_may_take_as_long_as_it_likes():
    life = Life()
    life.traffic.in_flight = 1
    assert life.run(10_000, step=10.0) == ["ready"]


def test_a_fatal_line_is_an_error_at_once_and_clears_after_good_probes():
    life = Life("log", "probe").up()
    life.log.write("Traceback (most recent call last):")
    life.tick(0.1)
    assert life.state == "error"
    assert not life.readiness.accepting
    assert life.run(10) == ["error", "ready"]
    assert life.readiness.error_msg == ""


def test_a_fatal_line_of_a_model_that_stays_ill_restarts_it():
    life = Life("log", "probe", supervised=True).up()
    life.probe.answer = UNWELL
    life.log.write("EngineDeadError")
    life.run(70)
    assert life.supervisor.asked == [LOG_ERROR + "EngineDeadError"]
    assert life.lifecycle.restarts == {"fatal": 1}


def test_a_loaded_line_after_a_fatal_one_ends_the_error():
    life = Life("log").up()
    life.probe.answer = REFUSED
    life.log.write("EngineDeadError")
    assert life.run(30) == ["error"]
    life.log.write("startup complete")
    assert life.run(2) == ["ready"]


def test_a_model_elsewhere_that_says_it_loads_again_is_believed_if_the_log_is_all_there_is():
    life = Life("log", benchmark=True).up()
    life.log.write("Loading weights")
    life.tick(1.0)
    assert life.state == "loading"
    assert life.readiness.max_perf == 0.0
    life.log.write("startup complete")
    life.run(2)
    assert (life.state, life.benchmark.measured) == ("ready", 2)


def test_a_loading_line_while_the_probe_is_good_changes_nothing():
    life = Life("log", "probe").up()
    life.log.write("Loading weights")
    assert life.run(30) == ["ready"]


# A process of our own


def test_a_supervised_model_is_started_and_its_log_read_from_where_its_life_began():
    life = Life("log", supervised=True)
    assert life.state == "starting"
    life.supervisor.log_offset = 4711
    life.run(2)
    assert life.supervisor.starts == 1
    assert life.log.renewed_from == [4711]
    life.log.write("startup complete")
    life.run(2)
    assert life.state == "ready"
    assert life.supervisor.proven == 1


def test_a_model_that_dies_while_it_serves_degrades_and_is_started_again():
    life = Life("log", supervised=True, benchmark=True).up()
    life.supervisor.die("The model server was killed by SIGKILL")
    life.tick(0.1)
    assert life.state == "degraded"
    assert "SIGKILL" in life.readiness.error_msg
    assert "started again" in life.lifecycle.sentence
    assert life.run(5)[-1] == "loading"
    life.log.write("startup complete")
    life.run(3)
    assert life.state == "ready"
    assert life.benchmark.measured == 2
    assert life.lifecycle.restarts == {"exited": 1}


def test_a_loaded_line_of_the_life_before_is_no_evidence():
    life = Life("log", "probe", supervised=True)
    life.run(2)
    life.log.write("startup complete")
    life.run(2)
    life.supervisor.die()
    life.run(5)
    life.probe.answer = OK
    assert life.run(10) == ["loading"]


def test_a_model_that_dies_again_and_again_is_given_up_with_the_cause():
    life = Life("log", supervised=True)
    for _ in range(4):
        life.run(3)
        life.supervisor.die("The model server exited with status 1, saying 'no such file'")
    assert life.run(600)[-1] == "error"
    assert "no such file" in life.readiness.error_msg
    assert life.supervisor.starts == 4


def test_the_last_line_of_a_model_that_died_stays_the_reason_until_it_is_started_again():
    life = Life("log", supervised=True)
    life.run(2)
    life.log.write("torch: EngineDeadError: out of memory")
    life.supervisor.die()
    life.tick(0.1)
    assert life.readiness.error_msg == LOG_ERROR + "torch: EngineDeadError: out of memory"
    assert life.run(3)[-1] == "loading"


@pytest.mark.parametrize("how", ["loading", "serving", "posted"])
def test_a_fatal_line_is_told_to_the_operator_and_not_to_callers_or_our_log(how, caplog):
    caplog.set_level("INFO")
    life = Life("log")
    line = "EngineDeadError while generating for: my secret diary"
    if how == "serving":
        life.log.write("startup complete")
        life.run(2)
    if how == "posted":
        life.lifecycle.report("error", {"error_msg": line})
    else:
        life.log.write(line)
    life.run(2)
    assert "secret" in life.readiness.error_msg
    assert "secret" in life.readiness.document()["reason"]
    assert life.readiness.public_reason == "the model's log tells of an error"
    assert life.lifecycle.sentence
    assert "secret" not in caplog.text


def test_a_command_that_cannot_be_started_is_an_error_with_the_sentence():
    life = Life("log", supervised=True)
    life.supervisor.start_error = ModelError("There is no program vllm: install it.")
    life.run(3)
    assert life.readiness.error_msg == "There is no program vllm: install it."
    life.supervisor.start_error = None
    life.run(60)
    assert life.state == "loading"


def test_while_the_start_takes_its_time_the_supervisor_is_not_asked():
    life = Life("log", supervised=True)
    life.jobs.held = True
    assert life.tick() == "the model server is being started"
    life.supervisor.alive = None  # asking would raise
    assert life.tick(1.0) == "the model server is being started"
    del life.supervisor.alive
    life.jobs.release()
    life.run(2)
    assert life.state == "loading"


def test_a_benchmark_of_the_life_before_is_no_capacity_of_this_one():
    life = Life("log", supervised=True, benchmark=True)
    life.run(2)
    life.jobs.held = True
    life.log.write("startup complete")
    life.run(2)
    assert life.state == "benchmarking"
    life.supervisor.die()
    life.run(3)
    assert life.benchmark.cancelled == 1
    life.jobs.release()
    life.run(3)
    assert life.state == "loading"


def test_being_ill_for_long_needs_a_new_process():
    life = Life("probe", supervised=True).up()
    life.probe.answer = UNWELL
    life.run(40)
    assert life.state == "degraded"
    life.run(130)
    assert len(life.supervisor.asked) == 1
    assert life.lifecycle.restarts == {"unwell": 1}


# What others tell


def test_a_log_watch_of_2024_makes_a_ready_worker_wait_and_then_ready():
    life = Life()
    life.lifecycle.report("loading", {})
    life.tick()
    assert life.state == "loading"
    life.lifecycle.report("loaded", {"loadtime": 12.0, "cur_perf": 0.0, "loaded": True})
    life.tick()
    assert life.state == "benchmarking"
    life.lifecycle.report("loaded", {"loadtime": 12.0, "cur_perf": 0.0, "max_perf": 55.0})
    life.tick()
    assert (life.state, life.readiness.max_perf) == ("ready", 55.0)


def test_an_error_that_was_posted_is_ended_by_a_loaded_that_is_posted():
    life = Life()
    life.lifecycle.report("error", {"error_msg": "performance metrics out of bounds"})
    life.tick()
    assert life.readiness.error_msg == LOG_ERROR + "performance metrics out of bounds"
    life.lifecycle.report("loaded", {"max_perf": 5.0})
    life.tick()
    assert (life.state, life.readiness.max_perf) == ("ready", 5.0)


def test_what_says_nothing_is_not_taken_in():
    life = Life()
    life.lifecycle.report("done", {"wait_time": 1.0})
    assert (life.tick(), life.state) == ("serving", "ready")


def test_a_flood_of_posts_is_bounded(caplog):
    life = Life()
    for _ in range(1500):
        life.lifecycle.report("capacity", {"max_capacity": 7})
    life.tick()
    assert life.readiness.capacity == 7.0
    assert caplog.text.count("Too much is reported at once") == 1


# Capacity contradicted


def busy_for_minutes(life):
    life.readiness.set_saturated(True)
    life.traffic.in_flight = 8
    for _ in range(400):
        life.traffic.progress += 1
        life.traffic.served_total += 10.0
        life.tick(1.0)
    life.readiness.set_saturated(False)
    life.traffic.in_flight = 0


def test_a_number_that_production_contradicts_is_measured_again_when_idle():
    life = Life("log", benchmark=True).up()
    busy_for_minutes(life)
    assert life.benchmark.measured == 1
    life.benchmark.max_perf = 12.0
    assert life.run(30) == ["ready"]
    assert (life.benchmark.forgotten, life.benchmark.measured) == (1, 2)
    assert life.readiness.max_perf == 12.0


def test_a_measurement_that_shared_the_model_with_requests_is_not_believed():
    life = Life("log", benchmark=True).up()
    busy_for_minutes(life)
    life.jobs.held = True
    life.benchmark.max_perf = 12.0
    life.run(30)
    life.traffic.progress += 1
    life.jobs.release()
    life.run(5)
    assert life.readiness.max_perf == 100.0


def test_a_request_that_comes_ends_a_measurement_that_nobody_waits_for():
    life = Life("log", benchmark=True).up()
    busy_for_minutes(life)
    life.jobs.held = True
    life.run(30)
    assert life.benchmark.cancelled == 0
    life.traffic.in_flight = 1
    life.tick(0.25)
    assert life.benchmark.cancelled == 1
    assert life.readiness.accepting


def test_a_measurement_that_fails_while_it_serves_changes_nothing():
    life = Life("log", benchmark=True).up()
    busy_for_minutes(life)
    life.benchmark.failure = "no"
    assert life.run(60) == ["ready"]
    assert (life.readiness.max_perf, life.benchmark.measured) == (100.0, 2)


# The end


def test_draining_waits_for_the_requests_in_flight():
    life = Life("log").up()
    life.traffic.in_flight = 2

    def pause(seconds):
        assert not life.readiness.accepting
        life.traffic.in_flight -= 1

    assert life.lifecycle.drain(60.0, pause=pause)
    assert life.tick() == "draining: the worker has been asked to stop"


def test_draining_gives_up_at_its_deadline():
    life = Life("log").up()
    life.traffic.in_flight = 2
    assert not life.lifecycle.drain(10.0, pause=lambda seconds: life.clock.forward(1.0))


def test_a_worker_that_drains_starts_nothing_anew():
    life = Life("log", supervised=True, benchmark=True).up()
    life.readiness.draining()
    life.supervisor.die()
    life.run(60)
    assert (life.supervisor.starts, life.state) == (1, "draining")
    assert life.benchmark.cancelled == 1


def test_a_worker_that_drains_while_it_loads_never_becomes_ready():
    life = Life("log")
    life.readiness.draining()
    life.log.write("startup complete")
    assert life.run(10) == ["draining"]


def test_stopping_tears_down_then_stops_the_model():
    order = []
    life = Life("log", supervised=True, hooks=Hooks(teardown=lambda: order.append("teardown"))).up()
    life.supervisor.stop = lambda deadline_s: order.append(f"stop {deadline_s:g}")
    life.lifecycle.stop(10.0)
    assert order == ["teardown", "stop 10"]
    assert life.state == "stopped"
    assert life.log.closed


def test_a_model_can_be_left_for_the_next_worker():
    life = Life("log", supervised=True).up()
    life.lifecycle.stop(None)
    assert not life.supervisor.stopped
    assert life.supervisor.alive()


def test_a_teardown_that_fails_does_not_keep_the_model_running(caplog):
    life = Life("log", supervised=True, hooks=Hooks(teardown=lambda: {}["x"])).up()
    life.lifecycle.stop(1.0)
    assert life.supervisor.stopped
    assert "teardown() failed" in caplog.text


# The loop


def test_each_sentence_is_logged_once(caplog):
    caplog.set_level("INFO")
    life = Life("probe")
    life.run(100)
    said = [r.getMessage() for r in caplog.records if r.name.endswith("lifecycle")]
    assert len(said) == 2  # before and after the first probe
    assert said[-1] == "mine: waiting for its health check (nobody listens on its port)."


def test_the_document_says_what_is_going_on():
    life = Life("log", "probe", supervised=True)
    life.run(3)
    document = life.lifecycle.document()
    assert document["stage"] == "loading"
    assert document["missing"] == ["log", "probe"]
    assert (document["supervised"], document["alive"]) == (True, True)
    life.up()
    document = life.lifecycle.document()
    assert document["stage"] == "serving"
    assert document["missing"] == []
    assert document["log"] == {"matches": {"loaded": 1}}


STEPS = st.one_of(
    st.sampled_from(["die", "tick", "tick", "tick", "drain", "take", "give", "move", "loading"]),
    st.sampled_from([OK, REFUSED, TIMED_OUT, UNWELL]),
    st.sampled_from(["Loading weights", "startup complete", "EngineDeadError", " 50%"]).map(
        lambda line: (line,)
    ),
    st.floats(0.0, 200.0),
)


def take(life, step):
    if isinstance(step, float):
        life.clock.forward(step)
    elif isinstance(step, tuple):
        life.log.write(*step)
    elif isinstance(step, ProbeResult):
        life.probe.answer = step
    elif step == "die" and life.supervisor.alive():
        life.supervisor.die()
    elif step == "drain":
        life.readiness.draining()
    elif step == "loading":
        life.lifecycle.report("loading", {})
    elif step in ("take", "give"):
        life.traffic.in_flight = max(life.traffic.in_flight + (1 if step == "take" else -1), 0)
    elif step == "move":
        life.traffic.progress += 1
    life.tick(0.25)


@settings(max_examples=100, deadline=None)
@given(st.lists(STEPS, max_size=60), st.booleans())
def test_requests_are_only_let_in_to_a_model_that_lives_has_loaded_and_was_measured(steps, probed):
    life = Life("log", *(["probe"] if probed else []), supervised=True, benchmark=True)
    drained = False
    for step in steps:
        take(life, step)
        drained = drained or step == "drain"
        if life.readiness.accepting:
            assert life.supervisor.alive()
            assert life.readiness.max_perf > 0
            assert life.supervisor.proven == life.benchmark.measured
            assert not drained
        if life.supervisor.gave_up and not drained:
            assert life.state == "error"


def test_the_thread_goes_from_start_to_ready_to_stopped():
    life = Life("log", "probe")
    life.log.write("startup complete")
    life.probe.answer = OK
    ready = threading.Event()
    life.readiness.subscribe(lambda t: ready.set() if t.state is State.READY else None)
    running = Lifecycle(
        life.model,
        life.readiness,
        life.traffic,
        senses=Senses(life.log, life.probe),
    )
    running.start()
    assert ready.wait(SAFETY_S)
    running.stop(None)
    assert life.state == "stopped"
    assert not any(thread.name == "lifecycle" for thread in threading.enumerate())


def test_a_step_that_fails_does_not_end_the_watch(caplog):
    life = Life("probe")
    failed = threading.Event()

    class Broken(ScriptedLog):
        def poll(self, now):
            failed.set()
            raise OSError("disk on fire")

    ready = threading.Event()
    broken = Broken()
    senses = Senses(broken, life.probe)
    running = Lifecycle(life.model, life.readiness, life.traffic, senses=senses)
    life.readiness.subscribe(lambda t: ready.set() if t.state is State.READY else None)
    running.start()
    assert failed.wait(SAFETY_S)
    senses.log = None
    life.probe.answer = OK
    assert ready.wait(SAFETY_S)
    running.stop(None)
    assert "disk on fire" in caplog.text


def test_the_real_senses_follow_the_spec(tmp_path):
    nothing = senses_of(ModelSpec("mine", "http://127.0.0.1:1"))
    assert (nothing.log, nothing.probe, nothing.gauges) == (None, None, None)
    model = ModelSpec(
        "mine",
        "http://127.0.0.1:1",
        evidence=frozenset({"log"}),
        log_path=tmp_path / "model.log",
        gauges_url="http://127.0.0.1:1/metrics",
        progress_counters=("tokens",),
    )
    senses = senses_of(model)
    assert senses.log is not None
    assert senses.probe is not None
    assert senses.probe().verdict.value == "refused"
    assert senses.gauges is not None
    with pytest.raises(OSError, match="refused"):
        senses.gauges()
    unwell = senses_of(replace(model, hooks=Hooks(health=lambda: False)))
    assert unwell.probe is not None
    assert unwell.probe().verdict.value == "bad_status"
