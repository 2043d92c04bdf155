"""/events: what a reader gets, what it gets after a break, and what it costs."""

from __future__ import annotations

import json
import socket
import threading
from urllib.parse import urlsplit

import pytest
import requests

from vast_pyworker.controller.access import Right
from vast_pyworker.controller.events import MOST_READERS

TIMEOUT_S = 10.0


class Reader:
    """One that reads server-sent events; a context."""

    def __init__(self, client, **query):
        self._client = client
        self._query = query
        self.events = []

    def __enter__(self):
        headers = {"Authorization": f"Bearer {self._client.controller.keys[Right.READ]}"}
        if "last" in self._query:
            headers["Last-Event-ID"] = str(self._query["last"])
        self.session = requests.Session()
        url = self._client.controller.url
        self.answer = self.session.get(
            f"{url}/events", headers=headers, stream=True, timeout=TIMEOUT_S
        )
        self._lines = self.answer.iter_lines(decode_unicode=True)
        return self

    def __exit__(self, *exc):
        self.answer.close()
        self.session.close()

    def next(self):
        """The next event as id, kind and data."""
        found = {}
        for line in self._lines:
            if not line and "data" in found:
                number = found.get("id")
                return None if number is None else int(number), found["event"], found["data"]
            name, _, value = line.partition(": ")
            if name in ("id", "event"):
                found[name] = value
            elif name == "data":
                found["data"] = json.loads(value)
        raise EOFError

    def until_tick(self):
        said = []
        while True:
            number, kind, data = self.next()
            if kind == "tick":
                return said, data
            said.append((number, data))


def test_a_reader_is_told_sentences_and_ticks_as_they_come(client):
    with Reader(client) as reader:
        assert reader.answer.headers["Content-Type"] == "text/event-stream"
        client.controller.parts.commands.scale("llm", 3, "a person")
        client.controller.tick()
        said, tick = reader.until_tick()
    assert any("held at 3 by a person" in data["sentence"] for _, data in said)
    assert [number for number, _ in said] == sorted(number for number, _ in said)
    assert tick["ready"] == 2 and tick["usd_per_hour"] > 0


def test_after_a_break_a_reader_goes_on_where_it_was(client):
    newest = client.controller.ledger.journal.newest_id()
    client.controller.parts.commands.scale("llm", 3, "a person")
    client.controller.tick()
    with Reader(client, last=newest) as reader:
        number, kind, data = reader.next()
        assert (number, kind) == (newest + 1, "said")
        client.controller.tick()
        rest, _ = reader.until_tick()
    numbers = [number, *(each for each, _ in rest)]
    assert numbers == sorted(set(numbers))
    assert data["id"] == number


def test_without_an_id_nothing_of_before_is_told(client):
    with Reader(client) as reader:
        client.controller.tick()
        said, _ = reader.until_tick()
    assert said == []


@pytest.mark.parametrize("last", ["x", "-1", "9" * 30])
def test_an_id_that_is_none_is_refused(client, last):
    client.refused(400, "GET", "/events", headers={"Last-Event-ID": last})


def test_readers_hold_no_thread_and_are_bounded(client):
    before = threading.active_count()
    readers = [Reader(client) for _ in range(MOST_READERS)]
    try:
        for each in readers:
            each.__enter__()
        assert threading.active_count() == before
        assert client.json("GET", "/livez", key=None)["status"] == "ok"
        answer = client.call("GET", "/events", key=Right.READ)
        assert answer.status_code == 503 and answer.headers["Retry-After"]
    finally:
        for each in readers:
            each.__exit__()
    deadline = threading.Event()
    for _ in range(200):
        client.controller.tick()
        if client.controller.parts.events.readers == 0:
            break
        deadline.wait(0.02)
    with Reader(client) as reader:
        client.controller.tick()
        reader.until_tick()


def test_one_that_does_not_read_is_cut_and_the_others_are_not(client):
    address = urlsplit(client.controller.url)
    key = client.controller.keys[Right.READ]
    events = client.controller.parts.events
    with socket.socket() as lazy, Reader(client) as reader:
        lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        lazy.connect((address.hostname, address.port))
        lazy.sendall(
            f"GET /events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n\r\n".encode()
        )
        waited = threading.Event()
        while events.readers < 2:
            waited.wait(0.01)
        for _ in range(400):
            events.publish({"filler": "x" * 30_000})
            reader.until_tick()
            if events.readers == 1:
                break
        assert events.readers == 1


def test_the_end_of_the_controller_ends_every_answer(start):
    client = start()
    with Reader(client) as reader:
        waited = threading.Event()
        while client.controller.parts.events.readers < 1:
            waited.wait(0.01)
        client.controller.parts.events.close()
        with pytest.raises(EOFError):
            while True:
                reader.next()
