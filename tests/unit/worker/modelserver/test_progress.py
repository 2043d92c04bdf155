"""Downloads measured on disk and read from the log."""

from __future__ import annotations

import pytest

from vast_pyworker.worker.modelserver.progress import DownloadMeter, FolderSize, Rate

MIB = 2**20


def write(path, mib):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * (mib * MIB))


def test_a_folder_is_as_large_as_what_its_files_take_on_disk(tmp_path):
    write(tmp_path / "models" / "blobs" / "a", 2)
    write(tmp_path / "models" / "b", 1)
    assert FolderSize(tmp_path).look() == pytest.approx(3 * MIB, abs=64 * 1024)


def test_links_are_not_counted_and_hard_links_once(tmp_path):
    write(tmp_path / "blob", 2)
    (tmp_path / "snapshot").symlink_to(tmp_path / "blob")
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "again").hardlink_to(tmp_path / "blob")
    assert FolderSize(tmp_path).look() == pytest.approx(2 * MIB, abs=64 * 1024)


def test_a_file_with_holes_counts_what_has_arrived(tmp_path):
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(1 << 30)
    assert FolderSize(tmp_path).look() == pytest.approx(0, abs=64 * 1024)


def test_a_folder_that_is_not_there_yet_is_empty(tmp_path):
    assert FolderSize(tmp_path / "later").look() == 0


def test_a_large_folder_is_measured_in_several_looks(tmp_path):
    for number in range(25):
        write(tmp_path / f"{number}", 0)
    size = FolderSize(tmp_path, entries_per_look=10)
    assert [size.look(), size.look()] == [None, None]
    assert size.look() == 0
    write(tmp_path / "new", 1)
    assert [size.look(), size.look()] == [0, 0]
    assert size.look() == pytest.approx(MIB, abs=64 * 1024)


def test_a_rate_is_over_its_window():
    rate = Rate(window_s=10.0)
    assert rate.per_s is None
    for second in range(100):
        rate.note(second, second * 5.0 if second < 50 else 50 * 5.0 + (second - 50) * 2.0)
    assert rate.per_s == pytest.approx(2.0)


def test_a_folder_that_shrinks_begins_anew():
    rate = Rate()
    rate.note(0.0, 500.0)
    rate.note(1.0, 100.0)
    assert rate.per_s is None
    rate.note(2.0, 150.0)
    assert rate.per_s == pytest.approx(50.0)


def test_growth_on_disk_is_a_download_with_rate_and_time_left(tmp_path):
    meter = DownloadMeter(tmp_path, total_bytes=100 * MIB)
    for second in range(6):
        meter.note_disk(second, second * 10 * MIB)
    progress = meter.progress(5.0)
    assert progress is not None
    assert progress.document() == {
        "source": "disk",
        "done_bytes": 50 * MIB,
        "total_bytes": 100 * MIB,
        "rate_bytes_s": pytest.approx(10 * MIB),
        "seconds_left": pytest.approx(5.0),
        "percent": pytest.approx(50.0),
    }
    assert str(progress) == "downloading, 50%"


def test_without_a_total_the_time_left_is_unknown(tmp_path):
    meter = DownloadMeter(tmp_path)
    meter.note_disk(0.0, 0)
    meter.note_disk(1.0, 5 * MIB)
    progress = meter.progress(1.0)
    assert progress is not None
    assert (progress.total_bytes, progress.seconds_left, progress.percent) == (None, None, None)
    assert str(progress) == "downloading"


def test_a_folder_that_does_not_grow_is_no_download(tmp_path):
    meter = DownloadMeter(tmp_path)
    for second in range(5):
        meter.note_disk(second, 80_000 * MIB)
    assert meter.progress(4.0) is None


def test_a_download_is_over_when_growth_has_stopped(tmp_path):
    meter = DownloadMeter(tmp_path)
    meter.note_disk(0.0, 0)
    meter.note_disk(1.0, 50 * MIB)
    assert meter.progress(5.0) is not None
    assert meter.progress(20.0) is None


def test_what_the_log_says_goes_before_the_disk_while_it_is_fresh(tmp_path):
    meter = DownloadMeter(tmp_path)
    meter.note_disk(0.0, 0)
    meter.note_log(0.0, {"done": 1e9, "total": 4e9, "rate": 1e8})
    progress = meter.progress(1.0)
    assert progress is not None
    assert (progress.source, progress.percent, progress.seconds_left) == ("log", 25.0, 30.0)
    meter.note_disk(59.0, 0)
    meter.note_disk(60.0, 9 * MIB)
    later = meter.progress(60.0)
    assert later is not None
    assert later.source == "disk"


def test_a_log_that_gives_no_rate_is_given_one(tmp_path):
    meter = DownloadMeter(None)
    meter.note_log(0.0, {"percent": 10.0, "total": 1000.0})
    meter.note_log(10.0, {"percent": 20.0, "total": 1000.0})
    progress = meter.progress(10.0)
    assert progress is not None
    assert progress.rate_bytes_s == pytest.approx(10.0)
    assert progress.seconds_left == pytest.approx(80.0)


def test_a_percentage_alone_is_progress_too():
    meter = DownloadMeter(None)
    meter.note_log(0.0, {"percent": 37.0})
    progress = meter.progress(0.0)
    assert progress is not None
    assert (progress.done_bytes, progress.percent) == (None, 37.0)
    assert str(progress) == "downloading, 30%"


def test_a_line_without_numbers_is_no_progress():
    meter = DownloadMeter(None)
    meter.note_log(0.0, {})
    assert meter.progress(0.0) is None
    assert not meter.has_folder
    assert meter.look() is None
