"""The official command line, ``vastai`` 1.9.1, creates and reads instances on the market."""

from __future__ import annotations

import ast
import json
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from market_site import Site, site
from official_cli import Cli
from outside_support import nothing_outside
from own_state import numbers, offers, row

pytestmark = [
    pytest.mark.official,
    pytest.mark.skipif(find_spec("vastai") is None, reason="the official client is missing"),
]
IMAGE = ("--image", "ubuntu:22.04")


@pytest.fixture
def market() -> Iterator[Site]:
    with site(hosts=40, credit=10_000.0) as made:
        yield made


@pytest.fixture
def cli(tmp_path: Path, market: Site) -> Iterator[Cli]:
    with nothing_outside() as outside:
        yield Cli(tmp_path / "home", market.url, outside)


def started(printed: str) -> Any:
    """The answer inside of ``Started. {...}``."""
    assert printed.startswith("Started. "), printed
    return ast.literal_eval(printed.removeprefix("Started. ").strip())


# Create


def test_create_on_demand_with_ports_env_ssh_and_a_disk(market: Site, cli: Cli) -> None:
    (offer,) = offers(market, 1)
    env = "-p 3000:3000 -p 8081:8081/udp -h billy -e A='x y' -e B=2"
    options = ("--disk", 16, "--label", "job 1", "--env", env, "--ssh", "--direct")
    made = started(cli.ok("create instance", offer, *IMAGE, *options, "--onstart-cmd", "echo up"))
    assert made["success"] is True and len(made["instance_api_key"]) == 32
    (number,) = numbers(market)
    assert made["new_contract"] == number
    market.market.advance(3600)
    have = row(market, number)
    assert (have["label"], have["disk_space"], have["is_bid"]) == ("job 1", 16.0, False)
    assert (have["image_uuid"], have["onstart"]) == ("ubuntu:22.04", "echo up")
    assert have["image_runtype"] == "ssh_direc ssh_proxy"
    assert dict(have["extra_env"])["A"] == "x y" and dict(have["extra_env"])["B"] == "2"
    assert {"22/tcp", "3000/tcp", "8081/udp"} == set(have["ports"])


def test_create_interruptible_by_a_bid_that_wins_and_one_that_does_not(
    market: Site, cli: Cli
) -> None:
    high, low = offers(market, 2)
    won, lost = (
        said.json
        for said in cli.each(
            ("create instance", high, *IMAGE, "--bid_price", 9, "--raw"),
            ("create instance", low, *IMAGE, "--bid_price", 0.002, "--raw"),
        )
    )
    market.market.advance(3600)
    assert (won["success"], lost["success"]) == (True, False)
    have = row(market, won["new_contract"])
    assert (have["is_bid"], have["actual_status"], have["dph_base"]) == (True, "running", 9.0)
    stands = row(market, lost["new_contract"])
    assert (stands["is_bid"], stands["actual_status"]) == (True, "stopped")
    assert stands["storage_total_cost"] > 0, "it is billed"


def test_create_from_a_template(market: Site, cli: Cli) -> None:
    body = {"name": "t", "image": "acme/model", "tag": "7", "env": "-e A=1 -p 80:80",
            "onstart": "run.sh", "runtype": "ssh", "use_ssh": True}  # fmt: skip
    kept = market.json("POST", "/api/v0/template/", body)["template"]
    made = started(
        cli.ok("create instance", *offers(market, 1), "--template_hash", kept["hash_id"])
    )
    have = row(market, made["new_contract"])
    assert (have["image_uuid"], have["onstart"]) == ("acme/model:7", "run.sh")
    assert (have["template_hash_id"], have["template_id"]) == (kept["hash_id"], kept["id"])
    assert ["A", "1"] in have["extra_env"]


def test_create_with_jupyter_and_with_arguments_of_its_own(market: Site, cli: Cli) -> None:
    one, two = offers(market, 2)
    jupyter, args = cli.each(
        ("create instance", one, *IMAGE, "--jupyter", "--direct", "--raw"),
        ("create instance", two, *IMAGE, "--raw", "--args", "-c", "sleep 9"),
    )
    have = row(market, jupyter.json["new_contract"])
    assert have["image_runtype"] == "jupyter_direc ssh_direc ssh_proxy"
    have = row(market, args.json["new_contract"])
    assert (have["image_runtype"], have["image_args"]) == ("args", ["-c", "sleep 9"])


def test_create_many_at_once(market: Site, cli: Cli) -> None:
    wanted = offers(market, 3)
    made = started(cli.ok("create instances", *wanted, *IMAGE, "--disk", 9, "--label", "many"))
    assert [each["ask_id"] for each in made["results"]] == wanted and made["failed"] == []
    assert sorted(made["created"]) == numbers(market)
    rows = [row(market, number) for number in made["created"]]
    assert {(each["label"], each["disk_space"]) for each in rows} == {("many", 9.0)}


def test_what_is_refused_is_said_with_exit_code_0_and_changes_nothing(
    market: Site, cli: Cli
) -> None:
    (offer,) = offers(market, 1)
    assert market.market.credit(market.account_id) > 0, "which opens its account book"
    before = market.state()
    gone, gone_raw, bad_bid, jupyter, start, bid = cli.each(
        ("create instance", 5, *IMAGE),
        ("create instance", 5, *IMAGE, "--raw"),
        ("create instance", offer, *IMAGE, "--bid_price", -1),
        ("create instance", offer, *IMAGE, "--jupyter", "--args", "x"),
        ("start instance", 77),
        ("change bid", 77, "--price", 1),
    )
    text = "error 404/3603: no_such_ask Instance type by id 5 is not available."
    assert (gone.code, gone.out, gone.err) == (0, "", f"Failed with error 404: {text}\n")
    assert json.loads(gone_raw.err) == {"error": True, "status_code": 404, "msg": text}
    assert bad_bid.code == 0 and bad_bid.err.startswith("Failed with error 400: ")
    assert "Can't use jupyter and args together" in jupyter.err
    assert start.err == "Failed with error 404: Instance 77 not found.\n"
    assert bid.err == "Failed with error 404: Instance with that ID does not exist.\n"
    assert market.state() == before


def test_a_wrong_key_is_told(tmp_path: Path, market: Site) -> None:
    with nothing_outside() as outside:
        said = Cli(tmp_path, market.url, outside, key="nobody")("show instances", "-q")
    assert (said.code, said.out) == (0, "")
    assert said.err == "Failed with error 404: Invalid user key\n"


# Read


def test_sixty_instances_are_listed_over_several_pages(market: Site, cli: Cli) -> None:
    for place in range(60):
        market.rent(label=f"job {place % 3}" if place % 4 else None)
    market.market.advance(3600)
    have = numbers(market)
    ids, rows, table, page, labelled, unlabelled = cli.each(
        ("show instances", "-q"),
        ("show instances", "--raw"),
        ("show instances", "--no-color", "--cols", "id,status,label"),
        ("show instances", "--raw", "--limit", 25),
        ("show instances", "--raw", "--label", "job 1", "job 2"),
        ("show instances", "--raw", "--label", ""),
    )
    assert [int(line) for line in ids.out.split()] == have and len(have) == 60
    assert [each["id"] for each in rows.json] == have
    for each in rows.json:
        own = row(market, each["id"])
        assert each["extra_env"] == dict(own["extra_env"])
        for name in ("label", "actual_status", "dph_total", "ports", "machine_id", "disk_space"):
            assert each[name] == own[name], name
    assert "Total: 60 instances" in table.shown
    assert all(str(number) in table.shown for number in have)
    second = cli.raw("show instances", "--next-token", page.json["next_token"])
    third = cli.raw("show instances", "--next-token", second["next_token"])
    pages = [page.json, second, third]
    assert [each["id"] for one in pages for each in one["instances"]] == have
    assert third["next_token"] is None and page.json["total_instances"] == 60
    assert {each["label"] for each in labelled.json} == {"job 1", "job 2"}
    assert len(labelled.json) == sum(row(market, n)["label"] in ("job 1", "job 2") for n in have)
    assert [each["id"] for each in unlabelled.json] == have[::4]


def test_one_instance_is_shown_and_none_that_is_not_there(market: Site, cli: Cli) -> None:
    number = market.running(label="here")
    shown, table, gone, gone_raw = cli.each(
        ("show instance", number, "--raw"),
        ("show instance", number),
        ("show instance", 77),
        ("show instance", 77, "--raw"),
    )
    own = row(market, number)
    assert shown.json["duration"] == pytest.approx(time.time() - own["start_date"], abs=60)
    changed = ("duration", "extra_env")  # by the client
    assert {k: v for k, v in shown.json.items() if k not in changed} == {
        k: v for k, v in own.items() if k not in changed
    }
    assert table.code == 0 and str(number) in table.shown and "running" in table.shown
    assert (gone.code, gone.err) == (1, "Instance 77 not found or no longer exists.\n")
    assert (gone_raw.code, gone_raw.json) == (0, {"instances": None})
