"""What VastProvider sends to start an instance: onstart, ports, environment."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from vast_pyworker.model import Launch, Offer
from vast_pyworker.providers.vast import START_URL, VastProvider, start_script
from vast_pyworker.vastai.client import VastClient
from vast_pyworker.vastai.fake_vast import FakeVast
from vast_pyworker.vastai.pacing import Pacing

OFFER = Offer(5, 6, 7, "RTX 4090", 1, None, 0.5, None, None, None)


@pytest.fixture
def vast() -> Iterator[FakeVast]:
    with FakeVast() as server:
        server.on("PUT /api/v0/asks/*", {"success": True, "new_contract": 9})
        yield server


def sent(vast: FakeVast, launch: Launch, env: dict[str, str] | None = None, **more: Any) -> Any:
    with VastClient("key", base_url=vast.url, pacing=Pacing.off()) as client:
        provider = VastProvider(client, **more)
        assert provider.create(OFFER, launch, "fleet/g/1", env or {}).instance_id == 9
    (asked,) = vast.calls()
    assert asked.call == "PUT /api/v0/asks/5/"
    return asked.body


def test_a_plain_image_starts_our_worker(vast: FakeVast) -> None:
    env = {"-p 3000:3000": "1", "REPORT_ADDR": "y"}
    launch = Launch("vllm", image="vllm/vllm-openai", disk_gb=40.0, env=env)
    body = sent(vast, launch, {"REPORT_ADDR": "x"})
    assert body["onstart"] == start_script("vllm")
    assert body["env"] == {"REPORT_ADDR": "x", "-p 3000:3000": "1"}
    assert body["image"] == "vllm/vllm-openai" and body["disk"] == 40.0
    assert body["label"] == "fleet/g/1" and body["cancel_unavail"] is True
    assert body["price"] is None


def test_a_template_keeps_its_own_start_and_ports(vast: FakeVast) -> None:
    body = sent(vast, Launch("vllm", template_hash="abc"))
    assert body["template_hash_id"] == "abc"
    assert "onstart" not in body and "image" not in body and body["env"] == {}


def test_what_the_group_says_is_sent(vast: FakeVast) -> None:
    launch = Launch("vllm", template_hash="abc", onstart="mine.sh", bid_usd_per_hour=0.3)
    body = sent(vast, launch)
    assert body["onstart"] == "mine.sh" and body["price"] == 0.3


def test_the_start_can_be_another(vast: FakeVast) -> None:
    body = sent(vast, Launch("vllm", image="i"), script_of=lambda backend: f"run {backend}")
    assert body["onstart"] == "run vllm"


@pytest.mark.parametrize("backend", ["llamacpp", "it's; rm -rf $HOME"])
def test_the_script_is_bash_and_names_the_backend(backend: str) -> None:
    text = start_script(backend)
    assert START_URL in text and len(text) < 4048
    # Functions stand for what would be fetched and for the shell that would run it.
    shell = (
        f'wget() {{ echo "$3"; }}; bash() {{ cat; echo "$2" "$3"; }}; {text.partition(chr(10))[2]}'
    )
    ran = subprocess.run(
        ["bash", "-c", shell], capture_output=True, text=True, timeout=10, check=True
    )
    assert ran.stdout.splitlines() == [START_URL, f"{backend} "]
