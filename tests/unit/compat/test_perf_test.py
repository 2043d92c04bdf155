"""``ModelPerfTest``: capacity is work done over wall time, measured through the backend itself."""

from __future__ import annotations

import math

import pytest

from vast_pyworker.compat.test_model import PAYLOADS, ModelPerfTest

BACKEND = """
from backend import GenericBackend

class Backend(GenericBackend):
    def __init__(self, container_id, control_server_url, master_token, send_data):
        super().__init__(master_token, None)
        assert send_data is False

    def generate(self, model_request, metrics=True):
        assert metrics is False
        return super().generate(model_request, "{address}", "generate", lambda r: r.text)

flask_dict = {{}}
"""


@pytest.fixture
def perf_test(peer, environ, tmp_path):
    """Make a test of a backend of this name, whose model server is the peer."""

    def make(name):
        directory = tmp_path / name
        directory.mkdir()
        (directory / "backend.py").write_text(BACKEND.format(address=peer.address))
        environ["PYWORKER_BACKENDS"] = str(tmp_path)
        return ModelPerfTest(backend_name=name)

    return make


def test_constructing_sends_nothing_and_needs_no_backend():
    assert ModelPerfTest("no-such-backend").backend_name == "no-such-backend"


def test_throughput_is_the_work_of_the_requests_that_finished(perf_test, peer):
    test = perf_test("ooba")
    test.update_params(100, 150, 400)
    success, throughput, latency_s = test.run(2)
    assert success
    assert 0 < throughput < math.inf
    assert latency_s > 0
    assert peer.got.qsize() == 8
    path, payload = peer.next()
    assert path == "/generate"
    assert payload["max_new_tokens"] == 25
    assert payload["prompt"]


def test_a_model_that_fails_has_no_capacity(perf_test, peer):
    peer.status = 500
    test = perf_test("ooba")
    test.update_params(100, 150, 400)
    assert test.run(1) == (False, 0.0, 0.0)


def test_the_first_run_says_how_many_finished(perf_test, peer):
    test = perf_test("sdauto")
    assert test.first_run() == "success"
    peer.status = 500
    assert test.first_run() == "0 of 16 requests finished"


def test_one_request_can_be_sent_alone(perf_test, peer):
    code, latency_s, work = perf_test("tgi").prompt_model(27, 5)
    assert (code, work) == (200, 32)
    assert latency_s > 0
    assert peer.next()[1]["parameters"] == {"max_new_tokens": 5}


def test_no_round_is_no_measurement():
    with pytest.raises(ValueError, match="at least one round"):
        ModelPerfTest("tgi").run(0)


@pytest.mark.parametrize("name", sorted(PAYLOADS))
def test_a_payload_costs_what_it_was_asked_to(name):
    payload = PAYLOADS[name]("hello", 1024.0)
    asked = payload.get("parameters", payload).get("max_new_tokens")
    assert (asked or payload["width"] * payload["height"]) == 1024
