"""The smallest backend: a counter behind two endpoints.

``POST /increment`` with ``{"amount": 2}`` adds to it, ``GET /value`` reads it.
"""

import threading


class Backend:
    """All state that outlives a request. The worker makes one and hands it to every handler."""

    def __init__(self, *args, **kwargs):
        self.count = 0
        self.lock = threading.Lock()  # handlers run in threads, several at once


def increment_handler(backend, request):
    """Add ``amount`` to the count."""
    amount = request.json["amount"]
    with backend.lock:
        backend.count += amount
    return "Incremented"


def value_handler(backend, request):
    """The count."""
    return {"value": backend.count}


flask_dict = {
    "POST": {"increment": increment_handler},
    "GET": {"value": value_handler},
}
