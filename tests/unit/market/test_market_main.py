"""The market as a program: what it prints, refuses, keeps and leaves behind."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from vast_pyworker.market.composing import MarketOptions, check
from vast_pyworker.market.main import run

WAIT_S = 20.0


@contextmanager
def running(**options: Any) -> Iterator[tuple[str, list[str]]]:
    """A market in a thread: its URL and what it said."""
    said: list[str] = []
    ready, stop = threading.Event(), threading.Event()
    codes: list[int] = []

    def say(line: str) -> None:
        said.append(line)
        if line.startswith("Try:"):
            ready.set()

    def serve() -> None:
        chosen = MarketOptions(**{"port": 0, "hosts": 5, **options})
        codes.append(run(chosen, environ={"PATH": "/usr/bin:/bin"}, say=say, stop=stop))
        ready.set()

    thread = threading.Thread(target=serve, name="market-under-test")
    thread.start()
    try:
        assert ready.wait(WAIT_S) and said, said
        yield said[0].rpartition(" ")[2], said
    finally:
        stop.set()
        thread.join(WAIT_S)
    assert codes == [0]


def call(url: str, method: str, path: str, body: Any = None, key: str = "market") -> Any:
    headers = {"Authorization": f"Bearer {key}"}
    with requests.Session() as session:
        answer = session.request(method, url + path, json=body, headers=headers, timeout=10)
    return answer.json()


def test_it_says_where_it_is_and_with_what_key() -> None:
    with running() as (url, said):
        assert url.startswith("http://127.0.0.1:")
        assert said[1] == "Key: market (it is no secret)"
        assert said[2] == f"Page: {url}/market/"
        assert said[3].endswith(f"vastai search offers --url {url} --api-key market")
        assert "VAST_URL=http://localhost:" in said[3]
        assert call(url, "POST", "/api/v0/bundles/", {"limit": 1})["offers"]
    with pytest.raises(requests.ConnectionError):
        call(url, "GET", "/market/summary")


def test_limits_are_on_unless_switched_off() -> None:
    with running() as (url, _):
        answers = [call(url, "GET", "/api/v1/instances/") for _ in range(2)]
        assert answers[1]["error"] == "HTTPTooManyRequests"
    with running(limits=False) as (url, _):
        answers = [call(url, "GET", "/api/v1/instances/") for _ in range(3)]
        assert all(answer["success"] for answer in answers)


def test_what_was_done_is_there_again_after_a_restart(tmp_path: Path) -> None:
    chosen = {"state": tmp_path / "state.json", "limits": False, "clock": 100.0, "key": "k"}
    with running(**chosen) as (url, _):
        query = {"num_gpus": {"eq": 1}, "rentable": {"eq": True}, "limit": 1}
        offer = call(url, "POST", "/api/v0/bundles/", query, "k")["offers"][0]
        body = {"image": "i", "disk": 5, "label": "kept"}
        made = call(url, "PUT", f"/api/v0/asks/{offer['id']}/", body, "k")
        call(url, "POST", "/api/v0/template/", {"name": "n", "image": "i"}, "k")
        call(url, "POST", "/api/v0/endptjobs/", {"endpoint_name": "n"}, "k")
        call(url, "POST", "/api/v0/ssh/", {"ssh_key": "ssh-rsa AAAA"}, "k")
        credit = call(url, "GET", "/api/v0/users/current", key="k")["credit"]
    with running(**chosen) as (url, _):
        row = call(url, "GET", f"/api/v0/instances/{made['new_contract']}/", key="k")["instances"]
        assert (row["label"], row["machine_id"]) == ("kept", offer["machine_id"])
        own = call(url, "GET", f"/api/v0/instances/{row['id']}/", key=made["instance_api_key"])
        assert own["instances"]["id"] == row["id"]
        assert call(url, "GET", "/api/v0/template/", key="k")["templates_found"] == 1
        assert len(call(url, "GET", "/api/v0/endptjobs/", key="k")["results"]) == 1
        assert len(call(url, "GET", "/api/v0/ssh/", key="k")) == 1
        assert call(url, "GET", "/api/v0/users/current", key="k")["credit"] <= credit


def test_the_same_market_is_on_offer_after_a_restart(tmp_path: Path) -> None:
    chosen = {"state": tmp_path / "state.json", "limits": False, "clock": 0.0}
    body = {"limit": 50, "order": [["id", "asc"]]}
    offers = []
    for _ in range(2):
        with running(**chosen) as (url, _):
            rows = call(url, "POST", "/api/v0/bundles/", body)["offers"]
            offers.append([(row["id"], row["machine_id"], row["end_date"]) for row in rows])
    assert offers[0] == offers[1]


def test_faults_are_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "faults.json"
    path.write_text(json.dumps([{"kind": "error_before", "calls": ["user"]}]))
    with running(faults=path) as (url, _):
        assert len(call(url, "GET", "/market/faults")["faults"]) == 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"host": "0.0.0.0"}, "--allow-remote"),
        ({"host": "192.0.2.1"}, "--allow-remote"),
        ({"host": "example.org"}, "--allow-remote"),
        ({"hosts": 0}, "--hosts"),
        ({"clock": -1.0}, "--clock"),
        ({"clock": float("nan")}, "--clock"),
        ({"runtime": "docker"}, "--runtime"),
        ({"limits_form": "html"}, "form of a limit"),
        ({"port": 70_000}, "--port"),
        ({"key": " "}, "key"),
        ({"credit": float("inf")}, "--credit"),
        ({"faults": Path("/nowhere/faults.json")}, "/nowhere/faults.json"),
    ],
)
def test_what_cannot_be_is_one_sentence_and_exit_code_2(
    options: dict[str, Any], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = MarketOptions(**{"port": 0, "hosts": 2, **options})
    assert run(chosen, environ={}, say=lambda line: None, stop=threading.Event()) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1


def test_a_state_of_another_market_is_refused_and_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "state.json"
    with running(state=path, seed=1):
        pass
    before = path.read_bytes()
    chosen = MarketOptions(port=0, hosts=5, seed=2, state=path)
    assert run(chosen, environ={}, say=lambda line: None, stop=threading.Event()) == 2
    assert "--seed" in capsys.readouterr().err
    assert path.read_bytes() == before


def test_a_taken_port_names_who_holds_it(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        chosen = MarketOptions(port=port, hosts=2)
        assert run(chosen, environ={}, say=lambda line: None, stop=threading.Event()) == 2
    error = capsys.readouterr().err
    assert f"Port {port} is taken by python" in error and "(pid " in error


def test_the_defaults_can_be_and_other_machines_where_that_is_said() -> None:
    check(MarketOptions())
    check(MarketOptions(host="0.0.0.0", allow_remote=True))
