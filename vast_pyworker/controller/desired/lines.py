"""On which line of a TOML text each key and each array element stands.

For text that the parser has accepted: here nothing is judged and no value is read, only stepped
over. The parser of the standard library keeps no places, and a fault without a line is half a
sentence.
"""

from __future__ import annotations

import re
from bisect import bisect_right

from .key_paths import KeyPath
from .toml_parser import loads

_BLANK = re.compile(r"(?:[ \t\n]|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_WORD = re.compile(r"""[A-Za-z0-9_-]+ | "(?:\\.|[^"\\])*" | '[^']*'""", re.VERBOSE)
# Three quotes close a long text, and up to two more before them belong to it.
_SCALAR = re.compile(
    r'''
      """ (?: \\. | [^\\] )*? "{3,5}
    | \'\'\' .*? '{3,5}
    | " (?: \\. | [^"\\] )* "
    | ' [^']* '
    | [^,\]}\n\#]+
    ''',
    re.VERBOSE | re.DOTALL,
)


def lines_of(text: str) -> dict[KeyPath, int]:
    """The line, counted from 1, of every table, key and array element of a valid TOML text.

    A table stands where its header is; one without a header where it is first named.
    """
    scanner = _Scanner(text.replace("\r\n", "\n"))
    scanner.scan()
    return scanner.found


def line_of(lines: dict[KeyPath, int], path: KeyPath) -> int:
    """The line of ``path``, or of the nearest thing around it that stands in the text."""
    for length in range(len(path), 0, -1):
        if path[:length] in lines:
            return lines[path[:length]]
    return 1


class _Scanner:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._newlines = [at for at, letter in enumerate(text) if letter == "\n"]
        self._lengths: dict[KeyPath, int] = {}  # of arrays of tables, so far
        self.found: dict[KeyPath, int] = {}

    def scan(self) -> None:
        table: KeyPath = ()
        self._skip(_BLANK)
        while self._at < len(self._text):
            if self._text[self._at] == "[":
                table = self._header()
            else:
                self._pair(table)
            self._skip(_BLANK)

    def _header(self) -> KeyPath:
        line, brackets = self._line(), 2 if self._text.startswith("[[", self._at) else 1
        self._at += brackets
        *around, last = self._key()
        self._at += brackets
        path = (*self._inside(around), last)
        self._note_around(path, line)
        if brackets == 2:
            index = self._lengths.get(path, 0)
            self._lengths[path] = index + 1
            self.found.setdefault(path, line)
            path = (*path, index)
        self.found[path] = line
        return path

    def _inside(self, words: list[str]) -> KeyPath:
        """Where a header leads: into the last table of each array on the way."""
        path: KeyPath = ()
        for word in words:
            path = (*path, word)
            if path in self._lengths:
                path = (*path, self._lengths[path] - 1)
        return path

    def _pair(self, table: KeyPath) -> None:
        line = self._line()
        path = (*table, *self._key())
        self._note_around(path, line)
        self.found[path] = line
        self._at += 1  # the equals sign
        self._skip(_SPACE)
        self._value(path)

    def _note_around(self, path: KeyPath, line: int) -> None:
        for length in range(1, len(path)):
            self.found.setdefault(path[:length], line)

    def _key(self) -> list[str]:
        words = [self._word()]
        while self._text[self._at] == ".":
            self._at += 1
            words.append(self._word())
        return words

    def _word(self) -> str:
        self._skip(_SPACE)
        word = self._skip(_WORD)
        self._skip(_SPACE)
        return str(loads(f"key = {word}")["key"]) if word[0] in "\"'" else word

    def _value(self, path: KeyPath) -> None:
        opening = self._text[self._at]
        if opening == "[":
            self._array(path)
        elif opening == "{":
            self._inline_table(path)
        else:
            self._skip(_SCALAR)

    def _array(self, path: KeyPath) -> None:
        index = 0
        while not self._closes("]"):
            item = (*path, index)
            self.found[item] = self._line()
            self._value(item)
            index += 1

    def _inline_table(self, path: KeyPath) -> None:
        while not self._closes("}"):
            self._pair(path)

    def _closes(self, closing: str) -> bool:
        """Step over what opens or divides, and over the end if it is there."""
        if self._text[self._at] in "[{,":
            self._at += 1
        self._skip(_BLANK)
        if self._text[self._at] == ",":
            self._at += 1
            self._skip(_BLANK)
        ended = self._text[self._at] == closing
        self._at += ended
        return ended

    def _skip(self, what: re.Pattern[str]) -> str:
        match = what.match(self._text, self._at)
        if match is None:
            raise ValueError(f"line {self._line()} is not what the parser took it for")
        self._at = match.end()
        return match.group()

    def _line(self) -> int:
        return bisect_right(self._newlines, self._at - 1) + 1
