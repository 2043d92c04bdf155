"""The HTTP/1.1 engine under both servers: an event loop that relays, and threads for Flask.

Knows nothing of models, work or reports. ``engine.worker.EngineWorker`` is the gunicorn class;
``Server`` runs the same without gunicorn, for tests and tools.
"""

from .exchange import Exchange
from .limits import Limits, Timeouts
from .plan import Origin, RelayEnd, RelayObserver, RelayPlan
from .server import NativeHandler, Server
from .threads import HandlerThreads

__all__ = [
    "Exchange",
    "HandlerThreads",
    "Limits",
    "NativeHandler",
    "Origin",
    "RelayEnd",
    "RelayObserver",
    "RelayPlan",
    "Server",
    "Timeouts",
]
