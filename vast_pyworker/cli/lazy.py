"""A group whose commands are imported when they are run.

Its help is printed from the table of entries alone. It also turns every error that was raised on
purpose into one sentence and an exit code.
"""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import click

from vast_pyworker.errors import PyworkerError

from .exits import code_of, ending


@dataclass(frozen=True)
class Entry:
    """A command: its name, its heading in the help, ``module:attribute``, and its sentence."""

    name: str
    heading: str
    place: str
    sentence: str

    def load(self) -> click.Command:
        module, _, attribute = self.place.partition(":")
        command = getattr(import_module(f"{__package__}.{module}"), attribute)
        assert isinstance(command, click.Command), self.place
        return command


class LazyCommands(MutableMapping[str, click.Command]):
    """Commands by name, each imported when it is first asked for."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self._entries = {entry.name: entry for entry in entries}
        self._loaded: dict[str, click.Command] = {}

    def __getitem__(self, name: str) -> click.Command:
        if name not in self._loaded:
            self._loaded[name] = self._entries[name].load()
        return self._loaded[name]

    def __setitem__(self, name: str, command: click.Command) -> None:
        self._loaded[name] = command

    def __delitem__(self, name: str) -> None:
        self._loaded.pop(name, None)
        self._entries.pop(name, None)

    def __iter__(self) -> Iterator[str]:
        return iter({**self._entries, **self._loaded})

    def __len__(self) -> int:
        return len({**self._entries, **self._loaded})


class LazyGroup(click.Group):
    """The group of ``entries``, which stand in the help in their order under their headings."""

    def __init__(self, *args: Any, entries: Sequence[Entry] = (), **options: Any) -> None:
        super().__init__(*args, **options)
        self.commands = LazyCommands(entries)
        self._entries = tuple(entries)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for heading in dict.fromkeys(entry.heading for entry in self._entries):
            under = [each for each in self._entries if each.heading == heading]
            with formatter.section(heading):
                formatter.write_dl([(each.name, each.sentence) for each in under])

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except PyworkerError as exc:
            raise ending(str(exc), code_of(exc)) from exc
