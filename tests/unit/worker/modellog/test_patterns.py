"""What lines mean: precedence, captures, counts within windows, and the short cut to them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vast_pyworker.errors import BackendError
from vast_pyworker.worker.modellog.literals import required_literals
from vast_pyworker.worker.modellog.patterns import (
    LOG_ERROR,
    TORCH_FATAL,
    Match,
    Pattern,
    PatternTable,
    containing,
)


def meaning(table: PatternTable, line: str, now: float = 0.0) -> str | None:
    match = table.match(line, now)
    return match.action if match else None


def test_a_line_means_what_its_pattern_says():
    table = PatternTable([Pattern("loaded", r"Application startup complete\.")])
    assert meaning(table, "INFO:     Application startup complete.") == "loaded"
    assert meaning(table, "INFO:     Application startup complete!") is None


def test_an_error_of_one_request_is_not_fatal():
    table = PatternTable(
        [
            Pattern("error", r'"level":"ERROR"'),
            Pattern("ignore", r"`inputs` tokens \+ `max_new_tokens` must be <="),
        ]
    )
    request_scoped = '{"level":"ERROR","message":"`inputs` tokens + `max_new_tokens` must be <= 2"}'
    assert meaning(table, request_scoped) == "ignore"
    assert meaning(table, '{"level":"ERROR","message":"Shard 0 crashed"}') == "error"


def test_an_error_goes_before_loaded_whatever_the_order_of_the_patterns():
    table = PatternTable([Pattern("loaded", "ready"), Pattern("error", "failed")])
    assert meaning(table, "ready? no, failed") == "error"


def test_captures_become_numbers_with_their_units():
    table = PatternTable(
        [
            Pattern("loaded", r"Model loaded in (?P<seconds>\d+\.\d+s)"),
            Pattern("capacity", r"max batch total tokens to (?P<capacity>\d+)"),
            Pattern(
                "progress",
                r"(?P<percent>\d+)%\|.*\| (?P<done>\S+)/(?P<total>\S+) \[.*, *(?P<rate>\S+)\]",
            ),
        ]
    )
    loaded = table.match("Model loaded in 12.5s (load weights: 1.0s)", 0.0)
    assert loaded is not None
    assert loaded.fields == {"load_time": 12.5}
    capacity = table.match("Setting max batch total tokens to 123456", 0.0)
    assert capacity is not None
    assert capacity.fields == {"capacity": 123456.0}
    bar = "model.safetensors:  45%|████▌     | 1.23G/2.72G [00:12<00:15, 98.1MB/s]"
    progress = table.match(bar, 0.0)
    assert progress is not None
    assert progress.fields == {"percent": 45.0, "done": 1.23e9, "total": 2.72e9, "rate": 98.1e6}


def test_a_capture_that_is_no_number_is_left_out():
    table = PatternTable([Pattern("capacity", r"capacity (?P<capacity>\S+)(?P<note>.*)")])
    match = table.match("capacity unlimited today", 0.0)
    assert match == Match("capacity", "capacity unlimited today", {})


def test_a_count_must_be_reached_within_the_window():
    table = PatternTable([Pattern("error", "CUDA hiccup", count=3, window_s=10.0)])
    assert [meaning(table, "CUDA hiccup", t) for t in (0.0, 5.0, 11.0)] == [None, None, None]
    assert meaning(table, "CUDA hiccup", 12.0) == "error"


def test_a_count_without_a_window_is_for_ever_until_the_model_starts_anew():
    table = PatternTable([Pattern("error", "x", count=2)])
    assert meaning(table, "x", 0.0) is None
    table.reset()
    assert meaning(table, "x", 1.0) is None
    assert meaning(table, "x", 1e9) == "error"


def test_a_line_that_is_not_enough_of_one_thing_may_still_be_another():
    table = PatternTable([Pattern("error", "warn", count=2), Pattern("progress", "shard")])
    assert meaning(table, "warn about shard 1") == "progress"


def test_the_reason_is_short_and_keeps_secrets():
    table = PatternTable([Pattern("error", "denied")])
    match = table.match("denied for hf_abcdefghijklmnop Bearer sesame " + "x" * 1000, 0.0)
    assert match is not None
    assert "hf_abc" not in match.reason
    assert "sesame" not in match.reason
    assert len(match.reason.removeprefix(LOG_ERROR)) <= 200


def test_a_pattern_may_name_its_reason():
    match = PatternTable(TORCH_FATAL).match("torch.cuda.OutOfMemoryError: CUDA out of", 0.0)
    assert match is not None
    assert match.reason == "the GPU is out of memory"


def test_texts_of_the_settings_are_taken_letter_for_letter():
    table = PatternTable([containing("loaded", "ready (100%) [ok]")])
    assert meaning(table, ">> ready (100%) [ok] <<") == "loaded"
    assert meaning(table, "ready 100 o") is None


@pytest.mark.parametrize(
    ("make", "part"),
    [
        (lambda: Pattern("explode", "x"), "the action must be one of"),
        (lambda: Pattern("error", "("), "is no regular expression"),
        (lambda: Pattern("error", "x", count=0), "count must be 1 or more"),
        (lambda: Pattern("error", "x", window_s=float("inf")), "window_s 0 or more"),
        (lambda: Pattern("error", 7), "is no regular expression"),  # type: ignore[arg-type]
    ],
)
def test_a_pattern_that_makes_no_sense_is_one_sentence(make, part):
    with pytest.raises(BackendError, match=re.escape(part)):
        make()


def test_scanning_many_lines_is_matching_each():
    patterns = [Pattern("loaded", "up"), Pattern("error", "(?i)FATAL"), Pattern("ignore", "fatal?")]
    lines = ["nothing", "up", "Fatal", "is it fatal? no", "up again", ""]
    one_by_one = PatternTable(patterns)
    expected = [m for m in (one_by_one.match(line, 0.0) for line in lines) if m]
    assert PatternTable(patterns).scan(lines, 0.0) == expected
    assert [m.action for m in expected] == ["loaded", "error", "ignore", "loaded"]


@pytest.mark.parametrize(
    ("regex", "literals"),
    [
        (r"Application startup complete\.", ("Application startup complete.",)),
        (r"Model loaded in (\d+\.\d+)s", ("Model loaded in ",)),
        (r"Error: (?:WebserverFailed|DownloadError)", ("WebserverFailed", "DownloadError")),
        (r"(?:abc)+x?", ("abc",)),
        (r"(?i)error", ()),
        (r"(?i:error) here", (" here",)),
        (r"^\d+$", ()),
        (r"a?b*", ()),
        (r"a|", ()),
        (r"(?!not this)that", ("that",)),
    ],
)
def test_what_must_be_in_a_line_is_read_from_the_expression(regex, literals):
    assert required_literals(regex) == literals


ATOMS = st.sampled_from(
    ["a", "b", "ab", ".", r"\d", "[ab]", "[^a]", "(a|bb)", "(?:ab)", "x", "^", "$"]
)
REGEXES = st.lists(
    st.tuples(ATOMS, st.sampled_from(["", "*", "+", "?", "{2}", "{0,1}"])), min_size=1, max_size=6
).map(lambda parts: "".join(a if a in "^$" else a + q for a, q in parts))


@settings(max_examples=300, deadline=None)
@given(st.lists(REGEXES, min_size=1, max_size=4), st.text(alphabet="abx1 ", max_size=12))
def test_the_short_cut_never_misses_a_match(regexes, line):
    table = PatternTable([Pattern("loaded", "|".join(regexes))])
    assert bool(table.scan([line], 0.0)) == bool(re.search("|".join(regexes), line))
