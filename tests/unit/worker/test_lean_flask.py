"""Flask all the same: what is remembered from request to request changes no answer."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask, request, url_for
from flask.testing import FlaskClient

from vast_pyworker.worker.lean_flask import LeanFlask


def built(app: Flask) -> FlaskClient:
    app.add_url_rule("/plain", "plain", lambda: f"{request.method} {request.args.get('a', '-')}")
    app.add_url_rule("/post", "post", lambda: "posted", methods=["POST"])
    app.add_url_rule("/of/<name>", "of", lambda name: f"of {name}")
    app.add_url_rule("/folder/", "folder", lambda: "folder")
    app.add_url_rule("/default", "default", lambda kind: kind, defaults={"kind": "usual"})
    app.add_url_rule("/link", "link", lambda: url_for("of", name="x", _external=True))

    async def slowly() -> str:
        return "async"

    app.add_url_rule("/twice", "twice", lambda: "first")
    app.before_request(lambda: request.environ.__setitem__("seen", True))
    app.after_request(_mark)
    return app.test_client()


def _mark(answer: Any) -> Any:
    answer.headers["X-Hooked"] = str(request.environ["seen"])
    return answer


@pytest.fixture
def lean() -> FlaskClient:
    return built(LeanFlask("lean"))


ASKED = [
    ("GET", "/plain"),
    ("GET", "/plain?a=1"),
    ("HEAD", "/plain"),
    ("OPTIONS", "/plain"),
    ("POST", "/plain"),
    ("POST", "/post"),
    ("GET", "/post"),
    ("GET", "/of/a"),
    ("GET", "/of/b"),
    ("GET", "/folder"),
    ("GET", "/folder/"),
    ("GET", "/default"),
    ("GET", "/nowhere"),
    ("GET", "/link"),
]


@pytest.mark.parametrize(("method", "path"), ASKED)
def test_every_answer_is_flasks_also_the_second_time(
    lean: FlaskClient, method: str, path: str
) -> None:
    plain = built(Flask("plain"))
    for host in ("localhost", "other.example:81", "localhost"):
        base = f"http://{host}"
        ours = lean.open(path, method=method, base_url=base)
        theirs = plain.open(path, method=method, base_url=base)
        assert (ours.status, ours.data) == (theirs.status, theirs.data)
        assert dict(ours.headers) == dict(theirs.headers)


def test_only_plain_routes_are_remembered(lean: FlaskClient) -> None:
    for method, path in ASKED:
        lean.open(path, method=method)
    remembered = {key[:2] for key in lean.application._adapters}
    assert ("GET", "/plain") in remembered and ("POST", "/post") in remembered
    assert not {("GET", "/of/a"), ("GET", "/nowhere"), ("GET", "/default")} & remembered


def test_what_is_remembered_is_bounded(lean: FlaskClient) -> None:
    lean.application.most_remembered = 3
    for number in range(10):
        assert lean.get("/plain", base_url=f"http://host-{number}").status_code == 200
    assert len(lean.application._adapters) == 3


def test_view_arguments_are_nobody_elses(lean: FlaskClient) -> None:
    """What one request does with its match does not reach the next."""

    def spoils() -> str:
        request.view_args["stray"] = "left over"
        return "spoilt"

    app = LeanFlask("spoilt")
    app.add_url_rule("/x", "x", lambda **given: spoils() if not given else "got some")
    client = app.test_client()
    assert [client.get("/x").data for _ in range(3)] == [b"spoilt"] * 3


def test_the_application_still_makes_urls_outside_of_requests() -> None:
    app = LeanFlask("lean")
    app.config["SERVER_NAME"] = "here.example"
    app.add_url_rule("/x", "x", lambda: "x")
    with app.app_context():
        assert url_for("x") == "http://here.example/x"
