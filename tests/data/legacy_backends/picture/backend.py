import os

from backend import GenericBackend
from flask import abort
from picture.metrics import Metrics

MODEL_SERVER = os.environ.get("MODEL_ADDR", "127.0.0.1:17860")


class Backend(GenericBackend):
    def __init__(self, container_id, control_server_url, master_token, send_data):
        metrics = Metrics(container_id, master_token, control_server_url, send_data)
        super().__init__(master_token=master_token, metrics=metrics)


def draw_handler(backend, request):
    auth_dict, model_dict = backend.format_request(request.json)
    if auth_dict:
        if not backend.check_signature(**auth_dict):
            abort(401)
    else:
        print("WARNING: an unsigned request")
    code, content, _ = backend.generate(
        model_dict, MODEL_SERVER, "sdapi/v1/txt2img", lambda r: r.content, metrics=True
    )
    if code == 200:
        return content
    abort(code)


flask_dict = {"POST": {"sdapi/v1/txt2img": draw_handler}}
