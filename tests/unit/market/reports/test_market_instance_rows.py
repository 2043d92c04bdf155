"""Every field of an instance row, and its type, in every state of its life."""

from __future__ import annotations

import json
from typing import Any

import pytest
from small_market import Rig

TEXT, WHOLE, NUMBER, FLAG = (str,), (int,), (int, float), (bool,)
NONE = type(None)
FIELDS: dict[str, tuple[type, ...]] = {
    "id": WHOLE, "machine_id": WHOLE, "host_id": WHOLE, "bundle_id": WHOLE,
    "label": (str, NONE), "template_id": (int, NONE), "template_hash_id": (str, NONE),
    "template_name": (str, NONE), "image_uuid": TEXT, "image_args": (list,),
    "image_runtype": TEXT, "extra_env": (list,), "onstart": (str, NONE),
    "jupyter_token": (str, NONE), "actual_status": (str, NONE), "intended_status": TEXT,
    "cur_state": TEXT, "next_state": TEXT, "status_msg": (str, NONE), "ssh_host": TEXT,
    "ssh_port": WHOLE, "ssh_idx": TEXT, "public_ipaddr": TEXT, "local_ipaddrs": TEXT,
    "ports": (dict, NONE), "direct_port_count": WHOLE, "direct_port_start": WHOLE,
    "direct_port_end": WHOLE, "machine_dir_ssh_port": WHOLE, "static_ip": FLAG,
    "gpu_name": TEXT, "num_gpus": WHOLE, "gpu_frac": NUMBER, "gpu_ram": NUMBER,
    "gpu_totalram": NUMBER, "gpu_mem_bw": NUMBER, "gpu_lanes": WHOLE, "gpu_arch": TEXT,
    "bw_nvlink": NUMBER, "cpu_name": TEXT, "cpu_arch": TEXT, "cpu_cores": WHOLE,
    "cpu_cores_effective": (float,), "cpu_ram": NUMBER, "disk_name": TEXT, "disk_space": NUMBER,
    "disk_bw": NUMBER, "mobo_name": TEXT, "pci_gen": NUMBER, "pcie_bw": NUMBER,
    "cuda_max_good": NUMBER, "driver_version": TEXT, "os_version": TEXT, "inet_up": NUMBER,
    "inet_down": NUMBER, "geolocation": TEXT, "country_code": TEXT, "verification": TEXT,
    "reliability2": (float,), "dlperf": NUMBER, "score": NUMBER, "total_flops": NUMBER,
    "gpu_util": (float, NONE), "gpu_temp": (float, NONE), "cpu_util": (float, NONE),
    "mem_usage": (float, NONE), "mem_limit": (float, NONE), "vmem_usage": (float, NONE),
    "disk_usage": (float,), "disk_util": (float,), "uptime_mins": (float, NONE),
    "start_date": (float,), "end_date": (float,), "duration": (float,),
    "time_remaining": TEXT, "time_remaining_isbid": TEXT, "client_run_time": (float,),
    "host_run_time": (float,), "is_bid": FLAG, "min_bid": NUMBER, "dph_base": NUMBER,
    "dph_total": NUMBER, "storage_cost": NUMBER, "storage_total_cost": NUMBER,
    "inet_up_cost": NUMBER, "inet_down_cost": NUMBER, "credit_balance": NUMBER,
    "credit_discount": NUMBER, "credit_discount_max": NUMBER, "search": (dict,),
    "instance": (dict,), "rentable": FLAG, "external": WHOLE, "webpage": (str, NONE),
    "logo": (str, NONE), "volume_info": (list,), "rn": WHOLE, "dlperf_per_dphtotal": NUMBER,
    "vram_costperhour": NUMBER,
}  # fmt: skip


def check(row: dict[str, Any]) -> None:
    wrong = {name: row.get(name, "missing") for name, types in FIELDS.items()
             if name not in row or type(row[name]) not in types}  # fmt: skip
    assert wrong == {}
    assert json.loads(json.dumps(row, allow_nan=False)) == row
    assert row["dph_total"] == row["dph_base"] + row["storage_cost"] * row["disk_space"] / 720
    assert row["dlperf_per_dphtotal"] == pytest.approx(row["dlperf"] / row["dph_total"])
    assert row["vram_costperhour"] == pytest.approx(row["dph_total"] / row["gpu_totalram"])
    assert (row["ports"] is None) == (row["actual_status"] != "running")
    assert all(len(pair) == 2 for pair in row["extra_env"])


def test_every_field_is_there_in_every_state() -> None:
    rig = Rig()
    number = rig.create(env={"A": "1", "-p 80:80": "1"}, label="x")
    seen = set()
    for what in ("", "", "reboot", "stop", "start", "exited", "offline", "", "expired"):
        if what in ("stop", "start"):
            state = {"stop": "stopped", "start": "running"}[what]
            rig.market.set_state(rig.account, number, state)
        elif what == "reboot":
            rig.market.reboot(rig.account, number)
        elif what:
            rig.market.strike(what, number)
        check(rig.row(number))
        for _ in range(40):
            rig.market.advance(3)
            row = rig.row(number)
            check(row)
            seen.add(row["actual_status"])
    assert seen >= {None, "loading", "running", "rebooting", "exited", "unknown", "offline"}


def test_the_gpus_report_only_while_it_has_run_for_a_while() -> None:
    rig = Rig(median_s=0)
    number = rig.create()
    row = rig.row(number)
    assert (row["actual_status"], row["gpu_util"], row["disk_usage"]) == ("running", None, -1.0)
    rig.market.advance(60)
    row = rig.row(number)
    assert 0 <= row["gpu_util"] <= 100
    assert 0 <= row["disk_util"] <= 1
    assert row["uptime_mins"] == pytest.approx(1.0)


def test_instances_are_reached_on_this_machine_and_nowhere_else() -> None:
    rig = Rig()
    row = rig.row(rig.running())
    assert row["public_ipaddr"].strip() == "127.0.0.1"
    assert row["ssh_host"].endswith(".localhost")


def test_times_are_of_the_contract() -> None:
    rig = Rig()
    number = rig.create()
    rig.market.advance(100)
    row = rig.row(number)
    assert rig.clock.now() - row["start_date"] == 100
    assert row["duration"] == row["end_date"] - rig.clock.now()
