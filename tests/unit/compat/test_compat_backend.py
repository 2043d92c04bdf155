"""``GenericBackend``: who may call, and that each counted request ends exactly once."""

from __future__ import annotations

import pytest

from vast_pyworker import signature
from vast_pyworker.compat import auth
from vast_pyworker.compat.backend import GenericBackend

KEY = signature.new_private_key()
GRANT = {"cost": 10.0, "endpoint": "demo", "reqnum": 5, "url": "http://127.0.0.1:3000"}


class Counted:
    """Metrics that keep what they were told."""

    send_server_data = False

    def __init__(self):
        self.told = []

    def start_req(self, request):
        self.told.append(("start", request))

    def finish_req(self, request):
        self.told.append(("finish", request))

    def error_req(self, request, code=None):
        self.told.append(("error", code))

    @property
    def ends(self):
        return [what for what, _ in self.told]


@pytest.fixture
def backend(environ):
    made = GenericBackend(master_token="secret", metrics=Counted())
    yield made
    made.teardown()


@pytest.fixture
def keyed(peer, environ):
    """A backend whose autoscaler answers /pubkey/."""
    peer.answer = signature.public_pem(KEY).encode()
    environ["REPORT_ADDR"] = peer.url
    made = GenericBackend(master_token="secret", metrics=Counted())
    yield made
    made.teardown()


def signed(form, **changes):
    grant = {**GRANT, **changes}
    return {**grant, "signature": signature.sign(KEY, grant, form)}


class TestMasterToken:
    def test_the_right_one_passes(self, backend):
        assert backend.check_master_token("secret")

    @pytest.mark.parametrize("token", ["", "secre", "secret ", "mtoken", None, 3, "sécret"])
    def test_any_other_does_not(self, backend, token):
        assert not backend.check_master_token(token)

    @pytest.mark.parametrize("token", [None, ""])
    def test_without_one_nothing_passes(self, token, environ):
        backend = GenericBackend(master_token=token, metrics=None)
        assert not backend.check_master_token(token)


class TestFormatRequest:
    def test_a_flat_body_of_2024_is_parted(self, backend):
        auth_dict, model_request = backend.format_request({**signed("four"), "inputs": "hello"})
        assert model_request == {"inputs": "hello"}
        assert sorted(auth_dict) == ["message", "reqnum", "signature"]
        assert auth_dict["message"] == signature.message(GRANT, "four").decode()

    def test_an_envelope_of_today_is_parted(self, backend):
        body = {"auth_data": signed("url"), "payload": {"inputs": "hello"}}
        auth_dict, model_request = backend.format_request(body)
        assert model_request == {"inputs": "hello"}
        assert auth_dict["message"] == signature.message(GRANT, "url").decode()

    def test_an_unsigned_body_is_welcome_off_an_instance(self, backend):
        body = {"inputs": "hello"}
        assert backend.format_request(body) == (None, body)

    def test_a_body_is_not_changed(self, backend):
        body = {**signed("four"), "inputs": "hello"}
        before = dict(body)
        backend.format_request(body)
        assert body == before

    def test_a_partial_grant_is_no_grant(self, backend):
        body = signed("four")
        del body["reqnum"]
        assert backend.format_request(body) == (None, {})

    def test_an_unsigned_body_on_an_instance_verifies_with_nothing(self, keyed, environ):
        environ["CONTAINER_ID"] = "7"
        auth_dict, model_request = keyed.format_request({"inputs": "hello"})
        assert model_request == {"inputs": "hello"}
        assert not keyed.check_signature(**auth_dict)

    def test_an_envelope_without_a_signature_verifies_with_nothing(self, keyed):
        auth_dict, _ = keyed.format_request({"auth_data": {}, "payload": {}})
        assert not keyed.check_signature(**auth_dict)


class TestSignature:
    def check(self, backend, body):
        auth_dict, _ = backend.format_request(body)
        return backend.check_signature(**auth_dict)

    def test_a_grant_of_2024_passes_once(self, keyed):
        assert self.check(keyed, signed("four"))
        assert not self.check(keyed, signed("four"))

    def test_a_number_long_outdated_is_refused(self, keyed):
        assert self.check(keyed, signed("four", reqnum=500))
        assert not self.check(keyed, signed("four", reqnum=399))
        assert self.check(keyed, signed("four", reqnum=400))

    def test_a_grant_of_today_passes_every_time(self, keyed):
        envelope = {"auth_data": signed("url"), "payload": {}}
        assert self.check(keyed, envelope)
        assert self.check(keyed, envelope)

    def test_a_grant_for_another_worker_is_refused(self, keyed):
        assert not self.check(keyed, signed("four", url="http://127.0.0.1:4000"))
        other = signed("url", url="http://127.0.0.1:4000")
        assert not self.check(keyed, {"auth_data": other, "payload": {}})

    def test_a_changed_grant_is_refused(self, keyed):
        assert not self.check(keyed, {**signed("four"), "cost": 1.0})

    def test_without_a_key_nothing_passes(self, closed, environ):
        environ["REPORT_ADDR"] = closed
        backend = GenericBackend(master_token=None, metrics=None)
        assert not self.check(backend, signed("four"))
        backend.teardown()

    @pytest.mark.parametrize("text", ["", "not base64 !", "é"])
    def test_garbage_is_no_signature(self, text):
        assert not auth.verify_signature(KEY.public_key(), "message", text)


class TestPublicKey:
    def test_it_comes_from_the_first_address(self, peer, environ):
        environ["REPORT_ADDR"] = f"{peer.url}/base,http://127.0.0.1:1"
        peer.answer = signature.public_pem(KEY).encode()
        found = auth.fetch_public_key()
        assert found.public_numbers() == KEY.public_key().public_numbers()
        assert peer.next()[0] == "/base/pubkey/"

    def test_an_answer_that_is_no_key_is_asked_for_again(self, peer, environ):
        environ["REPORT_ADDR"] = peer.url
        peer.answer = b"try later"
        backend = GenericBackend(master_token=None, metrics=_Reporting())
        assert peer.next()[0] == "/pubkey/"
        peer.answer = signature.public_pem(KEY).encode()
        assert backend.public_key is not None
        backend.teardown()

    def test_constructing_does_not_ask_where_nothing_is_reported(self, peer, environ):
        environ["REPORT_ADDR"] = peer.url
        GenericBackend(master_token=None, metrics=Counted())
        assert peer.got.empty()

    def test_the_end_of_the_worker_ends_the_metrics_too(self, environ):
        metrics = _Reporting()
        GenericBackend(master_token=None, metrics=metrics).teardown()
        assert metrics.stopped


class _Reporting(Counted):
    """Metrics that talk to an autoscaler."""

    send_server_data = True
    stopped = False

    def stop(self):
        self.stopped = True


REQUEST = {"inputs": "hello"}


class TestGenerate:
    def generate(self, backend, address, function=lambda response: response.text):
        return backend.generate(REQUEST, address, "generate", function, metrics=True)

    def test_an_answer_is_handed_on_and_counted(self, backend, peer):
        code, content, elapsed_s = self.generate(backend, peer.address)
        assert (code, content) == (200, '{"said": "ok"}')
        assert elapsed_s > 0
        assert peer.next() == ("/generate", REQUEST)
        assert backend.metrics.ends == ["start", "finish"]

    def test_the_seconds_are_in_what_finish_is_told_but_not_in_the_request(self, backend, peer):
        self.generate(backend, peer.address)
        _, told = backend.metrics.told[-1]
        assert told["time_elapsed"] > 0
        assert REQUEST == {"inputs": "hello"}

    def test_any_other_status_ends_in_an_error(self, backend, peer):
        peer.status = 422
        assert self.generate(backend, peer.address) == (422, None, None)
        assert backend.metrics.told[1:] == [("error", 422)]

    def test_a_model_server_that_is_not_there_is_a_500(self, backend, closed):
        assert self.generate(backend, closed.partition("//")[2]) == (500, None, None)
        assert backend.metrics.told[1:] == [("error", 500)]

    def test_an_answer_that_cannot_be_read_ends_in_an_error(self, backend, peer):
        with pytest.raises(KeyError):
            self.generate(backend, peer.address, lambda response: response.json()["results"])
        assert backend.metrics.ends == ["start", "error"]

    def test_uncounted_unless_asked(self, backend, peer):
        backend.generate(REQUEST, peer.address, "generate", lambda response: None)
        assert backend.metrics.told == []

    def test_get_hands_on_status_and_content(self, backend, peer, closed):
        address = peer.address
        assert backend.get(None, address, "info", lambda r: r.text) == (200, '{"said": "ok"}')
        peer.status = 404
        assert backend.get(None, address, "info", lambda r: r.text) == (404, None)
        gone = closed.partition("//")[2]
        assert backend.get(None, gone, "info", lambda r: r.text) == (500, None)
