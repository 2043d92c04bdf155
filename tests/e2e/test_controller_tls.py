"""TLS from end to end: the controller's own certificate, workers' certificates of the same CA, and
Vast's client, which trusts what the controller hands out.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fleet_support import Fleet, Group, running_fleet
from route_stub import certify

from vast_pyworker.worker.fake_model import FakeModel

pytest.importorskip("vastai", reason="the official client is not installed: vastai==1.9.1")
pytestmark = pytest.mark.official
LIMIT_S = 60.0
BACKENDS = Path(__file__).resolve().parents[1] / "peers" / "backends"
ASK = """
import asyncio, sys
from vastai import Serverless
here, key = sys.argv[1:]
class Local(Serverless):
    SSL_CERT_URL = here + "/static/jvastai_root.cer"
async def main():
    async with Local(key, autoscaler_url=here, webserver_url=here) as client:
        endpoint = await client.get_endpoint("safe")
        answer = await endpoint.request("/generate", {"script": {}}, timeout=20)
        print(answer["status"], answer["url"])
asyncio.run(main())
"""


@contextmanager
def fleet_of(tmp_path: Path, own_tls: bool) -> Iterator[Fleet]:
    """A worker with a certificate of a CA that no system knows. With ``own_tls`` the controller's
    is of the same CA; else it has none, and is told of the CA by ``worker_ca``."""
    ca, own = tmp_path / "ca.pem", tmp_path / "own.pem"
    ca.write_bytes(certify(tmp_path))
    own.write_bytes((tmp_path / "worker.crt").read_bytes() + ca.read_bytes())
    key = str(tmp_path / "worker.key")
    with FakeModel() as model:
        env = {
            "PYWORKER_BACKENDS": str(BACKENDS),
            "MODEL_SERVER_URL": model.url,
            "USE_SSL": "true",
            "PYWORKER_CERT": str(tmp_path / "worker.crt"),
            "PYWORKER_KEY": key,
            "SSL_CERT_FILE": str(ca),
            "REQUESTS_CA_BUNDLE": str(ca),
        }
        group = Group("safe", "scripted", tables={"deadlines": {"drain_s": 1}}, env=env)
        tls = {"tls_cert": str(own), "tls_key": key} if own_tls else {"worker_ca": str(ca)}
        with running_fleet(tmp_path, group, ca=str(ca), **tls) as fleet:
            fleet.controller.await_ready("safe", 1)
            yield fleet


def ask(fleet: Fleet, key: str, **environ: str) -> str:
    """What the official client prints, in a process of its own with no other authority."""
    done = subprocess.run(
        [sys.executable, "-c", ASK, fleet.controller.url, key],
        env={"PATH": os.environ["PATH"], **environ},
        capture_output=True, text=True, timeout=LIMIT_S, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_their_client_trusts_a_worker_by_what_the_controller_hands_out(tmp_path: Path) -> None:
    with fleet_of(tmp_path, own_tls=True) as fleet:
        own = fleet.controller
        told = ask(fleet, own.admin_key, SSL_CERT_FILE=str(tmp_path / "ca.pem"))
        (member,) = own.members("safe")
        assert told.split() == ["200", member["url"]]
        assert own.url.startswith("https:") and member["url"].startswith("https:")


def test_their_client_trusts_workers_of_another_authority_and_takes_an_endpoints_key(
    tmp_path: Path,
) -> None:
    with fleet_of(tmp_path, own_tls=False) as fleet:
        own = fleet.controller
        (endpoint,) = own.get("/api/v0/endptjobs/")["results"]
        (member,) = own.members("safe")
        assert ask(fleet, endpoint["api_key"]).split() == ["200", member["url"]]
        assert own.url.startswith("http:") and member["url"].startswith("https:")
