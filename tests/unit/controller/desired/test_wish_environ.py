"""Variables of magister's over groups.toml."""

from __future__ import annotations

from copy import deepcopy

import pytest
from desired_support import GOOD, faults, only_fault

from vast_pyworker.controller.desired.environ import overridden
from vast_pyworker.controller.desired.faults import Faults
from vast_pyworker.controller.desired.reading import parse_wishes
from vast_pyworker.controller.desired.toml_file import parse_toml
from vast_pyworker.model import Group, Preferences

SECOND = GOOD.partition("8.0\n")[2].replace("group.llm", "group.other")
TWO = GOOD + SECOND


def group_under(environ: dict[str, str], text: str = GOOD, name: str = "llm") -> Group:
    return parse_wishes(text, environ).groups[name]


def test_a_number_of_instances_is_least_and_most() -> None:
    group = group_under({"NUMBER_INSTANCES": "3"})
    assert (group.min_instances, group.max_instances) == (3, 3)


def test_a_template_takes_the_place_of_an_image() -> None:
    launch = group_under({"TEMPLATE_HASH": "abc"}).launch
    assert (launch.template_hash, launch.image, launch.onstart) == ("abc", None, None)


def test_lists_of_hosts_and_machines_are_joined_by_commas() -> None:
    environ = {"BAD_HOSTS": "1, 2", "BAD_MACHINES": "3", "GOOD_HOSTS": "4,", "GOOD_MACHINES": "5"}
    assert group_under(environ).preferences == Preferences(
        frozenset({1, 2}), frozenset({3}), frozenset({4}), frozenset({5})
    )


@pytest.mark.parametrize(
    ("variable", "value", "query"),
    [
        ("VAST_QUERY_GPU_NAME", "RTX 4090", "num_gpus=1 gpu_ram>=24 gpu_name=RTX_4090"),
        ("VAST_QUERY_GPU_RAM", "48", "num_gpus=1 gpu_ram>=48"),
        ("VAST_QUERY_RELIABILITY", "0.99", "num_gpus=1 gpu_ram>=24 reliability>=0.99"),
        ("VAST_QUERY_MIN_CUDA_VERSION", "12.8", "num_gpus=1 gpu_ram>=24 cuda_max_good>=12.8"),
        ("VAST_QUERY_DURATION", "192679", "num_gpus=1 gpu_ram>=24 duration>=2.23"),
        ("VAST_QUERY_DURATION", "48", "num_gpus=1 gpu_ram>=24"),  # seconds: it asks for nothing
        ("VAST_QUERY_DISK_SPACE", "100", "num_gpus=1 gpu_ram>=24 disk_space>=100"),
    ],
)
def test_a_part_of_the_query_takes_the_place_of_what_was_said_of_its_field(
    variable: str, value: str, query: str
) -> None:
    assert group_under({variable: value}).query == query


def test_price_disk_and_deadline() -> None:
    group = group_under(
        {
            "VAST_QUERY_COST_PER_HOUR": "0.4",
            "VAST_QUERY_DISK_SPACE": "100",
            "CONTEMPLANT_VERIFICATION_TIMEOUT_SECS": "240",
        }
    )
    assert (group.max_usd_per_hour, group.launch.disk_gb) == (0.4, 100.0)
    assert group.deadlines.joining_s == 240.0


def test_what_is_the_contemplants_goes_into_its_environment() -> None:
    group = group_under(
        {
            "HIEROPHANT_IP": "10.0.0.1",
            "HIEROPHANT_HTTP_PORT": "9010",
            "CONTEMPLANT_NAME": "alice",
            "CONTEMPLANT_PROVER_TYPE": "cuda",
        }
    )
    assert group.launch.env == {
        "HIEROPHANT_WS_ADDRESS": "ws://10.0.0.1:9010/ws",
        "CONTEMPLANT_NAME": "alice",
        "PROVER_TYPE": "cuda",
        "-p 3000:3000": "1",
    }


def test_an_empty_variable_is_none_and_others_do_not_matter() -> None:
    plain = parse_wishes(GOOD, {})
    assert parse_wishes(GOOD, {"NUMBER_INSTANCES": " ", "HTTP_PORT": "x", "PATH": "/"}) == plain
    assert parse_wishes(GOOD, {"PYWORKER_GROUP": "llm"}) == plain


def test_of_several_groups_one_has_to_be_named() -> None:
    assert only_fault(TWO, {"NUMBER_INSTANCES": "2"}) == (
        "NUMBER_INSTANCES: the file has 2 groups; name one in PYWORKER_GROUP, or unset this."
    )
    environ = {"NUMBER_INSTANCES": "2", "PYWORKER_GROUP": "other"}
    assert group_under(environ, TWO, "other").min_instances == 2
    assert group_under(environ, TWO, "llm").min_instances == 1
    assert "PYWORKER_GROUP" in only_fault('fleet="f"\nlimits={instances=1,usd_per_hour=1}',
                                          {"TEMPLATE_HASH": "x"})  # fmt: skip


def test_a_group_that_is_not_there_is_named_with_the_nearest() -> None:
    fault = only_fault(GOOD, {"PYWORKER_GROUP": "lmm"})
    assert fault.startswith('PYWORKER_GROUP: "lmm": there is no such group; do you mean llm?')


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"NUMBER_INSTANCES": "many"}, 'NUMBER_INSTANCES: group.llm.min_instances: "many" is no'),
        ({"NUMBER_INSTANCES": "20"}, "limits.instances: 10 is less than"),
        ({"VAST_QUERY_COST_PER_HOUR": "cheap"}, "VAST_QUERY_COST_PER_HOUR: group.llm.max_usd_per_"),
        ({"VAST_QUERY_GPU_RAM": "lots"}, 'VAST_QUERY_GPU_RAM: "lots" is no number from 0 up'),
        ({"VAST_QUERY_GPU_NAME": '"'}, "VAST_QUERY_GPU_NAME: "),
        (
            {"GOOD_HOSTS": "1,x"},
            'GOOD_HOSTS: group.llm.preferences.good_hosts: [1, "x"] is no list',
        ),
        ({"HIEROPHANT_IP": "x"}, "HIEROPHANT_IP: this is of no use alone; give both"),
        (
            {"TEMPLATE_HASH": "a b"},
            'TEMPLATE_HASH: group.llm.launch.template_hash: "a b" is no word',
        ),
    ],
)
def test_a_wrong_variable_is_named(environ: dict[str, str], said: str) -> None:
    found = faults(GOOD, environ)
    assert found
    assert said in found[0]


def test_a_fault_of_the_file_stays_the_files() -> None:
    text = GOOD.replace("gpu_ram>=24", "gpu_rom>=24").replace("backend", "back_end")
    environ = {"VAST_QUERY_GPU_NAME": "X", "NUMBER_INSTANCES": "2"}
    assert all(each.startswith("groups.toml:") for each in faults(text, environ))
    broken = GOOD.replace('"num_gpus=1 gpu_ram>=24"', '"num_gpus"')
    assert only_fault(broken, environ).startswith("groups.toml:8: group.llm.query:")


def test_the_data_of_the_file_is_left_as_it_is() -> None:
    file = parse_toml(GOOD, "groups.toml")
    before = deepcopy(file.data)
    overridden(file.data, {"NUMBER_INSTANCES": "2", "BAD_HOSTS": "1"}, Faults(file))
    assert file.data == before


@pytest.mark.parametrize("text", ["group = 3", "group.llm = 3", "[group.llm]\nlaunch = 3", ""])
def test_a_file_of_another_shape_is_refused_and_not_stumbled_over(text: str) -> None:
    assert faults(text, {"NUMBER_INSTANCES": "2", "TEMPLATE_HASH": "x", "CONTEMPLANT_NAME": "a"})
