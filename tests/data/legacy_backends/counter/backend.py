import threading
import time

import notify
from flask import abort


class Backend:
    def __init__(self, *args):
        self.id, self.control_server_url, self.master_token, send_data = args
        self.count = 0
        self.requests = 0
        if send_data:
            t = threading.Thread(target=self.send_data_loop)
            t.start()

    def identity(self):
        return {"id": self.id, "mtoken": self.master_token}

    def send_data_loop(self):
        notify.loaded(
            data=self.identity(),
            autoscaler_address=self.control_server_url,
            load_time=0.25,
            max_perf=0.5,
        )
        while True:
            time.sleep(0.2)
            notify.update(self.identity(), self.control_server_url, 0.1, self.requests)


def put_handler(backend, request):
    backend.requests += 1
    backend.count = request.json["count"]
    return "", 204


def delete_handler(backend, request):
    backend.requests += 1
    backend.count = 0
    return "", 204


def get_handler(backend, request):
    backend.requests += 1
    return {"count": backend.count, "twice": request.args.get("twice")}


def fail_handler(backend, request):
    backend.requests += 1
    notify.error(backend.identity(), backend.control_server_url, "told to fail")
    abort(503)


flask_dict = {
    "PUT": {"count": put_handler},
    "DELETE": {"count": delete_handler},
    "GET": {"count": get_handler},
    "POST": {"fail": fail_handler},
}
