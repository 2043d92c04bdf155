"""Runs of the sweep about instances that are there: what starts, stops and changes them, and what
is read of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sweep_case import Case, Got
from sweep_scene import Scene

from vast_pyworker.errors import (
    InvalidRequest,
    OutcomeUnknown,
    ProviderError,
    ProviderUnreachable,
    ResourcesUnavailable,
)
from vast_pyworker.market.rentals.contracts import Contract
from vast_pyworker.vastai.states import Phase

KEY = "ssh-ed25519 AAAAC3NzaSweep sweep@host"


def _of(case: Case, number: int) -> Contract:
    return case.ground.world.contracts[number]


def start(case: Case) -> None:
    """Start one that stands; or its start is queued, and that is said."""
    (number,) = case.have_stopped()
    with case.faults("start"):
        got = case.ask(lambda: case.vast.instances.start(number))
    if got.like(ResourcesUnavailable):
        assert _of(case, number).wants
        return
    case.check_outlived(got)
    case.check_changed(got, False, True, _of(case, number).wants)


def stop(case: Case) -> None:
    """Stop one that runs."""
    (number,) = case.have()
    with case.faults("stop"):
        got = case.ask(lambda: case.vast.instances.stop(number))
    case.check_outlived(got)
    case.check_changed(got, True, False, _of(case, number).wants)


def start_many(case: Case) -> None:
    """Start several with one call."""
    ids = case.have_stopped(3)
    with case.faults("bulk_state"):
        told = case.vast.instances.start_many(ids)
    assert {*told.accepted, *told.errors} == set(ids)
    if not case.drawn.of_world:  # one of them may not be able to start
        assert all(_of(case, each).wants for each in told.accepted)


def stop_many(case: Case) -> None:
    """Stop several with one call."""
    ids = case.have(3)
    with case.faults("bulk_state"):
        told = case.vast.instances.stop_many(ids)
    assert {*told.accepted, *told.errors} == set(ids)
    assert not any(_of(case, each).wants for each in told.accepted)


def _once(case: Case, call: str, act: Callable[[int], None]) -> None:
    """What is sent once and begins an instance's life anew."""
    (number,) = case.have()
    before = _of(case, number).stamp
    with case.faults(call):
        got = case.ask(lambda: act(number))
    case.check_waited(got)
    if not case.drawn.of_world:
        case.check_changed(got, False, True, _of(case, number).stamp > before)
        assert not got.like(ProviderUnreachable), got  # it was sent, so it may have been done


def reboot(case: Case) -> None:
    """Restart a container."""
    _once(case, "reboot", case.vast.instances.reboot)


def recycle(case: Case) -> None:
    """Make a container anew."""
    _once(case, "recycle", case.vast.instances.recycle)


def change_bid(case: Case) -> None:
    """Bid another price."""
    (number,) = case.have(price=100.0)
    with case.faults("bid"):
        got = case.ask(lambda: case.vast.instances.change_bid(number, 30.0))
    case.check_waited(got)
    case.check_changed(got, 100.0, 30.0, _of(case, number).prices.gpu / 1e9)


def set_label(case: Case) -> None:
    """Label one; whoever looks for the label finds what it says."""
    (number,) = case.have(label="before")
    with case.faults("label"):
        got = case.ask(lambda: case.vast.instances.set_label(number, "after"))
    case.check_outlived(got)
    case.check_changed(got, "before", "after", _of(case, number).label)


def wait(case: Case) -> None:
    """Wait until one runs."""
    (offer,) = case.ground.offers(1, case.rng)
    made = case.ground.market.create(case.ground.account, offer, {"image": "i", "disk": 5})
    number = made["new_contract"]
    case.known.add(number)
    with case.faults("show"):
        got = case.ask(lambda: case.vast.instances.wait(number, timeout_s=120.0))
    if got.value is not None:
        assert got.value.id == number and got.value.state_for("running").phase == Phase.RUNNING
        assert case.drawn.of_world or _of(case, number).actual == "running"
    case.check_outlived(got)


def logs(case: Case) -> None:
    """Read a log; the trouble is with the call, or with the address of the text."""
    (number,) = case.have()
    truth = case.ground.market.logs(case.ground.account, number)
    _text(case, "logs", truth, lambda: case.vast.instances.logs(number))


def execute(case: Case) -> None:
    """Read what a command gives."""
    (number,) = case.have_stopped()
    _text(case, "execute", "4\t.\n", lambda: case.vast.instances.execute(number, "du -s ."))


def _text(case: Case, call: str, truth: str, read: Callable[[], str]) -> None:
    with case.faults(call):
        got = case.ask(read)
    case.check_outlived(got)
    if got.well and not case.drawn.of_world:
        assert got.value == truth


def result(case: Case) -> None:
    """Read a log whose address is in trouble. What came in its place cannot be told from a log."""
    (number,) = case.have()
    truth = case.ground.market.logs(case.ground.account, number)
    with case.faults("result", prompt=True):
        got = case.ask(lambda: case.vast.instances.logs(number))
    if case.kind in ("too_many", "error_before", "error_after", "reset_before", "reset_after"):
        assert got.well != case.drawn.always, got
        assert got.value in (None, truth)
    assert got.well or got.like(ProviderUnreachable), got


def ssh_attach(case: Case) -> None:
    """Let a key into an instance."""
    (number,) = case.have()
    with case.faults("ssh_attach"):
        got = case.ask(lambda: case.vast.ssh_keys.attach(number, KEY))
    case.check_outlived(got)
    case.check_changed(got, [], [KEY], [key for _, key in _of(case, number).ssh_keys])


def ssh_detach(case: Case) -> None:
    """Shut a key out of an instance."""
    (number,) = case.have()
    case.vast.ssh_keys.attach(number, KEY)
    ((key_id, _),) = _of(case, number).ssh_keys
    with case.faults("ssh_detach"):
        got = case.ask(lambda: case.vast.ssh_keys.detach(number, key_id))
    case.check_outlived(got)
    case.check_changed(got, 1, 0, len(_of(case, number).ssh_keys))


def ssh_attached(case: Case) -> None:
    """Read the keys of an instance."""
    (number,) = case.have()
    case.vast.ssh_keys.attach(number, KEY)
    with case.faults("ssh_list"):
        got = case.ask(lambda: case.vast.ssh_keys.attached(number))
    case.check_outlived(got)
    assert got.value is None or [each.public_key for each in got.value] == [KEY]


def price_increase(case: Case) -> None:
    """Accept a host's wish for more money."""
    (number,) = case.have()
    case.ground.market.strike("price_change", number, params={"factor": 1.5})
    increases = case.ground.world.increases
    (pending,) = increases
    old = _of(case, number).prices.gpu
    new = increases[pending].prices.gpu
    with case.faults("price_increases"):
        got = case.ask(lambda: case.vast.account.accept_price_increase(pending))
    case.check_waited(got)
    _check_accepted(case, got, old, new, _of(case, number).prices.gpu)


def _check_accepted(case: Case, got: Got[Any], old: int, new: int, now: int) -> None:
    if not case.drawn.of_world:
        case.check_changed(got, old, new, now)


def unknown_instance(case: Case) -> None:
    """What is asked of an instance that was never there changes nothing, and says so."""
    (number,) = case.have()
    absent = number + 1_000_000
    calls: tuple[Callable[[], Any], ...] = (
        lambda: case.vast.instances.start(absent),
        lambda: case.vast.instances.set_label(absent, "x"),
        lambda: case.vast.instances.reboot(absent),
    )
    with case.faults("start", "label", "reboot"):
        got = case.ask(case.rng.choice(calls))
    assert isinstance(got.error, ProviderError)
    if case.drawn.passes and case.kind in ("error_before", "too_many"):
        assert not got.like(InvalidRequest) or got.error.status == 400
        assert got.like(OutcomeUnknown) or got.error.status in (400, 404), got


SCENES = (
    Scene("start", start, world=True),
    Scene("stop", stop, world=True),
    Scene("start_many", start_many, world=True),
    Scene("stop_many", stop_many, world=True),
    Scene("reboot", reboot, world=True),
    Scene("recycle", recycle, world=True),
    Scene("change_bid", change_bid, world=True),
    Scene("set_label", set_label, world=True),
    Scene("wait", wait, world=True),
    Scene("logs", logs, world=True),
    Scene("execute", execute, world=True),
    Scene("result", result),
    Scene("ssh_attach", ssh_attach, world=True),
    Scene("ssh_detach", ssh_detach, world=True),
    Scene("ssh_attached", ssh_attached, world=True),
    Scene("price_increase", price_increase, world=True),
    Scene("unknown_instance", unknown_instance, world=True),
)
