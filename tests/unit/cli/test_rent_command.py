"""rent: what it asks for, what it costs, and that nothing rented is ever unknown to the user."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time

import pytest
from fake_rentals import CREATE, FIRST_ID, Rentals
from vast_rows import instance, offer

from vast_pyworker.vastai.fake_vast import Told

GONE = Told({"success": False, "error": "no_such_ask", "msg": "No ask by id is available."}, 404)
NO_CREDIT = Told({"success": False, "error": "missing_billing", "msg": "You lack credit."}, 400)
QUICK = ("--settle-s", "0")


@pytest.fixture
def rentals(vast) -> Rentals:
    return Rentals(vast)


@pytest.fixture
def rent(ask, rentals):
    def rented(*arguments, image=("--image", "img"), **environ):
        return ask("rent", *arguments, *image, *QUICK, **environ)

    return rented


def told_of(result) -> set[int]:
    """Every number of an instance in what a user got to read."""
    return {int(each) for each in re.findall(r"\b\d{4}\b", result.output)}


def bodies(vast) -> list[dict]:
    return [asked.body for asked in vast.calls("PUT /api/v0/asks/*")]


class TestWhatIsAsked:
    def test_an_offer_by_its_number(self, vast, rent):
        result = rent("102", "--disk", "20")
        assert result.exit_code == 0
        search, create, _ = vast.asked
        assert search.body["id"] == {"in": [102]}
        assert search.body["allocated_storage"] == 20.0
        assert create.path == "/api/v0/asks/102/"
        assert (create.body["image"], create.body["disk"]) == ("img", 20.0)
        assert create.body["runtype"] == "ssh"
        assert create.body["price"] is None
        assert re.fullmatch(r"pyworker/[0-9a-f-]{36}", create.body["label"])

    def test_the_cheapest_of_a_query(self, vast, rent):
        assert rent("gpu_name=RTX_4090", "--max-price", "0.36", "--count", "2").exit_code == 0
        search = vast.asked[0].body
        assert search["order"] == [["dph_total", "asc"]]
        assert search["dph_total"] == {"lte": 0.36}
        assert search["rentable"] == {"eq": True}
        assert [asked.path for asked in vast.calls("PUT *")] == [
            "/api/v0/asks/101/",
            "/api/v0/asks/102/",
        ]

    def test_env_ports_and_script(self, vast, rent, tmp_path):
        (tmp_path / "on.sh").write_text("echo hi\n")
        rent("101", "--env", "A=1=2", "--env", "MINE", "--env", "-e B=2 -p 22:22", "--ports",
             "8080,5000/udp", "--ports", "80:8080", "--onstart", tmp_path / "on.sh",
             MINE="from here")  # fmt: skip
        (body,) = bodies(vast)
        assert body["onstart"] == "echo hi\n"
        assert body["env"] == {
            "A": "1=2",
            "MINE": "from here",
            "B": "2",
            "-p 22:22": "1",
            "-p 8080:8080": "1",
            "-p 5000:5000/udp": "1",
            "-p 80:8080": "1",
        }

    def test_a_bid(self, vast, rent):
        assert rent("101", "--price", "0.25", "--label", "mine").exit_code == 0
        assert vast.asked[0].body["type"] == "bid"
        (body,) = bodies(vast)
        assert (body["price"], body["label"]) == (0.25, "mine")

    def test_a_template_has_its_own_runtype(self, vast, rent):
        assert rent("101", image=("--template", "h1")).exit_code == 0
        (body,) = bodies(vast)
        assert body["template_hash_id"] == "h1"
        assert "runtype" not in body
        assert "image" not in body

    @pytest.mark.parametrize(
        ("flags", "runtype", "args"),
        [
            (["--ssh", "--direct"], "ssh_direc ssh_proxy", None),
            (["--jupyter"], "jupyter_proxy ssh_proxy", None),
            (["--args", "serve 'a b'"], "args", ["serve", "a b"]),
        ],
    )
    def test_how_it_is_run(self, flags, runtype, args, vast, rent):
        assert rent("101", *flags).exit_code == 0
        (body,) = bodies(vast)
        assert (body["runtype"], body.get("args")) == (runtype, args)

    @pytest.mark.parametrize(
        "arguments",
        [
            ["101", "num_gpus=1"],
            ["101", "--count", "2"],
            ["101", "--env", "=x"],
            ["101", "--env", "NOT_SET_ANYWHERE"],
            ["101", "--env", "-e A"],
            ["101", "--env", "--gpus all"],
            ["101", "--ports", "http"],
            ["101", "--ports", "0"],
            ["101", "--ports", "80:80/icmp"],
            ["101", "--onstart", "/nonexistent"],
            ["101", "--onstart", "/nonexistent", "--onstart-cmd", "x"],
            ["101", "--onstart-cmd", "x" * 4049],
            ["101", "--jupyter", "--args", "x"],
            ["101", "--args", "'"],
            ["101", "--price", "0"],
            ["101", "--disk", "0"],
            ["101", "--count", "0"],
            ["a=="],
            [],
        ],
    )
    def test_what_cannot_be_is_refused_and_nothing_is_sent(self, arguments, vast, rent):
        result = rent(*arguments)
        assert (result.exit_code, result.stdout) == (2, "")
        assert vast.asked == []

    def test_nothing_to_run_is_refused(self, vast, rent):
        assert rent("101", image=()).exit_code == 2
        assert vast.asked == []


class TestWhatItCosts:
    def test_a_dry_run_rents_nothing(self, vast, rent):
        result = rent("num_gpus=1", "--count", "2", "--dry-run")
        assert result.exit_code == 0
        assert "2 instances would cost 0.7100 $/h, disk included. Nothing was rented." in (
            result.stdout
        )
        assert [asked.method for asked in vast.asked] == ["POST"]

    def test_and_tells_it_in_json(self, vast, rent):
        plan = json.loads(rent("num_gpus=1", "--dry-run", "--json").stdout)
        assert [each["offer_id"] for each in plan["would_rent"]] == [101]
        assert (plan["dry_run"], plan["usd_per_hour"], plan["disk_gb"]) == (True, 0.35, 10.0)

    def test_a_bid_costs_what_is_bid_and_the_disk(self, rent):
        plan = json.loads(rent("101", "--price", "0.25", "--dry-run", "--json").stdout)
        assert plan["usd_per_hour"] == pytest.approx(0.26)

    def test_a_price_that_is_unknown_is_not_guessed(self, rentals, rent):
        rentals.offers = [offer(101, dph_total=None)]
        plan = json.loads(rent("101", "--dry-run", "--json").stdout)
        assert plan["usd_per_hour"] is None
        assert rent("num_gpus=1", "--max-price", "9").exit_code == 1

    @pytest.mark.parametrize(
        ("options", "why"),
        [
            (["--max-price", "0.3"], "costs 0.3500 $/h"),
            (["--disk", "500"], "200 GB of disk"),
            (["--price", "0.1"], "no bid below 0.2"),
        ],
    )
    def test_an_offer_that_does_not_fit_is_not_rented(self, options, why, vast, rent):
        for query in ("101", "num_gpus=1"):
            result = rent(query, *options)
            assert result.exit_code == 1
            assert (why in result.stderr) == (query == "101")
        assert vast.calls("PUT *") == []

    def test_an_offer_that_is_not_there_is_told(self, vast, rent):
        result = rent("999")
        assert result.exit_code == 1
        assert "no offer 999" in result.stderr
        assert vast.calls("PUT *") == []

    def test_what_turns_out_dearer_than_allowed_is_destroyed(self, rentals, rent):
        rentals.fields = {"dph_total": 0.5}
        result = rent("num_gpus=1", "--max-price", "0.4")
        assert result.exit_code == 1
        assert "0.5000 $/h, above the 0.4000 allowed" in result.stderr
        assert rentals.rows == {}

    def test_what_turns_out_dearer_than_offered_is_told(self, rentals, rent):
        rentals.fields = {"dph_total": 0.5, "disk_space": 5.0}
        result = rent("101", "--json")
        assert result.exit_code == 0
        assert "costs 0.5000 $/h, and 0.3500 were offered" in result.stderr
        assert "5 GB of disk, and 10 were asked for" in result.stderr
        (rented,) = json.loads(result.stdout)["rented"]
        assert (rented["usd_per_hour"], rented["disk_gb"]) == (0.5, 5.0)

    def test_a_price_that_cannot_be_read_is_told(self, vast, rentals, rent):
        vast.on("GET /api/v0/instances/*/", Told({"msg": "no"}, 400))
        result = rent("101")
        assert result.exit_code == 0
        assert "price could not be read" in result.stderr
        assert told_of(result) >= {FIRST_ID}


class TestWhatGoesWrong:
    def test_the_label_is_told_before_anything_is_rented(self, rentals, rent):
        result = rent("101")
        label = rentals.rows[FIRST_ID]["label"]
        assert result.stderr.splitlines()[0] == f"Renting offer 101 under the label {label}"

    def test_one_that_is_taken_is_followed_by_the_next(self, vast, rentals, rent):
        vast.on(CREATE.format(101), GONE)
        result = rent("num_gpus=1", "--json")
        assert result.exit_code == 0
        document = json.loads(result.stdout)
        assert [each["offer_id"] for each in document["rented"]] == [102]
        assert [each["offer_id"] for each in document["passed"]] == [101]

    def test_when_all_are_taken_nothing_is_rented(self, vast, rent):
        vast.on("PUT /api/v0/asks/*/", GONE)
        result = rent("num_gpus=1")
        assert (result.exit_code, result.stdout) == (1, "")
        assert result.stderr.splitlines()[-1] == "Error: Rented 0 of 1: no offer is left."

    def test_a_part_exits_with_3(self, vast, rentals, rent):
        vast.on("PUT /api/v0/asks/*/", rentals.create, NO_CREDIT)
        result = rent("num_gpus=1", "--count", "3")
        assert result.exit_code == 3
        assert "Rented 1 of 3" in result.stderr
        assert "lack credit" in result.stderr
        assert told_of(result) >= set(rentals.rows)
        assert len(vast.calls("PUT *")) == 2

    def test_no_credit_at_all_exits_with_1(self, vast, rent):
        vast.on("PUT /api/v0/asks/*/", NO_CREDIT)
        result = rent("num_gpus=1", "--count", "3")
        assert result.exit_code == 1
        assert len(vast.calls("PUT *")) == 1

    def test_what_does_not_start_is_destroyed_and_another_is_rented(self, vast, rentals, rent):
        vast.on(CREATE.format(101), rentals.create_stopped)
        result = rent("num_gpus=1")
        assert result.exit_code == 0
        assert set(rentals.rows) == {FIRST_ID + 1}
        assert f"did not start, so instance {FIRST_ID} was destroyed" in result.stderr

    def test_or_kept_where_that_is_wanted(self, vast, rentals, rent):
        vast.on(CREATE.format(101), rentals.create_stopped)
        result = rent("101", "--keep-stopped")
        assert result.exit_code == 0
        assert set(rentals.rows) == {FIRST_ID}
        assert f"Instance {FIRST_ID}: it stands still." in result.stderr

    def test_what_cannot_be_destroyed_is_named(self, vast, rentals, rent):
        vast.on(CREATE.format(101), rentals.create_stopped)
        vast.on("DELETE *", Told({"msg": "Not now."}, 400))
        result = rent("101")
        assert result.exit_code == 3
        assert f"vast-pyworker destroy {FIRST_ID}" in result.stderr

    @pytest.mark.parametrize("label", [[], ["--label", "mine"]])
    def test_a_lost_answer_is_settled_by_the_label(self, label, vast, rentals, rent):
        rentals.rows[5555] = instance(5555, label="mine")
        vast.on(CREATE.format(101), rentals.create_and_break)
        result = rent("101", "--json", *label)
        assert result.exit_code == 0
        (rented,) = json.loads(result.stdout)["rented"]
        assert (rented["instance_id"], rented["usd_per_hour"]) == (FIRST_ID, 0.35)
        assert len(vast.calls("PUT *")) == 1

    def test_a_lost_answer_without_an_effect_is_followed_by_the_next(self, vast, rentals, rent):
        vast.on(CREATE.format(101), Told({}, 502))
        result = rent("num_gpus=1")
        assert result.exit_code == 0
        assert "nothing was made" in result.stderr
        assert told_of(result) >= set(rentals.rows)

    def test_what_a_lost_call_left_standing_is_destroyed(self, vast, rentals, rent):
        vast.on(CREATE.format(101), rentals.create_stopped_and_break)
        result = rent("101")
        assert (result.exit_code, rentals.rows) == (1, {})

    def test_but_not_under_a_label_that_may_be_anothers(self, vast, rentals, rent):
        vast.on(CREATE.format(101), rentals.create_stopped_and_break)
        result = rent("101", "--label", "mine")
        assert result.exit_code == 3
        assert set(rentals.rows) == {FIRST_ID}
        assert f"vast-pyworker destroy {FIRST_ID}" in result.stderr

    def test_one_more_than_wanted_is_destroyed(self, vast, rentals, rent):
        vast.on(CREATE.format(101), rentals.create_two_and_break)
        result = rent("101", "--json")
        (rented,) = json.loads(result.stdout)["rented"]
        assert set(rentals.rows) == {rented["instance_id"]}

    def test_what_nobody_can_settle_is_told_with_its_label(self, vast, rentals, rent):
        vast.on(CREATE.format(101), rentals.create_and_break)
        vast.on("GET /api/v1/instances/", Told({}, 503))
        result = rent("num_gpus=1", "--count", "2", "--timeout", "0.01", "--json")
        (unsettled,) = json.loads(result.stdout)["unsettled"]
        assert unsettled["label"] == rentals.rows[FIRST_ID]["label"]
        assert f"vast-pyworker instances --label {unsettled['label']}" in result.stderr
        assert result.exit_code != 0
        assert len(vast.calls("PUT *")) == 1

    def test_an_interrupt_tells_what_is_rented(self, vast, rentals, tmp_path):
        """The second creation has happened and its answer does not come."""

        def slow(asked):
            made = rentals.create(asked)
            process.send_signal(signal.SIGINT)
            until = time.monotonic() + 30
            while not vast.calls("GET /api/v1/*") and time.monotonic() < until:
                time.sleep(0.01)
            return made

        vast.on("PUT /api/v0/asks/*/", rentals.create, slow)
        command = [sys.executable, "-m", "vast_pyworker.cli", "rent", "num_gpus=1", "--count", "3"]
        environ = {"HOME": str(tmp_path), "VAST_API_KEY": "k", "VAST_URL": vast.url, "PATH": ""}
        process = subprocess.Popen(
            [*command, "--image", "img", "--no-pacing", "--json"],
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        out, err = process.communicate(timeout=60)
        rented = {each["instance_id"] for each in json.loads(out)["rented"]}
        assert rented == set(rentals.rows) == {FIRST_ID, FIRST_ID + 1}
        assert process.returncode == 3
        assert "Interrupted" in err
        assert "Traceback" not in err

    def test_keys_of_instances_are_not_printed(self, rent):
        assert "of-the-instance" not in rent("101").output
        assert "of-the-instance" not in rent("101", "--json").output
