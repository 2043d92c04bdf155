"""Our client and the official one behind the same verbs, so that one play is played by both.

Every verb gives what became of it in words that do not depend on who did it: see ``became``.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import requests
from market_site import KEY, Site, site

from vast_pyworker.errors import ProviderError
from vast_pyworker.vastai import Pacing, VastClient
from vast_pyworker.vastai.creating import LaunchRequest
from vast_pyworker.vastai.endpoints import EndpointSettings
from vast_pyworker.vastai.worker_groups import WorkerGroupSettings

QUERY = "gpu_ram>=23 verified=True rentable=True rented=False"


@dataclass(frozen=True)
class Scene:
    """A market and who uses it."""

    market: Site
    vast: VastClient
    sdk: Any


@contextmanager
def scene(**options: Any) -> Iterator[Scene]:
    """``vastai`` is imported here, so that who lacks it can skip its tests."""
    from vastai import VastAI

    with ExitStack() as held:
        market = held.enter_context(site(hosts=40, credit=10_000.0, **options))
        vast = VastClient(KEY, base_url=market.url, pacing=Pacing.off())
        held.callback(vast.close)
        yield Scene(market, vast, VastAI(KEY, server_url=market.url))


class Client(Protocol):
    """One of the two."""

    def create(self, offer: int, label: str, disk_gb: float, bid: float | None) -> Any: ...
    def start(self, number: int) -> Any: ...
    def stop(self, number: int) -> Any: ...
    def reboot(self, number: int) -> Any: ...
    def recycle(self, number: int) -> Any: ...
    def label(self, number: int, text: str) -> Any: ...
    def bid(self, number: int, price: float) -> Any: ...
    def destroy(self, number: int) -> Any: ...
    def stop_many(self, numbers: list[int]) -> Any: ...
    def start_many(self, numbers: list[int]) -> Any: ...
    def destroy_many(self, numbers: list[int]) -> Any: ...
    def add_key(self, key: str) -> Any: ...
    def attach(self, number: int, key: str) -> Any: ...
    def template(self, name: str, tag: str) -> Any: ...
    def endpoint(self, name: str, workers: int) -> Any: ...
    def resize(self, endpoint: int, workers: int) -> Any: ...
    def delete_endpoint(self, endpoint: int) -> Any: ...
    def group(self, endpoint: int) -> Any: ...
    def delete_group(self, group: int) -> Any: ...


class Ours:
    """By ``VastClient``."""

    def __init__(self, vast: VastClient) -> None:
        self.vast = vast
        instances = vast.instances
        self.start, self.stop = instances.start, instances.stop
        self.reboot, self.recycle = instances.reboot, instances.recycle
        self.label, self.bid = instances.set_label, instances.change_bid
        self.destroy, self.destroy_many = instances.destroy, instances.destroy_many
        self.add_key, self.attach = vast.ssh_keys.add, vast.ssh_keys.attach
        self.delete_endpoint, self.delete_group = vast.endpoints.delete, vast.workergroups.delete

    def create(self, offer: int, label: str, disk_gb: float, bid: float | None) -> Any:
        request = LaunchRequest(
            image="u", label=label, disk_gb=disk_gb, bid_usd_per_hour=bid, runtype="ssh"
        )
        return self.vast.instances.create(offer, request)

    def stop_many(self, numbers: list[int]) -> None:
        for error in self.vast.instances.stop_many(numbers).errors.values():
            raise error

    def start_many(self, numbers: list[int]) -> None:
        for error in self.vast.instances.start_many(numbers).errors.values():
            raise error

    def template(self, name: str, tag: str) -> Any:
        return self.vast.templates.create(name, "acme/model", {"tag": tag, "runtype": "args"})

    def endpoint(self, name: str, workers: int) -> Any:
        return self.vast.endpoints.create(name, EndpointSettings(max_workers=workers))

    def resize(self, endpoint: int, workers: int) -> Any:
        return self.vast.endpoints.update(endpoint, EndpointSettings(max_workers=workers))

    def group(self, endpoint: int) -> Any:
        settings = WorkerGroupSettings(
            endpoint_id=endpoint, search_params=QUERY, launch_args="--image u", gpu_ram_gb=23.0
        )
        return self.vast.workergroups.create(settings)


class Theirs:
    """By the official SDK."""

    def __init__(self, sdk: Any) -> None:
        self.sdk = sdk
        self.start, self.stop = sdk.start_instance, sdk.stop_instance
        self.reboot, self.recycle = sdk.reboot_instance, sdk.recycle_instance
        self.label, self.bid = sdk.label_instance, sdk.change_bid
        self.destroy, self.destroy_many = sdk.destroy_instance, sdk.destroy_instances
        self.stop_many, self.start_many = sdk.stop_instances, sdk.start_instances
        self.add_key, self.attach = sdk.create_ssh_key, sdk.attach_ssh
        self.delete_endpoint, self.delete_group = sdk.delete_endpoint, sdk.delete_workergroup

    def create(self, offer: int, label: str, disk_gb: float, bid: float | None) -> Any:
        return self.sdk.create_instance(
            offer, "u", label=label, disk=disk_gb, price=bid, runtype="ssh", cancel_unavail=True
        )

    def template(self, name: str, tag: str) -> Any:
        return self.sdk.create_template(name, "acme/model", image_tag=tag)

    def endpoint(self, name: str, workers: int) -> Any:
        return self.sdk.create_endpoint(endpoint_name=name, max_workers=workers)

    def resize(self, endpoint: int, workers: int) -> Any:
        return self.sdk.update_endpoint(endpoint, max_workers=workers)

    def group(self, endpoint: int) -> Any:
        return self.sdk.create_workergroup(
            endpoint_id=endpoint, search_params="gpu_ram>=23", launch_args="--image u", gpu_ram=23.0
        )


def became(call: Callable[[], Any]) -> tuple[str, int]:
    """("done", 200), or ("refused", the HTTP status, also where that is 200)."""
    try:
        answer = call()
    except ProviderError as error:
        assert error.status is not None, error
        return "refused", error.status
    except requests.HTTPError as error:
        return "refused", error.response.status_code
    if isinstance(answer, Mapping) and answer.get("success") is False:
        return "refused", 200
    return "done", 200


Move = tuple[str, tuple[Any, ...]]


class Play:
    """Draws what to do next, mostly of things that are there, so that it means something."""

    def __init__(self, seed: int, market: Site) -> None:
        self._rng = random.Random(seed)
        self._site = market
        self._count = 0

    def next(self) -> Move:
        """A verb of ``Client`` and its arguments, or ``advance`` and seconds."""
        self._count += 1
        moves = [*self._always(), *self._of_instances(), *self._of_endpoints()]
        return self._rng.choice(moves)

    def _always(self) -> list[Move]:
        body = {"rentable": {"eq": True}, "num_gpus": {"eq": 1}, "limit": 20}
        offer = self._rng.choice(self._site.market.search(body))["id"]
        label, count = f"job {self._count % 3}", self._count
        bid = self._rng.choice([0.01, 0.3, 5.0])
        return [
            *[("create", (offer, label, 10.0, None))] * 4,
            *[("create", (offer, label, 7.5, bid))] * 2,
            *[("advance", (self._rng.choice([20.0, 600.0]),))] * 3,
            ("create", (5, label, 10.0, None)),
            ("stop", (5,)),
            ("add_key", (f"ssh-ed25519 AAAAC3Nza{count} me@here",)),
            ("template", (f"t{count}", "1")),
            ("endpoint", (f"e{count}", count)),
        ]

    def _of_instances(self) -> list[Move]:
        rows = self._site.market.all_instances(self._site.account_id)
        if not rows:
            return []
        have, rng = [row["id"] for row in rows], self._rng
        one, some = rng.choice(have), rng.sample(have, min(3, len(have)))
        alone: list[Move] = [
            (verb, (one,)) for verb in ("start", "stop", "reboot", "recycle", "destroy")
        ]
        key = f"ssh-ed25519 AAAAC3Nzb{self._count} me@here"
        return [
            *alone,
            ("label", (one, f"job {self._count % 3}")),
            ("bid", (one, rng.choice([0.02, 4.0]))),
            ("attach", (one, key)),
            ("stop_many", (some,)),
            ("start_many", (some,)),
            ("destroy_many", (some[:2],)),
        ]

    def _of_endpoints(self) -> list[Move]:
        state, moves = self._site.built.parts.serverless.state(), list[Move]()
        endpoints, groups = ([row["id"] for row in state[n]] for n in ("endpoints", "groups"))
        if endpoints:
            one = self._rng.choice(endpoints)
            moves += [("resize", (one, self._count)), ("group", (one,)), ("group", (one,))]
            moves.append(("delete_endpoint", (one,)))
        if groups:
            moves.append(("delete_group", (self._rng.choice(groups),)))
        return moves


def act(market: Site, client: Client, move: Move) -> tuple[str, int]:
    """What became of a move made by ``client``."""
    verb, args = move
    if verb == "advance":
        market.market.advance(*args)
        return "done", 200
    return became(lambda: getattr(client, verb)(*args))
