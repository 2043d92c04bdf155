"""Ports are free, distinct, and kept."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from vast_pyworker.market.runtime.ports import Ports


@pytest.fixture
def ports() -> Iterator[Ports]:
    ports = Ports()
    yield ports
    ports.close()


def test_each_is_given_once_and_can_be_listened_on(ports: Ports) -> None:
    wanted = [(number, "tcp") for number in range(1, 65)]
    given = [ports.take(wanted), ports.take(wanted)]
    numbers = [port for each in given for port in each.values()]
    assert len(set(numbers)) == 128
    for number in numbers[:5]:
        with socket.create_server(("127.0.0.1", number)):
            pass


def test_one_inside_has_one_outside(ports: Ports) -> None:
    given = ports.take([(53, "tcp"), (53, "udp"), (53, "tcp")])
    assert list(given) == [(53, "tcp"), (53, "udp")]
    assert len(set(given.values())) == 2


def test_what_somebody_listens_on_is_not_given(
    ports: Ports, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = ports.take([(1, "tcp")])[1, "tcp"]
    ports.close()
    with socket.create_server(("127.0.0.1", taken)):
        monkeypatch.setattr("vast_pyworker.market.runtime.ports.LOWEST", taken)
        monkeypatch.setattr("vast_pyworker.market.runtime.ports._ephemeral_from", lambda: taken + 2)
        assert ports.take([(1, "tcp")]) == {(1, "tcp"): taken + 1}


def test_another_market_on_this_machine_does_not_get_them(ports: Ports) -> None:
    other = Ports()
    mine = ports.take([(number, "tcp") for number in range(300)])
    theirs = other.take([(number, "tcp") for number in range(300)])
    other.close()
    assert set(mine.values()) & set(theirs.values()) == set()
