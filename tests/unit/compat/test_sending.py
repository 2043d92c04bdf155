"""``utils.send_data`` and ``notify``: the messages of 2024, delivered or given up in time."""

from __future__ import annotations

import datetime
import ipaddress
import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID

from vast_pyworker.compat import notify, utils
from vast_pyworker.signature import new_private_key

WHO = {"id": "7", "mtoken": "secret"}


def test_data_is_posted_as_json_to_url_and_path(peer, environ):
    utils.send_data(WHO, peer.url, "/worker_status/", "me")
    assert peer.next() == ("/worker_status/", WHO)


def test_a_slash_at_the_end_of_the_address_does_no_harm(peer, environ):
    utils.send_data(WHO, peer.url + "/", "/worker_status/", "me")
    assert peer.next()[0] == "/worker_status/"


def test_several_addresses_are_tried_in_order_until_one_takes_it(peer, closed, environ):
    utils.send_data(WHO, f"{closed}, {peer.url}", "/worker_status/", "me")
    assert peer.next()[1] == WHO
    assert peer.got.empty()


def test_an_address_that_takes_it_is_the_last_to_be_asked(peer, environ):
    utils.send_data(WHO, f"{peer.url},{peer.url}", "/worker_status/", "me")
    peer.next()
    assert peer.got.empty()


def test_no_address_means_that_nothing_is_sent(environ):
    utils.send_data(WHO, "", "/worker_status/", "me")


def test_what_nobody_takes_is_said_without_the_token(peer, environ, caplog):
    peer.status = 500
    utils.send_data(WHO, peer.url, "/worker_status/", "me")
    assert "nobody took the message" in caplog.text
    assert "secret" not in caplog.text


def test_the_status_of_the_answer_is_returned(peer, environ):
    peer.status = 418
    assert utils.post_request(peer.url + "/x", {}) == 418


def test_no_answer_is_zero(closed, environ):
    assert utils.post_request(closed + "/x", {}, max_retries=1) == 0


def test_an_observer_sees_each_message_first(peer, environ):
    seen = []
    utils.observe(lambda path, data: seen.append((path, data)))
    try:
        utils.send_data(WHO, "", "/worker_status/", "me")
    finally:
        utils._observers.clear()
    assert seen == [("/worker_status/", WHO)]


@pytest.mark.parametrize(
    ("send", "fields"),
    [
        (lambda url: notify.loaded(WHO, url, 1.5, 20.0), {"loadtime": 1.5, "max_perf": 20.0}),
        (
            lambda url: notify.update(WHO, url, 0.5, 3),
            {"cur_load": 0.5, "num_requests_recieved": 3},
        ),
        (lambda url: notify.error(WHO, url, "no memory"), {"error_msg": "no memory"}),
    ],
)
def test_notify_sends_the_fields_of_2024_and_leaves_the_dict_alone(send, fields, peer, environ):
    send(peer.url)
    assert peer.next() == ("/worker_status/", {**WHO, **fields})
    assert WHO == {"id": "7", "mtoken": "secret"}


def test_notify_takes_the_keywords_of_the_guide(peer, environ):
    notify.loaded(data=WHO, autoscaler_address=peer.url, load_time=1.0, max_perf=0.5)
    assert peer.next()[1]["max_perf"] == 0.5


class TestOwnServerBehindTls:
    """A call over loopback cannot verify the public name, so the certificate itself is compared."""

    @pytest.fixture
    def certificates(self, tmp_path):
        return [self.issue(tmp_path / name) for name in ("own", "other")]

    def issue(self, stem):
        key = new_private_key()
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "pyworker.example")])
        now = datetime.datetime.now(datetime.timezone.utc)
        built = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(
                x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("203.0.113.9"))]),
                critical=False,
            )
            .sign(key, hashes.SHA256())
        )
        cert_file, key_file = stem.with_suffix(".crt"), stem.with_suffix(".key")
        cert_file.write_bytes(built.public_bytes(serialization.Encoding.PEM))
        key_file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return cert_file, key_file

    def wrapped(self, certificate):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        return lambda sock: context.wrap_socket(sock, server_side=True)

    def settle(self, environ, peer, cert_file):
        port = peer.url.rpartition(":")[2]
        environ.update(USE_SSL="true", WORKER_PORT=port, PYWORKER_CERT=str(cert_file))

    def test_its_own_certificate_is_trusted(self, certificates, secure_peer, environ):
        own, _ = certificates
        with secure_peer(self.wrapped(own)) as peer:
            self.settle(environ, peer, own[0])
            assert utils.post_request(peer.url + "/report_loaded", WHO) == 200
            assert peer.next() == ("/report_loaded", WHO)

    def test_any_other_is_not(self, certificates, secure_peer, environ):
        own, other = certificates
        with secure_peer(self.wrapped(other)) as peer:
            self.settle(environ, peer, own[0])
            assert utils.post_request(peer.url + "/report_loaded", WHO, max_retries=1) == 0
            assert peer.got.empty()
