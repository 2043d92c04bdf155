from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from vast_rig import row

from vast_pyworker.vastai.records import Address, Instance, Offer
from vast_pyworker.vastai.states import Phase

OFFER = {
    "id": 7,
    "gpu_name": " RTX 4090 ",
    "num_gpus": 2,
    "gpu_ram": 24564,
    "gpu_total_ram": 49128,
    "dph_base": 0.8,
    "dph_total": 0.85,
    "storage_cost": 0.36,
    "reliability": 0.99,
    "hosting_type": 1,
    "disk_space": 100.5,
    "inet_down": 900.0,
    "duration": 86400.0,
    "brand_new": {"x": 1},
}
STRANGE = [None, "", "x", -1, 1e400, True, [], {}, [[]], {"a": {}}, 10**400, "nan", b"\x00"]


def test_an_offer_is_read_with_its_units() -> None:
    offer = Offer.of(OFFER)
    assert offer is not None
    assert (offer.id, offer.gpu_name, offer.num_gpus) == (7, "RTX 4090", 2)
    assert (offer.gpu_ram_mb, offer.gpu_total_ram_mb) == (24564, 49128)
    assert (offer.reliability, offer.datacenter, offer.duration_s) == (0.99, True, 86400)
    assert offer.raw["brand_new"] == {"x": 1}


def test_an_offer_has_its_price_with_any_disk() -> None:
    offer = Offer.of(OFFER)
    assert offer is not None
    assert offer.usd_per_hour_with(100) == pytest.approx(0.8 + 0.36 * 100 / 720)
    assert Offer(1).usd_per_hour_with(100) is None


def test_an_offer_without_an_id_is_none_and_its_other_id_counts() -> None:
    assert Offer.of({"gpu_name": "x"}) is None
    assert Offer.of({"ask_contract_id": 9}) == Offer(9)


@pytest.mark.parametrize("strange", STRANGE, ids=repr)
def test_any_field_of_any_type_leaves_the_others_readable(strange: Any) -> None:
    for name in OFFER.keys() - {"id"}:
        offer = Offer.of({**OFFER, name: strange})
        assert offer is not None and offer.id == 7
    full = row(3, ports={"22/tcp": [{"HostPort": "40022"}]}, public_ipaddr="1.2.3.4", instance={})
    for name in full.keys() - {"id"}:
        instance = Instance.of({**full, name: strange}, 1000.0)
        assert instance is not None and instance.id == 3
        assert instance.state.phase in Phase
        assert instance.ssh_direct is None or instance.ssh_direct.port == 40022
        assert instance.usd_per_hour_now is None


@pytest.mark.parametrize("strange", ["x", -0.5, [], {}, True], ids=repr)
def test_what_is_no_number_is_unknown_and_never_zero(strange: Any) -> None:
    offer = Offer.of({**OFFER, "dph_total": strange})
    assert offer is not None and offer.usd_per_hour is None


def test_minus_one_is_unknown() -> None:
    instance = Instance.of(row(1, disk_usage=-1), 0)
    assert instance is not None and instance.disk_used_gb is None


def test_an_instance_keeps_the_two_ways_of_ssh_apart() -> None:
    instance = Instance.of(
        row(
            1,
            ssh_host="ssh5.vast.ai",
            ssh_port=12345,
            public_ipaddr="1.2.3.4  \n",
            ports={"22/tcp": [{"HostIp": "0.0.0.0", "HostPort": "40022"}], "80/tcp": None},
        ),
        1000.0,
    )
    assert instance is not None
    assert instance.ssh_proxy == Address("ssh5.vast.ai", 12345)
    assert instance.ssh_direct == Address("1.2.3.4", 40022)
    assert str(instance.ssh_direct) == "1.2.3.4:40022"
    assert instance.address(80) is None


def test_with_jupyter_the_proxy_is_one_port_higher() -> None:
    jupyter = row(1, ssh_host="h", ssh_port=5, image_runtype="jupyter_proxy ssh_proxy")
    instance = Instance.of(jupyter, 0)
    assert instance is not None and instance.ssh_proxy == Address("h", 6)


def test_an_instance_that_is_stopped_has_no_ports() -> None:
    instance = Instance.of(row(1, ports=None, public_ipaddr="1.2.3.4"), 0)
    assert instance is not None and instance.ssh_direct is None


def test_its_environment_is_read_from_pairs_and_kept_out_of_its_text() -> None:
    instance = Instance.of(row(1, extra_env=[["TOKEN", "secret"], ["x"], "y"]), 0)
    assert instance is not None
    assert instance.env == {"TOKEN": "secret"}
    assert "secret" not in repr(instance)


def test_the_state_is_of_when_it_was_read_and_knows_a_wish() -> None:
    stopped = {"intended_status": "stopped", "cur_state": "stopped", "next_state": "stopped"}
    instance = Instance.of(row(1, **stopped, actual_status="exited", is_bid=True), 1000.0)
    assert instance is not None
    assert instance.state.phase == Phase.STOPPED
    assert instance.state_for("running").phase == Phase.OUTBID
    assert str(instance.state).startswith("stopped (")


def test_an_end_of_zero_is_no_end() -> None:
    instance = Instance.of(row(1, end_date=0), 1000.0)
    assert instance is not None and instance.ends_at is None


def test_records_are_frozen_and_their_row_is_json() -> None:
    offer = Offer.of(OFFER)
    assert offer is not None
    with pytest.raises(dataclasses.FrozenInstanceError):
        offer.id = 8  # type: ignore[misc]
    assert json.loads(json.dumps(offer.raw)) == OFFER
