"""offers, instances, show, logs, execute, balance: what people see and what programs read."""

from __future__ import annotations

import json

import pytest
from vast_rows import instance, listed, offer

from vast_pyworker.vastai.fake_vast import Told

SEARCH = "POST /api/v0/bundles/"
LIST = "GET /api/v1/instances/"
SHOW = "GET /api/v0/instances/7/"


class TestOffers:
    def test_they_are_a_table(self, vast, ask):
        vast.on(SEARCH, {"offers": [offer(101), offer(2, dph_total=None, geolocation="a\x1b[2Jb")]})
        result = ask("offers", "gpu_name=RTX_4090", "num_gpus=1")
        head, one, two = result.stdout.splitlines()
        assert head.split()[:2] == ["ID", "GPU"]
        assert one.startswith("101  1x RTX 4090")
        assert "0.3500" in one
        assert two.startswith("  2  ")
        assert "\x1b" not in two

    def test_what_is_asked(self, vast, ask):
        vast.on(SEARCH, {"offers": []})
        ask("offers", "gpu_ram>=24", "--order", "dph-", "--limit", "3", "--disk", "50",
            "--type", "interruptible")  # fmt: skip
        (asked,) = vast.asked
        assert asked.body == {
            "verified": {"eq": True},
            "external": {"eq": False},
            "rentable": {"eq": True},
            "gpu_ram": {"gte": 24000.0},
            "order": [["dph_total", "desc"]],
            "type": "bid",
            "limit": 3,
            "allocated_storage": 50.0,
        }

    def test_without_defaults_and_with_a_wildcard(self, vast, ask):
        vast.on(SEARCH, {"offers": []})
        ask("offers", "--no-defaults", "num_gpus=1")
        ask("offers", "verified=any")
        bare, most = (set(asked.body) for asked in vast.asked)
        assert {"verified", "external", "rentable"} & bare == set()
        assert {"verified", "external", "rentable"} & most == {"external", "rentable"}

    def test_a_region_is_its_countries(self, vast, ask):
        vast.on(SEARCH, {"offers": []})
        result = ask("offers", "geolocation=NA", "georegion=true", "num_gpus=1")
        (asked,) = vast.asked
        assert asked.body["geolocation"] == {"in": ["CA", "US"]}
        assert "georegion" not in asked.body and "Warning" not in result.stderr

    def test_none_is_said_and_exits_with_0(self, vast, ask):
        vast.on(SEARCH, {"offers": []})
        result = ask("offers")
        assert (result.exit_code, result.stdout) == (0, "")
        assert "No offer matches" in result.stderr

    def test_a_limit_that_was_reached_is_said(self, vast, ask):
        vast.on(SEARCH, {"offers": [offer()]})
        assert "first 1" in ask("offers", "--limit", "1").stderr

    def test_an_unknown_field_is_a_warning_and_is_sent(self, vast, ask):
        vast.on(SEARCH, {"offers": [offer()]})
        result = ask("offers", "colour=red", "--json")
        assert "'colour'" in result.stderr
        assert json.loads(result.stdout) == [offer()]
        assert vast.asked[0].body["colour"] == {"eq": "red"}

    @pytest.mark.parametrize("query", ["a==", "gpu_ram in [24,48]", "num_gpus>=1 ("])
    def test_a_query_that_cannot_be_read_names_the_place(self, query, vast, ask):
        result = ask("offers", query)
        assert result.exit_code == 2
        assert "column" in result.stderr
        assert vast.asked == []


class TestInstances:
    def test_they_are_a_table_with_what_they_cost_now(self, vast, ask):
        resting = instance(8, "stopped", label="x", instance={"totalHour": 0.01})
        vast.on(LIST, listed(instance(), resting))
        head, one, two, last = ask("instances").stdout.splitlines()
        assert head.split()[:2] == ["ID", "STATE"]
        assert one.split()[:2] == ["7", "running"]
        assert two.split()[:2] == ["8", "stopped"]
        assert last == "2 instances, 0.3600 $/h now."

    def test_a_price_that_is_unknown_makes_the_sum_a_least(self, vast, ask):
        vast.on(LIST, listed(instance(), instance(8, instance=None, dph_total=None)))
        assert ask("instances").stdout.endswith("2 instances, at least 0.3500 $/h now.\n")

    def test_json_is_the_rows_with_a_state_and_without_keys(self, vast, ask):
        vast.on(LIST, listed(instance()))
        (row,) = json.loads(ask("instances", "--json").stdout)
        assert (row["id"], row["state"], row["dph_total"]) == (7, "running", 0.35)
        assert "jupyter_token" not in row

    def test_numbers_alone(self, vast, ask):
        vast.on(LIST, listed(instance(7), instance(8)))
        assert ask("instances", "-q").stdout == "7\n8\n"

    @pytest.mark.parametrize(("option", "out"), [([], ""), (["-q"], ""), (["--json"], "[]\n")])
    def test_none(self, option, out, vast, ask):
        vast.on(LIST, listed())
        result = ask("instances", *option)
        assert (result.exit_code, result.stdout) == (0, out)

    def test_a_label_is_asked_for(self, vast, ask):
        vast.on(LIST, listed())
        ask("instances", "--label", "mine")
        assert "mine" in vast.asked[0].query["select_filters"]

    def test_half_a_list_is_an_error(self, vast, ask):
        page = {**listed(instance(), total=2), "next_token": "t"}
        vast.on(LIST, page, Told(b"{"))
        result = ask("instances", "--timeout", "0.01")
        assert result.exit_code != 0
        assert result.stdout == ""


class TestShow:
    def test_everything_about_one(self, vast, ask):
        row = instance(
            ports={"22/tcp": [{"HostPort": "40022"}]},
            public_ipaddr="1.2.3.4 ",
            ssh_host="ssh1.vast.ai",
            ssh_port=1022,
            status_msg="success,\x1b running\n",
        )
        vast.on(SHOW, {"instances": row})
        told = ask("show", "7").stdout
        assert "running: the container runs" in told
        assert "ssh -p 40022 root@1.2.3.4\n" in told
        assert "ssh -p 1022 root@ssh1.vast.ai\n" in told
        assert "on demand" in told
        assert "\x1b" not in told
        assert "token-never-printed" not in told

    def test_json(self, vast, ask):
        vast.on(SHOW, {"instances": instance()})
        assert json.loads(ask("show", "7", "--json").stdout)["state"] == "running"

    def test_one_that_is_gone_exits_with_1(self, vast, ask):
        vast.on(SHOW, {"instances": None})
        result = ask("show", "7")
        assert (result.exit_code, result.stdout) == (1, "")
        assert "no instance 7" in result.stderr

    @pytest.mark.parametrize("number", ["x", "0", "-1", "1.5"])
    def test_what_is_no_number_exits_with_2(self, number, ask):
        assert ask("show", number).exit_code == 2


class TestInside:
    @pytest.fixture(autouse=True)
    def results(self, vast):
        vast.on("GET /results/7", Told(b"one\ntwo\n"))

    def test_logs(self, vast, ask):
        made = {"success": True, "result_url": f"{vast.url}/results/7"}
        vast.on("PUT /api/v0/instances/request_logs/7/", made)
        result = ask("logs", "7", "--tail", "2", "--filter", "o", "--daemon")
        assert result.stdout == "one\ntwo\n"
        body = vast.calls("PUT *")[0].body
        assert body == {"tail": "2", "filter": "o", "daemon_logs": "true"}
        assert json.loads(ask("logs", "7", "--json").stdout) == {"id": 7, "log": "one\ntwo\n"}

    def test_execute(self, vast, ask):
        made = {"success": True, "result_url": f"{vast.url}/results/7", "writeable_path": ""}
        vast.on("PUT /api/v0/instances/command/7/", made)
        assert ask("execute", "7", "ls", "-l", "/root").stdout == "one\ntwo\n"
        assert vast.calls("PUT *")[0].body == {"command": "ls -l /root"}

    def test_what_is_not_allowed_is_told(self, vast, ask):
        said = {"success": False, "msg": "Execute command only avail on stopped instances."}
        vast.on("PUT /api/v0/instances/command/7/", Told(said, 400))
        result = ask("execute", "7", "ls")
        assert result.exit_code == 1
        assert "only avail on stopped" in result.stderr


class TestBalance:
    @pytest.fixture(autouse=True)
    def user(self, vast):
        vast.on("GET /api/v0/users/current", {"id": 5, "credit": 10.0, "api_key": "k"})

    def test_how_long_it_lasts(self, vast, ask):
        rate = {
            "gpu_cost_per_hour": 0.4,
            "container_storage_cost_per_hour": 0.1,
            "volume_storage_cost_per_hour": 0.0,
        }
        vast.on("GET /api/v0/users/spend-rate/", rate)
        credit, spending, lasts = ask("balance").stdout.splitlines()
        assert credit.split()[1] == "10.00"
        assert spending.split()[1] == "0.5000"
        assert lasts.split()[1:] == ["20.0", "hours"]
        document = json.loads(ask("balance", "--json").stdout)
        assert (document["credit_usd"], document["runway_hours"]) == (10.0, 20.0)

    def test_nothing_spent_is_not_unknown(self, vast, ask):
        rate = dict.fromkeys(
            (
                "gpu_cost_per_hour",
                "container_storage_cost_per_hour",
                "volume_storage_cost_per_hour",
            ),
            0.0,
        )
        vast.on("GET /api/v0/users/spend-rate/", rate, rate, {})
        assert "for ever" in ask("balance").stdout
        idle = json.loads(ask("balance", "--json").stdout)
        assert (idle["spending"], idle["runway_hours"], idle["usd_per_hour"]) == (False, None, 0.0)
        unknown = json.loads(ask("balance", "--json").stdout)
        assert (unknown["spending"], unknown["usd_per_hour"]) == (None, None)
        assert "lasts     unknown" in ask("balance").stdout
