"""What a client that is turned down is told."""

from __future__ import annotations

import json

import pytest

from vast_pyworker.errors import Full, Gone, Invalid, NotReady, Refused, Unauthorized
from vast_pyworker.worker.phases.readiness import Readiness
from vast_pyworker.worker.traffic.refusals import answer_of, not_ready


@pytest.mark.parametrize(
    ("refused", "status"),
    [
        (Refused("no"), 400),
        (Unauthorized("no"), 401),
        (Gone("no"), 410),
        (Invalid("no"), 422),
        (Full("no"), 429),
        (NotReady("no"), 503),
    ],
)
def test_each_has_its_status_and_says_why(refused: Refused, status: int) -> None:
    told, headers, body = answer_of(refused)
    assert told == status
    assert json.loads(body) == {"error": "no"}
    assert ("Content-Type", "application/json") in headers


@pytest.mark.parametrize(("wait_s", "told"), [(0.2, "1"), (1.0, "1"), (2.1, "3"), (60, "60")])
def test_the_wait_is_whole_seconds_and_never_none(wait_s: float, told: str) -> None:
    _, headers, _ = answer_of(Full("no", retry_after_s=wait_s))
    assert dict(headers)["Retry-After"] == told


def test_only_a_401_asks_for_a_token() -> None:
    assert ("WWW-Authenticate", "Bearer") in answer_of(Unauthorized("no"))[1]
    assert "WWW-Authenticate" not in dict(answer_of(Invalid("no"))[1])


def test_a_body_of_its_own_goes_as_it_is() -> None:
    body = {"auth_data": {"cost": "missing parameter"}}
    assert json.loads(answer_of(Invalid("no", body=body))[2]) == body


def test_not_ready_says_what_the_worker_does_instead() -> None:
    readiness = Readiness()
    readiness.loading("weights are read.")
    refused = not_ready(readiness)
    assert refused.body == {
        "error": "This worker is not ready (loading): weights are read.",
        "state": "loading",
        "queue_depth": 0,
        "estimated_wait_s": 5.0,
    }
    assert refused.retry_after_s == 5.0
