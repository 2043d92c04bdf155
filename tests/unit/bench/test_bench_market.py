from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from market_bench import cli, table
from market_bench.apps.constant import build_app
from market_bench.lanes import Lanes, answer_on, request
from market_bench.program import port_in
from market_bench.results import Many, Pair, Run
from market_bench.run import paged, rent_and_end
from relay_bench.errors import BenchError

from vast_pyworker.engine.running import RunningServer

PAIRS = (Pair(500.0, 1000.0, 2048, 1500.0, 4000.0), Pair(600.0, 1000.0, 2048, 1400.0, 3900.0))
RUN = Run(
    "quick",
    "2026-01-01 00:00 UTC",
    {"cpu": "one"},
    {"show": PAIRS},
    Many(1000, 0.5, 40, 2.5, 60.0, 62.5),
)


@contextmanager
def serving(folder: Path) -> Iterator[int]:
    with RunningServer(build_app(folder)) as server:
        yield int(server.address[1])


def test_run_survives_its_json_file() -> None:
    assert Run.from_json(RUN.to_json()) == RUN


def test_tables_show_the_market_beside_the_ceiling() -> None:
    shown = table.document(RUN)
    assert "| 550 (500-600)" in shown and "| 0.550 (0.500-0.600)" in shown
    assert "| 2.50 " in shown and "1,000" in shown


def test_memory_of_one_is_what_all_have_added() -> None:
    assert RUN.many.kb_each == pytest.approx(2.5)


def test_earlier_run_is_shown_without_measuring(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "run.json"
    file.write_text(RUN.to_json())
    assert cli.main(["--read", str(file)]) == 0
    assert "| show " in capsys.readouterr().out


@pytest.mark.parametrize("text", ["{}", "nothing", "[]"])
def test_file_of_another_kind_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    file = tmp_path / "run.json"
    file.write_text(text)
    assert cli.main(["--read", str(file)]) == 1
    assert "is not a file that --json wrote" in capsys.readouterr().err


def test_no_rounds_are_refused() -> None:
    with pytest.raises(SystemExit):
        cli.parser().parse_args(["--rounds", "0"])


def test_ceiling_answers_any_method_with_the_bytes_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "show").write_bytes(b'{"a":1}')
    with serving(tmp_path) as port, Lanes(port, 2) as lanes:
        for method, body in (("GET", None), ("PUT", {"b": 2}), ("DELETE", {})):
            assert lanes.ask(request(method, "/show", body)) == b'{"a":1}'


def test_load_counts_every_answer_on_every_lane(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"{}")
    asked: list[tuple[int, bytes]] = []

    def script(lane: int, last: bytes) -> bytes:
        asked.append((lane, last))
        return request("GET", "/x")

    with serving(tmp_path) as port, Lanes(port, 3) as lanes:
        load = lanes.load(script, 0.0)
        assert load.requests == len(asked) == 3
        assert lanes.load(script, 0.0, cycle=2).requests == 6
    assert asked[:3] == [(0, b""), (1, b""), (2, b"")]
    assert 0 < load.p50_us <= load.p99_us and load.per_s > 0


def test_an_answer_in_pieces_is_put_together() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(10)
        pieces = [b"HTTP/1.1 200 OK\r\ncontent-", b"length: 5\r\nX: y\r\n\r\nab", b"cde"]
        sender = threading.Thread(target=lambda: [theirs.sendall(each) for each in pieces])
        sender.start()
        assert answer_on(ours) == b"abcde"
        sender.join(10)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "answered"),
        (b"HTTP/1.1 200 OK\r\n\r\n", "how long"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab", "closed a connection"),
    ],
)
def test_an_answer_that_is_none_is_one_sentence(answer: bytes, words: str) -> None:
    ours, theirs = socket.socketpair()
    with ours:
        ours.settimeout(10)
        with theirs:
            theirs.sendall(answer)
        with pytest.raises(BenchError, match=words):
            answer_on(ours)


def test_each_lane_rents_its_own_offer_and_ends_what_it_got() -> None:
    script = rent_and_end([7, 8], {"image": "i"})
    assert script(1, b"").startswith(b"PUT /api/v0/asks/8/ ")
    assert script(1, b'{"new_contract": 20}').startswith(b"DELETE /api/v0/instances/20/ ")
    assert script(1, b'{"success": true}').startswith(b"PUT /api/v0/asks/8/ ")


def test_the_list_is_followed_to_its_end_and_counted(tmp_path: Path) -> None:
    rows = {"instances": [{"id": 1}, {"id": 2}], "next_token": None}
    (tmp_path / "instances").write_text(json.dumps(rows))

    class Below(Lanes):
        """The ceiling has no folders."""

        def ask(self, sent: bytes) -> bytes:
            return super().ask(sent.replace(b"/api/v1/instances/", b"/instances"))

    with serving(tmp_path) as port, Below(port, 1) as lane:
        pages, seconds = paged(lane, 2)
        assert (pages, seconds > 0) == (1, True)
        with pytest.raises(BenchError, match="2 instances of 3"):
            paged(lane, 3)


def test_the_port_is_where_a_program_says() -> None:
    assert port_in("5 GPUs of 2 hosts are on offer at http://127.0.0.1:4711") == 4711
    with pytest.raises(BenchError, match="did not say"):
        port_in("Traceback")
