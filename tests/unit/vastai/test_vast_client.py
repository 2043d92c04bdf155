from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from vast_rig import KEY, Clock, page, vast_client

import vast_pyworker.vastai as vastai
from vast_pyworker.errors import SettingError
from vast_pyworker.vastai.client import VastClient
from vast_pyworker.vastai.fake_vast import FakeVast


def test_its_text_does_not_show_the_key() -> None:
    with vast_client("http://127.0.0.1:1", Clock()) as client:
        assert KEY not in f"{client} {client!r} {vars(client)}"
        assert "hidden" in repr(client)


def test_all_that_can_be_done_shares_one_pacing() -> None:
    clock = Clock()
    with FakeVast() as vast, vast_client(vast.url, clock, paced=True) as client:
        vast.on("GET /api/v1/instances/", page([]))
        client.instances.list()
        client.instances.find("x")
    assert clock.waited == pytest.approx(1.0)


def test_after_closing_it_holds_no_connection() -> None:
    with FakeVast() as vast:
        vast.on("GET /api/v1/instances/", page([]))
        client = vast_client(vast.url, Clock())
        client.instances.list()
        client.close()
        client.close()


def test_an_address_that_cannot_be_used_is_refused() -> None:
    with pytest.raises(SettingError):
        VastClient(KEY, base_url="nowhere")


def test_the_package_names_what_is_public() -> None:
    for name in dir(vastai):
        assert getattr(vastai, name) is not None
    assert vastai.VastClient is VastClient
    with pytest.raises(AttributeError):
        _ = vastai.nothing_of_the_kind  # type: ignore[attr-defined]


def test_the_query_language_comes_without_http() -> None:
    code = "import sys, vast_pyworker.vastai.query; sys.exit('requests' in sys.modules)"
    root = Path(vastai.__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, timeout=30).returncode == 0
