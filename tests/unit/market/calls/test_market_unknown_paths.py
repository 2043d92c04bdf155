"""Unknown paths: logged once, counted, the latest ones kept."""

from __future__ import annotations

import logging

import pytest

from vast_pyworker.market.calls.unknown_paths import UnknownPaths


def test_an_unknown_path_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    paths = UnknownPaths()
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            paths.seen("GET", "/api/v0/nowhere/")
    assert [record.getMessage() for record in caplog.records] == [
        "Asked for 'GET /api/v0/nowhere/', which this market does not have."
    ]
    assert paths.latest(5) == [("GET /api/v0/nowhere/", 3)]


def test_the_latest_unknown_paths_come_first_and_are_bounded() -> None:
    paths = UnknownPaths()
    for number in range(1500):
        paths.seen("GET", f"/{number}")
    assert [path for path, _ in paths.latest(2)] == ["GET /1499", "GET /1498"]
    assert len(paths.latest(10_000)) == 1000
