from __future__ import annotations

import base64
import json

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from relay_bench import envelope

URL = "http://127.0.0.1:4000"


@pytest.fixture(scope="module")
def signer() -> envelope.Signer:
    return envelope.Signer.new()


def verify(signer: envelope.Signer, signature: str, message: bytes) -> None:
    key = serialization.load_pem_public_key(signer.public_pem)
    assert isinstance(key, rsa.RSAPublicKey)
    key.verify(base64.b64decode(signature), message, padding.PKCS1v15(), hashes.SHA256())


def test_signature_covers_the_url_in_the_autoscalers_text_form(signer: envelope.Signer) -> None:
    verify(signer, signer.sign(URL), b'{\n    "url": "http://127.0.0.1:4000"\n}')


def test_signature_of_another_url_does_not_verify(signer: envelope.Signer) -> None:
    with pytest.raises(InvalidSignature):
        verify(signer, signer.sign(URL + "1"), b'{\n    "url": "http://127.0.0.1:4000"\n}')


def test_filled_body_is_json_with_all_fields_of_a_grant(signer: envelope.Signer) -> None:
    template = envelope.body(URL, signer.sign(URL), unique_head=0)
    request = json.loads(envelope.filled(template, 100_000_007))
    grant = request["auth_data"]
    assert set(grant) == {"cost", "endpoint", "reqnum", "request_idx", "signature", "url"}
    assert grant["reqnum"] == grant["request_idx"] == 100_000_007
    assert request["session_id"] is None


def test_filled_bodies_have_one_length_whatever_the_number() -> None:
    template = envelope.body(URL, "c2ln", n_events=5)
    lengths = {len(envelope.filled(template, number)) for number in (100_000_001, 999_999_999)}
    assert len(lengths) == 1


def test_parameters_of_the_model_server_stand_before_the_prompt() -> None:
    text = json.dumps(envelope.payload(n_events=5, interval_us=7))
    assert text.index('"interval_us"') < text.index('"inputs"')
