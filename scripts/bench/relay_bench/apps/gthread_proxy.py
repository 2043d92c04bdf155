"""What one writes first: a Flask view that passes on with requests and streams the answer."""

from __future__ import annotations

import os
from collections.abc import Iterator

import requests
from flask import Flask, Response, request
from requests.adapters import HTTPAdapter

CONNECTIONS = 1100


def pieces(answer: requests.Response) -> Iterator[bytes]:
    with answer:
        yield from answer.iter_content(chunk_size=None)


def create_app() -> Flask:
    app = Flask(__name__)
    model_server = os.environ["MODEL_SERVER_URL"]
    session = requests.Session()
    session.mount("http://", HTTPAdapter(pool_maxsize=CONNECTIONS))

    @app.post("/<path:route>")
    def relay(route: str) -> Response:
        answer = session.post(
            f"{model_server}/{route}",
            data=request.get_data(),
            headers={"Content-Type": request.content_type or "application/json"},
            stream=True,
            timeout=60,
        )
        kind = answer.headers.get("Content-Type")
        if "Content-Length" in answer.headers:
            return Response(answer.content, answer.status_code, content_type=kind)
        return Response(pieces(answer), answer.status_code, content_type=kind)

    return app
