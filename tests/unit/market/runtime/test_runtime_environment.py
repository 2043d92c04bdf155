"""What an instance finds in its environment, and which ports its row shows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from vast_pyworker.market.runtime import Box
from vast_pyworker.market.runtime.environment import environment_of, seen_ports

FOLDER = Path("/instances/1")


def environment(env: Mapping[str, str], given: Mapping[tuple[int, str], int]) -> dict[str, str]:
    ours = {"PATH": "/ours", "LANG": "de_DE.UTF-8", "VAST_API_KEY": "ours"}
    return environment_of(Box(1, "", env, tuple(given)), given, ours, FOLDER, "mark")


def test_the_users_variables_win_over_the_images_and_vasts_over_the_users() -> None:
    found = environment({"PATH": "/theirs", "HOME": "/root", "CONTAINER_ID": "9"}, {})
    assert (found["PATH"], found["HOME"], found["CONTAINER_ID"]) == ("/theirs", "/root", "1")
    assert found["LANG"] == "de_DE.UTF-8"
    assert "VAST_API_KEY" not in found


def test_what_is_no_name_of_a_variable_is_left_out() -> None:
    users = {"-p 80:80": "1", "-h": "x", "": "v", "A B": "1", "'A": "1", "GOOD_1": "1"}
    assert set(environment(users, {})) - set(environment({}, {})) == {"GOOD_1"}


def test_the_worker_listens_where_port_3000_is_mapped() -> None:
    found = environment({}, {(3000, "tcp"): 21000})
    assert found["WORKER_PORT"] == "21000"
    assert found["VAST_TCP_PORT_3000"] == found["VAST_TCP_PORT_21000"] == "21000"


def test_the_worker_listens_where_the_port_that_the_user_names_is_mapped() -> None:
    found = environment({"WORKER_PORT": "8000"}, {(3000, "tcp"): 21000, (8000, "tcp"): 21001})
    assert found["WORKER_PORT"] == "21001"


def test_without_a_mapping_the_workers_port_is_the_users() -> None:
    assert "WORKER_PORT" not in environment({}, {(3000, "udp"): 21000})
    assert environment({"WORKER_PORT": "8000"}, {})["WORKER_PORT"] == "8000"
    assert environment({"WORKER_PORT": "odd"}, {(3000, "tcp"): 1})["WORKER_PORT"] == "odd"


def test_identity_ports_have_one_number_on_both_sides() -> None:
    given = {(70000, "tcp"): 21000, (70001, "udp"): 21001, (22, "tcp"): 21002}
    assert seen_ports(given) == {(21000, "tcp"): 21000, (21001, "udp"): 21001, (22, "tcp"): 21002}
    found = environment({}, given)
    assert found["VAST_TCP_PORT_70000"] == found["VAST_TCP_PORT_21000"] == "21000"
    assert found["VAST_UDP_PORT_70001"] == found["VAST_UDP_PORT_21001"] == "21001"
    assert found["VAST_TCP_PORT_22"] == "21002"
