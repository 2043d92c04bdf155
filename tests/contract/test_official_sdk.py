"""The official SDK, ``vastai`` 1.9.1, takes the market for the real service."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from market_site import Site, site
from offer_queries import ALL, SEARCHES
from outside_support import nothing_outside
from own_state import offers, row

from vast_pyworker.vastai.fields import REGIONS

vastai = pytest.importorskip("vastai", reason="the official client is not installed: vastai==1.9.1")
pytestmark = pytest.mark.official

KEY, OTHER_KEY = (f"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{n} me@here" for n in ("One", "Two"))
SUCCESS = {"success": True}


@pytest.fixture
def market(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """The client knows of no proxy but by the environment, which is this process's."""
    with site(hosts=40, credit=10_000.0) as made, nothing_outside() as outside:
        for name, value in outside.environ.items():
            monkeypatch.setenv(name, value)
        yield made


@pytest.fixture
def sdk(market: Site) -> Any:
    return vastai.VastAI("market", server_url=market.url)


def status_of(market: Site, *numbers: int) -> set[Any]:
    return {row(market, number)["actual_status"] for number in numbers}


def test_every_search_finds_just_what_its_words_mean(market: Site, sdk: Any) -> None:
    for search in SEARCHES:
        options = {"type": search.kind, "storage": search.disk_gb, "limit": search.limit}
        bare = not search.defaults
        for find in (sdk.search_offers, sdk.search_offers_new):
            found = find(search.query, order=search.order, no_default=bare, **options)
            body = {"limit": ALL, "type": search.kind, "allocated_storage": search.disk_gb}
            meant = search.answer(market.market.search(body))
            assert [each["id"] for each in found] == [each["id"] for each in meant], search


def test_a_search_without_words_leaves_out_what_is_rented(market: Site, sdk: Any) -> None:
    market.running()
    found = sdk.search_offers({"rentable": {"eq": True}}, limit=ALL)
    assert found and not any(each["rented"] for each in found)


def test_a_region_is_its_countries(market: Site, sdk: Any) -> None:
    found = sdk.search_offers("geolocation=EU georegion=true", limit=ALL)
    everywhere = {each["country_code"] for each in sdk.search_offers("", limit=ALL)}
    europe = {each["country_code"] for each in found}
    assert len(europe) > 2 and europe == everywhere & set(REGIONS["EU"])


def test_create_on_demand_by_a_bid_and_from_a_template(market: Site, sdk: Any) -> None:
    one, two, three, four = offers(market, 4)
    env = "-e A=1 -p 3000:3000"
    made = sdk.create_instance(one, "u", disk=16, env=env, label="job", ssh=True, direct=True)
    won = sdk.create_instance(two, "u", bid_price=9.0)
    lost = sdk.create_instance(three, "u", bid_price=0.002)
    hash_id = sdk.create_template("t", "acme/model", onstart_cmd="run.sh")["template"]["hash_id"]
    told = sdk.create_instance(four, template_hash=hash_id)
    assert [each["success"] for each in (made, won, lost, told)] == [True, True, False, True]
    market.market.advance(3600)
    have = row(market, made["new_contract"])
    assert (have["label"], have["disk_space"], have["is_bid"]) == ("job", 16.0, False)
    assert have["image_runtype"] == "ssh_direc ssh_proxy"
    assert set(have["ports"]) == {"22/tcp", "3000/tcp"} and ["A", "1"] in have["extra_env"]
    assert row(market, won["new_contract"])["is_bid"] is True
    assert row(market, lost["new_contract"])["cur_state"] == "stopped"
    have = row(market, told["new_contract"])
    assert (have["image_uuid"], have["onstart"]) == ("acme/model", "run.sh")


def test_what_is_refused_raises_and_changes_nothing(market: Site, sdk: Any) -> None:
    assert market.market.credit(market.account_id) > 0, "which opens its account book"
    before = market.state()
    calls = (
        (404, lambda: sdk.create_instance(5, "u")),
        (400, lambda: sdk.create_instance(offers(market, 1)[0], "u", price=-1)),
        (404, lambda: sdk.start_instance(77)),
        (404, lambda: sdk.destroy_instance(77)),
        (400, lambda: sdk.search_offers({"foo": {"eq": 1}})),
        (404, lambda: sdk.delete_endpoint(77)),
        (404, lambda: vastai.VastAI("nobody", server_url=market.url).show_instances()),
    )
    for status, call in calls:
        with pytest.raises(requests.HTTPError) as caught:
            call()
        assert caught.value.response.status_code == status
        assert isinstance(caught.value.response.json()["msg"], str)
    assert market.state() == before
    assert sdk.show_instance(77) is None


def test_sixty_instances_are_listed_over_several_pages(market: Site, sdk: Any) -> None:
    made = [int(market.rent(label=f"job {place % 3}")["new_contract"]) for place in range(60)]
    market.market.advance(3600)
    listed = sdk.show_instances()
    assert [each["id"] for each in listed] == made
    for each in listed:
        assert each["extra_env"] == dict(row(market, each["id"])["extra_env"])
    page = sdk.show_instances_v1({"limit": 10, "select_filters": {"label": {"eq": "job 1"}}})
    assert [each["id"] for each in page["instances"]] == made[1:30:3] and page["next_token"]
    assert page["label_counts"]["job 1"] == 20
    filters = sdk.show_instance_filters()
    assert {each["actual_status"] for each in filters} == {"running"}


def test_the_life_of_an_instance(market: Site, sdk: Any) -> None:
    number = market.running()
    shown = sdk.show_instance(number)
    assert (shown["id"], shown["actual_status"]) == (number, "running")
    assert sdk.label_instance(number, "here") == SUCCESS and row(market, number)["label"] == "here"
    assert sdk.reboot_instance(number) == SUCCESS and status_of(market, number) == {"rebooting"}
    market.market.advance(600)
    assert sdk.recycle_instance(number) == SUCCESS
    assert status_of(market, number) <= {None, "loading"}
    market.market.advance(600)
    assert sdk.ssh_url(number).startswith(f"ssh://root@{row(market, number)['ssh_host']}:")
    assert sdk.logs(number, tail="1").strip() in market.market.logs(market.account_id, number)
    assert sdk.stop_instance(number) == SUCCESS
    assert row(market, number)["cur_state"] == "stopped"
    printed = market.market.execute(market.account_id, number, "ls -l")
    assert sdk.execute(number, "ls -l") == printed
    assert sdk.start_instance(number) == SUCCESS
    assert row(market, number)["intended_status"] == "running"
    assert sdk.destroy_instance(number)["success"] is True
    assert row(market, number) is None is sdk.show_instance(number)


def test_a_start_that_is_queued_is_no_error_for_it(market: Site, sdk: Any) -> None:
    number = market.running()
    sdk.stop_instance(number)
    market.fault("start_queued", "start")
    answer = sdk.start_instance(number)
    assert (answer["success"], answer["error"]) == (False, "resources_unavailable")


def test_many_at_once(market: Site, sdk: Any) -> None:
    wanted = offers(market, 3)
    made = sdk.create_instances([*wanted, 5], "u", label="many")
    numbers = made["created"]
    assert (len(numbers), made["failed"]) == (3, [5])
    market.market.advance(3600)
    assert status_of(market, *numbers) == {"running"}
    assert sdk.stop_instances(numbers)["success"] is True
    assert {row(market, number)["cur_state"] for number in numbers} == {"stopped"}
    assert sdk.start_instances(numbers)["success"] is True
    market.market.advance(3600)
    assert status_of(market, *numbers) == {"running"}
    assert sdk.destroy_instances(numbers)["success"] is True
    assert sdk.show_instances() == []


def test_bids_and_prices(market: Site, sdk: Any) -> None:
    number = market.running(price=5.0)
    assert sdk.change_bid(number, 6.5)["success"] is True
    assert row(market, number)["dph_base"] == 6.5
    other = market.running()
    market.market.strike("price_change", other)
    (rise,) = sdk.show_pending_price_increases()["pending_price_increases"]
    assert rise["contract_id"] == other
    assert sdk.accept_price_increase(other)["success"] is True
    assert sdk.show_pending_price_increases()["pending_price_increases"] == []


def test_templates(market: Site, sdk: Any) -> None:
    made = sdk.create_template("t", "acme/model", image_tag="1", disk_space=20)["template"]
    again = sdk.create_template("t", "acme/model", image_tag="1", disk_space=20)
    assert (again["success"], again["template"]["id"]) == (False, made["id"])
    assert sdk.search_templates("name=t") == [made] and sdk.search_templates("name=u") == []
    newer = sdk.update_template(made["hash_id"], "t", "acme/model", image_tag="2")["template"]
    assert (newer["id"], newer["tag"]) == (made["id"], "2")
    assert sdk.delete_template(hash_id=newer["hash_id"])["success"] is True
    assert market.built.parts.templates.visible_to(market.account_id) == []


def test_endpoints_and_workergroups(market: Site, sdk: Any) -> None:
    number = sdk.create_endpoint(endpoint_name="LLama", max_workers=7)["result"]
    group = sdk.create_workergroup(
        endpoint_name="LLama", search_params="gpu_ram>=23", launch_args="--image u"
    )
    (shown,) = sdk.show_endpoints()
    assert (shown["id"], shown["max_workers"]) == (number, 7) and "api_key" not in shown
    (of_group,) = sdk.show_workergroups()
    assert (of_group["id"], of_group["endpoint_id"]) == (group["id"], number)
    assert sdk.update_endpoint(number, max_workers=3) == SUCCESS
    assert sdk.update_workergroup(group["id"], endpoint_id=number, gpu_ram=9) == SUCCESS
    assert sdk.show_endpoints()[0]["max_workers"] == 3
    assert sdk.show_workergroups()[0]["gpu_ram"] == 9.0
    assert sdk.get_endpoint_workers(number) == []
    assert isinstance(sdk.get_endpt_logs(number), dict)
    assert isinstance(sdk.get_wrkgrp_logs(group["id"]), dict)
    assert sdk.delete_workergroup(group["id"])["success"] is True
    assert sdk.delete_endpoint(number) == SUCCESS
    assert market.json("GET", "/api/v0/autojobs/")["results"] == []


def test_ssh_keys(market: Site, sdk: Any) -> None:
    number = market.running()
    made = sdk.create_ssh_key(KEY)["key"]
    assert sdk.show_ssh_keys() == [made]
    sdk.update_ssh_key(made["id"], OTHER_KEY)
    assert OTHER_KEY in sdk.show_ssh_keys()[0].values()
    on_it = json.loads(sdk.attach_ssh(number, KEY)["key"])
    assert sdk.attach_ssh(number, KEY)["success"] is False
    kept = json.loads(market.market.ssh_list(market.account_id, number)["ssh_keys"])
    assert [each["id"] for each in kept] == [on_it["id"]]
    assert sdk.detach_ssh(number, on_it["id"])["success"] is True
    assert sdk.delete_ssh_key(made["id"]) == SUCCESS and sdk.show_ssh_keys() == []


def test_money(market: Site, sdk: Any) -> None:
    number = market.running()
    bill = market.market.bill(market.account_id)
    assert sdk.show_user()["credit"] == bill["credit"] < 10_000
    assert sdk.show_deposit(number) == market.market.balance(market.account_id, number)
    days = {"start_date": "2025-10-08", "end_date": "2025-10-12"}
    with pytest.warns(DeprecationWarning):
        rows = sdk.show_invoices(**days, only_charges=True)["invoices"]
    assert sum(float(each["amount"]) for each in rows) == pytest.approx(bill["charged"], abs=1e-4)
    page = sdk.show_invoices_v1(charges=True, **days)
    assert page["results"][0]["amount"] == pytest.approx(bill["by_instance"][number])


def test_search_and_create_in_one(market: Site, sdk: Any) -> None:
    made = sdk.launch_instance("RTX_4090", "1", "u", label="one")
    assert made["success"] is True
    have = row(market, made["new_contract"])
    assert (have["gpu_name"], have["num_gpus"], have["label"]) == ("RTX 4090", 1, "one")
