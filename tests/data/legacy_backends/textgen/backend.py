import os

import requests
from backend import GenericBackend
from flask import Response, abort
from textgen.metrics import Metrics

MODEL_SERVER = os.environ.get("MODEL_ADDR", "127.0.0.1:5001")


class Backend(GenericBackend):
    def __init__(self, container_id, control_server_url, master_token, send_data):
        metrics = Metrics(
            id=container_id,
            master_token=master_token,
            control_server_url=control_server_url,
            send_server_data=send_data,
        )
        super().__init__(master_token=master_token, metrics=metrics)
        self.model_server_addr = MODEL_SERVER

    def generate(self, model_request, metrics=True):
        return super().generate(
            model_request, self.model_server_addr, "generate", lambda r: r.text, metrics=metrics
        )

    def stream(self, model_request):
        self.metrics.start_req(model_request)
        try:
            url = f"http://{self.model_server_addr}/generate_stream"
            response = requests.post(url, json=model_request, stream=True)
            for line in response.iter_lines():
                yield line + b"\n"
            self.metrics.finish_req(model_request)
        except requests.exceptions.RequestException:
            self.metrics.error_req(model_request)


def authorized(backend, request):
    auth_dict, model_dict = backend.format_request(request.json)
    if auth_dict and not backend.check_signature(**auth_dict):
        abort(401)
    return model_dict


def generate_handler(backend, request):
    code, content, _ = backend.generate(authorized(backend, request))
    if code == 200:
        return content
    print(f"generate failed with code {code}")
    abort(code)


def generate_stream_handler(backend, request):
    return Response(backend.stream(authorized(backend, request)))


def info_handler(backend, request):
    code, content = backend.get(None, backend.model_server_addr, "info", lambda r: r.text)
    if code == 200:
        return content
    abort(code)


flask_dict = {
    "POST": {"generate": generate_handler, "generate_stream": generate_stream_handler},
    "GET": {"info": info_handler},
}
