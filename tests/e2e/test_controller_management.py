"""The official SDK and command line manage endpoints and groups of a controller, at its one port.

There are no workers here: what is made, changed, listed and deleted is the controller's own.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fleet_support import Fleet, Group, running_fleet

pytest.importorskip("vastai", reason="the official client is not installed: vastai==1.9.1")
pytestmark = pytest.mark.official
LIMIT_S = 30.0


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    keys = {"min_instances": 0, "max_instances": 2, "policy": "vast"}
    none = Group("none", keys=keys, tables={"policy_options": {"cold_workers": 0}})
    with running_fleet(tmp_path_factory.mktemp("management"), none) as fleet:
        yield fleet


@pytest.fixture
def sdk(fleet: Fleet) -> Any:
    from vastai import VastAI

    return VastAI(api_key=fleet.controller.admin_key, server_url=fleet.controller.url)


@pytest.fixture
def number(fleet: Fleet) -> int:
    """Of the endpoint that groups.toml has."""
    rows = fleet.controller.get("/api/v0/endptjobs/")["results"]
    return int(next(each["id"] for each in rows if each["endpoint_name"] == "none"))


def test_an_endpoint_and_its_group_from_their_making_to_their_end(sdk: Any) -> None:
    endpoint = sdk.create_endpoint(endpoint_name="made", max_workers=2, cold_workers=0)["result"]
    sdk.update_endpoint(endpoint, target_util=0.5, min_load=0.0)
    shown = {each["endpoint_name"]: each for each in sdk.show_endpoints()}
    assert shown["made"]["id"] == endpoint and shown["made"]["target_util"] == 0.5
    assert shown["made"]["max_workers"] == 2

    made = sdk.create_workergroup(
        endpoint_name="made",
        launch_args="--image pyworker/local --disk 10",
        search_params="gpu_ram>=8 num_gpus=1",
    )
    group = made["id"]
    sdk.update_workergroup(group, gpu_ram=24, search_params="gpu_ram>=16")
    rows = {each["id"]: each for each in sdk.show_workergroups()}
    assert rows[group]["endpoint_name"] == "made"
    assert "16" in str(rows[group]["search_params"]), rows[group]
    assert sdk.get_endpoint_workers(endpoint) == []
    assert set(sdk.get_endpt_logs(endpoint)) >= {"info0", "info1"}
    assert set(sdk.get_wrkgrp_logs(group)) >= {"info0", "info1"}
    sdk.update_workers(group)
    sdk.update_workers(group, cancel=True)
    sdk.delete_workergroup(group)
    sdk.delete_endpoint(endpoint)
    assert "made" not in {each["endpoint_name"] for each in sdk.show_endpoints()}


def test_the_command_line_reads_and_changes_the_same(fleet: Fleet, number: int) -> None:
    assert "none" in vastai(fleet, "show", "endpoints")
    assert vastai(fleet, "get", "endpt-workers", str(number)).strip() == "No workers found."
    assert "no load" in vastai(fleet, "get", "endpt-logs", str(number))
    vastai(fleet, "update", "endpoint", str(number), "--max_workers", "1")
    shown = fleet.controller.get(f"/api/v0/endptjobs/{number}/")["result"]
    assert shown["max_workers"] == 1
    bounds = fleet.controller.get("/groups/none")["bounds"]
    assert (bounds["min_instances"], bounds["max_instances"]) == (0, 1)


def test_a_key_that_may_only_read_changes_nothing(fleet: Fleet, number: int) -> None:
    made = fleet.controller.post("/keys", {"name": "reader", "right": "read"})["key"]
    refused = vastai(fleet, "delete", "endpoint", str(number), key=made, code=None)
    assert "403" in refused or "read" in refused
    assert "none" in vastai(fleet, "show", "endpoints", key=made)
    assert "none" in {each["name"] for each in fleet.controller.get("/groups")["groups"]}


def vastai(fleet: Fleet, *words: str, key: str = "", code: int | None = 0) -> str:
    """What the command line says."""
    own = fleet.controller
    at = ("--url", own.url, "--api-key", key or own.admin_key)
    environ = {"PATH": os.environ["PATH"], "HOME": str(own.folder), "LANG": "C.UTF-8"}
    program = Path(sys.executable).with_name("vastai")
    done = subprocess.run(
        [str(program), *words, *at],
        env=environ, capture_output=True, text=True, timeout=LIMIT_S, check=False,
    )  # fmt: skip
    assert code in (None, done.returncode), f"{done.stdout}{done.stderr}"
    return done.stdout + done.stderr
