"""A disk that is full while the controller runs: nothing changes, workers and clients go on.

The limit on the size of files makes every write of the ledger fail, as a full disk does; it cannot
be told to a part of a process, so all of it is in a process of its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

CHILD = """
import json, resource, sys, time
from dataclasses import replace
from pathlib import Path
import requests
from vast_pyworker.controller.access import ADMIN_NAME, Right
from vast_pyworker.controller.composing import Surroundings, compose
from vast_pyworker.controller.executors import Inline
from vast_pyworker.controller.fake_controller import Time, fake_group, fake_wishes
from vast_pyworker.controller.ledger.ledger import Ledger
from vast_pyworker.controller.secrets import open_secrets
from vast_pyworker.engine.running import RunningServer
from vast_pyworker.providers.fake import FakeProvider

folder = Path(sys.argv[1])
clock = Time()
wished = [fake_wishes(fake_group(min_instances=2))]
provider = FakeProvider(clock)
provider.fail("charges", "unreachable", times=None)
ledger = Ledger.open(str(folder / "ledger.db"), holder="test", now=clock)
secrets = open_secrets(folder)
around = Surroundings("http://127.0.0.1:1", 3600.0, clock, clock, lambda: b"")
built = compose(lambda: wished[0], provider, ledger, secrets, Inline(), around)
admin, _ = ledger.keys.create(ADMIN_NAME, Right.ADMIN, at=clock())
server = RunningServer(built.app)
server.start()
url = f"http://127.0.0.1:{server.address[1]}"
web, ticks = requests.Session(), built.parts.ticks
told = {}

def call(method, path, body=None, key=admin):
    head = {"Authorization": f"Bearer {key}"}
    return web.request(method, url + path, json=body, headers=head, timeout=10)

def tick(seconds=5.0):
    before = ticks.count
    clock.at += seconds
    for intent in ledger.intents.open().values():
        if intent.instance_id is not None:
            told.setdefault("reports", []).append(report(intent))
    built.ticking.wake()
    until = time.monotonic() + 10
    while ticks.count == before or ticks.took_s < 0:
        assert time.monotonic() < until
    while not done():
        assert time.monotonic() < until

def report(intent):
    body = {
        "id": intent.instance_id, "mtoken": secrets.token_of(intent.id), "version": "1.1.0",
        "loadtime": 9.0, "cur_load": 0.0, "new_load": 0.0, "cur_perf": 0.0, "max_perf": 100.0,
        "error_msg": "", "num_requests_working": 0, "num_requests_recieved": 0,
        "cur_capacity": 0, "max_capacity": 0, "working_request_idxs": [],
        "url": f"http://203.0.113.7:{intent.instance_id % 60000}",
    }
    return call("POST", "/worker_status/", body).status_code

def done():
    return finished[0] == ticks.count

finished = [0]
once = built.ticking._once
def counted():
    once()
    finished[0] = ticks.count
built.ticking._once = counted

def limit(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

def state():
    opened = ledger.intents.open()
    return [
        sorted(map(repr, opened.values())), built.parts.desk.overlay.to_json(),
        [key.id for key in ledger.keys.list()], provider.mutations,
    ]

def route():
    key = built.parts.endpoint_key("llm")
    return call("POST", "/route/", {"endpoint": "llm", "api_key": key, "cost": 1.0}, key).json()

built.ticking.start()
while finished[0] == 0:
    pass
for _ in range(30):
    tick()
told["stages"] = [str(each.stage) for each in built.parts.loop.fleet.members]
ident = str(min(provider.truth()))
wished[0] = fake_wishes(fake_group(min_instances=3))
built.parts.desk.reload()
before = state()
told["reports"] = []
limit(1)
try:
    for _ in range(4):
        tick()
    told["failure"], told["failed"] = ticks.failure, ticks.failed
    told["page"] = call("GET", "/groups").json()["ticks"]["failure"]
    told["livez"] = call("GET", "/livez").status_code
    told["routed"] = [route().get("url") for _ in range(3)]
    told["answers"] = [
        [answer.status_code, answer.json()] for answer in (
            call("POST", f"/instances/{ident}/hold"),
            call("POST", f"/instances/{ident}/drop"),
            call("POST", "/groups/llm/scale", {"instances": 1}),
            call("POST", "/keys", {"name": "new", "right": "read"}),
            call("POST", "/api/v0/endptjobs/", {"endpoint_name": "other"}),
        )
    ]
    told["unchanged"] = state() == before
    told["while"] = told.pop("reports")
finally:
    limit(resource.RLIM_INFINITY)
for _ in range(30):
    tick()
told["after"] = [str(each.stage) for each in built.parts.loop.fleet.members]
told["failure_after"] = ticks.failure
told["counted"] = ledger.spend.spent_micro(0.0) + len(provider.truth())
told["billed"] = float(provider.billed_in_all())
built.ticking.stop()
built.parts.events.close()
web.close()
server.stop()
ledger.close()
print(json.dumps(told))
"""


def test_while_the_disk_is_full_nothing_changes_and_clients_are_served(tmp_path: Path) -> None:
    command = [sys.executable, "-c", CHILD, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["stages"] == ["ready", "ready"]
    assert told["failed"] == 4  # each tick is tried again, and nothing ends the process
    assert told["failure"].startswith("The ledger ") and "\n" not in told["failure"]
    assert told["page"] == told["failure"]
    assert told["livez"] == 200 and set(told["while"]) == {200}
    assert all(url.startswith("http://203.0.113.7:") for url in told["routed"])
    for status, body in told["answers"]:
        assert status == 503, body
        assert list(body) == ["error"] and body["error"].startswith("The ledger ")
    assert told["unchanged"]
    assert told["after"] == ["ready"] * 3 and told["failure_after"] == ""
    assert told["counted"] >= told["billed"]
