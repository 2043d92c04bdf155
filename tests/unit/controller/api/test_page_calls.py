"""The page without a browser: signing in, what it shows and hides, its buttons and their guards."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
import requests

from vast_pyworker.controller.access import Right
from vast_pyworker.controller.fake_controller import fake_group, fake_wishes
from vast_pyworker.controller.page.sessions import COOKIE, LASTS_S
from vast_pyworker.model import Desired

TIMEOUT_S = 10.0


@pytest.fixture
def browse(client):
    """A session of the page, signed in with the key of a right."""
    sessions = []

    def browsed(right=Right.OPERATE):
        session = requests.Session()
        sessions.append(session)
        session.base = client.controller.url
        answer = session.post(
            f"{session.base}/login", {"key": client.controller.keys[right]}, timeout=TIMEOUT_S
        )
        assert answer.status_code == 200 and answer.url == f"{session.base}/"
        session.html = answer.text
        session.csrf = re.search(r'name="csrf" value="([^"]+)"', answer.text)[1]
        return session

    yield browsed
    for each in sessions:
        each.close()


def press(session, do, *, value="", csrf=None, **headers):
    form = {"do": do, "value": value, "csrf": session.csrf if csrf is None else csrf}
    headers = {"Accept": "application/json", **headers}
    return session.post(f"{session.base}/page/do", form, headers=headers, timeout=TIMEOUT_S)


def test_without_a_session_there_is_the_form_and_nothing_else(client):
    answer = client.call("GET", "/", key=None, allow_redirects=False)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/login")
    assert client.call("GET", "/page/parts", key=None).status_code == 401
    text = client.call("GET", "/login", key=None).text
    assert "fleet" not in text and "llm" not in text


def test_a_wrong_key_is_told_and_nothing_is_set(client):
    with requests.Session() as session:
        answer = session.post(f"{client.controller.url}/login", {"key": "no"}, timeout=TIMEOUT_S)
        assert answer.status_code == 401 and "not known" in answer.text
        assert not session.cookies


def test_the_cookie_is_http_only_strict_and_not_the_key(client):
    with requests.Session() as session:
        answer = session.post(
            f"{client.controller.url}/login", {"key": client.controller.keys[Right.READ]},
            allow_redirects=False, timeout=TIMEOUT_S,
        )  # fmt: skip
        cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie and "SameSite=Strict" in cookie and "Path=/" in cookie
    assert client.controller.keys[Right.READ] not in cookie


def test_the_page_loads_nothing_from_elsewhere_and_runs_nothing_inline(client, browse):
    session = browse()
    answer = session.get(f"{session.base}/", timeout=TIMEOUT_S)
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'self';")
    assert "unsafe" not in answer.headers["Content-Security-Policy"]
    assert not re.search(r"https?://(?!www\.w3\.org)", answer.text)
    assert not re.search(r"<script(?! src=\"/)|\son\w+=|\sstyle=", answer.text)
    for name in re.findall(r'(?:src|href)="(/page/[^"]+)"', answer.text):
        assert session.get(f"{session.base}{name}", timeout=TIMEOUT_S).status_code == 200
    assert session.get(f"{session.base}/page/view.py", timeout=TIMEOUT_S).status_code == 404


def test_it_shows_groups_instances_and_decisions(client, browse):
    html = browse().html
    for each in ("llm", "<b>2</b> wanted", "<b>2</b> ready", "want 2 (constant)"):
        assert each in html
    for member in client.controller.parts.loop.fleet.members:
        assert str(member.intent.instance_id) in html
        assert member.instance.gpu_name in html
        assert client.controller.secrets.token_of(member.intent.id) not in html


def test_who_may_only_look_has_no_buttons_and_is_refused(client, browse):
    session = browse(Right.READ)
    assert 'value="drain' not in session.html and 'value="scale' not in session.html
    answer = press(session, "scale llm", value="3")
    assert (answer.status_code, answer.json()["error"][-1]) == (403, ".")
    assert client.controller.parts.desk.overlay.pins == {}


def test_buttons_do_what_they_say_in_the_name_of_who_pressed_them(client, browse):
    session = browse()
    ident = client.controller.parts.loop.fleet.members[0].intent.instance_id
    assert "held at 3" in press(session, "scale llm", value="3").json()["said"]
    assert press(session, f"hold {ident}").status_code == 200
    assert press(session, f"drain {ident}").status_code == 409
    assert press(session, f"release {ident}").status_code == 200
    assert press(session, f"drain {ident}").status_code == 200
    assert press(session, "unpin llm").status_code == 200
    intents = client.controller.ledger.intents.open().values()
    drained = next(each for each in intents if each.instance_id == ident)
    assert drained.desired is Desired.DESTROY
    assert drained.set_by.startswith("operate key (") and "on the page" in drained.set_by


@pytest.mark.parametrize("value", ["", "x", "-1", "1.5", "9" * 12])
def test_a_number_that_is_none_changes_nothing(client, browse, value):
    assert press(browse(), "scale llm", value=value).status_code == 400
    assert client.controller.parts.desk.overlay.pins == {}


@pytest.mark.parametrize("do", ["", "format disk", "scale", "drain nobody", "hold"])
def test_a_button_that_there_is_not_is_refused(browse, do):
    answer = press(browse(), do, value="1")
    assert answer.status_code in (400, 404) and answer.json()["error"]


def test_what_exceeds_the_limits_is_told_on_the_page(browse):
    answer = press(browse(), "scale llm", value="500")
    assert answer.status_code == 409 and "limits.instances" in answer.json()["error"]


def test_other_sites_cannot_press_buttons(client, browse):
    session = browse()
    assert press(session, "scale llm", value="3", csrf="guessed").status_code == 403
    assert press(session, "scale llm", value="3", csrf="").status_code == 403
    foreign = press(session, "scale llm", value="3", Origin="https://evil.example")
    assert foreign.status_code == 403
    own = press(session, "scale llm", value="3", Origin=session.base)
    assert own.status_code == 200
    answer = session.post(
        f"{session.base}/login", {"key": "x"}, headers={"Origin": "null"}, timeout=TIMEOUT_S
    )
    assert answer.status_code == 403


def test_a_cookie_alone_commands_nothing(client, browse):
    session = browse()
    for method, path in (
        ("POST", "/groups/llm/scale"),
        ("DELETE", "/drop/1"),
        ("GET", "/verify/1"),
    ):
        answer = session.request(
            method, session.base + path, json={"instances": 5}, timeout=TIMEOUT_S
        )
        assert answer.status_code == 401
    assert session.get(f"{session.base}/groups", timeout=TIMEOUT_S).status_code == 200
    assert session.get(f"{session.base}/keys", timeout=TIMEOUT_S).status_code == 403


def test_without_the_script_a_button_leads_back_and_says_what_was_done(browse):
    session = browse()
    form = {"do": "scale llm", "value": "3", "csrf": session.csrf}
    answer = session.post(f"{session.base}/page/do", form, timeout=TIMEOUT_S)
    assert answer.url == f"{session.base}/" and _flash(answer.text).startswith("Group llm is held")
    assert _flash(session.get(f"{session.base}/", timeout=TIMEOUT_S).text) == ""


def _flash(html):
    return re.search(r'<p id="said"[^>]*>([^<]*)</p>', html)[1]


def test_a_session_ends_by_signing_out_with_time_and_with_its_key(client, browse):
    first, second, third = browse(), browse(), browse(Right.READ)
    token = first.cookies[COOKIE]
    first.post(f"{first.base}/logout", timeout=TIMEOUT_S)
    first.cookies.set(COOKIE, token)
    assert first.get(f"{first.base}/page/parts", timeout=TIMEOUT_S).status_code == 401
    keys = client.json("GET", "/keys")["keys"]
    client.json("DELETE", f"/keys/{next(k['id'] for k in keys if k['right'] == 'read')}")
    assert third.get(f"{third.base}/page/parts", timeout=TIMEOUT_S).status_code == 401
    assert second.get(f"{second.base}/page/parts", timeout=TIMEOUT_S).status_code == 200
    client.controller.time.at += LASTS_S
    assert second.get(f"{second.base}/page/parts", timeout=TIMEOUT_S).status_code == 401


def test_what_comes_from_outside_is_escaped(start):
    evil = replace(fake_group("llm"), endpoint="<script>alert(1)</script>")
    client = start(fake_wishes(evil))
    client.controller.tick(10, times=12)
    ident = client.controller.parts.loop.fleet.members[0].intent.instance_id
    client.controller.ears.errors[ident] = "<img src=x onerror=alert(1)>"
    client.controller.tick()
    with requests.Session() as session:
        html = session.post(
            f"{client.controller.url}/login", {"key": client.controller.keys[Right.READ]},
            timeout=TIMEOUT_S,
        ).text  # fmt: skip
    assert "<script>alert" not in html and "<img src=x" not in html
    assert "&lt;script&gt;" in html and "&lt;img src=x" in html
