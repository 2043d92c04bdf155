"""The page of settings: ``python -m vast_pyworker.settings_doc > docs/settings.md`` makes it anew.

A test holds that docs/settings.md is what this makes.
"""

from __future__ import annotations

import sys

from .settings import TABLE, Setting

_HEAD = """# Settings

Every setting is an environment variable. One that is absent or empty has its default; one that
cannot be read stops the start with one sentence. Flags are `true` or `false`, lists are joined by
commas, and secrets are never logged. This page is made from `vast_pyworker/settings.py` by
`python -m vast_pyworker.settings_doc`. The start script has a few more of its own:
[starting.md](starting.md).

| name | type | default | meaning |
|---|---|---|---|
"""


def page() -> str:
    """The whole page, as Markdown."""
    return _HEAD + "".join(f"{_row(setting)}\n" for setting in TABLE)


def _row(setting: Setting) -> str:
    names = " or ".join(f"`{name}`" for name in (setting.name, *setting.aliases))
    kind = f"{setting.type_name}, secret" if setting.secret else setting.type_name
    return f"| {names} | {kind} | {_shown(setting.default)} | {setting.sentence} |"


def _shown(default: object) -> str:
    if default is None or default == "" or default == ():
        return "-"
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    return f"`{default:g}`" if isinstance(default, float) else f"`{default}`"


if __name__ == "__main__":
    sys.stdout.write(page())
