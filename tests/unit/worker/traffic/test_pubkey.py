"""The public key: fetched from whom has it, tried again with back-off, refreshed not too often."""

from __future__ import annotations

from vast_pyworker import signature
from vast_pyworker.errors import ReportError
from vast_pyworker.worker.fake_autoscaler import FakeAutoscaler, Fault
from vast_pyworker.worker.reports import transport
from vast_pyworker.worker.reports.transport import Answer
from vast_pyworker.worker.traffic.pubkey import REFRESH_S, PublicKey

PEMS = [signature.public_pem(signature.new_private_key()).encode() for _ in range(2)]


class World:
    """A key with its clock and its servers in hand: ``pages`` by url, absent ones are dead."""

    def __init__(self, *addresses: str) -> None:
        self.at = 0.0
        self.pages: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.public = PublicKey(addresses or ("http://a",), self.get, lambda: self.at)

    def get(self, url: str) -> Answer:
        self.asked.append(url)
        if url not in self.pages:
            raise ReportError(f"{url} is dead.")
        return Answer({}, self.pages[url])


def test_each_address_of_the_list_is_asked_in_order() -> None:
    world = World("http://a/", "http://b/base", "http://c")
    world.pages = {"http://b/base/pubkey/": PEMS[0], "http://c/pubkey/": PEMS[1]}
    assert world.public.tick() == "Fetched the public key from http://b/base/pubkey/."
    assert world.asked == ["http://a/pubkey/", "http://b/base/pubkey/"]
    assert world.public.revision == 1
    assert world.public.wait(0)


def test_a_page_that_is_no_key_is_passed_over() -> None:
    world = World("http://a", "http://b")
    world.pages = {"http://a/pubkey/": b"<html>login</html>", "http://b/pubkey/": PEMS[0]}
    assert "http://b" in world.public.tick()


def test_while_nobody_has_it_it_is_tried_again_with_back_off() -> None:
    world = World()
    tried = []
    for second in range(100):
        world.at = float(second)
        if world.public.tick():
            tried.append(second)
    assert tried == [0, 1, 3, 7, 15, 31, 61, 91]
    assert world.public.problem == "http://a/pubkey/ is dead."
    assert world.public.key is None
    assert not world.public.wait(0)
    world.pages["http://a/pubkey/"] = PEMS[0]
    world.at = 121.0
    assert "Fetched" in world.public.tick()
    assert (world.public.problem, world.public.revision) == ("", 1)


def test_a_key_that_is_known_is_not_fetched_again() -> None:
    world = World()
    world.pages["http://a/pubkey/"] = PEMS[0]
    world.public.tick()
    world.at = 1e6
    assert world.public.tick() == ""


def test_a_refresh_waits_for_the_last_fetch_to_be_old_enough() -> None:
    world = World()
    world.pages["http://a/pubkey/"] = PEMS[0]
    world.public.tick()
    for _ in range(100):
        world.public.refresh()
        assert world.public.tick() == ""
    world.pages["http://a/pubkey/"] = PEMS[1]
    world.at = REFRESH_S
    assert "Fetched" in world.public.tick()
    assert world.public.revision == 2
    assert len(world.asked) == 2


def test_the_same_key_again_is_no_new_revision() -> None:
    world = World()
    world.pages["http://a/pubkey/"] = PEMS[0]
    world.public.tick()
    world.at = REFRESH_S + 1
    world.public.refresh()
    world.public.tick()
    assert (world.public.revision, len(world.asked)) == (1, 2)


def test_a_refresh_that_fails_keeps_the_key_and_goes_on_trying() -> None:
    world = World()
    world.pages["http://a/pubkey/"] = PEMS[0]
    world.public.tick()
    world.pages.clear()
    world.at = 1000.0
    world.public.refresh()
    assert "No public key" in world.public.tick()
    assert world.public.key is not None
    world.pages["http://a/pubkey/"] = PEMS[1]
    world.at += 1.0
    world.public.tick()
    assert world.public.revision == 2


def test_without_addresses_it_says_what_is_missing() -> None:
    public = PublicKey((), transport.get)
    assert "REPORT_ADDR names no autoscaler" in public.tick()


def test_the_thread_fetches_from_a_real_server_that_is_late() -> None:
    with FakeAutoscaler() as autoscaler:
        autoscaler.fail(Fault("/pubkey/", 503))
        public = PublicKey(["http://127.0.0.1:1", autoscaler.url], transport.get)
        public.start()
        try:
            assert public.wait(20.0)
        finally:
            public.stop()
        grant = autoscaler.grant("http://127.0.0.1:3000")
    assert public.key is not None
    assert signature.verify(public.key, grant)
