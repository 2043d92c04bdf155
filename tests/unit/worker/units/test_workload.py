"""The calculators: what a request is worth before it runs, and what is refused."""

from __future__ import annotations

import base64
import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vast_pyworker.errors import Invalid
from vast_pyworker.worker.units.audio_work import wav_seconds
from vast_pyworker.worker.units.workload import (
    audio_seconds,
    checked,
    constant,
    pixel_steps,
    tokens,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=12,
)
PROMPTS = ["messages", "prompt", "input", "inputs", "parameters", "options", "max_tokens", "n"]
PICTURES = ["width", "height", "steps", "size", "batch_size", "n_iter", "enable_hr", "hr_scale"]
SOUNDS = ["workflow", "latent_image", "audio", "file", "duration", "data"]
FIELDS = st.sampled_from(PROMPTS + PICTURES + SOUNDS)
PAYLOADS = st.dictionaries(FIELDS, JSON, max_size=6)


@pytest.mark.parametrize(
    ("payload", "work"),
    [
        ({"prompt": "a" * 40, "max_tokens": 10}, 20),
        ({"prompt": ["a" * 40, "b" * 40], "max_tokens": 10}, 30),
        ({"prompt": [1, 2, 3, 4, 5], "max_tokens": 10}, 15),
        ({"prompt": [[1, 2, 3], [4, 5]], "max_tokens": 0}, 5),
        ({"messages": [{"role": "user", "content": "a" * 40}], "max_tokens": 10}, 20),
        ({"messages": [{"role": "user", "content": "a" * 40}], "max_completion_tokens": 5}, 15),
        ({"input": "a" * 40, "max_output_tokens": 10}, 20),
        ({"inputs": "a" * 40, "parameters": {"max_new_tokens": 10}}, 20),
        ({"text": "a" * 40, "sampling_params": {"max_new_tokens": 10}}, 20),
        ({"prompt": "a" * 40, "n_predict": 10}, 20),
        ({"prompt": "a" * 40, "options": {"num_predict": 10}}, 20),
        ({"system": "a" * 40, "prompt": "b" * 40, "max_tokens": 0}, 20),
        ({"prompt": "a" * 40, "max_tokens": 10, "n": 3}, 40),
    ],
)
def test_tokens_are_a_quarter_of_the_characters_and_the_longest_answer(payload, work):
    assert tokens(payload) == work


@pytest.mark.parametrize(
    "limit",
    [{}, {"max_tokens": None}, {"max_tokens": -1}, {"max_tokens": "9"}, {"max_tokens": True}],
)
def test_a_request_without_a_limit_counts_the_default_output(limit):
    assert tokens({"prompt": "a" * 40, **limit}) == 10 + 256
    assert tokens(default_output=0)({"prompt": "a" * 40, **limit}) == 10


def test_the_parts_of_a_message_count_their_text_and_a_constant_for_media():
    parts = [
        {"type": "text", "text": "a" * 40},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 100_000}},
    ]
    chat = [{"role": "user", "content": parts}, {"role": "assistant", "content": None}]
    assert tokens({"messages": chat, "max_tokens": 0}) == 10 + 256


def test_a_null_limit_does_not_undo_the_one_that_is_set():
    assert tokens({"max_completion_tokens": 7, "max_tokens": None}) == 7


def test_zero_answers_count_as_one():
    assert tokens({"max_tokens": 7, "n": 0}) == 7


def test_a_prompt_nested_out_of_all_reason_costs_nothing_but_is_no_error():
    nested: object = "text"
    for _ in range(500):
        nested = [nested]
    assert tokens({"prompt": nested, "max_tokens": 1}) == 1


@pytest.mark.parametrize(
    ("payload", "units"),
    [
        ({"width": 1024, "height": 1024, "steps": 28}, 200),
        ({"width": 1024, "height": 1024, "steps": 28, "batch_size": 2, "n_iter": 3}, 1200),
        ({"size": "1024x1024", "num_inference_steps": 28, "n": 2}, 400),
        ({"prompt": "a cat", "steps": 28}, 50),
        ({"prompt": "a cat"}, 50 * 50 / 28),
        ({"steps": 28, "enable_hr": True}, 50 + 200),
        ({"steps": 28, "enable_hr": True, "hr_scale": 1, "hr_second_pass_steps": 14}, 75),
    ],
)
def test_pixel_steps_are_200_for_a_large_image_of_28_steps(payload, units):
    assert pixel_steps(payload) == pytest.approx(units)


def test_pixel_steps_take_other_defaults():
    flux = pixel_steps(default_side=1024, default_steps=28)
    assert flux({"prompt": "a cat"}) == pytest.approx(200)
    assert flux(default_steps=14)({"prompt": "a cat"}) == pytest.approx(100)


def graph(**changed: object) -> dict[str, object]:
    """A ComfyUI graph: text to image, then the same enlarged by half and sampled again."""
    nodes: dict[str, object] = {
        "3": {
            "class_type": "KSampler",
            "inputs": {"steps": 28, "latent_image": ["5", 0], "positive": ["6", 0]},
        },
        "5": {
            "class_type": "EmptyLatentImage",
            "inputs": {"width": 1024, "height": 1024, "batch_size": 1},
        },
        "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "a cat"}},
    }
    return {**nodes, **changed}


def test_a_comfyui_graph_counts_its_sampler():
    assert pixel_steps({"prompt": graph()}) == pytest.approx(200)
    assert pixel_steps({"workflow": graph()}) == pytest.approx(200)
    assert pixel_steps({"input": {"workflow_json": graph()}}) == pytest.approx(200)


def test_every_sampler_of_a_graph_counts_at_its_own_size():
    upscale = {"class_type": "LatentUpscaleBy", "inputs": {"samples": ["3", 0], "scale_by": 2}}
    again = {"class_type": "KSampler", "inputs": {"steps": 14, "latent_image": ["10", 0]}}
    both = graph(**{"10": upscale, "11": again})
    assert pixel_steps({"prompt": both}) == pytest.approx(200 + 4 * 100)


def test_steps_come_from_a_scheduler_and_frames_from_a_video_latent():
    nodes = {
        "1": {
            "class_type": "SamplerCustomAdvanced",
            "inputs": {"sigmas": ["2", 0], "latent_image": ["3", 0]},
        },
        "2": {"class_type": "BasicScheduler", "inputs": {"steps": ["4", 0]}},
        "3": {
            "class_type": "EmptyHunyuanLatentVideo",
            "inputs": {"width": 1024, "height": 1024, "length": 10, "batch_size": 1},
        },
        "4": {"class_type": "PrimitiveInt", "inputs": {"value": 28}},
    }
    assert pixel_steps({"prompt": nodes}) == pytest.approx(2000)


def test_a_sampler_that_does_part_of_the_steps_counts_that_part():
    partial = {"steps": 28, "start_at_step": 14, "end_at_step": 10_000, "latent_image": ["5", 0]}
    sampler = {"class_type": "KSamplerAdvanced", "inputs": partial}
    assert pixel_steps({"prompt": graph(**{"3": sampler})}) == pytest.approx(100)


def test_a_graph_that_runs_in_a_circle_is_read_once():
    circle = {"class_type": "KSampler", "inputs": {"steps": 28, "latent_image": ["3", 0]}}
    assert pixel_steps({"prompt": {"3": circle}}) == pytest.approx(50)


def wav(seconds: float, *, declared: int | None = None, before: bytes = b"") -> bytes:
    """A WAV file of silence, 16 kHz, 16 bit, one channel."""
    samples = bytes(int(seconds * 32_000))
    form = struct.pack("<HHIIHH", 1, 1, 16_000, 32_000, 2, 16)
    size = len(samples) if declared is None else declared
    chunks = b"fmt " + struct.pack("<I", 16) + form + before
    chunks += b"data" + struct.pack("<I", size) + samples
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


def test_audio_seconds_are_read_from_the_fields_that_tell_them():
    assert audio_seconds({"duration": 12.5}) == 12.5
    assert audio_seconds({"audio": "https://example.org/a.mp3"}) == 30
    assert audio_seconds(default_s=5.0)({}) == 5


def test_audio_seconds_are_read_from_a_wav_file_in_any_wrapping():
    encoded = base64.b64encode(wav(2)).decode()
    assert audio_seconds({"audio": encoded}) == pytest.approx(2)
    assert audio_seconds({"file": f"data:audio/wav;base64,{encoded}"}) == pytest.approx(2)
    assert audio_seconds({"input_audio": {"data": encoded, "format": "wav"}}) == pytest.approx(2)
    form = b'--x\r\ncontent-disposition: form-data; name="file"\r\n\r\n' + wav(2) + b"\r\n--x--"
    assert audio_seconds(form) == pytest.approx(2)


def test_chunks_before_the_samples_are_passed_over():
    listed = b"LIST" + struct.pack("<I", 5) + b"hello\0"
    assert wav_seconds(wav(1, before=listed)) == pytest.approx(1)


@pytest.mark.parametrize("declared", [0, 0xFFFFFFFF])
def test_a_recording_that_does_not_know_its_length_is_as_long_as_it_is(declared):
    assert wav_seconds(wav(3, declared=declared)) == pytest.approx(3)
    encoded = base64.b64encode(wav(3, declared=declared)).decode()
    assert audio_seconds({"audio": encoded}) == pytest.approx(3, rel=0.01)


@pytest.mark.parametrize("cut", [0, 4, 11, 20, 30, 40])
def test_a_wav_header_that_is_cut_off_tells_nothing(cut):
    assert wav_seconds(wav(1)[:cut]) is None


def test_constant_is_a_hundred_unless_told():
    assert constant({"anything": 1}) == 100
    assert constant(2.5)({"anything": 1}) == 2.5


@pytest.mark.parametrize("value", [0, 1, 2.5, 1 << 40])
def test_work_that_is_finite_and_not_negative_passes_as_a_float(value):
    assert checked(value) == value
    assert isinstance(checked(value), float)


@pytest.mark.parametrize("value", [-1, math.inf, -math.inf, math.nan, 10**400, None, "5", {}])
def test_other_work_is_refused_with_a_sentence(value):
    with pytest.raises(Invalid, match=r"The work of this request cannot be .+: send sizes"):
        checked(value)


@pytest.mark.parametrize("limit", [math.nan, math.inf, 10**400, 1e300])
def test_an_absurd_limit_is_refused_not_forgotten(limit):
    with pytest.raises(Invalid):
        checked(tokens({"prompt": "", "max_tokens": limit}))


@given(PAYLOADS)
def test_no_payload_makes_a_calculator_raise(payload):
    for calculator in (tokens, pixel_steps, audio_seconds, constant):
        assert isinstance(calculator(payload), (int, float))
