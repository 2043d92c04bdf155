"""Endpoints and groups of workers: nothing that is not set is sent; none is none."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from vast_pyworker.errors import AuthError, InvalidRequest, NotFound, OutcomeUnknown
from vast_pyworker.vastai.client import VastClient
from vast_pyworker.vastai.endpoints import EndpointSettings
from vast_pyworker.vastai.fake_vast import FakeVast, Told
from vast_pyworker.vastai.pacing import Pacing
from vast_pyworker.vastai.worker_groups import WorkerGroups, WorkerGroupSettings

ENDPOINT = {"id": 15, "endpoint_name": "llm", "endpoint_state": "active", "min_load": 0,
            "max_workers": 20, "target_util": 0.9, "api_key": "ep-secret"}  # fmt: skip
GROUP = {"id": 42, "endpoint_id": 15, "endpoint_name": "llm", "template_hash": "h1",
         "search_query": {"gpu_ram": {"gte": 23000.0}}, "gpu_ram": 23.0,
         "api_key": "gr-secret"}  # fmt: skip


@pytest.fixture
def vast() -> Iterator[FakeVast]:
    with FakeVast() as vast:
        yield vast


@pytest.fixture
def client(vast) -> Iterator[VastClient]:
    with VastClient("secret", base_url=vast.url, pacing=Pacing.off()) as client:
        yield client


class TestEndpoints:
    def test_they_are_read_and_keys_stay_out_of_texts(self, vast, client):
        vast.on("GET /api/v0/endptjobs/", {"success": True, "results": [ENDPOINT]})
        (endpoint,) = client.endpoints.list()
        assert (endpoint.id, endpoint.name, endpoint.state) == (15, "llm", "active")
        assert endpoint.settings.max_workers == 20
        assert endpoint.settings.cold_mult is None
        assert "ep-secret" not in repr(endpoint)

    def test_the_key_of_the_account_is_in_no_body(self, vast, client):
        vast.on("GET /api/v0/endptjobs/", {"success": True, "results": []})
        client.endpoints.list()
        (asked,) = vast.asked
        assert (asked.body, asked.query) == (None, {})
        assert asked.headers["authorization"] == "Bearer secret"

    def test_a_400_that_says_there_are_none_is_an_empty_list(self, vast, client):
        said = {"success": False, "error": "invalid_args", "msg": "No endpoints for user 7 found."}
        vast.on("GET /api/v0/endptjobs/", Told(said, 400))
        assert client.endpoints.list() == []

    @pytest.mark.parametrize("status", [400, 404])
    def test_another_400_is_an_error(self, status, vast, client):
        said = Told({"success": False, "error": "auth_error", "msg": "Invalid user key"}, status)
        vast.on("GET /api/v0/endptjobs/", said)
        with pytest.raises(AuthError):
            client.endpoints.list()

    def test_show(self, vast, client):
        gone = Told({"success": False, "msg": "Endpoint job 15 not found"}, 404)
        vast.on("GET /api/v0/endptjobs/15/", {"success": True, "result": ENDPOINT}, gone)
        first, second = client.endpoints.show(15), client.endpoints.show(15)
        assert first is not None
        assert (first.name, second) == ("llm", None)

    def test_create_sends_what_is_set(self, vast, client):
        vast.on("POST /api/v0/endptjobs/", {"success": True, "result": 15})
        assert client.endpoints.create("llm", EndpointSettings(max_workers=3, min_load=0.0)) == 15
        body = vast.asked[0].body
        assert body == {
            "client_id": "me",
            "endpoint_name": "llm",
            "max_workers": 3,
            "min_load": 0.0,
        }

    def test_a_name_that_is_taken_is_refused(self, vast, client):
        said = {"success": False, "error": "invalid_args", "msg": "Duplicate endpoint name"}
        vast.on("POST /api/v0/endptjobs/", Told(said, 400))
        with pytest.raises(InvalidRequest, match="Duplicate"):
            client.endpoints.create("llm")

    @pytest.mark.parametrize("answer", [Told({}, 502), {"success": True}, Told(b"<html>")])
    def test_a_lost_answer_is_not_asked_for_twice(self, answer, vast, client):
        vast.on("POST /api/v0/endptjobs/", answer)
        with pytest.raises(OutcomeUnknown) as told:
            client.endpoints.create("llm")
        assert told.value.label == "llm"
        assert len(vast.asked) == 1

    def test_an_update_names_what_it_changes_and_nothing_else(self, vast, client):
        vast.on("PUT /api/v0/endptjobs/15/", {"success": True})
        client.endpoints.update(15, EndpointSettings(max_workers=0), state="suspended")
        body = vast.asked[0].body
        assert body == {
            "client_id": "me",
            "endptjob_id": 15,
            "max_workers": 0,
            "endpoint_state": "suspended",
        }

    def test_an_update_of_nothing_is_not_sent(self, vast, client):
        with pytest.raises(InvalidRequest):
            client.endpoints.update(15, EndpointSettings())
        assert vast.asked == []

    def test_delete_says_whether_it_was_there(self, vast, client):
        gone = Told({"success": False, "msg": "Endpoint 15 for user 7 not found."}, 404)
        vast.on("DELETE /api/v0/endptjobs/15/", {"success": True}, gone)
        assert (client.endpoints.delete(15), client.endpoints.delete(15)) == (True, False)
        assert vast.asked[0].body == {"client_id": "me", "endptjob_id": 15}


@pytest.mark.parametrize("family", ["autojobs", "workergroups"])
class TestGroups:
    @pytest.fixture
    def groups(self, family, client) -> WorkerGroups:
        return WorkerGroups(client.transport, family=family)

    def test_they_are_read_and_keys_stay_out_of_texts(self, family, vast, groups):
        vast.on(f"GET /api/v0/{family}/", {"success": True, "results": [GROUP]})
        (group,) = groups.list()
        assert (group.id, group.endpoint_id, group.gpu_ram_gb) == (42, 15, 23.0)
        assert group.search_query == {"gpu_ram": {"gte": 23000.0}}
        assert "gr-secret" not in repr(group)
        assert groups.show(43) is None

    def test_create(self, family, vast, groups):
        vast.on(f"POST /api/v0/{family}/", {"success": True, "id": 42})
        wanted = WorkerGroupSettings(endpoint_name="llm", template_hash="h1", gpu_ram_gb=23.0)
        assert groups.create(wanted) == 42
        assert vast.asked[0].body == {
            "client_id": "me",
            "endpoint_name": "llm",
            "template_hash": "h1",
            "gpu_ram": 23.0,
        }

    def test_create_without_an_endpoint_is_refused_here(self, family, vast, groups):
        with pytest.raises(InvalidRequest, match="endpoint"):
            groups.create(WorkerGroupSettings(template_hash="h1"))
        assert vast.asked == []

    def test_a_lost_create_is_not_repeated(self, family, vast, groups):
        vast.on(f"POST /api/v0/{family}/", Told({}, 504))
        with pytest.raises(OutcomeUnknown) as told:
            groups.create(WorkerGroupSettings(endpoint_id=15))
        assert told.value.label == "15"
        assert len(vast.asked) == 1

    def test_an_update_leaves_the_query_alone(self, family, vast, groups):
        vast.on(f"GET /api/v0/{family}/", {"success": True, "results": [GROUP]})
        vast.on(f"PUT /api/v0/{family}/42/", {"success": True})
        groups.update(42, WorkerGroupSettings(gpu_ram_gb=40.0))
        (asked,) = vast.calls("PUT *")
        assert asked.body == {
            "client_id": "me",
            "autojob_id": 42,
            "gpu_ram": 40.0,
            "endpoint_id": 15,
        }

    def test_an_update_of_none_is_not_sent(self, family, vast, groups):
        vast.on(f"GET /api/v0/{family}/", {"success": True, "results": []})
        with pytest.raises(NotFound, match="42"):
            groups.update(42, WorkerGroupSettings(gpu_ram_gb=40.0))
        assert vast.calls("PUT *") == []

    def test_delete_says_whether_it_was_there(self, family, vast, groups):
        gone = Told({"success": False, "msg": "No autojob by that id is available."}, 404)
        vast.on(f"DELETE /api/v0/{family}/42/", {"success": True}, gone)
        assert (groups.delete(42), groups.delete(42)) == (True, False)
