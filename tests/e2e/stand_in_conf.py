"""A gunicorn configuration that answers "ok" where only the start is tested."""

import os
import time

host = os.environ.get("PYWORKER_HOST") or "127.0.0.1"
bind = f"{host}:{os.environ['WORKER_PORT']}"
control_socket_disable = True
wsgi_app = "given:below"

if os.environ.get("USE_SSL") == "true":
    certfile = os.environ["PYWORKER_CERT"]
    keyfile = os.environ["PYWORKER_KEY"]


def application(environ, start_response):
    start_response("200 OK", [("Content-Length", "3")])
    return [b"ok\n"]


def on_starting(server):
    """Hand the application over, so that there is no module to import it from."""
    server.app.callable = application


def post_worker_init(worker):
    """Fail, or take long, as the test asks."""
    if os.environ.get("STAND_IN_FAILS"):
        raise RuntimeError(os.environ["STAND_IN_FAILS"])
    time.sleep(float(os.environ.get("STAND_IN_SLEEPS", "0")))
