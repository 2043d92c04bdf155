"""What a launch is told in words: docker flags into the ``env`` object, flags into a runtype. Pure.

Both as the official client 1.9.1 understands them.
"""

from __future__ import annotations

import string
from collections.abc import Iterator, Sequence

from vast_pyworker.errors import QueryError

# What may stand behind a flag; a word with anything else is skipped together with its flag.
_ALLOWED = {
    "-p": frozenset(string.digits + ":/tcpud"),
    "-v": frozenset(string.ascii_letters + string.digits + ":./_"),
    "-n": frozenset(string.ascii_lowercase + string.digits + "-"),
}
_FLAGS = frozenset(("-e", "-p", "-h", "-v", "-n"))

_PROXIED = {"ssh": "ssh_proxy", "jupyter": "jupyter_proxy ssh_proxy"}
_DIRECT = {"ssh": "ssh_direc ssh_proxy", "jupyter": "jupyter_direc ssh_direc ssh_proxy"}


def parse_env(text: str | None) -> dict[str, str]:
    """``-e A=1 -p 80:80`` as ``{"A": "1", "-p 80:80": "1"}``; never raises.

    Known are ``-e -p -h -v -n``, each followed by one space. Everything else is skipped:
    ``unread_env`` tells what that was.
    """
    pairs = (_pair(flag, word) for flag, word in _steps(text) if flag)
    return dict(pair for pair in pairs if pair is not None)


def unread_env(text: str | None) -> list[str]:
    """The words of ``text`` that ``parse_env`` skips, flags with what follows them."""
    unread = []
    for flag, word in _steps(text):
        if flag and _pair(flag, word) is None:
            unread.append(f"{flag} {word}".rstrip())
        elif word and not flag:
            unread.append(word)
    return unread


def resolve_runtype(
    runtype: str | None = None,
    *,
    ssh: bool = False,
    jupyter: bool = False,
    direct: bool = False,
    args: Sequence[str] | str | None = None,
    jupyter_lab: bool = False,
    jupyter_dir: str | None = None,
    template: bool = False,
    default: str | None = None,
) -> tuple[str | None, Sequence[str] | str | None]:
    """The ``runtype`` to send, None for none, and the ``args`` to send with it.

    Without flags it is ``default`` ("ssh" in the official command line, None in its SDK); with a
    template it is None, for the template has its own. Empty ``args`` ask for the args runtype and
    are not sent. Raises QueryError for flags that exclude each other.
    """
    is_empty = args is not None and list(args) in ([], [""])
    rest = None if is_empty else args
    if template:
        return None, args
    if runtype:
        if ssh or jupyter or direct:
            raise QueryError("Give either a runtype or ssh, jupyter and direct, not both.")
        return runtype, rest
    resolved = "args" if args is not None else default
    kind = "jupyter" if jupyter or jupyter_lab or jupyter_dir else "ssh" if ssh else ""
    if kind == "jupyter" and resolved == "args":
        raise QueryError("Jupyter and args exclude each other. Give the command as onstart.")
    if kind:
        return (_DIRECT if direct else _PROXIED)[kind], rest
    if direct and default is None:
        raise QueryError("direct needs ssh or jupyter with it.")
    return resolved, rest


def _steps(text: str | None) -> Iterator[tuple[str, str]]:
    """A flag with the word behind it, or "" with a word that is not part of such a pair."""
    words = iter(_words(text or ""))
    for word in words:
        behind = next(words, None) if word in _FLAGS else None
        yield ("", word) if behind is None else (word, behind)


def _pair(flag: str, word: str) -> tuple[str, str] | None:
    """The entry for one flag, None where the word does not suit it."""
    if flag == "-e":
        name, equals, value = word.partition("=")
        return (name, value.strip("'\"")) if equals else None
    if flag == "-h":
        return flag, word
    return (f"{flag} {word}", "1") if _ALLOWED[flag].issuperset(word) else None


def _words(text: str) -> list[str]:
    """The words between single spaces; either kind of quote keeps spaces and stays."""
    words = [""]
    held = dict.fromkeys("'\"", False)
    for character in text:
        if character == " " and not any(held.values()):
            words.append("")
            continue
        if character in held:
            held[character] = not held[character]
        words[-1] += character
    return words
