"""The official command line, ``vastai`` 1.9.1, and the life of instances; and limits."""

from __future__ import annotations

import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from market_site import Site, site
from official_cli import Cli
from outside_support import nothing_outside
from own_state import numbers, offers, row

from vast_pyworker.market.calls.limits import RateLimits, TooMany

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


# Change


def test_reboot_recycle_stop_start_and_destroy(market: Site, cli: Cli) -> None:
    number = market.running()
    assert cli.ok("reboot instance", number) == f"Rebooting instance {number}.\n"
    assert row(market, number)["actual_status"] == "rebooting"
    market.market.advance(600)
    assert cli.ok("recycle instance", number) == f"Recycling instance {number}.\n"
    assert row(market, number)["actual_status"] in (None, "loading")
    market.market.advance(600)
    assert cli.ok("stop instance", number) == f"stopping instance {number}.\n"
    have = row(market, number)
    assert (have["intended_status"], have["cur_state"], have["ports"]) == (
        "stopped",
        "stopped",
        None,
    )
    assert cli.ok("start instance", number) == f"starting instance {number}.\n"
    market.market.advance(3600)
    assert row(market, number)["actual_status"] == "running"
    assert cli.ok("destroy instance", number, "-y") == f"destroying instance {number}.\n"
    assert row(market, number) is None
    again = cli("destroy instance", number, "-y")
    assert (again.code, again.err) == (0, f"Failed with error 404: Instance {number} not found.\n")


def test_destroy_does_nothing_unless_it_is_confirmed(market: Site, cli: Cli) -> None:
    number = market.running()
    one, many = cli.each(("destroy instance", number), ("destroy instances", number))
    assert (one.code, many.code) == (0, 0)
    assert one.out.endswith("\nAborted.\n") and many.out.endswith("\nAborted.\n")
    assert row(market, number)["actual_status"] == "running"


def test_a_label_and_a_bid_are_changed(market: Site, cli: Cli) -> None:
    number = market.running(price=5.0)
    label, bid = cli.each(
        ("label instance", number, "a label, of words"),
        ("change bid", number, "--price", 6.5),
    )
    assert (label.code, label.out) == (0, f"label for {number} set to a label, of words.\n")
    assert (bid.code, bid.err) == (0, "")
    have = row(market, number)
    assert (have["label"], have["dph_base"]) == ("a label, of words", 6.5)


def test_an_on_demand_instance_has_no_bid_to_change(market: Site, cli: Cli) -> None:
    said = cli("change bid", market.running(), "--price", 1)
    text = "Failed with error 400: Can't change price of on-demand contract.\n"
    assert (said.code, said.err) == (0, text)


def test_many_are_stopped_started_and_destroyed(market: Site, cli: Cli) -> None:
    have = [market.running() for _ in range(3)]
    kept = market.running()
    assert cli.ok("stop instances", *have) == f"stopping instance {have}.\n"
    assert {row(market, number)["cur_state"] for number in have} == {"stopped"}
    assert cli.ok("start instances", *have) == f"starting instance {have}.\n"
    market.market.advance(3600)
    assert {row(market, number)["actual_status"] for number in have} == {"running"}
    assert cli.ok("destroy instances", *have, "-y") == f"destroying instance {have}.\n"
    assert numbers(market) == [kept]


# Inside


def test_logs_are_what_the_instance_printed(market: Site, cli: Cli) -> None:
    number = market.running()
    whole, tail, some, daemon, gone = cli.each(
        ("logs", number),
        ("logs", number, "--tail", 1),
        ("logs", number, "--filter", "nothing says this"),
        ("logs", number, "--daemon-logs"),
        ("logs", 77),
    )
    printed = market.market.logs(market.account_id, number)
    assert printed.strip() and whole.out.strip() == printed.strip()
    assert tail.out.strip() == printed.strip().splitlines()[-1]
    assert some.out.strip() == ""
    said = market.market.logs(market.account_id, number, daemon=True)
    assert daemon.out.strip() == said.strip() != printed.strip()
    assert gone.code == 0 and gone.err.startswith("Failed with error 404: ")


def test_execute_reaches_the_market_though_the_client_then_fails(market: Site, cli: Cli) -> None:
    """1.9.1 looks for a dictionary in the text that it has fetched, after every success."""
    running, stopped = market.running(), market.running()
    market.market.set_state(market.account_id, stopped, "stopped")
    refused, done = cli.each(("execute", running, "ls -l"), ("execute", stopped, "ls -l"))
    assert refused.code == 0 and "only avail on stopped instances" in refused.err
    assert done.code == 1
    assert done.err.endswith("AttributeError: 'str' object has no attribute 'get'\n")


def test_addresses_for_ssh(market: Site, cli: Cli) -> None:
    direct, proxied = (
        market.running(runtype=runtype) for runtype in ("ssh_direc ssh_proxy", "ssh_proxy")
    )
    first, second, copy = cli.each(("ssh-url", direct), ("ssh-url", proxied), ("scp-url", direct))
    have = row(market, direct)
    where = f"root@{have['public_ipaddr']}:{have['ports']['22/tcp'][0]['HostPort']}"
    assert (first.out, copy.out) == (f"ssh://{where}\n", f"scp://{where}\n")
    have = row(market, proxied)
    assert second.out == f"ssh://root@{have['ssh_host']}:{have['ssh_port']}\n"


# Limits


class Counted(RateLimits):
    """Limits that remember how often they said no."""

    refused = 0

    def check(self, call: str, identity: str) -> TooMany | None:
        answer = super().check(call, identity)
        self.refused += answer is not None
        return answer


def test_it_lives_with_limits_that_say_how_long_to_wait(tmp_path: Path) -> None:
    limits = Counted(form="bucket", now=time.monotonic, wall=time.time)
    with site(limits, hosts=40) as market, nothing_outside() as outside:
        made = [market.market.create(market.account_id, offer, {"image": "i", "disk": 5})
                for offer in offers(market, 30)]  # fmt: skip
        have = [each["new_contract"] for each in made]
        cli = Cli(tmp_path, market.url, outside)
        assert [int(line) for line in cli.ok("show instances", "-q").split()] == have
        for number in have[:2]:
            assert cli.ok("destroy instance", number, "-y")
        assert numbers(market) == have[2:]
        assert limits.refused >= 2, "of the second page and the second destruction"


def test_without_such_a_word_it_gives_up_and_nothing_is_done(tmp_path: Path) -> None:
    """Its three attempts take less than half a second, and its exit code is 0."""
    limits = Counted(form="detail", now=lambda: 0.0, wall=time.time)
    with site(limits, hosts=40) as market, nothing_outside() as outside:
        first, second = offers(market, 2)
        cli = Cli(tmp_path, market.url, outside)
        assert cli.raw("create instance", first, *IMAGE)["success"] is True
        said = cli("create instance", second, *IMAGE)
        assert (said.code, said.err) == (0, "Failed with error 429: None\n")
        assert (len(numbers(market)), limits.refused) == (1, 3)
