"""Defects D1 to D15 of Vast's own workers, without those of the model (D5 to D8).

Each docstring says what others do and what ours does; ``table.py`` makes docs/peers.md of them.
"""

from __future__ import annotations

import ast
import json
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from scenes import Farewell
from support import API_KEY, TOKEN, House, scene
from worker_support import ROOT, free_port, running, wait_until

from vast_pyworker.errors import Unauthorized
from vast_pyworker.worker.fake_autoscaler import Fault
from vast_pyworker.worker.traffic.admission import Gate
from vast_pyworker.worker.traffic.auth import Gatekeeper


def served(house: House) -> float:
    return house.worker.metric("pyworker_workload_total", outcome="success")


def test_d01_what_happens_while_a_report_is_under_way_is_in_the_next_one(house: House) -> None:
    """Peers: the counters are set to 0 once a report is sent, with all that came meanwhile.

    Ours: a report carries the difference to the last one that was taken; nothing is ever reset.
    """
    autoscaler = house.autoscaler
    calls = autoscaler.calls.count("/worker_status/")
    autoscaler.fail(Fault("/worker_status/", status=200, delay_s=0.7))
    house.ask(tokens=3)
    assert autoscaler.wait(lambda each: each.calls.count("/worker_status/") > calls)
    reports_under_way = len(autoscaler.reports)
    for _ in range(5):
        assert house.ask(tokens=11).status == 200
    assert len(autoscaler.reports) == reports_under_way, "the report took longer than the requests"
    wait_until(
        lambda: sum(report["cur_perf"] for report in autoscaler.reports) == served(house),
        "report of all that was served",
    )


def test_d02_an_error_of_the_model_is_not_served_work(house: House) -> None:
    """Peers: any answer of the model counts as served, also its 500 and its 429.

    Ours: a 429 or 5xx is a failure, in the metrics and to the autoscaler; it serves nothing.
    """
    before, outcomes = served(house), house.outcomes()
    numbers = {900_000 + status: status for status in (429, 500, 503)}
    for number, status in numbers.items():
        payload = scene(status=status, tokens=50)
        assert house.worker.ask("/generate", payload, request_idx=number).status == status
    assert served(house) == before
    assert house.outcomes()["upstream_error"] == outcomes["upstream_error"] + 3
    for number in numbers:
        end = house.end_of(number)
        assert (end["status"], end["success"]) == ("Error", False)


def test_d03_requests_before_load_get_503_with_retry_after(waiting: House) -> None:
    """Peers: requests are sent to a port that is not open yet, and fail with 500.

    Ours: 503 with Retry-After and what the worker is doing; the model is not bothered.
    """
    for path in ("/generate", "/by_flask"):
        answer = waiting.ask(path)
        assert answer.status == 503
        assert int(answer.headers["retry-after"]) >= 1
        assert answer.json["state"] == "loading"
        assert "not ready" in answer.json["error"]
    assert waiting.model.seen == []


def test_d04_a_full_queue_says_how_long_it_is(house: House) -> None:
    """Peers: an empty 429, although the wait was just computed.

    Ours: 429 with Retry-After and `{error, queue_depth, estimated_wait_s}`.
    """
    assert house.ask("/alone").status == 200, "the gate knows now how long a request takes"
    with house.held("/alone"), house.queued("/alone"):
        answer = house.ask("/alone")
    assert answer.status == 429
    assert int(answer.headers["retry-after"]) >= 1
    assert answer.json["queue_depth"] == 1
    assert answer.json["estimated_wait_s"] > 0
    assert "another worker" in answer.json["error"]


def test_d09_sigterm_lets_requests_finish_and_is_reported(farewell: Farewell) -> None:
    """Peers: no signal is handled, so SIGTERM cuts every request, and nobody is told.

    Ours: readiness 503 and a report at once, requests in flight go on to `DRAIN_TIMEOUT`, new ones
    get 503 with Retry-After, the last ends are told, then the process ends with status 0.
    """
    assert farewell.stream.endswith(b"data: [DONE]\n\n")
    assert farewell.stream.count(b"word") == 31
    assert farewell.unready.json["state"] == "draining"
    assert farewell.refused.status == 503 and farewell.refused.headers["retry-after"]
    assert farewell.draining_report["max_perf"] == 0, "nothing new is to be routed here"
    assert farewell.draining_report["num_requests_working"] >= 1
    assert farewell.end["status"] == "Success"
    assert farewell.exit_status == 0


def imports_in(folder: Path) -> set[str]:
    found: set[str] = set()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                found.add((node.module or "").partition(".")[0])
    return found


def test_d10_a_grant_is_for_this_worker_and_is_not_to_be_altered(house: House) -> None:
    """Peers: a grant for one worker opens every worker, a session needs no grant at all, nobody
    looks at the number of a request, tokens are compared with `!=`, session ids are guessable.

    Ours: the grant must name this worker's own url, also for sessions; older forms, which sign a
    number, are refused when repeated; `hmac.compare_digest`; ids from `secrets`. The form of today
    signs the url alone, so it can be replayed: that is the protocol's, and why work is computed
    from the payload and never taken from the grant.
    """
    autoscaler, worker = house.autoscaler, house.worker
    elsewhere = autoscaler.grant("http://127.0.0.1:1")
    forged = {**autoscaler.grant(worker.url), "signature": elsewhere["signature"]}
    for grant in (elsewhere, forged):
        for path in ("/generate", "/by_flask", "/session/create"):
            assert worker.ask(path, scene(), **grant).status == 401, path
    numbered = autoscaler.grant(worker.url, "five")
    assert worker.ask("/generate", scene(), **numbered).status == 200
    assert worker.ask("/generate", scene(), **numbered).status == 401, "a replay"
    dear = {**autoscaler.grant(worker.url, "five"), "cost": 1.0}
    assert worker.ask("/generate", scene(), **dear).status == 401, "what was signed was altered"


def test_d10_session_ids_cannot_be_guessed_and_sessions_need_their_grant(house: House) -> None:
    worker, ids = house.worker, set()
    for _ in range(3):
        grant = house.autoscaler.grant(worker.url)
        created = worker.ask("/session/create", {"lifetime": 60}, **grant)
        session = {"session_id": created.json["session_id"], "session_auth": grant}
        stranger = {**session, "session_auth": {**grant, "reqnum": -1}}
        assert worker.ask("/session/end", stranger, signed=False).status == 401
        assert worker.ask("/session/end", session, signed=False).status == 200
        ids.add(session["session_id"])
    assert len(ids) == 3 and all(len(each) >= 13 for each in ids)


def test_d11_an_answer_keeps_its_headers_and_an_error_in_it_is_told(house: House) -> None:
    """Peers: of a stream's headers only the content type is kept, an error within it is a cut
    connection, there are POST routes only, bodies have no limit, a health check can be set that
    nobody asks.

    Ours: all headers but those of the hop, an error frame in the stream's own kind, every method,
    `MAX_BODY`, a health check that decides.
    """
    headers = {"X-RateLimit-Remaining": "9", "Cache-Control": "no-store", "X-Request-ID": "model-1"}
    for path in ("/generate", "/by_flask"):
        answer = house.ask(path, kind="sse", then="die", headers=headers)
        kept = {name: answer.headers.get(name.lower()) for name in headers}
        assert kept == headers
        assert answer.text.count("word") == 3
        event, data = answer.text.strip().splitlines()[-2:]
        assert event == "event: error"
        assert "in the middle" in json.loads(data.removeprefix("data: "))["error"]["message"]


def test_d11_other_methods_and_limits_are_there(house: House, waiting: House) -> None:
    assert house.worker.get("/info").json == {"path": "/info"}
    assert house.worker.open("/info", method="HEAD").read().status == 200
    large = house.worker.ask("/generate", {"prompt": "x" * 1_100_000})
    assert large.status == 413
    assert waiting.worker.status["model"]["missing"] == ["probe"], "its health check says 503"


def test_d12_nothing_is_imported_that_newer_pythons_lack() -> None:
    """Peers: `distutils`, which Python 3.12 has not, although 3.12 is said to be supported.

    Ours: none of the modules that were removed up to Python 3.14, in the package or a backend.
    """
    removed = {"distutils", "imp", "asyncore", "asynchat", "smtpd", "cgi", "pkg_resources", "pipes"}
    assert imports_in(ROOT / "vast_pyworker") & removed == set()
    assert imports_in(ROOT / "backends") & removed == set()


def test_d13_failed_streams_are_no_longer_counted_as_running(house: House) -> None:
    """Peers: a stream that fails is never ended in the books, and threads add without a lock.

    Ours: every request is ended exactly once, however it ends; 40 failures at once leave nothing.
    """
    house.await_rest()
    before = house.outcomes()["upstream_error"]
    scripts: list[dict[str, Any]] = [
        {"kind": "sse", "status": 500},
        {"kind": "sse", "then": "die"},
        {"then": "die", "pieces": 0},
        {"status": 429},
    ]
    with ThreadPoolExecutor(20) as pool:
        paths = [path for path in ("/generate", "/by_flask") for _ in range(5)]
        jobs = [pool.submit(house.ask, path, **script) for path in paths for script in scripts]
        assert {job.result().status for job in jobs} <= {200, 429, 500, 502}
    house.await_rest()
    assert house.outcomes()["upstream_error"] + house.outcomes("/by_flask")["upstream_error"] >= (
        before + 40
    )
    report = house.last_report(lambda report: report["num_requests_working"] == 0)
    assert (report["cur_load"], report["working_request_idxs"]) == (0, [])


def test_d14_no_token_is_assumed_or_shown_and_a_dead_autoscaler_stops_nothing(
    house: House, tmp_path: Path
) -> None:
    """Peers: a development server, calls without time limits, one of them at import, a master
    token that defaults to `mtoken` and is printed, reports by the throw of a die.

    Ours: gunicorn, a time limit on every call, no network before serving, no token unless one is
    set, secrets blotted out of the log, reports by the clock.
    """
    keeper = Gatekeeper(_NoKey(), ())
    for token in ("mtoken", "", None):
        with pytest.raises(Unauthorized):
            keeper.check_master_token(token)
    assert house.ask().status == 200
    assert TOKEN not in house.worker.log and API_KEY not in house.worker.log
    dead = {"REPORT_ADDR": f"http://127.0.0.1:{free_port()}", "CONTAINER_ID": "7"}
    with running(tmp_path, "helloworld", extra=dead) as worker:
        assert worker.get("/value").json == {"value": 0}
        os.kill(worker.pid, signal.SIGQUIT)  # at once: it would try to tell its last news
        worker.await_end()


class _NoKey:
    key = None
    revision = 0

    def refresh(self) -> None:
        """There is nothing to fetch."""


def test_d15_the_wait_is_estimated_from_requests_that_run_side_by_side() -> None:
    """Peers: the work of all running requests divided by the capacity, as if they ran in turn;
    without a capacity the wait is infinite.

    Ours: places and how long one is held: with 8 places of 2 s each the next is free in 0.25 s;
    while nothing is known, nothing is claimed.
    """
    gate = Gate(8, 100, 30.0)
    taken = [_Waiter() for _ in range(8)]
    assert all(gate.enter(each) for each in taken)
    assert gate.estimated_wait_s() is None
    gate.leave(2.0)
    assert gate.enter(_Waiter())
    assert gate.estimated_wait_s() == pytest.approx(0.25)
    assert not gate.enter(_Waiter()), "queued, not turned down"


class _Waiter:
    def granted(self) -> None:
        """Nobody gives a place back here."""
