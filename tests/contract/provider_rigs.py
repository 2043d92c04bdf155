"""The two providers of the contract, each with the hands that move its world."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from market_site import KEY, Site, site

from vast_pyworker.model import Phase
from vast_pyworker.providers.fake import FakeProvider, make_offers
from vast_pyworker.providers.protocol import Provider
from vast_pyworker.providers.vast import VastProvider
from vast_pyworker.vastai.client import VastClient
from vast_pyworker.vastai.pacing import Pacing
from vast_pyworker.vastai.sending import Timeouts

CREDIT_USD = 100.0


class Rig(Protocol):
    """``until`` lets so much time pass that whatever comes has come."""

    provider: Provider

    def until_it_has_come(self) -> None: ...
    def advance(self, seconds: float) -> None: ...
    def break_call(self, call: str, how: str) -> None: ...
    def befall(self, instance_id: int, phase: Phase) -> None: ...
    def ask_more(self, instance_id: int) -> None: ...
    def spend_all_credit(self) -> None: ...
    def env_of(self, instance_id: int) -> dict[str, str]: ...
    def bill(self) -> dict[int, float]: ...


class FakeRig:
    def __init__(self) -> None:
        self.at = 1_760_000_000.0
        self.fake = FakeProvider(
            lambda: self.at, offers=make_offers(60, seed=7), credit_usd=CREDIT_USD
        )
        self.provider: Provider = self.fake

    def until_it_has_come(self) -> None:
        self.at += 3600.0

    def advance(self, seconds: float) -> None:
        self.at += seconds

    def break_call(self, call: str, how: str) -> None:
        words = {"create_stopped": "stopped", "start_queued": "queued", "offer_gone": "offer_gone"}
        words |= {"before": "before_effect", "after": "after_effect", "lost_page": "lost_page"}
        self.fake.fail(call, words.get(how, how))  # type: ignore[arg-type]

    def befall(self, instance_id: int, phase: Phase) -> None:
        assert self.fake.outside.befall(instance_id, phase)

    def ask_more(self, instance_id: int) -> None:
        now = self.fake.truth()[instance_id].usd_per_hour
        self.fake.outside.ask_more(instance_id, (now or 0.0) * 1.5)

    def spend_all_credit(self) -> None:
        self.fake.outside.set_credit(0.0)

    def env_of(self, instance_id: int) -> dict[str, str]:
        return dict(self.fake.env_of(instance_id))

    def bill(self) -> dict[int, float]:
        return {each: float(self.fake.billed(each)) / 1e6 for each in (self.fake.charges() or {})}


class MarketRig:
    """The client is without pacing and waits for nothing: its tries follow at once."""

    def __init__(self, market: Site, client: VastClient) -> None:
        self.site = market
        self.provider: Provider = VastProvider(client)

    def until_it_has_come(self) -> None:
        self.site.market.advance(3600.0)

    def advance(self, seconds: float) -> None:
        self.site.market.advance(seconds)

    def break_call(self, call: str, how: str) -> None:
        call = {"instances": "list", "offers": "search", "find": "list"}.get(call, call)
        kinds: dict[str, tuple[str, dict[str, Any], int | None]] = {
            "before": ("reset_before", {}, None),
            "after": ("reset_after", {}, 1),
            "unreachable": ("error_before", {"status": 503}, None),
            "lost_page": ("missing_page", {"page": 2}, None),
        }
        kind, params, count = kinds.get(how, (how, {}, 1))
        when = {"count": count} if count else {"probability": 1.0}
        given = {"kind": kind, "calls": [call], "params": params, **when}
        answer = self.site.call("POST", "/market/faults", given, key=None)
        assert answer.status_code == 200, answer.text

    def befall(self, instance_id: int, phase: Phase) -> None:
        kinds = {
            Phase.EXITED: ("exited", {}),
            Phase.OFFLINE: ("offline", {"unknown_s": 1.0, "back_s": None}),
            Phase.OUTBID: ("outbid", {"shape": "intended"}),
            Phase.EXPIRED: ("expired", {}),
            Phase.STOPPED: ("credit_zero", {}),
        }
        kind, params = kinds[phase]
        assert self.site.market.strike(kind, instance_id, params=params)["done"]
        self.site.market.advance(2.0)

    def ask_more(self, instance_id: int) -> None:
        assert self.site.market.strike("price_change", instance_id)["done"]

    def spend_all_credit(self) -> None:
        assert self.site.market.strike("credit_zero", account=self.site.account_id)["done"]

    def env_of(self, instance_id: int) -> dict[str, str]:
        return dict(self.site.show(instance_id)["extra_env"])

    def bill(self) -> dict[int, float]:
        by_instance: dict[int, float] = self.site.market.bill(self.site.account_id)["by_instance"]
        return by_instance


@contextmanager
def fake_rig() -> Iterator[Rig]:
    yield FakeRig()


@contextmanager
def market_rig() -> Iterator[Rig]:
    with site(hosts=60, seed=7, credit=CREDIT_USD, runtime="none") as market:
        client = VastClient(
            KEY,
            base_url=market.url,
            pacing=Pacing.off(time.monotonic, _no_sleep),
            timeouts=Timeouts(connect_s=5, read_s=10, total_s=60),
            sleep=_no_sleep,
            wall=market.market.clock.now,
        )
        with client:
            yield MarketRig(market, client)


def _no_sleep(seconds: float) -> None:
    """Waits are of no use where time stands still."""


RIGS = {"fake": fake_rig, "market": market_rig}
__all__ = ["CREDIT_USD", "RIGS", "Rig"]
