"""What the module of 2024 takes from the environment, read when it is called, never at import.

Its signatures leave no room to hand a key or an address in, so this one module reads
``os.environ`` and the file ``.env``. Everything else takes them as arguments.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from vast_pyworker.errors import SettingError

from .client import DEFAULT_URL

KEY = "VAST_API_KEY"
_LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)")


class EnvironmentUnfit(SettingError, ValueError):
    """The environment lacks something, or holds it in a form that cannot be read."""


def base_url() -> str:
    """Where the API is: ``VAST_URL``, or the service itself."""
    return os.environ.get("VAST_URL") or DEFAULT_URL


def api_key() -> str:
    """``VAST_API_KEY`` of the environment, else of ``.env``; EnvironmentUnfit without one."""
    key = os.environ.get(KEY) or get_env_vars().get(KEY)
    if not key:
        raise EnvironmentUnfit(f"There is no {KEY}. Set it in the environment or in .env.")
    return key


def get_env_vars(path: str = ".env") -> dict[str, str]:
    """The ``NAME=value`` lines of the file; ``{}`` where there is none.

    Unlike in 2024 the environment of this process is not mixed in: it is nobody else's business.
    """
    try:
        text = Path(path).read_text("utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as exc:
        raise EnvironmentUnfit(f"{path} cannot be read: {type(exc).__name__}.") from exc
    lines = ((number, line.strip()) for number, line in enumerate(text.splitlines(), 1))
    return dict(_pair(path, number, line) for number, line in lines if line and line[0] != "#")


def _pair(path: str, number: int, line: str) -> tuple[str, str]:
    found = _LINE.fullmatch(line)
    if not found:
        raise EnvironmentUnfit(f"Line {number} of {path} is not NAME=value.")
    name, value = found.groups()
    is_quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "'\""
    return name, value[1:-1] if is_quoted else value
