"""One exchange with a real server, and a list of addresses of which dead ones mute nobody."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from vast_pyworker.errors import ReportError
from vast_pyworker.worker.fake_autoscaler import FakeAutoscaler, Fault
from vast_pyworker.worker.reports import transport
from vast_pyworker.worker.reports.transport import Address, Addresses, Answer


@pytest.fixture
def autoscaler() -> Iterator[FakeAutoscaler]:
    with FakeAutoscaler(extended=True) as running:
        yield running


def _refusing_url() -> str:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{unused.getsockname()[1]}"


def test_a_taken_post_answers_with_headers(autoscaler: FakeAutoscaler) -> None:
    answer = transport.post(autoscaler.url + "/worker_status/", {"id": 1, "disk": None})
    assert answer.headers["x-pyworker-extended"] == "1"
    assert autoscaler.reports == [{"id": 1, "disk": None}]


def test_a_get_answers_with_the_body(autoscaler: FakeAutoscaler) -> None:
    assert transport.get(autoscaler.url + "/pubkey/").body.startswith(b"-----BEGIN PUBLIC KEY")


@pytest.mark.parametrize("status", [301, 404, 500, 0])
def test_anything_but_2xx_is_not_taken(autoscaler: FakeAutoscaler, status: int) -> None:
    autoscaler.fail(Fault("/worker_status/", status))
    with pytest.raises(ReportError, match=autoscaler.url):
        transport.post(autoscaler.url + "/worker_status/", {})


def test_an_address_where_nobody_listens_is_an_error_that_names_it() -> None:
    url = _refusing_url()
    with pytest.raises(ReportError, match=f"{url}/x cannot be reached"):
        transport.post(url + "/x", {})


@pytest.mark.parametrize("url", ["http://", "nonsense", "http://[::1", "ftp://x/y"])
def test_what_is_no_address_is_a_report_error(url: str) -> None:
    with pytest.raises(ReportError):
        transport.get(url)


def test_a_silent_address_is_given_up(
    autoscaler: FakeAutoscaler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "READ_TIMEOUT_S", 0.1)
    autoscaler.fail(Fault("/worker_status/", 200, delay_s=30.0))
    with pytest.raises(ReportError, match="ReadTimeout"):
        transport.post(autoscaler.url + "/worker_status/", {})


class Post:
    """A post that fails for the urls it is told to, and remembers whom it was sent to."""

    def __init__(self, *dead: str) -> None:
        self.dead = set(dead)
        self.sent: list[str] = []
        self.headers: dict[str, str] = {}

    def __call__(self, url: str, body: Mapping[str, Any]) -> Answer:
        self.sent.append(url)
        if any(url.startswith(dead) for dead in self.dead):
            raise ReportError(f"{url} is dead.")
        return Answer(self.headers)


class Clock:
    def __init__(self) -> None:
        self.at = 0.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def clock() -> Clock:
    return Clock()


def _deliver(addresses: Addresses) -> Address | None:
    return addresses.deliver("/p/", lambda address: {})


def test_the_first_that_takes_a_message_has_it(clock: Clock) -> None:
    post = Post()
    taker = _deliver(Addresses(["http://a/", "http://b"], post, clock))
    assert taker is not None
    assert taker.url == "http://a"
    assert post.sent == ["http://a/p/"]


def test_a_path_within_an_address_stays(clock: Clock) -> None:
    post = Post()
    _deliver(Addresses(["https://cloud.vast.ai/api/v0"], post, clock))
    assert post.sent == ["https://cloud.vast.ai/api/v0/p/"]


def test_a_dead_address_is_passed_over_until_its_back_off_ends(clock: Clock) -> None:
    post = Post("http://a")
    addresses = Addresses(["http://a", "http://b"], post, clock)
    tries_of_a = []
    for second in range(200):
        clock.at = float(second)
        taker = _deliver(addresses)
        assert taker is not None and taker.url == "http://b", "the dead one mutes nobody"
        if "http://a/p/" in post.sent:
            tries_of_a.append(second)
        post.sent.clear()
    assert tries_of_a == [0, 1, 3, 7, 15, 31, 63, 123, 183]


def test_the_first_address_is_used_again_once_it_is_back(clock: Clock) -> None:
    post = Post("http://a")
    addresses = Addresses(["http://a", "http://b"], post, clock)
    _deliver(addresses)
    post.dead.clear()
    clock.at = 1.0
    taker = _deliver(addresses)
    assert taker is not None and taker.url == "http://a"
    assert addresses.problems() == ""


def test_where_all_are_in_back_off_one_is_tried_all_the_same(clock: Clock) -> None:
    post = Post("http://a", "http://b")
    addresses = Addresses(["http://a", "http://b"], post, clock)
    assert _deliver(addresses) is None
    assert not addresses.ready()
    post.sent.clear()
    clock.at = 0.5
    assert _deliver(addresses) is None
    assert post.sent == ["http://a/p/"]
    clock.at = 60.0
    assert addresses.ready()
    assert "http://a/p/ is dead" in addresses.problems()


def test_each_address_announces_for_itself_that_it_takes_extra_fields(clock: Clock) -> None:
    post = Post()
    addresses = Addresses(["http://a"], post, clock)
    asked: list[bool] = []

    def body_for(address: Address) -> dict[str, Any]:
        asked.append(address.extended)
        return {}

    for headers in ({}, {"x-pyworker-extended": "1"}, {"x-pyworker-extended": "1"}, {}, {}):
        post.headers = headers
        addresses.deliver("/p/", body_for)
    assert asked == [False, False, True, True, False]


def test_no_address_takes_nothing(clock: Clock) -> None:
    addresses = Addresses([], Post(), clock)
    assert _deliver(addresses) is None
    assert not addresses.ready()
