"""On which line of a TOML text a key stands."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vast_pyworker.controller.desired.key_paths import KeyPath, dotted, quoted, written
from vast_pyworker.controller.desired.lines import line_of, lines_of
from vast_pyworker.controller.desired.toml_parser import loads

TEXT = '''\
# a comment with [brackets] and = signs
title = "a # is no comment" # but this is
"quoted.key" = 1
'literal key' . inner = 2

[limits]   # header
instances = 3

[[group.llm.window]]
hours = """
[not.a.table]
key = "neither"
"""
[group.llm.launch]
env = { A = "}", B.C = [1, {D = 2}], "E" = \'\'\'it's\'\'\' }
ports = [
  3000,   # one ]
  "80:80",
  [ 1,
    2 ],
]
[group.llm]
query = \'\'\'
x\'\'\'\'\'
when = 1979-05-27 07:32:00Z
[[group.llm.window]]
days = ""
zone = """"quotes""\\" inside"""""
[group.llm.window.deeper]
x = +1e5
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("title",), 2),
        (("quoted.key",), 3),
        (("literal key",), 4),
        (("literal key", "inner"), 4),
        (("limits",), 6),
        (("limits", "instances"), 7),
        (("group", "llm", "window"), 9),
        (("group", "llm", "window", 0), 9),
        (("group", "llm", "window", 0, "hours"), 10),
        (("group", "llm", "launch"), 14),
        (("group", "llm", "launch", "env", "A"), 15),
        (("group", "llm", "launch", "env", "B", "C", 1, "D"), 15),
        (("group", "llm", "launch", "env", "E"), 15),
        (("group", "llm", "launch", "ports"), 16),
        (("group", "llm", "launch", "ports", 0), 17),
        (("group", "llm", "launch", "ports", 1), 18),
        (("group", "llm", "launch", "ports", 2, 1), 20),
        (("group", "llm"), 22),
        (("group", "llm", "query"), 23),
        (("group", "llm", "when"), 25),
        (("group", "llm", "window", 1), 26),
        (("group", "llm", "window", 1, "zone"), 28),
        (("group", "llm", "window", 1, "deeper", "x"), 30),
    ],
)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_every_kind_of_key_has_its_line(path: KeyPath, line: int, newline: str) -> None:
    loads(TEXT.replace("\n", newline))
    assert lines_of(TEXT.replace("\n", newline))[path] == line


def test_what_is_not_there_has_the_line_of_what_is_around_it() -> None:
    lines = lines_of(TEXT)
    assert line_of(lines, ("limits", "usd_per_hour")) == 6
    assert line_of(lines, ("group", "llm", "window", 1, "hours")) == 26
    assert line_of(lines, ("fleet",)) == 1


def test_an_empty_text_has_no_lines() -> None:
    assert lines_of("") == {}
    assert lines_of("# only\n\n# comments") == {}


KEYS = st.text(st.sampled_from("ab-_ .é\"'\\#=[]\n"), max_size=4)
TEXTS = st.text(st.sampled_from("ab\"'\\#=[]{},\n "), max_size=12)
SCALARS = st.one_of(st.integers(-99, 99), st.booleans(), TEXTS, st.just(1.5))
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)
TABLES = st.dictionaries(KEYS, st.dictionaries(KEYS, VALUES, max_size=3), max_size=3)
NOISE = st.sampled_from(["", "\n", '# [x] = "\n', "\t\n\n", "#'''\n"])


class Writer:
    """Writes a document in one of the many ways there are, and notes the lines."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.text = ""
        self.lines: dict[KeyPath, int] = {}

    def note(self, path: KeyPath) -> None:
        self.lines[path] = self.text.count("\n") + 1

    def document(self, tables: dict[str, dict[str, Any]]) -> None:
        for name, table in tables.items():
            self.text += self.draw(NOISE)
            many = self.draw(st.integers(0, 2))
            for index in range(max(many, 1)):
                place: KeyPath = (name, index) if many else (name,)
                self.note(place)
                self.text += f"[[ {written(name)} ]] #]\n" if many else f"[{written(name)}]\n"
                self.table(table, place)

    def table(self, table: dict[str, Any], place: KeyPath) -> None:
        for key, value in table.items():
            self.text += self.draw(NOISE)
            self.note((*place, key))
            self.text += f"{written(key)}  = "
            self.value(value, (*place, key))
            self.text += self.draw(st.sampled_from(["\n", " # end\n", "\n\n"]))

    def value(self, value: Any, path: KeyPath) -> None:
        if isinstance(value, list):
            self.listed(value, path)
        elif isinstance(value, dict):
            self.inline(value, path)
        elif isinstance(value, str):
            self.string(value)
        else:
            self.text += str(value).lower()

    def listed(self, values: list[Any], path: KeyPath) -> None:
        self.text += "["
        for index, value in enumerate(values):
            self.text += self.draw(st.sampled_from(["", "\n", " # , ]\n "]))
            self.note((*path, index))
            self.value(value, (*path, index))
            self.text += self.draw(st.sampled_from([",", " ,", "\n,"]))
        self.text += self.draw(st.sampled_from(["]", "\n]", " #]\n]"]))

    def inline(self, table: dict[str, Any], path: KeyPath) -> None:
        self.text += "{"
        for index, (key, value) in enumerate(table.items()):
            self.text += " , " if index else " "
            self.note((*path, key))
            self.text += f"{written(key)} = "
            self.value(value, (*path, key))
        self.text += " }"

    def string(self, text: str) -> None:
        forms = [quoted(text)]
        if "'" not in text and "\n" not in text:
            forms.append(f"'{text}'")
        if "'''" not in text and not text.startswith("\n"):
            forms.append(f"'''{text}'''")
        if '"""' not in text and not text.startswith("\n"):
            escaped = text.replace("\\", "\\\\")
            forms.append(f'"""{escaped}"""')
        self.text += self.draw(st.sampled_from(forms))


@st.composite
def documents(draw: st.DrawFn) -> tuple[str, dict[KeyPath, int]]:
    writer = Writer(draw)
    writer.document(draw(TABLES))
    return writer.text, writer.lines


@given(documents())
@settings(max_examples=300, deadline=None)
def test_the_lines_of_any_document_are_those_where_it_was_written(
    document: tuple[str, dict[KeyPath, int]],
) -> None:
    text, expected = document
    found = lines_of(text)
    assert {path: found.get(path) for path in expected} == expected
    assert set(paths(loads(text))) <= set(found)


def paths(data: Any, path: KeyPath = ()) -> Iterator[KeyPath]:
    inner: Any = ()
    if isinstance(data, dict):
        inner = data.items()
    elif isinstance(data, list):
        inner = enumerate(data)
    for key, value in inner:
        yield (*path, key)
        yield from paths(value, (*path, key))


def test_a_path_is_written_as_in_the_file() -> None:
    assert dotted(("group", "llm", "window", 0, "hours")) == "group.llm.window[0].hours"
    assert dotted(("env", "-p 1:1")) == 'env."-p 1:1"'
