from __future__ import annotations

import json
from email.utils import formatdate
from typing import Any

import pytest
from requests.structures import CaseInsensitiveDict

from vast_pyworker import errors
from vast_pyworker.vastai.answers import decoded, fault_of, refusal, retry_after_s, threshold_s

ASKS = "PUT /asks/{id}/"


def fault(status: int, body: Any, endpoint: str = ASKS, **headers: str) -> Any:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return fault_of(status, CaseInsensitiveDict(named), raw, endpoint, wall_now=1000.0)


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (401, {"success": False, "error": "auth_error", "msg": "Invalid user key"}, "AuthError"),
        (404, {"success": False, "error": "auth_error", "msg": "Invalid user key"}, "AuthError"),
        (404, {"msg": "Invalid user key"}, "AuthError"),
        (200, {"success": False, "error": "auth_error", "msg": "x"}, "AuthError"),
        (401, b"", "AuthError"),
        (403, {"error": "not_authorized", "msg": "no"}, "AuthError"),
        (404, "Session expired. Please log in again.", "SecondFactorNeeded"),
        (401, {"msg": "Two Factor Authentication is needed"}, "SecondFactorNeeded"),
        (410, {"success": False, "error": "deprecated_endpoint", "msg": "m"}, "EndpointRetired"),
        (410, {"msg": "/api/v0/instances/ is deprecated."}, "EndpointRetired"),
        (400, {"success": False, "error": "missing_billing", "msg": "m"}, "NoCredit"),
        (400, {"error": "insufficient_credit", "msg": "You lack credit."}, "NoCredit"),
        (400, {"success": False, "msg": "lack of credit"}, "NoCredit"),
        (404, {"error": "no_such_ask", "msg": "m"}, "OfferGone"),
        (404, {"error": "invalid_args", "msg": "No ask by id 5 is available."}, "OfferGone"),
        (410, {"error": "no_such_ask", "msg": "m"}, "OfferGone"),
        (404, b"error 404/3603: no_such_ask Instance type by id 5 is not available.", "OfferGone"),
        (410, b"error 410/3907: no_such_ask Instance type 5 is no longer available.", "OfferGone"),
        (
            200,
            {"success": False, "error": "offer_not_found", "message": "none"},
            "OfferGone",
        ),
        (403, b"error 403/3586: Offer 5 is not your own", "InvalidRequest"),
        (400, b"error 400/3467: Invalid args: x", "InvalidRequest"),
        (400, {"error": "invalid_args", "msg": "m"}, "InvalidRequest"),
        (422, {"msg": "owner: Extra inputs are not permitted"}, "InvalidRequest"),
        (422, {"detail": [{"loc": ["body"], "msg": "bad"}]}, "InvalidRequest"),
        (483, {"error": "invalid_args", "msg": "Invalid json_body"}, "InvalidRequest"),
        (400, [{"error": "invalid_args", "msg": "m"}], "InvalidRequest"),
        (404, {"error": "no_such_instance", "msg": "Instance 5 not found."}, "NotFound"),
        (404, {"error": "not_found", "msg": "Instance 5 not found."}, "NotFound"),
        (404, {"detail": "Not Found"}, "NotFound"),
        (400, {"msg": "Could not find contract."}, "NotFound"),
        (400, {"msg": "No endpoints for user 5 found."}, "NotFound"),
        (200, {"success": False, "msg": "No templates found"}, "NotFound"),
        (
            200,
            {"success": False, "error": "resources_unavailable", "msg": "state change queued."},
            "ResourcesUnavailable",
        ),
        (200, {"success": False, "error": "invalid_id", "msg": "m"}, "InvalidRequest"),
        (200, {"error": "invalid_args", "msg": "m"}, "InvalidRequest"),
        (429, {"detail": "API requests too frequent endpoint threshold=4.5"}, "RateLimited"),
        (429, b"API requests too frequent", "RateLimited"),
        (429, {"success": False, "error": "rate_limit_exceeded", "msg": "m"}, "RateLimited"),
        (429, {"error": "search_quota_exceeded", "msg": "m"}, "QuotaExceeded"),
        (500, {"success": False, "error": "x", "msg": "m"}, "ProviderUnreachable"),
        (502, b"<html>Bad gateway</html>", "ProviderUnreachable"),
        (503, b"", "ProviderUnreachable"),
        (404, b"<!doctype html><title>Not found</title>", "BadAnswer"),
        (404, b"", "BadAnswer"),
        (400, b"", "BadAnswer"),
        (410, b"", "BadAnswer"),
        (400, [], "InvalidRequest"),
        (200, b"", "BadAnswer"),
        (200, b"<html>Please log in</html>", "BadAnswer"),
        (404, b'{"success":false,"error":"no_such_inst', "BadAnswer"),
        (400, b'[{"msg": "x"', "BadAnswer"),
        (200, b'{"success": tr', "BadAnswer"),
        (200, b"[" * 100_000, "BadAnswer"),
    ],
)
def test_every_shape_is_one_error(status: int, body: Any, expected: str) -> None:
    found = fault(status, body)
    assert type(found) is getattr(errors, expected), found
    assert found.status == status
    assert found.endpoint == ASKS
    assert str(found).endswith(".") and "\n" not in str(found)


@pytest.mark.parametrize(
    "body", [{"success": True}, {"offers": []}, [], {"success": True, "error": None}, {}]
)
def test_a_good_answer_is_no_fault(body: Any) -> None:
    assert fault(200, body) is None


def test_a_create_that_stands_still_keeps_its_id() -> None:
    found = fault(200, {"success": False, "new_contract": 77})
    assert isinstance(found, errors.CreatedStopped)
    assert found.instance_id == 77


def test_an_id_next_to_an_error_is_not_lost() -> None:
    found = fault(200, {"error": "x", "msg": "m", "new_contract": 77})
    assert isinstance(found, errors.CreatedStopped)


def test_the_error_keeps_the_provider_s_words_and_code_and_names_a_remedy() -> None:
    found = fault(400, {"error": "missing_billing", "msg": "You lack credit,\n see the page."})
    assert found.code == "missing_billing"
    assert "You lack credit, see the page" in str(found)
    assert "add credit" in str(found)


def test_a_long_body_is_shortened_in_the_text() -> None:
    assert len(str(fault(400, {"msg": "x" * 10_000}))) < 500


def test_a_quota_says_when_it_is_reset() -> None:
    found = fault(429, {"error": "search_quota_exceeded"}, X_RateLimit_Reset="1781000000")
    assert found.resets_at == 1781000000.0


def test_too_many_says_how_long_to_wait() -> None:
    assert fault(429, b"x", Retry_After="3").retry_after_s == 3.0
    assert fault(429, {"retry_after": 2.5, "msg": "m"}).retry_after_s == 2.5
    assert fault(429, b"x").retry_after_s is None


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"Retry-After": "-3"}, 0.0),
        ({"Retry-After": formatdate(1012, usegmt=True)}, 12.0),
        (
            {
                "Retry-After": formatdate(5012, usegmt=True),
                "Date": formatdate(5000, usegmt=True),
            },
            12.0,
        ),
        ({"Retry-After": formatdate(10, usegmt=True)}, 0.0),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "nan"}, None),
        ({}, None),
    ],
)
def test_retry_after_is_seconds_or_a_date(headers: dict[str, str], expected: float | None) -> None:
    assert retry_after_s(CaseInsensitiveDict(headers), None, 1000.0) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"detail":"API requests too frequent endpoint threshold=4.5"}', 4.5),
        (b"API requests too frequent: endpoint threshold=3", 3.0),
        (b"API requests too frequent", None),
        (b"\xff\xfe", None),
    ],
)
def test_the_threshold_is_read_from_the_text(body: bytes, expected: float | None) -> None:
    assert threshold_s(body) == expected


def test_what_json_cannot_say_is_unknown() -> None:
    assert decoded(200, {}, b'{"a": NaN, "b": Infinity}', ASKS) == {"a": None, "b": None}


def test_a_refusal_may_be_kept_for_the_caller_but_not_an_unreadable_answer() -> None:
    body = {"success": False, "results": []}
    assert decoded(200, {}, json.dumps(body).encode(), ASKS, keep_refusal=True) == body
    with pytest.raises(errors.BadAnswer):
        decoded(200, {}, b"{", ASKS, keep_refusal=True)
    with pytest.raises(errors.InvalidRequest):
        decoded(400, {}, b'{"msg": "no"}', ASKS, keep_refusal=True)


def test_a_row_of_a_bulk_answer_is_typed_as_well() -> None:
    assert isinstance(refusal({"error": "no_such_ask", "msg": "m"}, ASKS), errors.OfferGone)
