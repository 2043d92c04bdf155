"""Amounts and durations as servers log them."""

from __future__ import annotations

import pytest

from vast_pyworker.worker.modellog.quantity import amount, duration_s


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("512", 512.0),
        ("1,024", 1024.0),
        ("1.23G", 1.23e9),
        ("98.1MB/s", 98.1e6),
        ("12kB", 12e3),
        ("4GiB", 4 * 2.0**30),
        ("4 Ki", 4096.0),
        ("3 bytes", 3.0),
        ("1.5e3", 1500.0),
        ("", None),
        ("many", None),
        ("5 parsecs", None),
        ("-3", None),
    ],
)
def test_amounts(text, value):
    assert amount(text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3.0),
        ("3.5s", 3.5),
        ("320ms", 0.32),
        ("5 Seconds", 5.0),
        ("2min", 120.0),
        ("soon", None),
        ("1 fortnight", None),
    ],
)
def test_durations(text, value):
    assert duration_s(text) == (None if value is None else pytest.approx(value))
