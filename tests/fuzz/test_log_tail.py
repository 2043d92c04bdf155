"""The same bytes give the same lines, however divided and whatever the file goes through."""

from __future__ import annotations

import os
import tempfile
from itertools import pairwise
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from vast_pyworker.worker.modellog.lines import LineSplitter
from vast_pyworker.worker.modellog.tail import Tail

LIMIT = 24

PIECES = st.one_of(
    st.sampled_from([b"\n", b"\r", b"\r\n", b"\0", b"\xff", b"\xf0\x9f", b"\x98\x80", b"loaded"]),
    st.binary(max_size=12),
    st.binary(min_size=LIMIT, max_size=3 * LIMIT).map(lambda b: b.replace(b"\n", b".")),
)
STREAMS = st.lists(PIECES, max_size=30).map(b"".join)


def whole(data: bytes) -> list[str]:
    splitter = LineSplitter(LIMIT)
    return splitter.feed(data) + splitter.flush()


@settings(max_examples=300, deadline=None)
@given(STREAMS, st.lists(st.integers(0, 400), max_size=20))
def test_lines_do_not_depend_on_the_pieces_they_come_in(data, cuts):
    splitter = LineSplitter(LIMIT)
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    lines = [line for a, b in pairwise(edges) for line in splitter.feed(data[a:b])]
    assert lines + splitter.flush() == whole(data)


@settings(max_examples=300, deadline=None)
@given(STREAMS)
def test_lines_are_bounded_and_hold_neither_ends_nor_nothing(data):
    splitter = LineSplitter(LIMIT)
    lines = splitter.feed(data) + splitter.flush()
    assert all(0 < len(line.encode("utf-8", "replace")) <= 3 * LIMIT for line in lines)
    assert not any(mark in line for line in lines for mark in "\n\r\0")
    plain = [part for part in data.replace(b"\0", b"").replace(b"\r", b"\n").split(b"\n") if part]
    assert len(lines) == len(plain)
    assert splitter.cut_lines == sum(len(part) > LIMIT for part in plain)


def test_every_single_split_of_a_log_gives_the_same_lines():
    data = "0.00 I srv init: loading\r\n 45%|███\r 99%|████\n\n\0é done".encode() + b"\xe9\n"
    for cut in range(len(data) + 1):
        splitter = LineSplitter(LIMIT)
        assert splitter.feed(data[:cut]) + splitter.feed(data[cut:]) == whole(data)


class Writer:
    """Writes a stream into a file that is rotated in between; the reader polls before that."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "model.log"
        self.path.touch()
        self.tail = Tail(self.path, max_line_bytes=LIMIT)
        self.lines: list[str] = []

    def write(self, data: bytes) -> None:
        with self.path.open("ab") as file:
            file.write(data)

    def poll(self, block: int) -> None:
        self.lines += self.tail.poll(block)

    def drain(self, block: int) -> None:
        """Poll until nothing is left: a truncation destroys what nobody has read."""
        self.poll(block)
        while self.tail.behind:
            self.poll(block)

    def rename(self) -> None:
        self.path.rename(self.path.with_suffix(".1"))
        self.path.touch()

    def truncate(self) -> None:
        os.truncate(self.path, 0)


STEPS = st.lists(
    st.tuples(st.sampled_from(["write", "write", "poll", "rename", "truncate"]), PIECES),
    max_size=25,
)


@settings(max_examples=200, deadline=None)
@given(STEPS, st.integers(1, 64))
def test_lines_do_not_depend_on_rotations(steps, block):
    written = b""
    with tempfile.TemporaryDirectory() as folder:
        log = Writer(Path(folder))
        for number, (step, piece) in enumerate(steps):
            if step == "poll":
                log.poll(block)
            elif step == "rename":
                log.drain(block)  # only one rename can be slept through
                log.rename()
            elif step == "truncate":
                log.drain(block)
                log.truncate()
                piece = b"%d " % number + piece  # the same bytes again would be no news
            log.write(piece)
            written += piece
        log.drain(block)
        log.write(b"\n")
        log.drain(block)
        log.tail.close()
    assert log.lines == whole(written)
