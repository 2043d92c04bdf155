"""The HTTP functions of the guide of 2024: what they return, raise, log and keep to themselves."""

from __future__ import annotations

import socket

import pytest
import requests

from vast_pyworker.vastai import apiurl, http_del, http_get, http_post, http_put
from vast_pyworker.vastai.fake_vast import FakeVast, Told

KEY = "key-0123456789abcdef"
HEADERS = {"Authorization": f"Bearer {KEY}", "Accept": "application/json"}


@pytest.fixture
def fake():
    with FakeVast() as server:
        yield server


@pytest.fixture
def closed():
    """The address of a port on which nobody listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{sock.getsockname()[1]}"


def test_get_returns_the_json(fake):
    fake.on("GET /x/", {"a": [1]})
    assert http_get(f"{fake.url}/x/?q=1", HEADERS) == {"a": [1]}
    assert fake.asked[0].headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize(
    ("function", "method"), [(http_put, "PUT"), (http_del, "DELETE"), (http_post, "POST")]
)
def test_the_others_send_json_and_return_the_answer(fake, function, method):
    fake.on(f"{method} /x/", {"success": True})
    response = function(f"{fake.url}/x/", HEADERS, {"state": "running"})
    assert response.json() == {"success": True}
    assert function(f"{fake.url}/x/", headers=HEADERS, json={}).status_code == 200
    assert [asked.body for asked in fake.asked] == [{"state": "running"}, {}]


def test_what_is_sent_by_default_is_an_empty_object(fake):
    fake.on("* /x/", {})
    http_del(f"{fake.url}/x/", HEADERS)
    http_post(f"{fake.url}/x/", HEADERS)
    assert [asked.body for asked in fake.asked] == [{}, {}]


@pytest.mark.parametrize("function", [http_get, http_put, http_del, http_post])
def test_a_bad_answer_is_an_http_error_without_the_key(fake, function, caplog):
    fake.on("* /x/", Told({"msg": f"No {KEY} here"}, 404))
    args = () if function is http_get else ({},)
    with pytest.raises(requests.HTTPError) as caught:
        function(f"{fake.url}/x/?api_key={KEY}", HEADERS, *args)
    assert caught.value.response.status_code == 404
    assert "answered 404" in str(caught.value)
    assert KEY not in str(caught.value) + caplog.text
    assert ("answered 404" in caplog.text) == (function in (http_get, http_post))


@pytest.mark.parametrize("function", [http_get, http_put, http_del, http_post])
def test_no_answer_is_a_request_exception_without_the_key(closed, function, caplog):
    args = () if function is http_get else ({},)
    with pytest.raises(requests.ConnectionError) as caught:
        function(f"{closed}/x/?api_key={KEY}", HEADERS, *args)
    assert KEY not in str(caught.value) + caplog.text
    assert caught.value.__cause__ is None and caught.value.__context__ is None


def test_a_header_that_cannot_be_sent_is_not_told(fake):
    with pytest.raises(requests.RequestException) as caught:
        http_get(f"{fake.url}/x/", {"Authorization": f"Bearer {KEY}\n"})
    assert KEY not in str(caught.value)


def test_an_answer_that_is_no_json_is_a_request_exception(fake):
    fake.on("GET /x/", Told(b"<html>"))
    with pytest.raises(requests.RequestException, match="not JSON"):
        http_get(f"{fake.url}/x/", HEADERS)


def test_addresses_have_text_as_it_is_and_the_rest_as_json(monkeypatch):
    monkeypatch.delenv("VAST_URL", raising=False)
    query = {"owner": "me & you", "q": {"rentable": {"eq": True}}, "limit": 5}
    assert apiurl("/bundles/", query) == (
        "https://console.vast.ai/api/v0/bundles/?owner=me+%26+you"
        "&q=%7B%22rentable%22%3A+%7B%22eq%22%3A+true%7D%7D&limit=5"
    )
    assert apiurl("/instances/") == "https://console.vast.ai/api/v0/instances/"
    assert list(query) == ["owner", "q", "limit"]


def test_addresses_are_below_the_server_that_is_set_and_hold_no_key(monkeypatch, caplog):
    monkeypatch.setenv("VAST_URL", "http://127.0.0.1:8556/")
    assert apiurl("/asks/5/", {"api_key": KEY}, KEY) == "http://127.0.0.1:8556/api/v0/asks/5/"
    assert "Authorization: Bearer" in caplog.text and KEY not in caplog.text
