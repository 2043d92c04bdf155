"""Estimate the tokens of a text request from its JSON alone.

Knows the fields of OpenAI (completions, chat, responses, embeddings), llama.cpp, vLLM, SGLang,
TGI, TEI and Ollama. It does not tokenise: four characters are one token, until the model server
says what it measured (``settling``). One pass over the payload: this runs on every request.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, overload

from .json_number import size

CHARACTERS_PER_TOKEN = 4
MEDIA_CHARACTERS = 256 * CHARACTERS_PER_TOKEN
"""What an image or a sound in a prompt counts for: only the model will know its true size."""

_PROMPTS = frozenset(
    (
        "messages",  # OpenAI chat, Anthropic, Ollama
        "prompt",  # OpenAI completions, llama.cpp, Ollama
        "suffix",
        "system",
        "input",  # OpenAI responses and embeddings
        "inputs",  # TGI, TEI
        "text",  # SGLang
        "input_ids",
        "content",  # llama.cpp embedding and tokenize
        "query",  # reranking
        "texts",
        "documents",
    )
)
_LIMITS = frozenset(
    (
        "max_tokens",
        "max_completion_tokens",  # OpenAI chat, the newer name
        "max_output_tokens",  # OpenAI responses
        "max_new_tokens",  # TGI, SGLang
        "n_predict",  # llama.cpp
        "num_predict",  # Ollama
    )
)
_NESTED = frozenset(("parameters", "options", "sampling_params"))  # TGI, Ollama, SGLang
_DEEPEST = 6


class Tokens:
    """Calculator: tokens of the prompt, and of the longest answer that the request allows.

    ``default_output`` is what an answer counts for when the request sets no limit (a negative
    limit is none). A request for ``n`` answers counts each of them.
    """

    __slots__ = ("default_output",)

    def __init__(self, default_output: float) -> None:
        self.default_output = default_output

    @overload
    def __call__(self, payload: Mapping[str, Any]) -> float: ...
    @overload
    def __call__(self, *, default_output: float) -> Tokens: ...
    def __call__(
        self, payload: Mapping[str, Any] | None = None, *, default_output: float = 0.0
    ) -> float | Tokens:
        if payload is None:
            return Tokens(default_output)
        characters, limit, copies = _read(payload)
        output = self.default_output if limit is None else limit
        return characters / CHARACTERS_PER_TOKEN + output * copies


def _read(payload: Mapping[str, Any]) -> tuple[float, float | None, float]:
    """Characters of the prompt, the limit of one answer or None, and the number of answers."""
    characters: float = 0
    limit: float | None = None
    copies: float = 1
    for name, value in payload.items():
        if name in _PROMPTS:
            characters += _characters(value, _DEEPEST)
        elif name in _LIMITS:
            limit = size(value, limit)
        elif name == "n":
            copies = size(value, 1) or 1
        elif name in _NESTED and isinstance(value, dict):
            for inner in value.keys() & _LIMITS:
                limit = size(value[inner], limit)
    return characters, limit, copies


def _characters(value: Any, depth: int) -> float:
    """Characters in text, in messages and their parts, or (four each) in a list of token ids."""
    if value.__class__ is str:
        return len(value)
    if depth == 0:
        return 0
    if value.__class__ is list:
        if value and value[0].__class__ is int:
            return CHARACTERS_PER_TOKEN * len(value)
        total: float = 0
        for item in value:
            total += _characters(item, depth - 1)
        return total
    return _part_characters(value, depth - 1) if value.__class__ is dict else 0


def _part_characters(part: dict[str, Any], depth: int) -> float:
    """Characters of one message, or of one part of its content."""
    for name in ("content", "text"):
        if name in part:
            return _characters(part[name], depth)
    return 0 if "role" in part else MEDIA_CHARACTERS
