"""The columns that can be searched: offers by what they are, instances by what is stored.

A table only; what the operators mean is in ``filters``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

NUMBER, FLAG, TEXT, PLACE, VERSION = "number", "flag", "text", "place", "version"


@dataclass(frozen=True)
class Column:
    """``row`` is the key in the row and ``kind`` how it compares.

    ``factor`` multiplies the values of a query. ``true_at`` turns a number into a flag: the row
    is true where it holds that number.
    """

    row: str
    kind: str
    factor: float = 1.0
    true_at: int | None = None


Columns = Mapping[str, Column]

_NUMBERS = """
    id ask_contract_id machine_id host_id bundle_id bundled_results cluster_id
    avail_vol_ask_id avail_vol_dph avail_vol_size nw_disk_min_bw nw_disk_max_bw nw_disk_avg_bw
    num_gpus gpu_frac gpu_ram gpu_total_ram gpu_lanes gpu_mem_bw gpu_max_power gpu_max_temp
    compute_cap cuda_max_good bw_nvlink total_flops dlperf driver_vers
    cpu_cores cpu_cores_effective cpu_ghz cpu_ram has_avx pci_gen pcie_bw
    disk_space disk_bw inet_up inet_down inet_up_cost inet_down_cost direct_port_count geolocode
    hosting_type dph_base dph_total dph_total_adj discounted_dph_total discount_rate min_bid
    storage_cost storage_total_cost platform_fee credit_discount_max flops_per_dphtotal
    dlperf_per_dphtotal vram_costperhour vericode reliability reliability_mult
    expected_reliability score start_date end_date duration
"""
_FLAGS = """
    rentable rented is_bid external static_ip vms_enabled is_vm_deverified gpu_display_active
"""
_TEXTS = """
    gpu_name gpu_arch cpu_name cpu_arch mobo_name os_version disk_name hostname public_ipaddr
    verification resource_type country_code logo webpage
"""

OFFER_COLUMNS: Columns = {
    **{name: Column(name, NUMBER) for name in _NUMBERS.split()},
    **{name: Column(name, FLAG) for name in _FLAGS.split()},
    **{name: Column(name, TEXT) for name in _TEXTS.split()},
    "geolocation": Column("geolocation", PLACE),
    "verified": Column("vericode", FLAG, true_at=1),
    "datacenter": Column("hosting_type", FLAG, true_at=1),
    "driver_version": Column("driver_vers", VERSION),
    "allocated_storage": Column("disk_space", NUMBER),
    "target_reliability": Column("expected_reliability", NUMBER),
    "reliability2": Column("reliability", NUMBER),
    "dphtotal": Column("dph_total", NUMBER),
    "dph": Column("dph_total", NUMBER),
    "dlperf_usd": Column("dlperf_per_dphtotal", NUMBER),
    "flops_usd": Column("flops_per_dphtotal", NUMBER),
    "cuda_vers": Column("cuda_max_good", NUMBER),
    "display_active": Column("gpu_display_active", FLAG),
    "gpu_totalram": Column("gpu_total_ram", NUMBER),
    "gpu_totalram_GB": Column("gpu_total_ram", NUMBER, factor=1000.0),
    "gpu_ram_GB": Column("gpu_ram", NUMBER, factor=1000.0),
    "cpu_ram_GB": Column("cpu_ram", NUMBER, factor=1000.0),
    "ubuntu_version": Column("os_version", TEXT),
}
"""What a search of offers understands: the stored, the virtual and the other names."""

_STORED_NUMBERS = """
    id machine_id host_id bundle_id template_id start_date end_date disk_space ssh_port
"""
_STORED_TEXTS = """
    label actual_status intended_status cur_state next_state gpu_name verification image_uuid
    image_runtype template_hash_id template_name ssh_host public_ipaddr
"""

INSTANCE_COLUMNS: Columns = {
    **{name: Column(name, NUMBER) for name in _STORED_NUMBERS.split()},
    **{name: Column(name, TEXT) for name in _STORED_TEXTS.split()},
    "is_bid": Column("is_bid", FLAG),
    "geolocation": Column("geolocation", PLACE),
}
"""What a list of instances can be filtered and sorted by. Computed columns (dph_total, num_gpus
and the like) are refused, as by the real service."""
