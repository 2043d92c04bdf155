"""Measured tokens, from the end of an answer in each server's own form."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vast_pyworker.worker.units.settling import settle_tokens

USAGE = {"prompt_tokens": 32, "completion_tokens": 8, "total_tokens": 40}
TIMINGS = {"cache_n": 31, "prompt_n": 1, "prompt_ms": 5.8, "predicted_n": 8, "predicted_ms": 13.8}
OLLAMA = {"done": True, "done_reason": "stop", "prompt_eval_count": 32, "eval_count": 8}
DETAILS = {"finish_reason": "length", "generated_tokens": 8, "seed": None, "input_length": 32}
META = {"id": "x", "finish_reason": None, "prompt_tokens": 32, "completion_tokens": 8}
PREFILL = [{"id": n, "text": "a", "logprob": -1.0} for n in range(32)]

ANSWERS = {
    "openai": {"id": "x", "choices": [{"message": {"content": "hi"}}], "usage": USAGE},
    "usage with details": {"usage": {"prompt_tokens_details": {"cached_tokens": 9}, **USAGE}},
    "embeddings": {"data": [{"embedding": [0.1]}], "usage": {"total_tokens": 40}},
    "anthropic": {"content": [], "usage": {"input_tokens": 32, "output_tokens": 8}},
    "anthropic, prompt cached": {
        "usage": {"cache_read_input_tokens": 30, "input_tokens": 2, "output_tokens": 8}
    },
    "llama.cpp chat": {"choices": [], "timings": TIMINGS},
    "llama.cpp completion": {"tokens_predicted": 8, "tokens_evaluated": 32, "prompt": "a"},
    "ollama": {"model": "m", **OLLAMA},
    "ollama, prompt cached": {"model": "m", "done": True, "eval_count": 40},
    "ollama embeddings": {"embeddings": [[0.1]], "prompt_eval_count": 40},
    "sglang": {"text": "hi", "meta_info": META},
    "tgi stream": {"token": {"text": "hi"}, "generated_text": "hi", "details": DETAILS},
    "tgi": [{"generated_text": "hi", "details": {"generated_tokens": 8, "prefill": PREFILL}}],
}

SILENT = {
    "no counts": {"choices": [{"text": "hi"}]},
    "usage is null": {"choices": [], "usage": None},
    "output only": {"type": "message_delta", "usage": {"output_tokens": 8}},
    "tgi without prompt": {"details": {"generated_tokens": 8, "prefill": []}},
    "counts that are no counts": {"usage": {"total_tokens": "40"}, "eval_count": -3},
    "counts too large": {"usage": {"total_tokens": 10**300}},
}


def compact(answer: object) -> bytes:
    return json.dumps(answer, separators=(",", ":")).encode()


def spaced(answer: object) -> bytes:
    return json.dumps(answer, indent=2).encode()


def as_events(answer: object) -> bytes:
    chunk = {"choices": [{"delta": {"content": "hi"}}], "usage": None}
    return b"data: %b\n\ndata: %b\n\ndata: [DONE]\n\n" % (compact(chunk), compact(answer))


def as_lines(answer: object) -> bytes:
    return b'{"response":"hi","done":false}\n%b\n' % compact(answer)


@pytest.mark.parametrize("form", [compact, spaced, as_events, as_lines])
@pytest.mark.parametrize("name", ANSWERS)
def test_the_measured_tokens_are_found_in_every_form(name, form):
    assert settle_tokens(form(ANSWERS[name])) == 40


@pytest.mark.parametrize("form", [compact, spaced, as_events, as_lines])
@pytest.mark.parametrize("name", SILENT)
def test_an_answer_that_does_not_tell_is_unknown(name, form):
    assert settle_tokens(form(SILENT[name])) is None


def test_the_last_of_several_counts_is_the_one():
    growing = [{"usage": {"prompt_tokens": 32, "completion_tokens": n}} for n in range(1, 9)]
    assert settle_tokens(b"".join(as_events(chunk) for chunk in growing)) == 40


def test_a_long_answer_is_read_from_its_end_alone():
    answer = {"choices": [{"message": {"content": "word " * 20_000}}], "usage": USAGE}
    assert settle_tokens(compact(answer)) == 40


def test_text_that_speaks_of_usage_is_not_mistaken_for_it():
    text = 'set "usage": {"total_tokens": 999} and "eval_count": 999,'
    assert settle_tokens(compact({"choices": [{"text": text}]})) is None


def test_an_answer_cut_off_in_its_counts_is_unknown():
    whole = compact(ANSWERS["ollama embeddings"])
    assert settle_tokens(whole[:-1]) is None
    assert settle_tokens(compact(ANSWERS["openai"])[:-5]) is None


def test_older_llama_cpp_has_no_count_of_cached_tokens():
    assert settle_tokens(compact({"timings": {"prompt_n": 32, "predicted_n": 8}})) == 40


def test_json_nested_to_exhaust_the_parser_is_unknown():
    assert settle_tokens(b'"usage":' + b"[" * 8000) is None
    assert settle_tokens(b'"usage":{"a":' * 600) is None


@pytest.mark.parametrize("name", ANSWERS)
def test_a_tail_that_begins_anywhere_gives_the_right_count_or_none(name):
    whole = as_events(ANSWERS[name])
    found = [settle_tokens(whole[start:]) for start in range(len(whole))]
    allowed = {40, None}
    if name == "ollama":
        allowed.add(8)  # the prompt's count is cut off, and Ollama leaves out what is 0
    assert set(found) <= allowed


PIECES = [b'"usage"', b":", b"{", b"}", b'"total_tokens"', b'"eval_count"', b"[", b'"prefill"']
PIECES += [b'"timings"', b'"predicted_n"', b"null", b"1", b"-", b"9" * 30, b"\xff", b'\\"', b"\n"]


@given(st.lists(st.sampled_from(PIECES) | st.binary(max_size=6), max_size=60))
def test_no_bytes_make_it_raise(pieces):
    measured = settle_tokens(b"".join(pieces))
    assert measured is None or measured >= 0
