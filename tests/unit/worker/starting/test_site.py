"""The environment and settings of a start, on an instance and elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from vast_pyworker.errors import SettingError
from vast_pyworker.worker.starting.site import ROOT, site_of, with_defaults


def test_an_instance_has_what_vast_sets() -> None:
    environ = with_defaults({"CONTAINER_ID": "7", "REPORT_ADDR": ""}, "helloworld")
    assert environ["REPORT_ADDR"] == "https://run.vast.ai"
    assert environ["USE_SSL"] == "true"
    assert environ["WORKER_PORT"] == "3000"
    assert environ["BACKEND"] == "helloworld"


def test_what_is_given_wins() -> None:
    given = {
        "CONTAINER_ID": "7",
        "REPORT_ADDR": "http://a",
        "USE_SSL": "false",
        "AUTH_PORT": "4000",
    }
    environ = with_defaults(given, "")
    assert (environ["REPORT_ADDR"], environ["USE_SSL"]) == ("http://a", "false")
    assert environ["WORKER_PORT"] == "4000"
    assert "BACKEND" not in environ


def test_the_command_line_wins_over_the_environment() -> None:
    assert with_defaults({"BACKEND": "vllm"}, "tgi")["BACKEND"] == "tgi"
    assert with_defaults({"BACKEND": "vllm"}, "")["BACKEND"] == "vllm"


def test_elsewhere_nothing_is_made_up() -> None:
    assert with_defaults({"PATH": "/bin"}, "") == {"PATH": "/bin"}


def test_the_worker_is_told_where_its_state_is(tmp_path: Path) -> None:
    assert site_of({}).environ["PYWORKER_STATE"] == str(ROOT / ".pyworker")
    site = site_of({"PYWORKER_STATE": str(tmp_path), "WORKER_PORT": "4001"})
    assert site.settings.state_dir == str(tmp_path)
    assert (site.pidfile, site.log) == (tmp_path / "worker-4001.json", tmp_path / "worker-4001.log")


def test_a_wrong_setting_is_said() -> None:
    with pytest.raises(SettingError, match="CONTAINER_ID cannot be"):
        site_of({"CONTAINER_ID": "C.12"})
