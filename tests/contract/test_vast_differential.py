"""Our client and the official SDK give the same answers to the same calls on the same market."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import Any

import pytest
from offer_queries import ALL, SEARCHES, Search
from outside_support import nothing_outside
from two_clients import Ours, Play, Scene, Theirs, act, scene

from vast_pyworker.vastai import Instance, Offer

vastai = pytest.importorskip("vastai", reason="the official client is not installed: vastai==1.9.1")
pytestmark = pytest.mark.official

SSH_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOne me@here"
DAYS = {"start_date": "2025-10-08", "end_date": "2025-10-14"}
DAYS_S = (1_759_881_600.0, 1_760_400_000.0)


@pytest.fixture(autouse=True)
def outside(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Both clients know of no proxy but by the environment, which is this process's."""
    with nothing_outside() as made:
        for name, value in made.environ.items():
            monkeypatch.setenv(name, value)
        yield


@pytest.fixture
def here() -> Iterator[Scene]:
    with scene() as made:
        yield made


# What both say, in one form


def plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """An instance without what the official client changes in it: ages, blanks, env as pairs."""
    return {**stripped(dict(row)), "duration": None, "extra_env": dict(row["extra_env"])}


def stripped(value: Any) -> Any:
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, dict):
        return {name: stripped(each) for name, each in value.items()}
    return [stripped(each) for each in value] if isinstance(value, list) else value


def shown(row: Mapping[str, Any]) -> dict[str, Any]:
    """An endpoint without what the official client hides."""
    hidden = ("api_key", "auto_delete_in_seconds", "auto_delete_due_24h")
    return {name: value for name, value in row.items() if name not in hidden}


def searched(row: Mapping[str, Any]) -> dict[str, Any]:
    """An offer with what the official SDK puts into it."""
    return {**row, "datacenter": row["hosting_type"] == 1}


FIELDS = (
    ("id", "id"),
    ("machine_id", "machine_id"),
    ("gpu_name", "gpu_name"),
    ("num_gpus", "num_gpus"),
    ("gpu_ram_mb", "gpu_ram"),
    ("usd_per_hour", "dph_total"),
    ("gpu_usd_per_hour", "dph_base"),
    ("reliability", "reliability2"),
    ("inet_down_mbit_s", "inet_down"),
    ("ends_at", "end_date"),
)
OFFER_FIELDS = (*FIELDS, ("score", "score"), ("disk_space_gb", "disk_space"))
INSTANCE_FIELDS = (
    *FIELDS,
    ("label", "label"),
    ("actual_status", "actual_status"),
    ("intended_status", "intended_status"),
    ("disk_gb", "disk_space"),
    ("ssh_port", "ssh_port"),
    ("is_bid", "is_bid"),
    ("created_at", "start_date"),
    ("image", "image_uuid"),
)


def check_fields(
    record: Offer | Instance, row: Mapping[str, Any], fields: tuple[tuple[str, str], ...]
) -> None:
    for name, column in fields:
        assert getattr(record, name) == row[column], (name, row["id"])


def check_instances(here: Scene) -> None:
    ours, theirs = here.vast.instances.list(), here.sdk.show_instances()
    assert [plain(each.raw) for each in ours] == [plain(row) for row in theirs]
    for record, row in zip(ours, theirs, strict=True):
        check_fields(record, row, INSTANCE_FIELDS)
        one, other = here.vast.instances.show(record.id), here.sdk.show_instance(record.id)
        assert one is not None and plain(one.raw) == plain(other) == plain(record.raw)
        assert one.env == other["extra_env"]
        ports = {name: int(each[0]["HostPort"]) for name, each in (other["ports"] or {}).items()}
        assert one.ports == ports
    label = {"label": {"eq": "job 1"}}
    page = here.sdk.show_instances_v1({"select_filters": label, "limit": 25})["instances"]
    assert [each.id for each in here.vast.instances.find("job 1")][:25] == [r["id"] for r in page]


def check_serverless(here: Scene) -> None:
    ours, listed = here.vast.endpoints.list(), here.market.call("GET", "/api/v0/endptjobs/")
    theirs = here.sdk.show_endpoints() if listed.status_code == 200 else []
    assert [shown(each.raw) for each in ours] == theirs
    assert [each.name for each in ours] == [row["endpoint_name"] for row in theirs]
    groups, rows = here.vast.workergroups.list(), here.sdk.show_workergroups()
    assert [each.raw for each in groups] == rows
    assert [each.search_query for each in groups] == [row["search_query"] for row in rows]


def check_account(here: Scene) -> None:
    user, row = here.vast.account.user(), here.sdk.show_user()
    assert {k: v for k, v in user.raw.items() if k != "api_key"} == row
    assert (user.id, user.credit_usd) == (row["id"], row["credit"])
    assert [each.raw for each in here.vast.ssh_keys.list()] == here.sdk.show_ssh_keys()
    assert [each.raw for each in here.vast.templates.list()] == here.sdk.search_templates()
    rises = here.sdk.show_pending_price_increases()["pending_price_increases"]
    assert [each.raw for each in here.vast.account.price_increases().items] == rises
    charges = here.sdk.show_invoices_v1(charges=True, limit=100, **DAYS)
    assert here.vast.account.charges(*DAYS_S)[:100] == charges["results"]
    paid = here.sdk.show_invoices_v1(limit=100, **DAYS)
    assert here.vast.account.invoices(*DAYS_S)[:100] == paid["results"]


def check_search(here: Scene, search: Search) -> None:
    ours = here.vast.offers.search(
        search.query,
        order=search.order,
        kind=search.kind,  # type: ignore[arg-type]
        limit=search.limit,
        disk_gb=search.disk_gb,
        defaults=search.defaults,
    )
    theirs = here.sdk.search_offers(
        search.query,
        order=search.order,
        type=search.kind,
        limit=search.limit,
        storage=search.disk_gb,
        no_default=not search.defaults,
    )
    assert [searched(each.raw) for each in ours] == theirs, search
    for record, row in zip(ours, theirs, strict=True):
        check_fields(record, row, OFFER_FIELDS)


# The same


def test_a_region(here: Scene) -> None:
    query = "geolocation=EU georegion=true num_gpus=1"
    ours, theirs = (
        find(query, limit=ALL) for find in (here.vast.offers.search, here.sdk.search_offers)
    )
    assert [each.id for each in ours] == [row["id"] for row in theirs] != []


def test_searches(here: Scene) -> None:
    for _ in range(3):
        here.market.running()
    for search in SEARCHES:
        check_search(here, search)


@pytest.mark.parametrize(("seed", "before"), [(0, 30), (1, 0), (2, 0), (3, 0)])
def test_what_both_read_after_what_either_did(here: Scene, seed: int, before: int) -> None:
    """``before`` are there from the start, for a list of several pages."""
    for _ in range(before):
        here.market.rent(label="job 1")
    clients = (Ours(here.vast), Theirs(here.sdk))
    play = Play(seed, here.market)
    for turn in range(60):
        act(here.market, clients[(turn * 7 + seed) % 2], play.next())
        if turn % 12 == 11:
            check_instances(here)
            check_serverless(here)
            check_account(here)
            check_search(here, SEARCHES[turn % len(SEARCHES)])


@pytest.mark.parametrize("seed", range(10, 14))
def test_what_either_does_becomes_the_same(seed: int) -> None:
    """On two markets that are alike, with every move made by one client on each."""
    with ExitStack() as held:
        one, other = (held.enter_context(scene(seed=seed)) for _ in range(2))
        play = Play(seed, one.market)
        ours, theirs = Ours(one.vast), Theirs(other.sdk)
        for turn in range(80):
            move = play.next()
            became = act(one.market, ours, move), act(other.market, theirs, move)
            assert became[0] == became[1], (turn, move)
            assert one.market.state() == other.market.state(), (turn, move)


def test_what_is_inside_of_an_instance(here: Scene) -> None:
    number = here.market.running()
    vast, sdk = here.vast, here.sdk
    assert vast.instances.logs(number) == sdk.logs(number) != ""
    assert vast.instances.logs(number, tail=1) == sdk.logs(number, tail="1")
    assert vast.instances.logs(number, daemon=True) == sdk.logs(number, daemon_logs=True)
    vast.ssh_keys.attach(number, SSH_KEY)
    assert [each.public_key for each in vast.ssh_keys.attached(number)] == [SSH_KEY]
    deposit = sdk.show_deposit(number)
    assert vast.account.deposit(number).refundable_usd == deposit["refundable_deposit"]
    vast.instances.stop(number)
    assert vast.instances.execute(number, "ls -l") == sdk.execute(number, "ls -l")
    assert plain(vast.instances.show(number).raw) == plain(sdk.show_instance(number))  # type: ignore[union-attr]
