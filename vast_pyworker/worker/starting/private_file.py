"""Write a small file that only its owner may read, whole or not at all.

What is here: one function. What is not: what the file means, or when it is written.
"""

from __future__ import annotations

import os
from pathlib import Path


def write_private(path: Path, text: str) -> None:
    """Replace ``path`` by ``text`` in one step, mode 0600; makes the folder; raises OSError.

    A reader sees the old file or the new one. Nothing is left beside it when writing fails.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)  # of an earlier process with our number, killed while it wrote
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        draft.replace(path)
    except BaseException:  # whatever stops the writing, a secret half written must not stay
        draft.unlink(missing_ok=True)
        raise
