"""Every backend directory keeps the contract, and the contract's own example does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from vast_pyworker.settings import MODEL_SERVER, Settings
from vast_pyworker.worker.app import create_app
from vast_pyworker.worker.contract.checking import check_backend
from vast_pyworker.worker.contract.loading import SHIPPED, construct, load_backend
from vast_pyworker.worker.contract.trying import bare_worker
from vast_pyworker.worker.fake_autoscaler import FakeAutoscaler

LEGACY = SHIPPED.parent / "tests" / "data" / "legacy_backends"
DIRECTORIES = sorted(
    file.parent for root in (SHIPPED, LEGACY) for file in root.glob("*/backend.py")
)
PAGE = SHIPPED / "README.md"


def client_of(name: str, folder: Path) -> FlaskClient:
    """Calls of a backend's routes, through the worker's application."""
    loaded = load_backend(name, [folder])
    backend = construct(
        loaded, container_id=None, control_server_url="", master_token=None, send_data=False
    )
    worker = bare_worker(loaded, backend, Settings.from_env({}), MODEL_SERVER)
    return create_app(worker).test_client()


@pytest.mark.parametrize(
    "directory", DIRECTORIES, ids=lambda path: f"{path.parent.name}/{path.name}"
)
def test_a_directory_passes_the_contract_suite(directory):
    checks = list(check_backend(directory.name, [directory.parent], {}))
    assert {check.name: check.fault for check in checks if not check.ok} == {}
    assert checks[-1].name == "answers"


class TestThePage:
    """The example in backends/README.md is executed, and answers as it says."""

    @pytest.fixture
    def folder(self, tmp_path):
        (tmp_path / "example").mkdir()
        (source,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
        (tmp_path / "example" / "backend.py").write_text(source)
        (tmp_path / "example" / "launch.sh").write_text("#!/bin/bash\n")
        return tmp_path

    def test_its_example_passes_the_contract_suite(self, folder):
        assert [
            check.fault for check in check_backend("example", [folder], {}) if not check.ok
        ] == []

    def test_its_calls_are_answered_as_it_says(self, folder):
        client = client_of("example", folder)
        calls = re.findall(r"^curl (.*?)\s+# (.*)$", PAGE.read_text(), re.MULTILINE)
        assert len(calls) == 2
        for call, answer in calls:
            path = re.search(r"localhost:3000(/\w+)", call)[1]
            body = re.search(r"-d '(.*)'", call)
            if body:
                said = client.post(path, data=body[1], content_type="application/json")
            else:
                said = client.get(path)
            assert said.get_data(as_text=True).strip() == answer

    def test_it_fits_on_a_page(self):
        assert len(PAGE.read_text().splitlines()) <= 110


class TestHelloWorld:
    """The guide's own calls."""

    def test_it_counts(self):
        client = client_of("helloworld", SHIPPED)
        assert client.post("/increment", json={"amount": 2}).get_data(as_text=True) == "Incremented"
        assert client.get("/value").get_json() == {"value": 2}

    def test_anything_else_is_not_found(self):
        client = client_of("helloworld", SHIPPED)
        assert client.get("/increment").status_code == 405
        assert client.get("/values").status_code == 404


class TestHelloAutoscaler:
    """The follow-up guide: the same counter, which also tells how much it is asked."""

    def test_it_counts_and_refuses_what_has_no_amount(self):
        client = client_of("helloautoscaler", SHIPPED)
        assert client.post("/increment", json={"amount": 2}).get_data(as_text=True) == "Incremented"
        assert client.post("/increment", json={}).status_code == 400
        assert client.get("/value").get_json() == {"value": 2}

    def test_it_says_that_it_is_loaded_and_then_how_much_came_in(self):
        loaded = load_backend("helloautoscaler", [])
        with FakeAutoscaler() as autoscaler:
            backend = construct(
                loaded,
                container_id=7,
                control_server_url=autoscaler.url,
                master_token="secret",
                send_data=True,
            )
            assert autoscaler.wait(lambda heard: heard.reports)
            backend.track_request()
            backend.send_update()
            backend.teardown()
            first, second = autoscaler.reports
        assert first.keys() == {"id", "mtoken", "loadtime", "max_perf"}
        assert first["max_perf"] == 0.5
        assert second == {"id": 7, "mtoken": "secret", "cur_load": 0.1, "num_requests_recieved": 1}
