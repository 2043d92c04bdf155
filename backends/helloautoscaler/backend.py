"""The helloworld counter, which also tells the autoscaler about itself.

Three messages make a backend visible to the autoscaler: ``notify.loaded`` once it can serve,
``notify.update`` every few seconds with the load that came in, ``notify.error`` if it cannot go on.
The worker sends such reports for every backend by itself; this one shows how a backend of 2024
does it with its own hands.
"""

import threading
import time

import notify
from flask import abort

UPDATE_INTERVAL_S = 10
MAX_PERF = 0.5  # requests a second that this worker claims to do


class Backend:
    def __init__(self, container_id, control_server_url, master_token, send_data):
        started = time.time()
        self.id = container_id
        self.master_token = master_token
        self.control_server_url = control_server_url
        self.count = 0
        self.num_requests_recieved = 0
        self.interval_requests_recieved = 0
        self.lock = threading.Lock()
        self.stopping = threading.Event()
        if send_data:
            load_time = time.time() - started
            threading.Thread(
                target=self.send_data_loop, args=(load_time,), name="helloautoscaler", daemon=True
            ).start()

    def send_data_loop(self, load_time):
        """Say that the worker can serve, then how much it is asked, until it stops."""
        notify.loaded(self.identity(), self.control_server_url, load_time, MAX_PERF)
        while not self.stopping.wait(UPDATE_INTERVAL_S):
            self.send_update()

    def send_update(self):
        with self.lock:
            cur_load = self.interval_requests_recieved / UPDATE_INTERVAL_S
            self.interval_requests_recieved = 0
        notify.update(
            self.identity(), self.control_server_url, cur_load, self.num_requests_recieved
        )

    def identity(self):
        return {"id": self.id, "mtoken": self.master_token}

    def track_request(self):
        with self.lock:
            self.num_requests_recieved += 1
            self.interval_requests_recieved += 1

    def teardown(self):
        """The worker is stopping."""
        self.stopping.set()


def increment_handler(backend, request):
    """Add ``amount`` to the count."""
    backend.track_request()
    if "amount" not in request.json:
        abort(400, "The body lacks `amount`.")
    with backend.lock:
        backend.count += request.json["amount"]
    return "Incremented"


def value_handler(backend, request):
    """The count."""
    backend.track_request()
    return {"value": backend.count}


flask_dict = {
    "POST": {"increment": increment_handler},
    "GET": {"value": value_handler},
}
