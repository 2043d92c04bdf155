"""The doctor says what is there, what is missing, and never a secret."""

from __future__ import annotations

import datetime
import socket
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID

from vast_pyworker.signature import new_private_key
from vast_pyworker.worker.fake_autoscaler import FakeAutoscaler
from vast_pyworker.worker.starting.doctor import LOOKS, examine
from vast_pyworker.worker.starting.doctor_machine import package_faults


@pytest.fixture
def found(tmp_path):
    """Examine an environment; the findings by name."""

    def look(**environ):
        given = {"PYWORKER_STATE": str(tmp_path), "WORKER_PORT": str(free_port()), **environ}
        return {finding.name: finding for finding in examine(given)}

    return look


def free_port():
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return held.getsockname()[1]


def certificate(tmp_path, days):
    """A self-signed pair that is valid until so many days from now."""
    key = new_private_key()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "worker")])
    now = datetime.datetime.now(datetime.timezone.utc)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=10))
        .not_valid_after(now + datetime.timedelta(days=days))
        .sign(key, hashes.SHA256())
    )
    file = tmp_path / "worker.crt"
    file.write_bytes(built.public_bytes(serialization.Encoding.PEM))
    return str(file)


def test_everything_is_looked_at_and_each_finding_is_a_sentence(found):
    findings = found()
    assert list(findings) == ["settings", *LOOKS]
    assert {finding.level for finding in findings.values()} <= {"ok", "warning", "fault"}
    assert all(finding.sentence.endswith(".") for finding in findings.values())


def test_a_setting_that_cannot_be_read_is_a_fault_and_the_rest_is_still_looked_at(found):
    findings = found(QUEUE_TIMEOUT="soon")
    assert findings["settings"].level == "fault"
    assert "QUEUE_TIMEOUT" in findings["settings"].sentence
    assert findings["python"].level == "ok"


def test_no_secret_is_shown(found, tmp_path):
    with FakeAutoscaler() as autoscaler:
        address = autoscaler.url.replace("//", "//user:hunter2@")
        findings = found(
            MASTER_TOKEN="hunter2",
            PYWORKER_API_KEYS="hunter2",
            REPORT_ADDR=f"{address}?key=hunter2,http://user:hunter2@127.0.0.1:1",
            MODEL_SERVER_URL="http://user:hunter2@127.0.0.1:1",
        )
    assert "hunter2" not in str(findings)


class TestPort:
    def test_a_free_one_is_said(self, found):
        assert found()["port"].sentence.endswith(" is free.")

    def test_a_taken_one_is_a_fault_that_names_who_has_it(self, found):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            finding = found(WORKER_PORT=str(taken.getsockname()[1]))["port"]
        assert finding.level == "fault"
        assert "is taken by" in finding.sentence


class TestAutoscaler:
    def test_none_is_fine(self, found):
        assert found()["autoscaler"].level == "ok"

    def test_one_that_answers_with_a_key_is_fine_and_sets_the_clock_right(self, found):
        with FakeAutoscaler() as autoscaler:
            findings = found(REPORT_ADDR=autoscaler.url)
        assert findings["autoscaler"].level == "ok"
        assert "off the autoscaler's" in findings["clock"].sentence

    def test_one_that_does_not_answer_is_a_fault(self, found):
        finding = found(REPORT_ADDR=f"http://127.0.0.1:{free_port()}")["autoscaler"]
        assert finding.level == "fault"
        assert "does not answer (ConnectionError)" in finding.sentence

    def test_one_dead_address_of_two_is_a_warning(self, found):
        with FakeAutoscaler() as autoscaler:
            dead = f"http://127.0.0.1:{free_port()}"
            finding = found(REPORT_ADDR=f"{dead},{autoscaler.url}")["autoscaler"]
        assert finding.level == "warning"

    def test_one_without_a_key_is_a_fault_and_a_clock_far_off_is_too(self, found):
        server = HTTPServer(("127.0.0.1", 0), _YearsAgo)
        Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        try:
            findings = found(REPORT_ADDR=f"http://127.0.0.1:{server.server_port}")
        finally:
            server.shutdown()
            server.server_close()
        assert "without a public key" in findings["autoscaler"].sentence
        assert findings["clock"].level == "fault"


class _YearsAgo(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()

    def date_time_string(self, timestamp=None):
        return "Mon, 01 Jul 2024 00:00:00 GMT"

    def log_message(self, *args):
        """Say nothing."""


class TestBackendAndModel:
    def test_a_backend_that_loads_without_a_model(self, found):
        findings = found(BACKEND="helloworld")
        assert "helloworld loads from" in findings["backend"].sentence
        assert findings["model"].sentence.startswith("No model server is named")

    def test_one_that_does_not_is_a_fault(self, found):
        assert found(BACKEND="helloword")["backend"].level == "fault"

    def test_a_model_server_that_is_not_there_yet_is_a_warning(self, found):
        finding = found(MODEL_SERVER_URL=f"http://127.0.0.1:{free_port()}")["model"]
        assert finding.level == "warning"

    def test_a_model_server_that_answers_is_fine(self, found):
        with FakeAutoscaler() as anything:
            assert found(MODEL_SERVER_URL=anything.url)["model"].level == "ok"


class TestCertificate:
    def test_without_tls_there_is_nothing_to_look_at(self, found):
        assert found()["certificate"].level == "ok"

    def test_a_valid_one_is_fine(self, found, tmp_path):
        cert = certificate(tmp_path, days=30)
        finding = found(USE_SSL="true", PYWORKER_CERT=cert)["certificate"]
        assert (finding.level, "valid until" in finding.sentence) == ("ok", True)

    def test_an_expired_one_is_a_fault(self, found, tmp_path):
        cert = certificate(tmp_path, days=-1)
        assert found(USE_SSL="true", PYWORKER_CERT=cert)["certificate"].level == "fault"

    def test_none_is_a_fault_but_on_an_instance_where_a_start_asks_for_one(self, found, tmp_path):
        missing = str(tmp_path / "missing.crt")
        assert found(USE_SSL="true", PYWORKER_CERT=missing)["certificate"].level == "fault"
        finding = found(
            USE_SSL="true",
            PYWORKER_CERT=missing,
            CONTAINER_ID="7",
            REPORT_ADDR="http://127.0.0.1:1",
        )["certificate"]
        assert finding.level == "warning"


class TestPackages:
    LOCK = "# a comment\nflask==3.1.3\nuvloop==0.23.0 ; platform == 'x'\nflask-cors==1.0\n"

    def faults(self, **versions):
        names = {name.replace("_", "-"): version for name, version in versions.items()}
        return package_faults(self.LOCK, names.get)

    def test_what_the_lock_says_is_fine(self):
        assert self.faults(flask="3.1.3", uvloop="0.23.0", flask_cors="1.0") == set()

    def test_what_is_wanted_only_somewhere_may_be_missing(self):
        assert self.faults(flask="3.1.3", flask_cors="1.0") == set()

    def test_a_missing_and_another_version_are_named(self):
        assert self.faults(flask="2.0") == {"flask is 2.0, not 3.1.3", "flask-cors is missing"}

    def test_two_versions_for_two_pythons_are_both_right(self):
        lock = "a==1 ; python_version < '3'\na==2 ; python_version > '3'\n"
        assert package_faults(lock, {"a": "2"}.get) == set()
        assert package_faults(lock, {"a": "3"}.get) == {"a is 3, not 1 or 2"}
