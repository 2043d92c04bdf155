"""What the documents name exists, and what exists is in the documents.

The commands of README's quick start are executed by tests/e2e/test_readme.py.
"""

from __future__ import annotations

import importlib
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from vast_pyworker.failure import Exit
from vast_pyworker.settings import TABLE
from vast_pyworker.settings_doc import page

ROOT = Path(__file__).resolve().parents[1]
DOCS = [
    path
    for path in (ROOT / "README.md", ROOT / "backends/README.md", *(ROOT / "docs").rglob("*.md"))
    if path.exists()
]
SETTINGS = {name for setting in TABLE for name in (setting.name, *setting.aliases)}
ROUTE = re.compile(r"(?<![\w./}:-])/(?:pyworker|session|report)[/_][\w./<>-]*\w>?")
COMMAND = re.compile(r"(?:^\s*(?:\$ )?|[`|;&] ?)vast-pyworker ([a-z][a-z-]*)", re.MULTILINE)


def everything() -> str:
    return "\n".join(path.read_text() for path in DOCS)


def named(pattern: re.Pattern[str]) -> Iterator[tuple[str, str]]:
    """Every match in the documents, with where it stands."""
    for path in DOCS:
        for match in pattern.finditer(path.read_text()):
            yield match.group(match.re.groups), str(path.relative_to(ROOT))


def later(module: str, attribute: str) -> Any:
    """Something of a module that may not be part of this build; skips where it is not."""
    try:
        return getattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError as exc:
        if exc.name != module:
            raise
        pytest.skip(f"there is no {module}")


def test_the_page_of_settings_is_the_table() -> None:
    assert (ROOT / "docs/settings.md").read_text() == page(), (
        "run: python -m vast_pyworker.settings_doc > docs/settings.md"
    )


def test_our_settings_in_the_documents_exist() -> None:
    ours = re.compile(r"\bPYWORKER_[A-Z_]+\b")
    code = [*ROOT.glob("vast_pyworker/**/*.py"), *ROOT.glob("scripts/**/*"), *ROOT.glob("*.sh")]
    text = "\n".join(path.read_text() for path in code if path.is_file() and not binary(path))
    read = SETTINGS | set(ours.findall(text))
    assert [each for each in named(ours) if each[0] not in read] == []


def test_the_start_scripts_own_variables_are_in_the_documents() -> None:
    script = (ROOT / "start_server.sh").read_text()
    read = set(re.findall(r"\$\{?([A-Z][A-Z_]+)", script)) - {"BASH_SOURCE", "PYTHONPATH"}
    assert [name for name in sorted(read) if f"`{name}`" not in everything()] == []


def test_every_exit_code_is_in_the_documents_and_in_the_help() -> None:
    starting = (ROOT / "docs/starting.md").read_text()
    rows = dict(re.findall(r"^\| (\d+) \| (.+?) \|", starting, re.MULTILINE))
    assert rows == {str(int(each)): each.sentence for each in Exit}
    shown = subprocess.run(
        [ROOT / "start_server.sh", "--help"], check=True, capture_output=True, text=True, timeout=30
    ).stdout
    codes = shown.partition("Exit codes:")[2]
    assert {int(code) for code in re.findall(r"\b(\d+) [a-z]", codes)} == {0, *map(int, Exit)}


def test_commands_and_documents_agree() -> None:
    main = later("vast_pyworker.cli", "main")
    there = set(main.commands)
    told = {each[0] for each in named(COMMAND)}
    assert told - there == set(), "documents name commands that do not exist"
    assert there - told == set(), "commands that no document names"


def test_routes_and_documents_agree() -> None:
    routes: Mapping[str, str] = later("vast_pyworker.worker.built_in", "BUILT_IN_ROUTES")
    there = {re.sub(r"<.*?>", "*", route) for route in routes}
    told = {(re.sub(r"<.*?>|\bID\b", "*", route), where) for route, where in named(ROUTE)}
    assert [each for each in told if each[0] not in there] == [], "documents name other routes"
    assert there - {route for route, _ in told} == set(), "routes that no document names"


def test_files_in_the_documents_exist() -> None:
    ours = re.compile(r"`((?:vast_pyworker|scripts|docs|tests|backends)/[\w./-]*\w)/?`")
    gone = [each for each in named(ours) if not (ROOT / each[0]).exists()]
    assert gone == []


def test_links_lead_somewhere() -> None:
    gone = []
    for path in DOCS:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text()):
            if not (path.parent / target).exists():
                gone.append((str(path.relative_to(ROOT)), target))
    assert gone == []


def test_every_document_is_reached_from_the_readme() -> None:
    readme = ROOT / "README.md"
    if not readme.exists():
        pytest.skip("there is no README.md")
    text = readme.read_text()
    unlinked = [
        path.name for path in (ROOT / "docs").glob("*.md") if f"docs/{path.name}" not in text
    ]
    assert unlinked == []


def test_every_dependency_has_its_line() -> None:
    locked = set(re.findall(r"^([a-z][\w-]*)==", (ROOT / "requirements.txt").read_text(), re.M))
    rows = (ROOT / "docs/dependencies.md").read_text()
    assert [name for name in sorted(locked) if f"`{name}`" not in rows] == []


def test_the_locks_name_no_index_and_pin_everything() -> None:
    for path in ROOT.glob("**/requirements*.txt"):
        if ".venv" in path.parts:
            continue
        lines = [line.partition("#")[0].strip() for line in path.read_text().splitlines()]
        loose = [line for line in lines if line and not re.match(r"[\w.-]+==[\w.+]+( ;.*)?$", line)]
        assert loose == [], path


def binary(path: Path) -> bool:
    return b"\0" in path.read_bytes()[:4096]
