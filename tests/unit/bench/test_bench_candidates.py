from __future__ import annotations

import urllib.error
import urllib.request
from pathlib import Path

import pytest
from relay_bench import candidates
from relay_bench.autoscaler import autoscaler
from relay_bench.candidates import Site


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path, 4000, "http://127.0.0.1:5001", "http://127.0.0.1:6000", "python3")


def test_nginx_relays_from_its_port_to_the_model_server(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(candidates, "nginx_path", lambda: "/usr/sbin/nginx")
    program = candidates.nginx(site)
    conf = (tmp_path / "nginx.conf").read_text()
    assert "listen 127.0.0.1:4000" in conf
    assert "server 127.0.0.1:5001;" in conf
    assert "$" not in conf
    assert str(tmp_path / "nginx.conf") in program.command


def test_our_worker_listens_on_loopback_with_its_signature_check_on(site: Site) -> None:
    environ = candidates.ours("bench_forward")(site).environ
    assert environ["PYWORKER_HOST"] == "127.0.0.1"
    assert environ["VAST_TCP_PORT_4000"] == "4000"
    assert "UNSECURED" not in environ


def test_official_worker_does_not_benchmark_itself(site: Site, tmp_path: Path) -> None:
    program = candidates.official(site)
    assert float((tmp_path / ".has_benchmark").read_text()) > 0
    assert program.command[0] == "python3"
    assert program.environ["UNSECURED"] == "true"


def test_every_candidate_has_a_name_of_its_own() -> None:
    assert len(set(candidates.NAMES)) == len(candidates.ALL)


def test_backends_of_the_benchmark_are_there() -> None:
    for name in ("bench_forward", "bench_flask"):
        assert (candidates.BACKENDS / name / "backend.py").is_file()


def test_autoscaler_serves_the_key_and_takes_reports() -> None:
    with autoscaler(b"PEM") as address:
        with urllib.request.urlopen(f"{address}/pubkey/", timeout=10) as answer:
            assert answer.read() == b"PEM"
        with urllib.request.urlopen(f"{address}/worker_status/", b"{}", timeout=10) as answer:
            assert answer.status == 200
        with pytest.raises(urllib.error.HTTPError, match="404") as error:
            urllib.request.urlopen(f"{address}/other", timeout=10)
        error.value.close()
