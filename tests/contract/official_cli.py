"""The official command line as somebody has it who has never used it, pointed at one market."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from outside_support import Outside

LIMIT_S = 60.0
COMMAND = Path(sys.executable).with_name("vastai")


@dataclass(frozen=True)
class Said:
    """What one command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def shown(self) -> str:
        """Without colours."""
        return re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", self.out)


class Cli:
    """``cli("show user")`` runs ``vastai show user`` with a home of its own.

    The server is named by ``--url`` alone, or the client would send some calls to another one.
    The two files are what it would otherwise ask the real service for, whatever ``--url`` says.
    """

    def __init__(self, home: Path, url: str, outside: Outside, key: str = "market") -> None:
        self._url = url
        names = (".config", ".cache", ".local/state")
        config, cache, state = (home / name / "vastai" for name in names)
        for folder in (config, cache, state):  # two that start at once would both make them
            folder.mkdir(parents=True)
        (config / "vast_role").write_text("client")
        (cache / "gpu_names_cache.json").write_text('{"gpu_names": ["RTX 4090"]}')
        self._environ = {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "COLUMNS": "250",
            "HOME": str(home),
            "VAST_API_KEY": key,
            "VASTAI_NO_UPDATE_CHECK": "1",
            **outside.environ,
        }

    def __call__(self, verb: str, *words: object) -> Said:
        """``verb`` is the command alone, ``words`` are whatever follows it."""
        command = [str(COMMAND), *verb.split(), "--url", self._url, *map(str, words)]
        done = subprocess.run(
            command,
            env=self._environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
        )
        return Said(done.returncode, done.stdout, done.stderr)

    def ok(self, verb: str, *words: object) -> str:
        """What is printed where the command exits with 0 and complains about nothing."""
        said = self(verb, *words)
        assert (said.code, said.err) == (0, ""), said
        return said.shown

    def raw(self, verb: str, *words: object) -> Any:
        return json.loads(self.ok(verb, *words, "--raw"))

    def each(self, *commands: tuple[object, ...]) -> list[Said]:
        """Several that do not depend on each other, two at a time, in their order."""
        with ThreadPoolExecutor(2) as pool:
            return list(pool.map(lambda words: self(str(words[0]), *words[1:]), commands))
