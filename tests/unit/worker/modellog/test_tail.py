"""A log file followed through everything that happens to log files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from vast_pyworker.worker.modellog.tail import Tail


class Log:
    """A file as a program, or a tool that rotates it, writes it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, text: str | bytes) -> None:
        with self.path.open("ab") as file:
            file.write(text if isinstance(text, bytes) else text.encode())

    def rename(self) -> None:
        self.path.rename(self.path.with_suffix(".1"))

    def truncate(self) -> None:
        os.truncate(self.path, 0)


@pytest.fixture
def log(tmp_path):
    return Log(tmp_path / "model.log")


@pytest.fixture
def tail(log):
    followed = Tail(log.path)
    yield followed
    followed.close()


def everything(tail: Tail) -> list[str]:
    """Poll until the tail says that there is no more."""
    lines = tail.poll()
    while tail.behind:
        lines += tail.poll()
    return lines


def test_a_file_that_comes_later_is_read_from_its_beginning(log, tail):
    assert tail.poll() == []
    assert tail.problem == "there is no such file yet"
    log.write("one\ntwo\n")
    assert tail.poll() == ["one", "two"]
    assert tail.problem == ""


def test_the_present_file_is_read_from_its_beginning(log, tail):
    log.write("before\n")
    assert tail.poll() == ["before"]


def test_from_the_end_only_what_is_yet_to_be_written(log):
    log.write("before\n")
    tail = Tail(log.path, from_end=True)
    assert tail.poll() == []
    log.write("after\n")
    assert tail.poll() == ["after"]
    tail.close()


def test_from_the_end_of_a_file_that_is_not_there_yet_is_all_of_it(log):
    tail = Tail(log.path, from_end=True)
    assert tail.poll() == []
    log.write("all\n")
    assert tail.poll() == ["all"]
    tail.close()


def test_reading_begins_where_the_life_of_the_model_began(log):
    log.write("old life\n")
    tail = Tail(log.path, start=log.path.stat().st_size)
    log.write("new life\n")
    assert tail.poll() == ["new life"]
    tail.close()


def test_what_an_earlier_life_wrote_can_be_skipped(log, tail):
    log.write("old\nhalf a li")
    assert tail.poll() == ["old"]
    log.write("ne\nold too\n")
    offset = log.path.stat().st_size
    log.write("new\n")
    tail.skip_to(offset)
    assert tail.poll() == ["new"]
    tail.skip_to(3)
    assert tail.poll() == []


def test_a_line_in_pieces_is_one_line(log, tail):
    for piece in ("Appli", "cation sta", "rtup"):
        log.write(piece)
        assert tail.poll() == []
    log.write(" complete.\nnext")
    assert tail.poll() == ["Application startup complete."]


def test_a_renamed_file_is_read_to_its_end_and_the_new_one_from_its_beginning(log, tail):
    log.write("one\n")
    assert everything(tail) == ["one"]
    log.write("two\n")
    log.rename()
    log.write("three\n")
    assert everything(tail) == ["two", "three"]
    assert tail.reopened == 1


def test_a_line_divided_by_a_rename_is_one_line(log, tail):
    log.write("one ha")
    everything(tail)
    log.rename()
    log.write("lf\n")
    assert everything(tail) == ["one half"]


def test_while_the_name_is_gone_the_old_file_is_read_on(log, tail):
    log.write("one\n")
    everything(tail)
    with log.path.open("ab") as writer:
        log.rename()
        writer.write(b"still here\n")
        writer.flush()
        assert everything(tail) == ["still here"]


def test_a_file_truncated_in_place_is_read_anew(log, tail):
    log.write("a long line before\n")
    everything(tail)
    log.truncate()
    assert everything(tail) == []
    log.write("after\n")
    assert everything(tail) == ["after"]


def test_a_file_truncated_and_grown_past_where_we_were_is_read_anew(log, tail):
    log.write("a long line before\n")
    everything(tail)
    log.truncate()
    log.write("another line, and a longer one, after\n")
    assert everything(tail) == ["another line, and a longer one, after"]


def test_a_writer_that_keeps_its_offset_leaves_a_hole_and_no_harm(log, tail):
    with log.path.open("wb", buffering=0) as writer:  # not in append mode
        writer.write(b"x" * 1_000_000 + b"\n")
        everything(tail)
        log.truncate()
        writer.write(b"after the hole\n")
        assert everything(tail) == ["after the hole"]


def test_a_deleted_file_made_anew_is_read_from_its_beginning(log, tail):
    log.write("one\nSegmentation fault")
    assert everything(tail) == ["one"]
    log.path.unlink()
    log.write("two\n")
    assert everything(tail) == ["Segmentation fault", "two"]


def test_bytes_that_are_not_text_do_no_harm(log, tail):
    log.write(b"caf\xe9 \xff\x00\x00 done\n\xf0\x9f\x98")
    assert tail.poll() == ["caf� � done"]
    log.write(b"\x80\n")
    assert tail.poll() == ["😀"]


def test_a_line_of_ten_megabytes_is_cut_and_the_next_is_whole(log, tail):
    log.write(b"x" * 10_000_000 + b" END\nnext\n")
    lines = everything(tail)
    assert [len(line) for line in lines] == [64 * 1024, 4]
    assert lines[1] == "next"
    assert tail.cut_lines == 1


def test_a_poll_reads_a_bounded_amount(log, tail):
    log.write("line\n" * 1000)
    assert len(tail.poll(max_bytes=50)) == 10
    assert tail.behind
    assert len(everything(tail)) == 990
    assert not tail.behind


def test_a_progress_bar_is_a_line_at_each_step(log, tail):
    log.write("\r  1%\r  2%\r 99%")
    assert tail.poll() == ["  1%", "  2%"]
    log.write("\r\n")
    assert tail.poll() == [" 99%"]


def test_a_directory_in_its_place_is_a_problem_and_not_an_end(tmp_path):
    tail = Tail(tmp_path)
    assert tail.poll() == []
    assert tail.problem == "it is not a regular file"


def test_a_pipe_in_its_place_does_not_block(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    tail = Tail(tmp_path / "pipe")
    assert tail.poll() == []
    assert "regular file" in tail.problem


def test_a_log_below_a_folder_that_is_a_file_is_a_problem_told(tmp_path):
    (tmp_path / "file").write_text("")
    tail = Tail(tmp_path / "file" / "model.log")
    assert tail.poll() == []
    assert "cannot be read" in tail.problem


def test_after_close_it_begins_again(log, tail):
    log.write("one\n")
    assert tail.poll() == ["one"]
    tail.close()
    assert tail.poll() == ["one"]
