"""Who gets in and who does not, and that a grant is good for what it was given for only."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

from vast_pyworker import signature
from vast_pyworker.errors import Invalid, NotReady, Refused, Unauthorized
from vast_pyworker.signature import Form
from vast_pyworker.worker.traffic.auth import Gatekeeper

URL = "https://1.2.3.4:40001"


class Keys:
    """A key source that is told what its key is, and records what it was asked."""

    def __init__(self, key: RSAPublicKey | None) -> None:
        self.key = key
        self.revision = 0 if key is None else 1
        self.refreshes = 0

    def refresh(self) -> None:
        self.refreshes += 1

    def change(self, key: RSAPublicKey) -> None:
        self.key = key
        self.revision += 1


@pytest.fixture(scope="module")
def private() -> RSAPrivateKey:
    return signature.new_private_key()


@pytest.fixture
def keys(private: RSAPrivateKey) -> Keys:
    return Keys(private.public_key())


@pytest.fixture
def gatekeeper(keys: Keys) -> Gatekeeper:
    return Gatekeeper(keys, [URL], api_keys=["key-one", "key-two"], master_token="master")


def _grant(private: RSAPrivateKey, form: Form = "url", **fields: Any) -> dict[str, Any]:
    grant = {"cost": 242.0, "endpoint": "demo", "reqnum": 12, "request_idx": 7, "url": URL}
    grant |= fields
    return {**grant, "signature": signature.sign(private, grant, form)}


def _status(gatekeeper: Gatekeeper, auth: Any, authorization: str | None = None) -> int:
    try:
        gatekeeper.check_grant(auth, authorization)
    except Refused as exc:
        return exc.status
    return 200


def test_a_grant_of_today_is_good_again_and_again(
    gatekeeper: Gatekeeper, private: RSAPrivateKey
) -> None:
    grant = _grant(private)
    assert [_status(gatekeeper, grant) for _ in range(3)] == [200, 200, 200]
    assert _status(gatekeeper, {**grant, "cost": 1, "reqnum": 99, "__request_id": "r"}) == 200


def test_a_remembered_signature_is_good_for_its_own_url_only(
    gatekeeper: Gatekeeper, private: RSAPrivateKey
) -> None:
    grant = _grant(private)
    assert _status(gatekeeper, grant) == 200
    assert _status(gatekeeper, {**grant, "url": "https://worker.example"}) == 401
    assert _status(gatekeeper, grant) == 200


def test_a_remembered_grant_is_not_verified_again(
    gatekeeper: Gatekeeper, keys: Keys, private: RSAPrivateKey
) -> None:
    grant = _grant(private)
    assert _status(gatekeeper, grant) == 200
    keys.key = None  # the revision is the same: nothing is looked up for what is remembered
    assert _status(gatekeeper, grant) == 200


def test_a_remembered_signature_does_not_excuse_a_missing_field(
    gatekeeper: Gatekeeper, private: RSAPrivateKey
) -> None:
    grant = _grant(private)
    gatekeeper.check_grant(grant)
    del grant["cost"]
    with pytest.raises(Invalid) as caught:
        gatekeeper.check_grant(grant)
    assert caught.value.body == {"auth_data": {"cost": "missing parameter"}}


def test_a_changed_key_forgets_what_was_granted(
    gatekeeper: Gatekeeper, keys: Keys, private: RSAPrivateKey
) -> None:
    grant = _grant(private)
    gatekeeper.check_grant(grant)
    new = signature.new_private_key()
    keys.change(new.public_key())
    assert gatekeeper.revision == 2
    assert _status(gatekeeper, grant) == 401
    assert _status(gatekeeper, _grant(new)) == 200


def test_what_is_remembered_is_one_signature_for_each_own_url(
    gatekeeper: Gatekeeper, private: RSAPrivateKey
) -> None:
    grant = _grant(private)
    for blanks in range(5):  # base64 bears any number of them
        gatekeeper.check_grant(grant | {"signature": grant["signature"] + " " * blanks})
    assert gatekeeper._remembered == {grant["url"]: grant["signature"] + " " * 4}


def test_a_grant_for_another_worker_is_refused(
    gatekeeper: Gatekeeper, private: RSAPrivateKey
) -> None:
    grant = _grant(private, url="https://1.2.3.4:40002")
    with pytest.raises(Unauthorized, match="another worker"):
        gatekeeper.check_grant(grant)


def test_a_worker_may_go_by_several_urls(keys: Keys, private: RSAPrivateKey) -> None:
    gatekeeper = Gatekeeper(keys, [URL, "https://worker.example"])
    assert _status(gatekeeper, _grant(private, url="https://worker.example")) == 200


@pytest.mark.parametrize("change", [{"url": "https://1.2.3.4:1"}, {"signature": "AAAA"}])
def test_a_forged_grant_is_refused_and_the_key_asked_for_again(
    gatekeeper: Gatekeeper, keys: Keys, private: RSAPrivateKey, change: dict[str, str]
) -> None:
    with pytest.raises(Unauthorized, match="does not verify"):
        gatekeeper.check_grant(_grant(private) | change)
    assert keys.refreshes == 1


def test_without_a_public_key_nobody_gets_in_and_is_told_why(private: RSAPrivateKey) -> None:
    keys = Keys(None)
    with pytest.raises(NotReady, match="public key is not known yet") as refusal:
        Gatekeeper(keys, [URL]).check_grant(_grant(private))
    assert refusal.value.retry_after_s
    assert keys.refreshes == 1


@pytest.mark.parametrize("form", ["five", "four"])
def test_an_older_grant_is_good_once(
    gatekeeper: Gatekeeper, private: RSAPrivateKey, form: Form
) -> None:
    grant = _grant(private, form)
    assert [_status(gatekeeper, grant) for _ in range(2)] == [200, 401]
    with pytest.raises(Unauthorized, match="used before"):
        gatekeeper.check_grant(grant)


def test_an_older_grant_that_is_long_outdated_is_refused(
    gatekeeper: Gatekeeper, private: RSAPrivateKey
) -> None:
    statuses = [
        _status(gatekeeper, _grant(private, "four", reqnum=number)) for number in (500, 400, 399)
    ]
    assert statuses == [200, 200, 401]


def test_an_older_grant_is_remembered_for_a_hundred_others(
    gatekeeper: Gatekeeper, private: RSAPrivateKey
) -> None:
    first = _grant(private, "four", reqnum=0)
    for number in range(100):
        assert _status(gatekeeper, _grant(private, "four", reqnum=number)) == 200
    assert _status(gatekeeper, first) == 401
    assert _status(gatekeeper, _grant(private, "four", reqnum=100)) == 200


def test_forms_that_are_not_accepted_are_refused(keys: Keys, private: RSAPrivateKey) -> None:
    gatekeeper = Gatekeeper(keys, [URL], forms=["url"])
    assert _status(gatekeeper, _grant(private, "five")) == 401


def test_a_signed_number_that_is_none_is_refused(
    gatekeeper: Gatekeeper, private: RSAPrivateKey
) -> None:
    assert _status(gatekeeper, _grant(private, "four", reqnum="twelve")) == 401


@pytest.mark.parametrize(
    ("auth", "errors"),
    [
        (None, "field missing"),
        ({}, dict.fromkeys(signature.FIELDS["five"] + ("signature",), "missing parameter")),
        ("text", "auth_data must be a dictionary"),
    ],
)
def test_a_grant_that_is_none_is_refused_in_the_words_of_the_reference(
    gatekeeper: Gatekeeper, auth: Any, errors: object
) -> None:
    with pytest.raises(Invalid) as caught:
        gatekeeper.check_grant(auth)
    assert caught.value.body == {"auth_data": errors}


@pytest.mark.parametrize("signed", [[], {}, None, 3, "é", "AAAA" * 10_000])
def test_odd_signatures_are_refused(
    gatekeeper: Gatekeeper, private: RSAPrivateKey, signed: object
) -> None:
    assert _status(gatekeeper, _grant(private) | {"signature": signed}) == 401


def test_an_api_key_stands_in_for_a_grant(gatekeeper: Gatekeeper) -> None:
    assert _status(gatekeeper, None, "Bearer key-two") == 200
    assert _status(gatekeeper, {"broken": True}, "Bearer key-one") == 200


@pytest.mark.parametrize(
    "sent", ["Bearer key", "Bearer ", "Bearer key-one2", "Basic a2V5", "\ud800"]
)
def test_a_wrong_api_key_alone_is_refused(gatekeeper: Gatekeeper, sent: str) -> None:
    assert _status(gatekeeper, None, sent) == 401


def test_the_clients_own_key_beside_a_good_grant_is_no_matter(
    gatekeeper: Gatekeeper, private: RSAPrivateKey
) -> None:
    assert _status(gatekeeper, _grant(private), "Bearer ENDPOINTKEY") == 200


@pytest.mark.parametrize("auth", [None, {}, {"request_idx": 1, "url": "http://x"}])
def test_an_unsecured_worker_takes_anything(keys: Keys, auth: Any) -> None:
    assert _status(Gatekeeper(keys, [URL], accepts_unsigned=True), auth) == 200


@pytest.mark.parametrize("sent", ["Bearer master", "master", "Bearer key-one"])
def test_built_in_routes_open_to_the_master_token_and_to_api_keys(
    gatekeeper: Gatekeeper, sent: str
) -> None:
    assert gatekeeper.check_token(sent) is None  # type: ignore[func-returns-value]


@pytest.mark.parametrize("sent", [None, "", "Bearer ", "Bearer wrong", "Bearer master2"])
def test_built_in_routes_stay_closed_otherwise(gatekeeper: Gatekeeper, sent: str | None) -> None:
    with pytest.raises(Unauthorized):
        gatekeeper.check_token(sent)


@pytest.mark.parametrize("token", [None, ""])
@pytest.mark.parametrize("sent", [None, "", " ", "Bearer ", "Bearer", "Bearer mtoken", "None"])
def test_without_a_master_token_nothing_passes_as_one(
    keys: Keys, token: str | None, sent: str | None
) -> None:
    gatekeeper = Gatekeeper(keys, [URL], api_keys=[""], master_token=token)
    with pytest.raises(Unauthorized):
        gatekeeper.check_token(sent)
    with pytest.raises(Unauthorized):
        gatekeeper.check_master_token(sent)


def test_an_api_key_is_not_the_master_token(gatekeeper: Gatekeeper) -> None:
    gatekeeper.check_master_token("Bearer master")
    for sent in ("key-one", 3, ["master"]):
        with pytest.raises(Unauthorized):
            gatekeeper.check_master_token(sent)


def test_bodies_are_opened_at_the_same_door(gatekeeper: Gatekeeper) -> None:
    assert gatekeeper.open_envelope(b'{"amount":2}').payload == {"amount": 2}
