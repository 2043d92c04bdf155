"""A worker of one file that reports as Vast's does, and answers as each payload says.

    python rogue_worker.py

The payload's ``answers`` are what the requests of its ``name`` get, one after another: a status,
``image``, ``garbage`` (200 and no JSON) or ``drop`` (the connection). ``close`` shuts the port for
good after the answer, while the reports go on. The settings are those of an instance; with CERT and
CERT_KEY, two files, it speaks TLS.
"""

import base64
import json
import os
import socket
import ssl
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PORT = int(os.environ["WORKER_PORT"])
SCHEME = "https" if "CERT" in os.environ else "http"
URL = f"{SCHEME}://{os.environ['PUBLIC_IPADDR']}:{os.environ[f'VAST_TCP_PORT_{PORT}']}"
PNG = base64.b64decode("iVBORw0KGgo=")
REPORT_EVERY_S = 1.0
seen: dict[str, int] = {}


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        payload = body["payload"]
        name, answers = payload.get("name", ""), payload.get("answers", [200])
        turn = seen[name] = seen.get(name, 0) + 1
        self.give(answers[min(turn, len(answers)) - 1], turn)
        end = {"request_idx": body["auth_data"]["request_idx"], "success": True}
        end |= {"status": "Success", "entered_queue_at": 0.0}
        end |= {"work_started_at": 0.0, "work_completed_at": 0.0}
        tell("/delete_requests/", {"worker_id": WORKER, "mtoken": TOKEN, "requests": [end]})

    def give(self, answer: object, turn: int) -> None:
        if answer == "drop":
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        if answer == "close":
            threading.Thread(target=self.server.shutdown).start()
        status = answer if isinstance(answer, int) else 200
        kind = "image/png" if answer == "image" else "application/json"
        bodies = {"image": PNG, "garbage": b'{"cut": '}
        content = bodies.get(str(answer), json.dumps({"worker": WORKER, "turn": turn}).encode())
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args: object) -> None:
        pass


def tell(path: str, body: object) -> None:
    request = urllib.request.Request(
        os.environ["REPORT_ADDR"] + path,
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    try:
        urllib.request.urlopen(request, timeout=5).close()
    except OSError as exc:
        print(exc, flush=True)


def report() -> None:
    known = {"id": WORKER, "mtoken": TOKEN, "version": "1.1.0", "url": URL, "error_msg": ""}
    load = {"loadtime": 1.0, "max_perf": 100.0, "cur_load": 0, "new_load": 0, "rej_load": 0}
    rest = {"cur_perf": 0, "num_requests_working": 0, "num_requests_recieved": sum(seen.values())}
    tell("/worker_status/", {**known, **load, **rest, "working_request_idxs": []})


WORKER = int(os.environ["CONTAINER_ID"])
TOKEN = os.environ["MASTER_TOKEN"]


def main() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", PORT), Handler)
    if SCHEME == "https":
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(os.environ["CERT"], os.environ["CERT_KEY"])
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    serving = threading.Thread(target=server.serve_forever, args=(0.05,))
    serving.start()
    while True:
        report()
        time.sleep(REPORT_EVERY_S)
        if not serving.is_alive():
            server.server_close()


if __name__ == "__main__":
    main()
