"""Reads what a Backend declares about its model server, each thing checked for its kind.

What a backend does not declare is None (or empty). What it declares wrongly is a BackendError:
one sentence with the file, the attribute and what it must be. The backend's own methods are
called only where their answer is the declaration.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import isfinite
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from vast_pyworker.errors import BackendError, SettingError
from vast_pyworker.settings import Settings
from vast_pyworker.worker.modellog.patterns import Pattern


class Declared:
    """The attributes and hooks of ``backend``, whose class is in ``file``."""

    def __init__(self, backend: object, file: Path) -> None:
        self.backend = backend
        self._file = file

    def wrong(self, sentence: str) -> BackendError:
        return BackendError(f"{'/'.join(self._file.parts[-3:])}: {sentence}")

    def text(self, name: str) -> str | None:
        value = getattr(self.backend, name, None)
        if value is not None and not isinstance(value, str):
            raise self.wrong(f"{name} must be a string, not {value!r}.")
        return value or None

    def number(self, name: str) -> float | None:
        value = getattr(self.backend, name, None)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not _is_amount(value):
            raise self.wrong(f"{name} must be a number of 0 or more, not {value!r}.")
        return float(value)

    def names(self, name: str) -> tuple[str, ...]:
        value = getattr(self.backend, name, None)
        if value is None:
            return ()
        words = (value,) if isinstance(value, str) else value
        if not _are_words(words):
            raise self.wrong(f"{name} must be a list of strings, not {value!r}.")
        return tuple(words)

    def path(self, name: str) -> Path | None:
        """A path, relative ones from the backend's directory."""
        value = getattr(self.backend, name, None)
        if value is not None and not isinstance(value, str | Path):
            raise self.wrong(f"{name} must be a path, not {value!r}.")
        return self._file.parent / Path(value).expanduser() if value else None

    def hook(self, name: str) -> Callable[..., Any] | None:
        value = getattr(self.backend, name, None)
        if value is not None and not callable(value):
            raise self.wrong(f"{name} must be a function, not {value!r}.")
        return value

    def answer(self, name: str, hook: Callable[[], Any]) -> Any:
        """What ``hook`` returns; whatever it raises is the backend's fault."""
        try:
            return hook()
        except Exception as exc:  # foreign code
            raise self.wrong(f"{name} raised {type(exc).__name__}: {exc}; correct it.") from exc

    def patterns(self) -> tuple[Pattern, ...]:
        """``log_patterns``: patterns, or pairs of action and regular expression."""
        value = getattr(self.backend, "log_patterns", None) or ()
        try:
            return tuple(p if isinstance(p, Pattern) else _pattern(p) for p in value)
        except (TypeError, ValueError) as exc:
            raise self.wrong(
                "log_patterns must be a list of Pattern(action, regex) or (action, regex)."
            ) from exc
        except BackendError as exc:
            raise self.wrong(str(exc)) from exc

    def url(self, text: object, name: str) -> str:
        """``text``, the address called ``name``, if it is one."""
        if not isinstance(text, str):
            raise self.wrong(f"{name} must be a string, not {text!r}.")
        parts = urlsplit(text)
        try:
            known = parts.scheme == "unix" or (parts.scheme in ("http", "https") and parts.hostname)
            if known and (parts.scheme == "unix" or parts.port != 0):
                return text.rstrip("/")
        except ValueError:  # the port is no number
            pass
        raise self.wrong(f"{name} must be like http://127.0.0.1:5001 or unix:/path, not {text!r}.")

    def page(self, server_url: str, target: str | None) -> str | None:
        """The URL of ``target``, which is one itself or a path on the model server."""
        if not target:
            return None
        if target.startswith("/"):
            return (
                f"{server_url}:{target}" if server_url.startswith("unix:") else server_url + target
            )
        return self.url(target, "a page of the model server that is no path")

    def command(self, settings: Settings) -> tuple[str, ...] | None:
        """The command that starts the model server: the setting's, else ``model_command``."""
        if settings.model_command:
            return _split(settings.model_command)
        value = getattr(self.backend, "model_command", None)
        if callable(value):
            value = self.answer("model_command()", partial(value, settings))
        if not value:
            return None
        words = shlex.split(value) if isinstance(value, str) else value
        if not _are_words(words):
            raise self.wrong(f"model_command must be a list of strings, not {value!r}.")
        return tuple(words)

    def environment(self, settings: Settings) -> dict[str, str]:
        """The worker's environment with the backend's ``model_env``, a mapping, on top."""
        value = getattr(self.backend, "model_env", None) or {}
        if not isinstance(value, Mapping):
            raise self.wrong(f"model_env must map names to values, not {value!r}.")
        return {**settings.environ, **{str(k): str(v) for k, v in value.items()}}


def _is_amount(value: float) -> bool:
    return isfinite(value) and value >= 0


def _are_words(value: Any) -> bool:
    return isinstance(value, Sequence) and all(isinstance(word, str) for word in value)


def _pattern(pair: Any) -> Pattern:
    action, regex = pair
    return Pattern(action, regex)


def _split(command: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(command))
    except ValueError as exc:
        raise SettingError(f"MODEL_COMMAND cannot be read ({exc}); correct its quotes.") from exc
