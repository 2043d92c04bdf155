"""``GenericMetrics``: counters that add up, reports on time, and a thread that stops."""

from __future__ import annotations

import inspect
import threading

import pytest

from vast_pyworker.compat.metrics import GenericMetrics


class Counted(GenericMetrics):
    """A subclass as one wrote them in 2024; its own fields come before or after the base's."""

    def __init__(self, *args, first=False):
        if first:
            super().__init__(*args)
        self.work = 0.0
        self.news = False
        if not first:
            super().__init__(*args)

    def start_req(self, request):
        self.num_requests_recieved += 1
        self.num_requests_working += 1
        self.work += request

    def finish_req(self, request):
        self.num_requests_working -= 1

    def error_req(self, request, code=None):
        self.num_requests_working -= 1

    def send_data_condition(self):
        return self.news

    def fill_data(self, data):
        self.fill_data_generic(data)
        data["cur_load"], self.work = self.work, 0.0
        self.news = False


def quiet(**kwargs):
    return Counted("7", "secret", "", False, **kwargs)


@pytest.mark.parametrize("first", [True, False])
def test_the_base_constructor_may_be_called_first_or_last(first, peer):
    metrics = Counted(7, "secret", peer.url, True, first=first)
    metrics.report_loaded({"max_perf": 5.0, "loadtime": 2.0})
    try:
        path, data = peer.next()
    finally:
        metrics.stop()
    assert path == "/worker_status/"
    assert data == {
        "id": 7,
        "mtoken": "secret",
        "message": "data update",
        "num_requests_working": 0,
        "num_requests_recieved": 0,
        "overloaded": False,
        "cur_perf": 0.0,
        "error": False,
        "loadtime": 2.0,
        "max_perf": 5.0,
        "cur_load": 0.0,
    }


def test_the_thread_starts_only_where_reports_are_wanted():
    assert quiet()._thread is None


def test_the_thread_is_a_daemon_with_a_name_and_ends_when_stopped(peer):
    metrics = Counted(7, "secret", peer.url, True)
    thread = metrics._thread
    assert thread.daemon
    assert thread.name == "compat-metrics"
    metrics.stop()
    assert not thread.is_alive()


def test_counting_from_many_threads_loses_nothing():
    metrics = quiet()
    loads = []

    def count():
        for _ in range(2000):
            metrics.start_req(1.0)
            metrics.finish_req(1.0)

    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        data = {}
        metrics.fill_data(data)
        loads.append(data["cur_load"])
    for thread in threads:
        thread.join()
    assert metrics.num_requests_recieved == 16000
    assert metrics.num_requests_working == 0
    assert sum(loads) + metrics.work == 16000.0


class TestWhatIsDue:
    def test_nothing_before_the_model_is_loaded(self):
        assert quiet().next_message(0.0) is None

    def test_a_loading_update_every_tenth_interval(self):
        metrics = quiet()
        metrics.report_loading({})
        first = metrics.next_message(0.0)
        assert first["message"] == "loading update"
        assert first["disk_usage"] > 0
        assert metrics.next_message(9.9) is None
        assert metrics.next_message(10.0)["message"] == "loading update"

    def test_nothing_while_the_model_is_measured(self):
        metrics = quiet()
        metrics.report_loading({})
        metrics.report_loaded({"loadtime": 2.0})
        assert metrics.next_message(100.0) is None

    def test_news_at_once_and_a_sign_of_life_every_ten_seconds(self):
        metrics = quiet()
        metrics.report_loaded({"max_perf": 5.0})
        assert metrics.next_message(0.0)["max_perf"] == 5.0
        assert metrics.next_message(9.9) is None
        assert metrics.next_message(10.0)["message"] == "data update"
        metrics.news = True
        assert metrics.next_message(10.5)["message"] == "data update"

    def test_a_model_that_could_not_be_measured_is_reported_all_the_same(self):
        metrics = quiet()
        metrics.report_loading({})
        metrics.report_loaded({"measured": True})
        assert metrics.next_message(0.0)["max_perf"] == 1.0

    def test_an_error_is_reported_at_once_and_the_reports_go_on(self):
        metrics = quiet()
        metrics.report_loaded({"max_perf": 5.0})
        metrics.next_message(0.0)
        metrics.report_error({"error_msg": "no memory"})
        assert metrics.next_message(1.0)["error_msg"] == "no memory"
        assert metrics.next_message(11.0)["error"] is True

    def test_an_error_ends_when_the_model_is_loaded_again(self):
        metrics = quiet()
        metrics.report_error({"error_msg": "no memory"})
        metrics.report_loaded({"max_perf": 5.0})
        assert metrics.next_message(0.0)["error"] is False


def test_a_subclass_that_chokes_does_not_end_the_reports(peer, caplog):
    class Choking(Counted):
        calls = 0

        def fill_data(self, data):
            self.calls += 1
            if self.calls == 1:
                raise ZeroDivisionError
            super().fill_data(data)

    metrics = Choking(7, "secret", peer.url, False)
    metrics.update_interval = 0.01
    metrics.report_loaded({"max_perf": 5.0})
    metrics.news = True
    metrics.start()
    try:
        assert peer.next()[1]["message"] == "data update"
    finally:
        metrics.stop()
    assert "Choking could not say what to report" in caplog.text


def test_reports_that_a_subclass_does_not_handle_are_harmless():
    metrics = quiet()
    metrics.report_req_stats({"wait_time": 1.0})
    metrics.report_batch_capacity({"max_batch_tokens": 10})


def test_the_worker_may_have_no_number():
    assert Counted(None, None, "", False).id == 0


def test_the_constructors_signature_is_the_subclasss_own():
    assert list(inspect.signature(Counted).parameters) == ["args", "first"]
