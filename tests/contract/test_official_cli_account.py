"""The official command line and what an account has beside instances: templates, keys, money."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from market_site import Site, site
from official_cli import Cli
from outside_support import nothing_outside

pytestmark = [
    pytest.mark.official,
    pytest.mark.skipif(find_spec("vastai") is None, reason="the official client is missing"),
]
KEY, OTHER_KEY = (f"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{n} me@here" for n in ("One", "Two"))
DAYS = ("-s", "2025-10-08", "-e", "2025-10-12")  # the market's clock stands in between


@pytest.fixture
def market() -> Iterator[Site]:
    with site(hosts=30, credit=1_000.0) as made:
        yield made


@pytest.fixture
def cli(tmp_path: Path, market: Site) -> Iterator[Cli]:
    with nothing_outside() as outside:
        yield Cli(tmp_path / "home", market.url, outside)


def templates(market: Site) -> list[dict[str, Any]]:
    return market.built.parts.templates.visible_to(market.account_id)


def endpoints(market: Site) -> Any:
    return market.call("GET", "/api/v0/endptjobs/").json().get("results", [])


def groups(market: Site) -> Any:
    return market.json("GET", "/api/v0/autojobs/")["results"]


def account_keys(market: Site) -> Any:
    return market.json("GET", "/api/v0/ssh/")


def instance_keys(market: Site, number: int) -> Any:
    return ast.literal_eval(market.market.ssh_list(market.account_id, number)["ssh_keys"])


def test_a_template_from_its_creation_to_its_end(market: Site, cli: Cli) -> None:
    fields = ("--name", "tee", "--image", "acme/model", "--env", "-p 8080:8080 -e B=2",
              "--onstart-cmd", "echo hi", "--disk_space", 20, "--ssh", "--direct")  # fmt: skip
    created = cli.ok("create template", *fields, "--image_tag", "1")
    (kept,) = templates(market)
    assert ast.literal_eval(created.removeprefix("New Template: ").strip()) == kept
    assert (kept["name"], kept["image"], kept["tag"]) == ("tee", "acme/model", "1")
    assert (kept["recommended_disk_space"], kept["ssh_direct"]) == (20.0, True)
    again, found, none = cli.each(
        ("create template", *fields, "--image_tag", "1"),
        ("search templates", "name=tee"),
        ("search templates", "name=other"),
    )
    assert (again.code, again.out) == (0, f"Existing Template Found: {kept['id']}\n")
    assert (found.json, none.json) == ([kept], [])
    cli.ok("update template", kept["hash_id"], *fields, "--image_tag", "2")
    (newer,) = templates(market)
    assert (newer["id"], newer["tag"]) == (kept["id"], "2") and newer["hash_id"] != kept["hash_id"]
    unknown = cli("update template", "none", "--name", "x")
    assert (unknown.code, unknown.out) == (1, "No template found with hash_id none\n")
    said = cli.ok("delete template", "--hash-id", newer["hash_id"])
    assert said == f"Template {kept['id']} Deleted Successfully\n" and templates(market) == []
    said = cli.ok("delete template", "--template-id", kept["id"])
    assert said.startswith("Error: 400 Client Error")


def test_an_endpoint_from_its_creation_to_its_end(market: Site, cli: Cli) -> None:
    none = cli("show endpoints")
    assert (none.code, none.out) == (0, "")
    assert none.err == f"Failed with error 400: No endpoints for user {market.account_id} found.\n"
    options = ("--max_workers", 7, "--target_util", 0.8, "--min_load", 10)
    said = cli.ok("create endpoint", "--endpoint_name", "LLama", *options)
    (made,) = endpoints(market)
    assert said == f"create endpoint {{'success': True, 'result': {made['id']}}}\n"
    assert (made["endpoint_name"], made["max_workers"]) == ("LLama", 7)
    assert (made["target_util"], made["min_load"], made["cold_mult"]) == (0.8, 10.0, 2.5)
    twice, shown = cli.each(
        ("create endpoint", "--endpoint_name", "LLama"), ("show endpoints", "--raw")
    )
    assert twice.code == 0 and twice.err.startswith("Failed with error 400: An endpoint named")
    hidden = ("api_key", "auto_delete_in_seconds", "auto_delete_due_24h")  # by the client
    assert shown.json == [{k: v for k, v in made.items() if k not in hidden}]
    said = cli.ok("update endpoint", made["id"], "--max_workers", 3, "--endpoint_state", "stopped")
    assert said == "update endpoint {'success': True}\n"
    (have,) = endpoints(market)
    assert have == {**made, "max_workers": 3, "endpoint_state": "stopped"}
    logs, workers = cli.each(("get endpt-logs", made["id"]), ("get endpt-workers", made["id"]))
    assert (logs.code, workers.code, workers.out) == (0, 0, "No workers found.\n")
    assert cli.ok("delete endpoint", made["id"]) == "delete endpoint {'success': True}\n"
    assert endpoints(market) == []
    gone = cli("delete endpoint", made["id"])
    assert gone.code == 0 and gone.err.startswith("Failed with error 404: ")


def test_a_workergroup_from_its_creation_to_its_end(market: Site, cli: Cli) -> None:
    endpoint = market.json("POST", "/api/v0/endptjobs/", {"endpoint_name": "LLama"})["result"]
    body = {"name": "t", "image": "acme/model"}
    hash_id = market.json("POST", "/api/v0/template/", body)["template"]["hash_id"]
    options = ("--template_hash", hash_id, "--gpu_ram", 23)
    query = ("--search_params", "gpu_ram>=23 num_gpus=1")
    said = cli.ok("create workergroup", "--endpoint_name", "LLama", *options, *query)
    (made,) = groups(market)
    assert said == f"workergroup create {{'success': True, 'id': {made['id']}}}\n"
    assert (made["endpoint_id"], made["gpu_ram"]) == (endpoint, 23.0)
    assert set(made["search_query"]) == {"gpu_ram", "num_gpus", "verified", "rentable", "rented"}
    refused, shown = cli.each(
        ("create workergroup", "--endpoint_name", "nobody", *options),
        ("show workergroups", "--raw"),
    )
    assert refused.code == 0 and refused.out.startswith("Error creating workergroup: 400 ")
    assert shown.json == [made] == groups(market)
    changes = ("--endpoint_id", endpoint, "--gpu_ram", 11)
    assert cli.ok("update workergroup", made["id"], *changes) == (
        "workergroup update {'success': True}\n"
    )
    (have,) = groups(market)
    assert (have["gpu_ram"], have["template_hash"]) == (11.0, hash_id)
    assert set(have["search_query"]) == {"verified", "rentable", "rented"}, "the client's defaults"
    logs, update = cli.each(("get wrkgrp-logs", made["id"]), ("update workers", made["id"]))
    assert (logs.code, update.code, logs.err, update.err) == (0, 0, "", "")
    said = cli.ok("delete workergroup", made["id"])
    assert said.startswith("workergroup delete {'success': True") and groups(market) == []


def test_keys_of_the_account_and_of_an_instance(market: Site, cli: Cli, tmp_path: Path) -> None:
    number = market.running()
    file = tmp_path / "key.pub"
    file.write_text(OTHER_KEY + "\n")
    cli.ok("create ssh-key", KEY)
    (made,) = account_keys(market)
    assert KEY in made.values()
    twice, shown, attached = cli.each(
        ("create ssh-key", KEY),
        ("show ssh-keys", "--raw"),
        ("attach ssh", number, file),
    )
    assert twice.err == "Failed with error 400: The SSH key already exists on this account\n"
    assert shown.json == [made]
    assert (attached.code, ast.literal_eval(attached.out)["success"]) == (0, True)
    (on_it,) = instance_keys(market, number)
    assert on_it["key"].strip() == OTHER_KEY
    said = cli.ok("attach ssh", number, OTHER_KEY)
    assert ast.literal_eval(said)["msg"] == "SSH key already associated with instance."
    assert ast.literal_eval(cli.ok("detach ssh", number, on_it["id"]))["success"] is True
    assert instance_keys(market, number) == []
    gone = ast.literal_eval(cli.ok("detach ssh", number, on_it["id"]))
    assert (gone["success"], gone["error"]) == (False, "no_such_ssh_key")
    cli.ok("update ssh-key", made["id"], OTHER_KEY)
    assert OTHER_KEY in account_keys(market)[0].values()
    assert cli.ok("delete ssh-key", made["id"]) == "{'success': True}\n"
    assert account_keys(market) == []


def test_the_user_and_a_deposit(market: Site, cli: Cli) -> None:
    number = market.running()
    user, table, deposit, gone = cli.each(
        ("show user", "--raw"),
        ("show user",),
        ("show deposit", number),
        ("show deposit", 77),
    )
    credit = market.market.credit(market.account_id)
    assert credit < 1_000
    assert (user.json["id"], user.json["credit"]) == (market.account_id, credit)
    assert "api_key" not in user.json and f"{credit:.2f}" in table.shown
    assert deposit.json == market.market.balance(market.account_id, number)
    assert gone.code == 0 and gone.err.startswith("Failed with error 404: ")


def test_invoices_are_the_markets_own_bill(market: Site, cli: Cli) -> None:
    number = market.running()
    old, only_paid, charges, paid, table = cli.each(
        ("show invoices", *DAYS, "--raw"),
        ("show invoices", *DAYS, "--raw", "-p"),
        ("show invoices-v1", "--charges", *DAYS, "--raw"),
        ("show invoices-v1", "--invoices", *DAYS, "--raw"),
        ("show invoices-v1", "--charges", *DAYS, "--no-color"),
    )
    bill = market.market.bill(market.account_id)
    assert all(each.code == 0 for each in (old, only_paid, charges, paid, table))
    charged = [float(row["amount"]) for row in old.json if row["type"] == "charge"]
    assert sum(charged) == pytest.approx(bill["charged"], abs=1e-4) and bill["charged"] > 0
    assert [row["type"] for row in only_paid.json] == ["payment"]
    (of_instance,) = charges.json["results"]
    assert of_instance["amount"] == pytest.approx(bill["by_instance"][number])
    assert of_instance["metadata"] == {"contract_id": number}
    assert -sum(row["amount"] for row in paid.json["results"]) == bill["paid"] == 1_000.0
    assert str(number) in table.shown and "Showing 1 of 1 results" in table.shown


def test_keys_variables_and_price_increases(market: Site, cli: Cli) -> None:
    number = market.running()
    market.market.strike("price_change", number)
    (rise,) = market.market.price_increases(market.account_id)["pending_price_increases"]
    assert rise["contract_id"] == number
    keys, none, shown = cli.each(
        ("show api-keys", "--raw"),
        ("show env-vars",),
        ("show pending-price-increases", "--raw"),
    )
    assert [each["name"] for each in keys.json["apikeys"]] == ["primary"]
    assert none.out.startswith("No environment variables found.")
    assert str(number) in shown.shown
    cli.ok("create env-var", "A", "secret of a test")
    assert "A" in market.json("GET", "/api/v0/secrets/")["secrets"]
