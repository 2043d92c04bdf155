"""The functions of the guide of 2024, against a server on a real socket."""

from __future__ import annotations

import inspect
import logging
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from vast_pyworker import vastai
from vast_pyworker.errors import AuthError, NoCredit, OutcomeUnknown, RateLimited
from vast_pyworker.vastai import LaunchRequest, Pacing, VastClient, nodes
from vast_pyworker.vastai.fake_vast import FakeVast, Told
from vast_pyworker.vastai.nodes import NodesError
from vast_pyworker.vastai.renting import end, rent, search

ROOT = Path(vastai.__file__).parents[2]
KEY = "key-0123456789abcdef"
GIVEN = "given-fedcba9876543210"
CREATE, DESTROY = "PUT /api/v0/asks/*/", "DELETE /api/v0/instances/"
SEARCH, LIST = "POST /api/v0/bundles/", "GET /api/v1/instances/"
SHOW = "GET /api/v0/instances/*/"
NONE = {"success": True, "instances_found": 0, "total_instances": 0, "instances": []}
GONE = Told({"success": False, "error": "no_such_ask", "msg": "No ask by id 1."}, 404)
REQUEST = LaunchRequest(image="ubuntu:22.04", disk_gb=16.0, env={"A": "1"})


class Clock:
    """Nobody waits for it; ``interrupted`` is a Ctrl-C while somebody would."""

    def __init__(self):
        self.at = 0.0
        self.interrupted = False

    def now(self):
        return self.at

    def sleep(self, seconds):
        if self.interrupted:
            raise KeyboardInterrupt
        self.at += max(seconds, 0.01)


@pytest.fixture
def fake():
    with FakeVast() as server:
        server.on(LIST, NONE)
        yield server


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def client(fake, clock):
    pacing = Pacing.off(clock.now, clock.sleep)
    with VastClient(KEY, base_url=fake.url, pacing=pacing, now=clock.now, sleep=clock.sleep) as one:
        yield one


@pytest.fixture
def surroundings(fake, monkeypatch, tmp_path):
    """What the functions read when they are called: two variables and the working directory."""
    monkeypatch.setenv("VAST_URL", fake.url)
    monkeypatch.setenv("VAST_API_KEY", KEY)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def listed(*rows):
    return {**NONE, "instances_found": len(rows), "total_instances": len(rows), "instances": rows}


def contract(number):
    return {"success": True, "new_contract": number, "instance_api_key": "inner"}


def offers(*prices):
    return {"offers": [{"id": n, "dph_total": price} for n, price in enumerate(prices, 1)]}


def label_of(fake):
    return fake.calls(CREATE)[-1].body["label"]


def node(offer_id, instance_id):
    return {"offer_id": offer_id, "instance_id": instance_id}


@contextmanager
def refused(*kinds):
    with pytest.raises(NodesError) as caught:
        yield caught
    assert isinstance(caught.value, (requests.RequestException, *kinds))


# The surface


SIGNATURES = {
    "http_get": "(url, headers)",
    "apiurl": "(subpath, query_args=None, api_key=None)",
    "http_put": "(req_url, headers, json)",
    "http_del": "(req_url, headers, json={})",
    "http_post": "(req_url, headers, json={})",
    "parse_query": "(query_str, res=None, fields={}, field_alias={}, field_multiplier={})",
    "get_runtype": "(args)",
    "parse_env": "(envs)",
    "search_offers": "(max_price)",
    "create_instance": "(offer_id, image, env)",
    "destroy_instance": "(instance_id)",
    "rent_nodes": "(max_price, max_nodes, image, api_key, env=None)",
    "terminate_nodes": "(nodes)",
}


@pytest.mark.parametrize("name", SIGNATURES)
def test_names_and_signatures_are_those_of_the_guide(name):
    signature = inspect.signature(getattr(vastai, name))
    parts = [
        each.name if each.default is each.empty else f"{each.name}={each.default}"
        for each in signature.parameters.values()
    ]
    assert f"({', '.join(parts)})" == SIGNATURES[name]


def test_importing_reads_no_environment_and_loads_no_http(tmp_path):
    (tmp_path / ".env").write_text("not an assignment\n")
    code = (
        "import sys, vast_pyworker.vastai; assert 'requests' not in sys.modules;"
        "import vast_pyworker.vastai.nodes"
    )
    surroundings = {**os.environ, "PYTHONPATH": str(ROOT), "VAST_URL": "nowhere"}
    subprocess.run(
        [sys.executable, "-c", code], check=True, cwd=tmp_path, timeout=60, env=surroundings
    )


# Search


def test_offers_are_asked_for_by_price_with_the_key_in_a_header_only(fake, surroundings):
    fake.on(SEARCH, offers(0.2, 0.3))
    assert vastai.search_offers(0.3) == offers(0.2, 0.3)["offers"]
    (asked,) = fake.asked
    assert asked.headers["authorization"] == f"Bearer {KEY}"
    assert KEY not in str((asked.path, asked.query, asked.body))
    assert asked.body["dph_total"] == {"lte": 0.3}
    assert asked.body["rentable"] == {"eq": True}
    assert asked.body["order"] == [["dph_total", "asc"]]
    assert asked.body["allocated_storage"] == 16.0


def test_offers_above_the_price_and_without_one_are_left_out(fake, client):
    fake.on(SEARCH, {"offers": [*offers(0.2, 0.4)["offers"], {"id": 3, "dph_total": None}]})
    assert [offer.id for offer in search(client, 0.3)] == [1]


def test_a_search_that_fails_is_a_request_exception_and_never_empty(fake, client):
    fake.on(SEARCH, Told({"success": False, "error": "auth_error", "msg": "Invalid user key"}, 404))
    with refused() as caught:
        search(client, 0.3)
    assert isinstance(caught.value.__cause__, AuthError)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("price", ["0.3", 0, -1, float("nan"), float("inf"), None, True])
def test_a_price_that_is_none_is_refused_before_anything_is_sent(fake, surroundings, price):
    with pytest.raises(ValueError, match="max_price"):
        vastai.search_offers(price)
    assert fake.asked == []


def test_a_missing_key_is_told_with_its_name(surroundings, monkeypatch):
    monkeypatch.delenv("VAST_API_KEY")
    with pytest.raises(ValueError, match="VAST_API_KEY"):
        vastai.search_offers(0.3)


# Create and destroy one


def test_an_instance_gets_the_env_but_no_key_and_no_script(fake, surroundings):
    fake.on(CREATE, contract(77))
    env = {"VAST_API_KEY": GIVEN, "HF_TOKEN": "token", "N": 4, "-p 8080:8080": "1"}
    answer = vastai.create_instance("5", "ubuntu:22.04", env)
    (asked,) = fake.calls(CREATE)
    assert answer == {"success": True, "new_contract": 77, "label": asked.body["label"]}
    assert asked.path == "/api/v0/asks/5/"
    assert asked.headers["authorization"] == f"Bearer {GIVEN}"
    assert asked.body["env"] == {"HF_TOKEN": "token", "N": "4", "-p 8080:8080": "1"}
    assert asked.body["label"].startswith("nodes/")
    assert "onstart" not in asked.body
    assert GIVEN not in str((asked.query, asked.body))
    assert asked.body["disk"] == 16.0 and asked.body["runtype"] == "ssh"


@pytest.mark.parametrize(
    "env",
    [
        *(None, "A=1", ["A=1"], {"A B": "1"}, {"": "1"}, {1: "1"}, {"A": None}, {"A": True}),
        *({"A": {"secret": "x"}}, {"A": "a\0b"}, {"A=B": "1"}),
    ],
)
def test_an_env_that_is_missing_or_invalid_is_a_value_error(fake, surroundings, env):
    with pytest.raises(ValueError, match="env") as caught:
        vastai.create_instance(5, "ubuntu:22.04", env)
    assert "secret" not in str(caught.value)
    assert fake.asked == []


@pytest.mark.parametrize(
    ("offer_id", "image"), [("x", "a"), (None, "a"), (-1, "a"), (1, ""), (1, "a b"), (1, None)]
)
def test_bad_arguments_are_refused_before_anything_is_sent(fake, surroundings, offer_id, image):
    with pytest.raises(ValueError):
        vastai.create_instance(offer_id, image, {})
    assert fake.asked == []


def test_an_offer_that_is_gone_is_an_exception_with_the_message(fake, surroundings):
    fake.on(CREATE, GONE)
    with refused() as caught:
        vastai.create_instance(1, "ubuntu:22.04", {})
    assert "Offer 1 could not be rented" in str(caught.value)
    assert caught.value.nodes == []


def test_an_instance_that_was_created_but_stands_still_is_carried_by_the_error(fake, surroundings):
    fake.on(CREATE, {"success": False, "new_contract": 77})
    with refused() as caught:
        vastai.create_instance(1, "ubuntu:22.04", {})
    assert caught.value.nodes == [node(1, 77)]


def test_destroying_answers_with_a_dict_also_where_it_was_gone(fake, surroundings):
    gone = {"success": False, "error": "no_such_instance", "msg": "Instance 7 not found."}
    fake.on("DELETE /api/v0/instances/7/", {"success": True}, Told(gone, 404))
    fake.on(SHOW, {"instances": None})
    assert vastai.destroy_instance(7) == {"success": True}
    assert vastai.destroy_instance("7") == {"success": True}
    with pytest.raises(ValueError, match="instance_id"):
        vastai.destroy_instance("7/../8")


def test_a_destroy_that_fails_is_a_request_exception(fake, surroundings):
    fake.on("DELETE /api/v0/instances/7/", Told({"error": "auth_error", "msg": "No."}, 401))
    with refused():
        vastai.destroy_instance(7)


# Rent many


def test_nodes_are_rented_from_the_cheapest_with_the_given_key(fake, surroundings):
    (surroundings / ".env").write_text(f"# mine\nexport A='x y'\n\nVAST_API_KEY={KEY}\n")
    fake.on(SEARCH, offers(0.1, 0.2))
    fake.on(CREATE, contract(11))
    assert vastai.rent_nodes(0.3, 1, "ubuntu:22.04", GIVEN) == [node(1, 11)]
    assert {asked.headers["authorization"] for asked in fake.asked} == {f"Bearer {GIVEN}"}
    assert fake.calls(CREATE)[0].body["env"] == {"A": "x y"}


def test_the_key_in_env_is_used_where_none_is_given(fake, surroundings):
    fake.on(SEARCH, offers())
    assert vastai.rent_nodes(0.3, 1, "ubuntu:22.04", None, {"VAST_API_KEY": GIVEN}) == []
    assert fake.asked[0].headers["authorization"] == f"Bearer {GIVEN}"


def test_no_nodes_ask_nothing(fake, surroundings):
    assert vastai.rent_nodes(0.3, 0, "ubuntu:22.04", GIVEN, {}) == []
    with pytest.raises(ValueError, match="max_nodes"):
        vastai.rent_nodes(0.3, 1.5, "ubuntu:22.04", GIVEN, {})
    assert fake.asked == []


def test_a_line_of_env_that_is_no_assignment_is_named_without_its_text(surroundings):
    (surroundings / ".env").write_text("A=1\nsecret stuff\n")
    with pytest.raises(ValueError, match="Line 2") as caught:
        vastai.rent_nodes(0.3, 1, "ubuntu:22.04", GIVEN)
    assert "secret" not in str(caught.value)


def test_every_node_has_a_label_of_its_own(fake, client):
    fake.on(CREATE, contract(11), contract(12))
    assert rent(client, [1, 2, 3], 2, REQUEST) == [node(1, 11), node(2, 12)]
    labels = [asked.body["label"] for asked in fake.calls(CREATE)]
    assert len(set(labels)) == 2 and all(label.startswith("nodes/") for label in labels)


def test_an_offer_that_is_gone_is_skipped(fake, client):
    fake.on(CREATE, GONE, contract(12), Told({"error": "no_such_ask", "msg": "gone"}, 410))
    assert rent(client, [1, 2, 3], 3, REQUEST) == [node(2, 12)]


def test_a_429_is_waited_out(fake, client, clock):
    slow = Told({"detail": "API requests too frequent endpoint threshold=4.5"}, 429)
    fake.on(CREATE, contract(11), slow, slow, contract(12))
    assert rent(client, [1, 2], 2, REQUEST) == [node(1, 11), node(2, 12)]
    assert clock.at >= 4.5


def test_what_was_rented_before_a_failure_is_carried_by_it(fake, client):
    slow = Told({"detail": "API requests too frequent endpoint threshold=4.5"}, 429)
    fake.on(CREATE, contract(11), slow)
    with refused() as caught:
        rent(client, [1, 2, 3], 3, REQUEST)
    assert isinstance(caught.value.__cause__, RateLimited)
    assert caught.value.nodes == [node(1, 11)]
    assert caught.value.labels == []
    assert "11" in str(caught.value) and KEY not in str(caught.value)


def test_no_credit_is_an_error_and_not_an_empty_list(fake, client):
    poor = {"success": False, "error": "insufficient_credit", "msg": "You lack credit."}
    fake.on(CREATE, Told(poor, 400))
    with refused() as caught:
        rent(client, [1, 2, 3], 3, REQUEST)
    assert isinstance(caught.value.__cause__, NoCredit)
    assert len(fake.calls(CREATE)) == 1


def test_a_request_that_no_offer_takes_is_an_error(fake, client):
    bad = {"success": False, "error": "invalid_args", "msg": "error 400/3467: Invalid args: image"}
    fake.on(CREATE, Told(bad, 400))
    with refused() as caught:
        rent(client, [1, 2], 2, REQUEST)
    assert "No offer took the request" in str(caught.value)


def test_a_node_that_does_not_start_is_destroyed_and_the_next_offer_tried(fake, client):
    fake.on(CREATE, {"success": False, "new_contract": 11}, contract(12))
    fake.on("DELETE /api/v0/instances/11/", {"success": True})
    assert rent(client, [1, 2], 1, REQUEST) == [node(2, 12)]
    assert len(fake.calls("DELETE *")) == 1


def test_a_node_that_neither_starts_nor_goes_is_carried(fake, client):
    fake.on(CREATE, contract(11), {"success": False, "new_contract": 12})
    fake.on("DELETE /api/v0/instances/12/", Told({"error": "auth_error", "msg": "No."}, 401))
    with refused() as caught:
        rent(client, [1, 2], 2, REQUEST)
    assert caught.value.nodes == [node(1, 11), node(2, 12)]


def test_an_answer_that_leaves_it_open_is_settled_by_the_label(fake, client):
    fake.on(CREATE, Told(b"<html>gateway", 502))

    def found(asked):
        row = {"id": 11, "label": label_of(fake), "intended_status": "running"}
        return listed(row) if label_of(fake) in str(asked.query) else NONE

    fake.on(LIST, found)
    fake.on(SHOW, {"instances": {"id": 11, "intended_status": "running"}})
    assert rent(client, [1, 2], 1, REQUEST) == [node(1, 11)]
    assert len(fake.calls(CREATE)) == 1


def test_what_the_label_finds_is_a_node_also_where_it_cannot_be_read(fake, client):
    fake.on(CREATE, Told(b"", 504))
    fake.on(LIST, lambda _: listed({"id": 11, "label": label_of(fake)}))
    fake.on(SHOW, Told(b"", 500))
    assert rent(client, [1, 2], 1, REQUEST) == [node(1, 11)]


def test_what_the_label_finds_standing_still_is_destroyed(fake, client):
    fake.on(CREATE, Told(b"", 504), contract(12))
    fake.on(LIST, lambda _: listed({"id": 11, "label": label_of(fake)}))
    fake.on(SHOW, {"instances": {"id": 11, "intended_status": "stopped"}})
    fake.on("DELETE /api/v0/instances/11/", {"success": True})
    assert rent(client, [1, 2], 1, REQUEST) == [node(2, 12)]
    assert len(fake.calls("DELETE *")) == 1


def test_where_the_label_finds_nothing_the_next_offer_is_tried(fake, client):
    fake.on(CREATE, Told(b"", 500), contract(12))
    assert rent(client, [1, 2], 1, REQUEST) == [node(2, 12)]
    assert len(fake.calls(LIST)) >= 2


def test_where_nobody_can_look_the_label_is_carried(fake, client):
    fake.on(CREATE, contract(11), Told(b"", 500))
    fake.on(LIST, Told(b"", 500))
    with refused() as caught:
        rent(client, [1, 2, 3], 3, REQUEST)
    assert isinstance(caught.value.__cause__, OutcomeUnknown)
    assert caught.value.nodes == [node(1, 11)]
    assert caught.value.labels == [label_of(fake)]
    assert label_of(fake) in str(caught.value)


def test_an_interruption_carries_what_is_rented(fake, client, clock, caplog):
    slow = Told({"detail": "API requests too frequent endpoint threshold=4.5"}, 429)
    fake.on(CREATE, contract(11), slow)
    clock.interrupted = True
    with pytest.raises(KeyboardInterrupt) as caught:
        rent(client, [1, 2], 2, REQUEST)
    assert vars(caught.value)["nodes"] == [node(1, 11)]
    assert vars(caught.value)["labels"] == [label_of(fake)]
    assert "'instance_id': 11" in caplog.text and label_of(fake) in caplog.text


# Terminate


def test_terminating_nothing_asks_nothing(fake, surroundings):
    vastai.terminate_nodes([])
    assert fake.asked == []


def test_all_nodes_are_destroyed(fake, surroundings):
    fake.on(DESTROY, {"success": True})
    vastai.terminate_nodes([node(1, 11), node(2, 12)])
    assert fake.calls(DESTROY)[0].body == {"instance_ids": [11, 12]}
    assert fake.asked[0].headers["authorization"] == f"Bearer {KEY}"


def test_a_failed_termination_is_told_after_the_others_were_tried(fake, client, caplog):
    fake.on(DESTROY, {"success": True})
    fake.on(LIST, listed({"id": 11}, {"id": 13}))
    fake.on("DELETE /api/v0/instances/11/", Told({"error": "auth_error", "msg": "No."}, 401))
    fake.on("DELETE /api/v0/instances/13/", {"success": True})
    lost = {"offer_id": 9}
    with refused() as caught:
        end(client, [node(1, 11), lost, node(2, 12), node(3, 13)])
    assert caught.value.nodes == [node(1, 11), lost]
    assert "2 of 4 nodes" in str(caught.value)
    assert len(fake.calls("DELETE /api/v0/instances/13/")) == 1
    assert "Instance 11 could not be terminated" in caplog.text
    assert KEY not in caplog.text


def test_where_nobody_can_look_no_node_counts_as_gone(fake, client):
    fake.on(DESTROY, Told(b"", 500))
    fake.on("DELETE /api/v0/instances/11/", Told(b"", 500))
    with refused() as caught:
        end(client, [node(1, 11)])
    assert caught.value.nodes == [node(1, 11)]


# The language


def test_fields_that_are_not_known_are_kept_and_logged(caplog):
    assert nodes.parse_query("foo=1 num_gpus=2", {}, {"num_gpus"}) == {
        "foo": {"eq": "1"},
        "num_gpus": {"eq": "2"},
    }
    assert "foo" in caplog.text and "num_gpus" not in caplog.text


def test_a_query_on_top_of_another_leaves_that_as_it_is():
    res = {"verified": {"eq": True}}
    assert nodes.parse_query("gpu_ram>=24", res, {"gpu_ram"}, {}, {"gpu_ram": 1000}) == {
        "verified": {"eq": True},
        "gpu_ram": {"gte": 24000.0},
    }
    assert res == {"verified": {"eq": True}}
    assert nodes.parse_query(None, res) == res


def test_jupyter_and_args_are_a_value_error():
    with pytest.raises(ValueError, match="exclude each other"):
        nodes.get_runtype({"jupyter": True, "args": ["x"]})


# Nothing is printed


def test_nothing_is_printed(fake, client, capsys):
    logging.getLogger("vast_pyworker").setLevel(logging.DEBUG)
    fake.on(CREATE, GONE)
    assert rent(client, [1], 1, REQUEST) == []
    assert capsys.readouterr() == ("", "")
