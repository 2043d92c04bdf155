"""The table of routes: the backend's own first, then the worker's that it does not claim."""

from __future__ import annotations

import pytest

from vast_pyworker.worker import constant
from vast_pyworker.worker.built_in import BUILT_IN_ROUTES
from vast_pyworker.worker.contract.loading import load_backend
from vast_pyworker.worker.contract.routes import Route, document, routes_of
from vast_pyworker.worker.traffic.forwarding import forward

SOURCE = '''
from vast_pyworker.worker import constant, forward

class Backend:
    pass

def count(backend, request):
    """How many there were."""

fast = forward("/fast", concurrency=4, max_queue=0, max_queue_time=1.5, workload=constant(1.0))
flask_dict = {
    "GET": {"count": count, "pyworker/status": count},
    "POST": {"fast": fast, "open": forward("/v1/open", signed=False)},
}
'''


@pytest.fixture
def table(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "backend.py").write_text(SOURCE)
    return routes_of(load_backend("mine", [tmp_path]), BUILT_IN_ROUTES)


def test_a_handler_is_described_by_its_docstring(table):
    assert table[0] == Route("GET", "/count", "handler", "How many there were.")


def test_a_forward_shows_where_to_and_its_limits(table):
    route = table[2]
    assert (route.kind, route.upstream, route.signed) == ("forward", "POST /fast", True)
    assert route.limits == "concurrency 4, queue 0, wait_s 1.5"
    assert table[3].signed is False
    assert table[3].limits == ""


def test_the_workers_own_routes_follow(table):
    rest = [route for route in table if route.kind == "worker"]
    assert table[-len(rest) :] == rest
    assert ("GET", "/pyworker/metrics") in {(route.method, route.path) for route in rest}


def test_a_path_that_the_backend_claims_is_the_backends(table):
    claimed = [route.kind for route in table if route.path == "/pyworker/status"]
    assert claimed == ["handler"]


def test_a_document_holds_only_what_is_known(table):
    assert document(table[0]) == {
        "method": "GET",
        "path": "/count",
        "kind": "handler",
        "summary": "How many there were.",
    }
    assert document(table[2])["max_queue"] == 0


def test_a_forward_made_here_is_the_kind_that_backends_make():
    assert forward("/x", workload=constant(1.0)).path == "/x"
