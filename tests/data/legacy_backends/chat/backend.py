import json
import os

from backend import GenericBackend
from chat.metrics import Metrics
from flask import abort


class Backend(GenericBackend):
    def __init__(self, **kwargs):
        metrics = Metrics(
            kwargs["container_id"],
            kwargs["master_token"],
            kwargs["control_server_url"],
            kwargs["send_data"],
        )
        super().__init__(kwargs["master_token"], metrics)

    def generate(self, model_request, metrics=True):
        def response_func(response):
            try:
                return response.json()["results"][0]["text"]
            except json.decoder.JSONDecodeError:
                return None

        address = os.environ.get("MODEL_ADDR", "127.0.0.1:5001")
        return super().generate(model_request, address, "v1/chat", response_func, metrics=metrics)


def generate_handler(backend, request):
    import utils  # where it is needed

    assert utils.send_data
    code, content, _ = backend.generate(request.json)
    if code == 200:
        return content
    abort(code)


flask_dict = {"POST": {"api/v1/generate": generate_handler}}
