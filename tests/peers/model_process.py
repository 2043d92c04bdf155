"""The fake model server as a process of its own, to be started, hung, crashed and ended.

    python model_process.py PORT

A script that says ``crash`` ends it with status 7. On SIGTERM it says how many requests it was
answering, and goes.
"""

import os
import signal
import sys
import threading

from vast_pyworker.worker.fake_model import FakeModel


def main() -> None:
    told = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: told.set())
    with FakeModel(int(sys.argv[1]), crash=lambda: os._exit(7)) as model:
        print(f"up after 0.1 s as {os.getpid()}", flush=True)
        told.wait()
        answered = sum(seen.state == "answered" for seen in model.seen)
        print(f"SIGTERM: {model.running} running, {answered} answered", flush=True)


main()
