"""The autoscaler that ships: what it answers is what a worker and a client are used to."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests

from vast_pyworker import signature, wire
from vast_pyworker.model import Report, State
from vast_pyworker.worker.fake_autoscaler import FakeAutoscaler, Fault


@pytest.fixture
def autoscaler() -> Iterator[FakeAutoscaler]:
    with FakeAutoscaler() as running:
        yield running


def _post(autoscaler: FakeAutoscaler, path: str, **data: object) -> requests.Response:
    return requests.post(autoscaler.url + path, timeout=10, **data)  # type: ignore[arg-type]


def test_its_key_verifies_its_grants(autoscaler: FakeAutoscaler) -> None:
    key = signature.load_public_key(requests.get(f"{autoscaler.url}/pubkey/", timeout=10).content)
    for form in signature.FORMS:
        assert signature.verify(key, autoscaler.grant("http://w", form, cost=3.0), form)


def test_it_routes_to_the_worker_that_reported_loaded(autoscaler: FakeAutoscaler) -> None:
    assert "url" not in _post(autoscaler, "/route/", json={}).json()
    report = Report(1, "1.1.0", State.READY, "http://w:1", load_time_s=1.0, max_perf=2.0)
    _post(autoscaler, "/worker_status/", json=wire.encode_report(report))
    routed = _post(autoscaler, "/route/", json={}).json()
    assert routed["url"] == "http://w:1"
    assert {"cost", "endpoint", "reqnum", "request_idx", "signature"} <= routed.keys()


def test_it_fails_on_demand_and_then_no_more(autoscaler: FakeAutoscaler) -> None:
    autoscaler.fail(Fault("/worker_status/", 500), times=2)
    statuses = [_post(autoscaler, "/worker_status/", json={}).status_code for _ in range(3)]
    assert statuses == [500, 500, 200]
    assert len(autoscaler.reports) == 1


def test_what_is_not_json_is_refused(autoscaler: FakeAutoscaler) -> None:
    body = b'{"id": 1, "error_msg": "a "quoted" word"}'
    assert _post(autoscaler, "/worker_status/", data=body).status_code == 400
    assert autoscaler.reports == []


def test_each_report_may_be_listened_to() -> None:
    heard: list[dict[str, object]] = []
    with FakeAutoscaler(on_report=heard.append) as autoscaler:
        _post(autoscaler, "/worker_status/", json={"id": 7})
    assert heard == [{"id": 7}]
