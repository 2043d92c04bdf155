"""Offers and instances of Vast as the controller's nouns: phases, true prices, addresses. Pure."""

from __future__ import annotations

from vast_pyworker.model import Instance, Offer, Phase
from vast_pyworker.vastai import records, states, values

# Two of Vast's phases have no word of their own here.
_PHASES = {
    # Its GPU is held and billed as of a running one; that nobody works is seen by its silence.
    states.Phase.FROZEN: Phase.RUNNING,
    # The contract is stopped and may be started again; only the container lags behind.
    states.Phase.STOPPING: Phase.STOPPED,
}
_GPU_BILLED = (Phase.RUNNING, Phase.REBOOTING)
_STANDING = (Phase.STOPPED, Phase.OUTBID, Phase.SCHEDULING, Phase.EXPIRED, Phase.OFFLINE)


def phase_of(phase: states.Phase) -> Phase:
    """The controller's word for Vast's."""
    return _PHASES[phase] if phase in _PHASES else Phase(phase.value)


def offer_of(
    row: records.Offer, disk_gb: float, bid_usd_per_hour: float | None, now: float
) -> Offer | None:
    """None for what cannot be rented so, cannot be priced, or has less disk than asked for."""
    price = _price_of(row, disk_gb, bid_usd_per_hour)
    if price is None or row.machine_id is None or row.host_id is None or _unfit(row, disk_gb):
        return None
    return Offer(
        id=row.id,
        machine_id=row.machine_id,
        host_id=row.host_id,
        gpu_name=row.gpu_name or "",
        num_gpus=row.num_gpus or 1,
        gpu_ram_mb=row.gpu_ram_mb,
        usd_per_hour=price,
        usd_per_hour_stopped=_disk_usd_per_hour(row, disk_gb),
        disk_gb=row.disk_space_gb,
        reliability=row.reliability,
        dlperf=row.dlperf,
        place=row.geolocation or "",
        available_s=_available_s(row, now),
    )


def instance_of(row: records.Instance) -> Instance:
    """An instance as it was when it was read."""
    state = row.state
    phase = phase_of(state.phase)
    running, stopped = _running_usd_per_hour(row), _stopped_usd_per_hour(row)
    return Instance(
        id=row.id,
        label=row.label or "",
        phase=phase,
        reason=state.reason,
        usd_per_hour=running,
        usd_per_hour_now=_usd_per_hour_now(row, phase, running, stopped),
        usd_per_hour_stopped=stopped,
        created_at=row.created_at,
        ends_at=row.ends_at,
        machine_id=row.machine_id,
        host_id=row.host_id,
        gpu_name=row.gpu_name or "",
        num_gpus=row.num_gpus,
        place=row.geolocation or "",
        disk_gb=row.disk_gb,
        is_bid=bool(row.is_bid),
        ports=_ports(row),
    )


def _unfit(row: records.Offer, disk_gb: float) -> bool:
    """A disk that is too large is cut down at the create, and nobody is told."""
    short = row.disk_space_gb is not None and row.disk_space_gb < disk_gb
    return short or row.rentable is False


def _price_of(row: records.Offer, disk_gb: float, bid: float | None) -> float | None:
    """With the disk. On demand the dearer of what is quoted and what its parts come to."""
    if bid is None:
        known = [each for each in (row.usd_per_hour, row.usd_per_hour_with(disk_gb)) if each]
        return max(known, default=None)
    if row.min_bid_usd_per_hour is not None and row.min_bid_usd_per_hour > bid:
        return None
    disk = _disk_usd_per_hour(row, disk_gb)
    return None if disk is None else bid + disk


def _disk_usd_per_hour(row: records.Offer, disk_gb: float) -> float | None:
    if row.storage_usd_per_gb_month is not None:
        return row.storage_usd_per_gb_month * disk_gb / records.HOURS_PER_MONTH
    return _less(row.usd_per_hour, row.gpu_usd_per_hour)


def _available_s(row: records.Offer, now: float) -> float | None:
    """The shorter of the two that an offer may say."""
    until_end = None if row.ends_at is None else max(0.0, row.ends_at - now)
    known = [each for each in (row.duration_s, until_end) if each is not None]
    return min(known, default=None)


def _running_usd_per_hour(row: records.Instance) -> float | None:
    if row.usd_per_hour is not None:
        return row.usd_per_hour
    disk = _stopped_usd_per_hour(row)
    if row.gpu_usd_per_hour is None or disk is None:
        return None
    return row.gpu_usd_per_hour + disk


def _stopped_usd_per_hour(row: records.Instance) -> float | None:
    """The first that the row says: the disk's price, its parts, what is over the GPUs'."""
    said = values.not_negative(row.raw.get("storage_total_cost"))
    if said is not None:
        return said
    if row.storage_usd_per_gb_month is not None and row.disk_gb is not None:
        return row.storage_usd_per_gb_month * row.disk_gb / records.HOURS_PER_MONTH
    return _less(row.usd_per_hour, row.gpu_usd_per_hour)


def _usd_per_hour_now(
    row: records.Instance, phase: Phase, running: float | None, stopped: float | None
) -> float | None:
    """As the row says; else by its phase; the dearer where that leaves it open."""
    if row.usd_per_hour_now is not None:
        return row.usd_per_hour_now
    if phase in _GPU_BILLED:
        return running
    return stopped if phase in _STANDING else running


def _ports(row: records.Instance) -> dict[str, str]:
    if not row.public_ip:
        return {}
    host = f"[{row.public_ip}]" if ":" in row.public_ip else row.public_ip
    return {inner: f"{host}:{outer}" for inner, outer in row.ports.items()}


def _less(total: float | None, part: float | None) -> float | None:
    return None if total is None or part is None else max(0.0, total - part)
