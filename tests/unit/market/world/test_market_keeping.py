"""The market survives its end: saved whole, restored as after a reboot of its hosts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from small_market import Rig, plain

from vast_pyworker.errors import SettingError
from vast_pyworker.market.world.store import load, save


def busy() -> tuple[Rig, dict[str, int]]:
    """A market with something of everything."""
    rig = Rig(plain(4), plain(4, machine_id=77, asks=()))
    asks = [ask for ask in rig.machines[0].asks if ask.num_gpus == 1]
    numbers = {
        "running": rig.running(asks[0], env={"-p 80:80": "1"}, label="x", args=["a"]),
        "bid": rig.running(asks[1], price=0.5),
        "stopped": rig.running(asks[2]),
    }
    rig.market.set_state(rig.account, numbers["stopped"], "stopped")
    rig.market.strike("outbid", numbers["bid"], params={"back_s": 5000})
    rig.market.strike("price_change", numbers["running"], params={"factor": 1.1})
    rig.market.strike("offer_gone", params={"ask_id": asks[3].id})
    numbers["loading"] = rig.create(asks[2])
    rig.market.set_state(rig.account, numbers["stopped"], "running")
    return rig, numbers


def copied(rig: Rig) -> Rig:
    again = Rig(*rig.machines)
    again.accounts.restore(json.loads(json.dumps(rig.accounts.state())))
    again.market.restore(json.loads(json.dumps(rig.market.state())))
    return again


def test_everything_comes_back_and_what_ran_starts_again() -> None:
    rig, numbers = busy()
    again = copied(rig)
    assert again.clock.now() == rig.clock.now()
    assert again.market.credit(again.account) == rig.market.credit(rig.account)
    assert again.market.bill(again.account) == rig.market.bill(rig.account)
    assert again.market.price_increases(again.account) == rig.market.price_increases(rig.account)
    for name in ("bid", "stopped"):
        assert again.row(numbers[name]) == rig.row(numbers[name])
    assert again.states(numbers["running"])[0] == "loading"
    again.market.advance(600)
    assert again.states(numbers["running"])[0] == "running"
    assert again.states(numbers["loading"])[0] == "running"
    assert again.runtime.boxes[numbers["running"]] == rig.runtime.boxes[numbers["running"]]
    again.market.advance(9000)
    assert again.states(numbers["bid"])[0] == "running"
    again.market.destroy(again.account, numbers["loading"])
    again.market.advance(600)
    assert again.states(numbers["stopped"])[0] == "running"
    again.check_books()
    new = again.create(rig.machines[0].asks[4])
    assert new > max(numbers.values())


def test_an_untouched_copy_has_the_same_state() -> None:
    rig, numbers = busy()
    rig.market.destroy(rig.account, numbers["running"])
    rig.market.advance(10_000)
    for number in numbers.values():
        if rig.market.show(rig.account, number) is not None:
            rig.market.set_state(rig.account, number, "stopped")
    once = json.dumps(rig.market.state())
    assert json.dumps(copied(rig).market.state()) == once


@pytest.mark.parametrize("seconds", [1, 60])
def test_a_host_that_was_lost_comes_back_after_a_restart(seconds: float) -> None:
    rig = Rig()
    number = rig.running()
    rig.market.strike("offline", number, params={"unknown_s": 10, "back_s": 500})
    rig.market.advance(seconds)
    again = copied(copied(rig))
    assert again.states(number)[0] == "offline"
    again.market.advance(1200)
    assert again.states(number)[0] == "running"
    assert again.runtime.told[-1] == ("start", number)


def test_the_state_of_another_market_is_refused() -> None:
    rig, _ = busy()
    state = rig.market.state()
    for name, value in (("seed", 9), ("machines", 1), ("version", 0)):
        with pytest.raises(SettingError, match=f"{name} {value}"):
            Rig(*rig.machines).market.restore({**state, name: value})


class Part:
    def __init__(self, value: object) -> None:
        self.value = value

    def state(self) -> dict[str, Any]:
        return {"value": self.value}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.value = state["value"]


def test_a_file_holds_every_part_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "state.json"
    save(path, {"one": Part(1), "two": Part("x")})
    one, two, three = Part(0), Part(0), Part(3)
    assert load(path, {"one": one, "two": two, "three": three}) is True
    assert (one.value, two.value, three.value) == (1, "x", 3)
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in path.parent.iterdir()] == ["state.json"]


def test_a_failed_save_leaves_the_former_file(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    save(path, {"one": Part(1)})
    with pytest.raises(ValueError, match="JSON"):
        save(path, {"one": Part(float("nan"))})
    one = Part(0)
    load(path, {"one": one})
    assert one.value == 1
    assert [each.name for each in tmp_path.iterdir()] == ["state.json"]


def test_no_file_is_no_state(tmp_path: Path) -> None:
    assert load(tmp_path / "none.json", {"one": Part(0)}) is False


@pytest.mark.parametrize("text", ["", "{", "[]", '{"one": 5}', '{"one": {}}', "5"])
def test_what_is_no_state_is_said_with_its_name(tmp_path: Path, text: str) -> None:
    path = tmp_path / "state.json"
    path.write_text(text)
    with pytest.raises(SettingError, match=r"state\.json"):
        load(path, {"one": Part(0)})
