"""Launch options, row for row as the official client 1.9.1 has them (``tests/data/vast``)."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path

import pytest

from vast_pyworker.errors import QueryError
from vast_pyworker.vastai import nodes
from vast_pyworker.vastai.launch import parse_env, resolve_runtype, unread_env

DATA = Path(__file__).resolve().parents[1] / "data/vast"
ENVS = json.loads((DATA / "parse_env.json").read_text("utf-8"))["rows"]
RUNTYPES = json.loads((DATA / "runtype.json").read_text("utf-8"))
MATRIX, EXTRA = RUNTYPES["matrix"], RUNTYPES["extra"]


def named(row):
    return json.dumps(row.get("flags", row.get("input")))


def check(outcome, flags, default):
    if "error" in outcome:
        with pytest.raises(QueryError):
            resolve_runtype(**flags, default=default)
    else:
        assert list(resolve_runtype(**flags, default=default)) == outcome["result"]


def test_every_row_is_here():
    assert (len(ENVS), len(MATRIX), len(EXTRA)) == (43, 64, 5)


@pytest.mark.parametrize("row", ENVS, ids=named)
def test_env_flags_are_read_as_the_official_client_reads_them(row):
    assert parse_env(row["input"]) == row["official"]["result"]
    assert nodes.parse_env(row["input"]) == row["official"]["result"]


def test_no_env_flags_are_no_env():
    assert parse_env(None) == {}
    assert unread_env(None) == []


def test_what_is_skipped_can_be_told():
    text = "-e A=1 --gpus all -p 80-90:80-90 -e B -v /a:/b x"
    assert parse_env(text) == {"A": "1", "-v /a:/b": "1"}
    assert unread_env(text) == ["--gpus", "all", "-p 80-90:80-90", "-e B", "x"]
    assert unread_env("-e A=1 -p") == ["-p"]


@pytest.mark.parametrize("row", MATRIX, ids=named)
def test_the_runtype_is_that_of_the_command_line(row):
    check(row["cli"], row["flags"], "ssh")


@pytest.mark.parametrize("row", MATRIX, ids=named)
def test_the_runtype_is_that_of_the_sdk(row):
    check(row.get("sdk", row["cli"]), row["flags"], None)


@pytest.mark.parametrize("row", EXTRA, ids=named)
def test_templates_and_given_runtypes_go_first(row):
    flags = {"args": None, **row["flags"]}
    check(row["cli"] if "cli" in row else row["sdk"], flags, "ssh" if "cli" in row else None)


@pytest.mark.parametrize("row", MATRIX, ids=named)
def test_get_runtype_takes_the_flags_as_a_dict_or_a_namespace(row):
    flags = row["flags"]
    for given in (dict(flags), Namespace(**flags)):
        if "error" in row["cli"]:
            with pytest.raises(ValueError):
                nodes.get_runtype(given)
        else:
            assert nodes.get_runtype(given) == row["cli"]["result"][0]
    assert nodes.get_runtype({**flags, "template_hash": "abc"}) is None


def test_get_runtype_differs_from_2024_only_where_that_lost_a_flag():
    compared = 0
    for row in MATRIX:
        flags = row["flags"]
        jupyter = {"jupyter", "jupyter_lab", "jupyter_dir"} & set(flags)
        if "args" not in flags and not (jupyter and flags.get("ssh")):
            assert nodes.get_runtype(dict(flags)) == row["distributaur"]["result"], flags
            compared += 1
    assert compared >= 9
