"""docs/groups.md names every key, and its example is read."""

from __future__ import annotations

import re
from dataclasses import fields
from enum import Enum
from pathlib import Path
from typing import Any

import pytest

from vast_pyworker.controller.desired.environ import WHICH
from vast_pyworker.controller.desired.keys import TABLES, Key
from vast_pyworker.controller.desired.magister_settings import HIEROPHANT, SETTINGS
from vast_pyworker.controller.desired.reading import parse_wishes
from vast_pyworker.controller.policy import POLICIES, hold, target, vast
from vast_pyworker.model import Deadlines, Group, Launch, Limits, Pace, Preferences, Window

PAGE = (Path(__file__).resolve().parents[4] / "docs/groups.md").read_text()
MODELS: dict[str, Any] = {
    "[limits]": Limits,
    "[group.NAME]": Group,
    "[group.NAME.launch]": Launch,
    "[group.NAME.preferences]": Preferences,
    "[group.NAME.deadlines]": Deadlines,
    "[group.NAME.pace]": Pace,
    "[[group.NAME.window]]": Window,
}
OPTIONS = {"hold": hold.OPTIONS, "target": target.OPTIONS, "vast": vast.OPTIONS}
# Keys that are not a field by their own name, and the fields that they make.
SPELT = {
    "window": "windows",
    "hours": "since until",
    "ports": "",
    "onstart_file": "",
    "endpoint": "",
}


def row(key: Key) -> str:
    return f"| `{key.name}` | {key.kind.name} | {key.default} | {key.sentence} |"


@pytest.mark.parametrize("header", TABLES)
def test_every_key_has_its_row_under_its_table(header: str) -> None:
    section = PAGE.partition(f"\n### {f'`{header}`' if header else 'The file'}\n")[2]
    section = section.partition("\n### ")[0]
    assert [row(key) for key in TABLES[header].values() if row(key) not in section] == []


def test_every_kind_says_what_is_allowed() -> None:
    kinds = {key.kind for keys in TABLES.values() for key in keys.values()}
    rows = [f"| {kind.name} | {kind.allowed} |" for kind in kinds if kind.name != kind.allowed]
    assert [each for each in rows if each not in PAGE] == []


def test_the_example_is_right() -> None:
    examples = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    assert examples
    for text in examples:
        assert parse_wishes(text, {}).groups


def test_every_variable_is_there() -> None:
    names = [each.variable for each in (*SETTINGS, *HIEROPHANT)] + [WHICH]
    assert [name for name in names if f"`{name}`" not in PAGE] == []


@pytest.mark.parametrize("name", POLICIES)
def test_every_option_of_a_policy_has_its_row(name: str) -> None:
    for option in OPTIONS[name]:
        default = option.unset if option.default is None else f"{option.default:g}"
        row = f"| `{name}` | `{option.name}` | {option.allowed} | {default} | {option.meaning} |"
        assert row in PAGE


def test_every_policy_and_each_of_its_options_is_there() -> None:
    for name, policy in POLICIES.items():
        with pytest.raises(ValueError, match="It has ") as caught:
            policy.check({"?": 1})
        options = str(caught.value).partition("It has ")[2].rstrip(".").split(", ")
        line = re.findall(rf"^\| `{name}` \| .*$", PAGE, re.MULTILINE)[0]
        assert [option for option in options if f"`{option}`" not in line] == []


@pytest.mark.parametrize("header", MODELS)
def test_a_table_has_a_key_for_every_field_of_its_model(header: str) -> None:
    made = {word for key in TABLES[header] for word in SPELT.get(key, key).split()}
    own = {each.name for each in fields(MODELS[header])} - {"name", "endpoint"}
    assert made == own


@pytest.mark.parametrize("header", MODELS)
def test_the_defaults_in_words_are_those_of_the_model(header: str) -> None:
    defaults = {each.name: each.default for each in fields(MODELS[header])}
    for key in TABLES[header].values():
        default = defaults.get(key.name)
        if isinstance(default, Enum):
            default = default.value
        if isinstance(default, int | float | str):
            assert key.default == f"{default:g}" if not isinstance(default, str) else default
