"""Measure the seconds of audio in a request: from a field that tells them, or a WAV header.

Compressed audio is not decoded: its length is unknown, and the calculator's default counts.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterator, Mapping
from typing import Any, overload

from .json_number import size

_DURATIONS = ("duration", "duration_s", "audio_duration", "audio_seconds", "seconds")
_CONTENTS = ("audio", "file", "input_audio", "audio_data", "data")
_HEADER_BYTES = 4096
"""Chunks before the samples (LIST, fact, bext) are seldom longer."""


class AudioSeconds:
    """Calculator: seconds of audio to listen to. ``default_s`` counts where nothing tells them.

    Takes a JSON object (fields ``duration``, ``audio``, ``file``, ``input_audio.data``; base64 or
    a data URL), or the bytes of a body: a WAV file, or a form that has one in it.
    """

    __slots__ = ("default_s",)

    def __init__(self, default_s: float) -> None:
        self.default_s = default_s

    @overload
    def __call__(self, payload: Mapping[str, Any] | bytes) -> float: ...
    @overload
    def __call__(self, *, default_s: float) -> AudioSeconds: ...
    def __call__(
        self, payload: Mapping[str, Any] | bytes | None = None, *, default_s: float = 0.0
    ) -> float | AudioSeconds:
        if payload is None:
            return AudioSeconds(default_s)
        seconds = wav_seconds(payload) if isinstance(payload, bytes) else _from_fields(payload)
        return self.default_s if seconds is None else seconds


def _from_fields(payload: Mapping[str, Any]) -> float | None:
    for name in _DURATIONS:
        if (seconds := size(payload.get(name), None)) is not None:
            return seconds
    for name in _CONTENTS:
        if (seconds := _from_content(payload.get(name))) is not None:
            return seconds
    return None


def _from_content(content: object) -> float | None:
    if isinstance(content, Mapping):
        content = content.get("data")
    if isinstance(content, bytes):
        return wav_seconds(content)
    return _from_base64(content) if isinstance(content, str) else None


def _from_base64(text: str) -> float | None:
    start = text.find(",", 0, 256) + 1 if text.startswith("data:") else 0
    head = text[start : start + _HEADER_BYTES]
    try:
        decoded = base64.b64decode(head[: len(head) // 4 * 4])
    except ValueError:
        return None
    return wav_seconds(decoded, (len(text) - start) * 3 // 4)


def wav_seconds(body: bytes, total_bytes: int | None = None) -> float | None:
    """Seconds of the first WAV file in ``body``; None if there is none that tells.

    ``total_bytes`` is the size of the whole where ``body`` is only its beginning: a recorder that
    streams does not know its length and writes 0 or the largest number there is.
    """
    start = body.find(b"RIFF")
    if start < 0 or body[start + 8 : start + 12] != b"WAVE":
        return None
    rate = 0
    for name, length, at in _chunks(body, start + 12):
        if name == b"fmt " and len(body) >= at + 12:
            (rate,) = struct.unpack_from("<I", body, at + 8)
        elif name == b"data":
            there = (len(body) if total_bytes is None else total_bytes) - at
            return min(length or there, there) / rate if rate else None
    return None


def _chunks(body: bytes, at: int) -> Iterator[tuple[bytes, int, int]]:
    """Name, length and offset of each chunk of a RIFF file; chunks are padded to even lengths."""
    while at + 8 <= len(body):
        (length,) = struct.unpack_from("<I", body, at + 4)
        yield body[at : at + 4], length, at + 8
        at += 8 + length + length % 2
