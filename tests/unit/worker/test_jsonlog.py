"""Log lines: one object each, the request named, no secret in any corner of a record."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from vast_pyworker.errors import SettingError
from vast_pyworker.worker import jsonlog

TOKEN = "master-token-5f2e"
KEY = "key-5f2e"

Configure = Callable[..., io.StringIO]


@pytest.fixture
def configure() -> Iterator[Configure]:
    """Configure logging into a buffer, and put everything back afterwards."""
    root = logging.getLogger()
    urllib3 = logging.getLogger("urllib3")
    before = root.handlers[:], root.level, urllib3.level

    def into_buffer(**options: Any) -> io.StringIO:
        stream = io.StringIO()
        jsonlog.configure(stream=stream, **options)
        return stream

    yield into_buffer
    root.handlers[:], level, urllib3_level = before
    root.setLevel(level)
    urllib3.setLevel(urllib3_level)


def _lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_one_object(configure: Configure) -> None:
    stream = configure()
    logging.getLogger("a.b").warning("said %s to %d", "hi", 3)
    (line,) = _lines(stream)
    assert isinstance(line.pop("ts"), float)
    assert line == {"level": "warning", "logger": "a.b", "message": "said hi to 3"}


def test_a_request_is_named_while_it_is_worked_on(configure: Configure) -> None:
    stream = configure()
    token = jsonlog.request_id.set("req-1")
    logging.info("within")
    jsonlog.request_id.reset(token)
    logging.info("without")
    within, without = _lines(stream)
    assert within["request_id"] == "req-1"
    assert "request_id" not in without


def test_an_exception_is_a_field_of_the_same_line(configure: Configure) -> None:
    stream = configure()
    try:
        raise ValueError("broken")
    except ValueError:
        logging.exception("it failed")
    (line,) = _lines(stream)
    assert line["message"] == "it failed"
    assert line["exception"].endswith("ValueError: broken")


def test_a_message_cannot_forge_a_line(configure: Configure) -> None:
    stream = configure()
    logging.info('x\n{"level": "critical"}\r\u2028\ud800\x1b[31m')
    (line,) = _lines(stream)
    assert line["level"] == "info"
    assert stream.getvalue().isascii()


@pytest.mark.parametrize("fmt", ["json", "text"])
def test_no_secret_is_in_any_corner_of_a_record(configure: Configure, fmt: str) -> None:
    stream = configure(fmt=fmt, secrets=[KEY, TOKEN, "", "abc"])
    logging.info("token %s, key %s", TOKEN, {"key": KEY})
    logging.info(f"inline {TOKEN}")
    try:
        raise RuntimeError(f"refused {TOKEN}")
    except RuntimeError:
        logging.exception("with %s", KEY)
    logging.info("abc stays: too short to be told from text")
    text = stream.getvalue()
    assert TOKEN not in text and KEY not in text
    assert text.count(jsonlog.BLOT) == 5
    assert "abc stays" in text


def test_a_secret_within_a_secret_leaves_no_rest(configure: Configure) -> None:
    stream = configure(secrets=["5f2e", KEY])
    logging.info("key %s", KEY)
    assert _lines(stream)[0]["message"] == f"key {jsonlog.BLOT}"


def test_arguments_that_do_not_fit_break_nothing(configure: Configure) -> None:
    stream = configure(secrets=[TOKEN])
    logging.info("one %d", TOKEN)
    logging.info("two %s", "a", "b")
    first, second = _lines(stream)
    assert first["message"] == f"one %d ('{jsonlog.BLOT}',)"
    assert second["message"] == "two %s ('a', 'b')"


def test_text_for_people_is_indented_below_its_line(configure: Configure) -> None:
    stream = configure(fmt="text")
    token = jsonlog.request_id.set("req-1")
    logging.getLogger("vast_pyworker.worker.reports.reporter").warning("two\nlines")
    jsonlog.request_id.reset(token)
    at, _, rest = stream.getvalue().partition(" ")
    assert len(at) == len("12:30:01")
    assert rest == "warning reporter req-1: two\n    lines\n"


def test_the_level_is_the_least_that_is_logged(configure: Configure) -> None:
    stream = configure(level="warning")
    logging.info("quiet")
    logging.warning("loud")
    assert [line["message"] for line in _lines(stream)] == ["loud"]


def test_urls_of_requests_are_not_logged_even_at_debug(configure: Configure) -> None:
    stream = configure(level="debug")
    logging.getLogger("urllib3.connectionpool").debug('"POST /route/?api_key=EPKEY HTTP/1.1" 200')
    assert stream.getvalue() == ""


@pytest.mark.parametrize(
    ("options", "named"), [({"level": "loud"}, "LOG_LEVEL"), ({"fmt": "xml"}, "LOG_FORMAT")]
)
def test_what_there_is_not_is_refused_by_name(
    configure: Configure, options: dict[str, str], named: str
) -> None:
    with pytest.raises(SettingError, match=named):
        configure(**options)
