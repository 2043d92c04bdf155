"""Where our client and the official SDK answer the same call differently, on purpose, and why."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import requests
from outside_support import nothing_outside
from two_clients import Scene, scene

from vast_pyworker.errors import ProviderError
from vast_pyworker.vastai import LaunchRequest, Pacing, VastClient
from vast_pyworker.vastai.endpoints import EndpointSettings
from vast_pyworker.vastai.worker_groups import WorkerGroupSettings

vastai = pytest.importorskip("vastai", reason="the official client is not installed: vastai==1.9.1")
pytestmark = pytest.mark.official

SSH_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOne me@here"


@pytest.fixture(autouse=True)
def outside(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Both clients know of no proxy but by the environment, which is this process's."""
    with nothing_outside() as made:
        for name, value in made.environ.items():
            monkeypatch.setenv(name, value)
        yield


@dataclass(frozen=True)
class Difference:
    """``of_ours`` and ``of_theirs`` are what ``told`` makes of the two calls."""

    what: str
    why: str
    ours: Callable[[Scene], Any]
    theirs: Callable[[Scene], Any]
    of_ours: Any
    of_theirs: Any


def told(call: Callable[[], Any]) -> Any:
    """A value, or the kind of an error, with its HTTP status where that is all there is."""
    try:
        answer = call()
    except ProviderError as error:
        return type(error).__name__
    except requests.HTTPError as error:
        return error.response.status_code
    if isinstance(answer, dict) and answer.get("success") is False:
        return "success false"
    return answer


def is_stopped(here: Scene) -> int:
    number = here.market.running()
    here.vast.instances.stop(number)
    return number


def full(here: Scene) -> int:
    """An instance whose GPUs are taken when it is to start again."""
    number = is_stopped(here)
    here.market.fault("start_queued", "start")
    return number


def cheapest(here: Scene) -> int:
    return int(here.market.offer(num_gpus={"eq": 1})["id"])


def twice(add: Callable[[], Any]) -> Any:
    """What the second time gives."""
    add()
    return add()


def group_of_two(here: Scene) -> int:
    endpoint = here.vast.endpoints.create("e", EndpointSettings())
    query = "num_gpus=2 verified=True"
    settings = WorkerGroupSettings(
        endpoint_id=endpoint, search_params=query, launch_args="--image u"
    )
    return here.vast.workergroups.create(settings)


def query_after(here: Scene, update: Callable[[int, int], Any]) -> list[str]:
    """What a group searches for after an update that does not speak of it."""
    number = group_of_two(here)
    (group,) = here.vast.workergroups.list()
    assert group.endpoint_id is not None
    update(number, group.endpoint_id)
    (row,) = here.sdk.show_workergroups()
    return sorted(row["search_query"])


def stranger(here: Scene) -> VastClient:
    return VastClient("nobody", base_url=here.market.url, pacing=Pacing.off())


REQUEST = LaunchRequest(image="u", label="l")
GONE = "what is to be gone and is gone is no failure: a repeated call must be safe"
DIFFERENCES = (
    Difference(
        "destroy what is gone", GONE,
        lambda s: s.vast.instances.destroy(77), lambda s: s.sdk.destroy_instance(77),
        False, 404,
    ),
    Difference(
        "delete an endpoint that is gone", GONE,
        lambda s: s.vast.endpoints.delete(77), lambda s: s.sdk.delete_endpoint(77),
        False, 404,
    ),
    Difference(
        "delete a worker group that is gone", GONE,
        lambda s: s.vast.workergroups.delete(77), lambda s: s.sdk.delete_workergroup(77),
        False, 404,
    ),
    Difference(
        "delete a template that is gone", GONE,
        lambda s: s.vast.templates.delete(template_id=77),
        lambda s: s.sdk.delete_template(template_id=77),
        False, 400,
    ),
    Difference(
        "delete a key that is gone", GONE,
        lambda s: s.vast.ssh_keys.remove(77), lambda s: s.sdk.delete_ssh_key(77),
        False, 404,
    ),
    Difference(
        "detach a key that is not there", GONE,
        lambda s: s.vast.ssh_keys.detach(s.market.running(), 77),
        lambda s: s.sdk.detach_ssh(s.market.running(), 77),
        False, "success false",
    ),
    Difference(
        "attach a key a second time", "what is to be there is there; it says that it was",
        lambda s: (n := s.market.running(), twice(lambda: s.vast.ssh_keys.attach(n, SSH_KEY)))[1],
        lambda s: (n := s.market.running(), twice(lambda: s.sdk.attach_ssh(n, SSH_KEY)))[1],
        False, "success false",
    ),
    Difference(
        "add a key to the account a second time", "the key that is there is as good",
        lambda s: twice(lambda: s.vast.ssh_keys.add(SSH_KEY)).public_key,
        lambda s: twice(lambda: s.sdk.create_ssh_key(SSH_KEY)),
        SSH_KEY, 400,
    ),
    Difference(
        "create a template a second time", "the template that is there is as good",
        lambda s: twice(lambda: s.vast.templates.create("t", "i")).name,
        lambda s: twice(lambda: s.sdk.create_template("t", "i")),
        "t", "success false",
    ),
    Difference(
        "list endpoints where there are none", "none is no error; the API says it by a 400",
        lambda s: s.vast.endpoints.list(), lambda s: s.sdk.show_endpoints(),
        [], 400,
    ),
    Difference(
        "start where the GPUs are taken", "a start that is queued is not a start",
        lambda s: s.vast.instances.start(full(s)), lambda s: s.sdk.start_instance(full(s)),
        "ResourcesUnavailable", "success false",
    ),
    Difference(
        "create by a bid that does not win", "nothing that stands still is to be left and billed",
        lambda s: s.vast.instances.create(
            cheapest(s), LaunchRequest(image="u", bid_usd_per_hour=0.001)
        ),
        lambda s: s.sdk.create_instance(cheapest(s), "u", price=0.001),
        "OfferGone", "success false",
    ),
    Difference(
        "the same where it may stand still", "it exists and is billed, which a 200 hides",
        lambda s: s.vast.instances.create(
            cheapest(s), LaunchRequest(image="u", bid_usd_per_hour=0.001, cancel_unavail=False)
        ),
        lambda s: s.sdk.create_instance(cheapest(s), "u", price=0.001),
        "CreatedStopped", "success false",
    ),
    Difference(
        "reboot what does not run", "a 200 that did nothing is no success",
        lambda s: s.vast.instances.reboot(is_stopped(s)),
        lambda s: s.sdk.reboot_instance(is_stopped(s)),
        "InvalidRequest", "success false",
    ),
    Difference(
        "create from an offer that is gone", "a type says what can be done about it",
        lambda s: s.vast.instances.create(5, REQUEST), lambda s: s.sdk.create_instance(5, "u"),
        "OfferGone", 404,
    ),
    Difference(
        "a wrong key", "the service says 404, and means the key",
        lambda s: stranger(s).instances.list(),
        lambda s: vastai.VastAI("nobody", server_url=s.market.url).show_instances(),
        "AuthError", 404,
    ),
    Difference(
        "update a worker group without a query", "what is not named is not changed",
        lambda s: query_after(s, lambda group, endpoint: s.vast.workergroups.update(
            group, WorkerGroupSettings(gpu_ram_gb=9.0))),
        lambda s: query_after(s, lambda group, endpoint: s.sdk.update_workergroup(
            group, endpoint_id=endpoint, gpu_ram=9)),
        ["num_gpus", "verified"], ["rentable", "rented", "verified"],
    ),
    Difference(
        "update only a template's tag", "what is not named is not changed",
        lambda s: s.vast.templates.update(
            s.vast.templates.create("t", "i", {"onstart": "x"}).hash_id or "", {"tag": "2"}
        ).raw["onstart"],
        lambda s: s.sdk.update_template(
            s.vast.templates.create("t", "i", {"onstart": "x"}).hash_id, "t", "i", image_tag="2"
        )["template"]["onstart"],
        "x", None,
    ),
    Difference(
        "create without a label", "without one a create whose answer is lost cannot be found",
        lambda s: bool(s.vast.instances.create(cheapest(s), LaunchRequest(image="u")).label),
        lambda s: s.sdk.show_instance(
            s.sdk.create_instance(cheapest(s), "u")["new_contract"])["label"],
        True, None,
    ),
    Difference(
        "search for rows that are rounded", "chunked=true answers with offers that do not exist",
        lambda s: s.vast.offers.search("chunked=true"),
        lambda s: {row["cpu_cores"] for row in s.sdk.search_offers("chunked=true")},
        "InvalidRequest", {32},
    ),
)  # fmt: skip


@pytest.mark.parametrize("each", DIFFERENCES, ids=lambda each: each.what)
def test_a_difference_on_purpose(each: Difference) -> None:
    with scene() as one, scene() as other:
        assert told(lambda: each.ours(one)) == each.of_ours, each.why
        assert told(lambda: each.theirs(other)) == each.of_theirs, each.why
        assert each.of_ours != each.of_theirs
