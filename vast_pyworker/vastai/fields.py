"""The words of the offer query language: fields, other names, units and regions. Only data.

The tables are those that the official client 1.9.1 works with, so that one query means one thing.
"""

from __future__ import annotations

from collections.abc import Mapping


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


# What an offer can be searched by. The server decides about any other name.
OFFER_FIELDS = frozenset(
    _words("""
    bw_nvlink cluster_id compute_cap cpu_arch cpu_cores cpu_cores_effective cpu_ghz cpu_ram
    cuda_max_good datacenter direct_port_count disk_bw disk_space dlperf dlperf_per_dphtotal
    dph_total driver_version duration external flops_per_dphtotal geolocation gpu_arch
    gpu_display_active gpu_frac gpu_max_power gpu_max_temp gpu_mem_bw gpu_name gpu_ram
    gpu_total_ram has_avx host_id id inet_down inet_down_cost inet_up inet_up_cost machine_id
    min_bid mobo_name num_gpus pci_gen pcie_bw reliability rentable rented static_ip storage_cost
    total_flops ubuntu_version verification verified vms_enabled
    """)
)

# Short name in a query -> the field that is sent.
OFFER_ALIASES: Mapping[str, str] = {
    "cuda_vers": "cuda_max_good",
    "display_active": "gpu_display_active",
    "dlperf_usd": "dlperf_per_dphtotal",
    "dph": "dph_total",
    "flops_usd": "flops_per_dphtotal",
}

_MB_PER_GB = 1000
_SECONDS_PER_DAY = 86400.0

# What a value in a query is multiplied by: memory is written in GB and sent in MB (decimal: a
# card of 24564 MB is found by gpu_ram>=24), durations are written in days and sent in seconds.
OFFER_MULTIPLIERS: Mapping[str, float] = {
    "cpu_ram": _MB_PER_GB,
    "gpu_ram": _MB_PER_GB,
    "gpu_total_ram": _MB_PER_GB,
    "duration": _SECONDS_PER_DAY,
}


# Countries (ISO 3166) of a region, for ``geolocation=EU georegion=true``. Latin America has UY,
# VE and SR where the official table is misspelt; everything else is the same.
REGIONS: Mapping[str, tuple[str, ...]] = {
    "AF": _words(
        "DZ AO BJ BW BF BI CM CV CF TD KM CD CG DJ EG GQ ER ET GA GM GH GN GW KE LS LR LY MW MA ML "
        "MR MU MZ NA NE NG RW SH ST SN SC SL SO ZA SS SD SZ TZ TG TN UG YE ZM ZW"
    ),
    "AS": _words(
        "AE AM AR AU AZ BD BH BN BT MM KH KP IN ID IR IQ IL JP JO KZ LV LI MY MV MN NP KR PK PH QA "
        "SA SG LK SY TW TJ TH TR TM VN YE HK CN OM"
    ),
    "EU": _words(
        "AL AD AT BY BE BA BG HR CY CZ DK EE FI FR GE DE GR HU IS IT KZ LV LI LT LU MT MD MC ME NL "
        "NO PL PT RO RU RS SK SI ES SE CH UA GB VA MK"
    ),
    "LC": _words(
        "AG AR BS BB BZ BO BR CL CO CR CU DO EC SV GY HT HN JM MX NI PA PY PE PR SR TT UY VE"
    ),
    "NA": _words("CA US"),
    "OC": _words("AU FJ GU KI MH FM NR NZ PG PW SL TO TV VU"),
}
