"""The page, its sign-in and its buttons, over HTTP.

A button is a form of the session: SameSite cookies, a token in the form and the Origin of the
request each have to agree before anything is done.
"""

from __future__ import annotations

import hmac
import mimetypes
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, Response, redirect, request

from vast_pyworker.controller import showing
from vast_pyworker.controller.access import Caller, Right
from vast_pyworker.controller.api.asking import BODY_BYTES
from vast_pyworker.controller.api.door import answer
from vast_pyworker.controller.api.money import money, spent_today
from vast_pyworker.controller.api.parts import Parts
from vast_pyworker.controller.events import event_row
from vast_pyworker.errors import PyworkerError, Refused

from . import view
from .sessions import COOKIE, Session, Sessions

HTML = "text/html; charset=utf-8"
DECISIONS_SHOWN = 40
ASSETS = ("page.css", "page.js", "icon.svg")
CALLS = (
    ("GET", "/", "The page."),
    ("GET", "/login", "The form to sign in."),
    ("POST", "/login", "Sign in with a key."),
    ("POST", "/logout", "Sign out."),
    ("GET", "/page/parts", "The page's parts, as they are now."),
    ("POST", "/page/do", "A button of the page."),
    ("GET", "/page/<asset>", "Style and script of the page."),
)
_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; "
    "form-action 'self'",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
}


def blueprint(parts: Parts, sessions: Sessions) -> Blueprint:
    """All of ``CALLS``."""
    page = Page(parts, sessions)
    views: dict[tuple[str, str], Callable[..., Any]] = {
        ("GET", "/"): page.page,
        ("GET", "/login"): page.login_form,
        ("POST", "/login"): page.login,
        ("POST", "/logout"): page.logout,
        ("GET", "/page/parts"): page.parts,
        ("POST", "/page/do"): page.do,
        ("GET", "/page/<asset>"): page.asset,
    }
    made = Blueprint("page", __name__)
    for number, (method, path, _) in enumerate(CALLS):
        made.add_url_rule(
            path, endpoint=f"{number}", view_func=views[method, path], methods=[method],
            provide_automatic_options=False,
        )  # fmt: skip
    return made


class Page:
    """The views."""

    def __init__(self, parts: Parts, sessions: Sessions) -> None:
        self._parts = parts
        self._sessions = sessions

    def page(self) -> Any:
        found = self._signed_in()
        if found is None:
            return redirect("/login", 303)
        session, caller = found
        flash, session.flash = session.flash, ""
        shown = self._shown(caller)
        return _html(view.render_page(shown, csrf=session.csrf, who=session.who, flash=flash))

    def login_form(self) -> Any:
        if self._signed_in() is not None:
            return redirect("/", 303)
        return _html(view.render_login(""))

    def login(self) -> Any:
        if _is_foreign():
            return _html(view.render_login("Sign in from this page itself."), 403)
        token = self._sessions.open(_field("key").strip())
        if token is None:
            return _html(view.render_login("That key is not known here, or was revoked."), 401)
        response = redirect("/", 303)
        response.set_cookie(
            COOKIE, token, httponly=True, samesite="Strict", path="/",
            secure=request.scheme == "https",
        )  # fmt: skip
        return response

    def logout(self) -> Any:
        if not _is_foreign():
            self._sessions.close(request.cookies.get(COOKIE, ""))
        response = redirect("/login", 303)
        response.delete_cookie(COOKIE, path="/", httponly=True, samesite="Strict")
        return response

    def parts(self) -> Any:
        found = self._signed_in()
        if found is None:
            return answer({"error": "Sign in first."}, 401)
        made = answer(view.render_parts(self._shown(found[1])))
        made.headers.update(_HEADERS)
        return made

    def do(self) -> Any:
        """``do``: a verb and whom, as ``drain 123``; ``value``: how many, for ``scale``."""
        found = self._signed_in()
        wants_json = "application/json" in request.headers.get("Accept", "")
        if found is None:
            return answer({"error": "Sign in first."}, 401) if wants_json else redirect("/", 303)
        session, caller = found
        status, said = self._done(session, caller)
        if wants_json:
            return answer({"said": said} if status == 200 else {"error": said}, status)
        session.flash = said
        return redirect("/", 303)

    def asset(self, asset: str) -> Any:
        if asset not in ASSETS:
            return answer({"error": "There is no such file."}, 404)
        kind = mimetypes.guess_type(asset)[0] or "application/octet-stream"
        made = Response((view.FOLDER / "static" / asset).read_bytes(), content_type=kind)
        made.headers.update({**_HEADERS, "Cache-Control": "max-age=86400"})
        return made

    # --- within ---

    def _signed_in(self) -> tuple[Session, Caller] | None:
        return self._sessions.find(request.cookies.get(COOKIE, ""))

    def _done(self, session: Session, caller: Caller) -> tuple[int, str]:
        same = hmac.compare_digest(_field("csrf").encode(), session.csrf.encode())
        if not same or _is_foreign():
            return 403, "The form is not of this session: load the page again."
        if not caller.may(Right.OPERATE):
            return 403, "This key may look, and not operate."
        verb, _, whom = _field("do").partition(" ")
        try:
            return 200, self._carry_out(verb, whom, f"{session.who} on the page")
        except Refused as exc:
            return exc.status, str(exc)
        except PyworkerError as exc:
            return 503, str(exc)

    def _carry_out(self, verb: str, whom: str, who: str) -> str:
        commands = self._parts.commands
        if verb == "scale":
            text = _field("value").strip()
            if not (text.isascii() and text.isdigit() and len(text) < 9):
                raise Refused("Say how many instances, as a whole number.")
            return str(commands.scale(whom, int(text), who)["said"])
        if verb == "unpin":
            return str(commands.scale(whom, None, who)["said"])
        if verb == "drain":
            return str(commands.drain(whom, who)["said"])
        if verb in ("hold", "release"):
            return str(commands.hold(whom, who, verb == "hold")["said"])
        raise Refused("There is no such button.")

    def _shown(self, caller: Caller) -> view.Shown:
        parts = self._parts
        fleet = parts.loop.fleet
        groups = showing.group_rows(
            fleet, parts.loop.wishes, parts.desk.overlay.pins, spent_today(parts)
        )
        decisions = parts.ledger.journal.decisions(limit=DECISIONS_SHOWN)
        return view.Shown(
            fleet=parts.loop.wishes.fleet,
            totals=showing.totals(fleet),
            groups=groups,
            members=[showing.member_row(each, fleet.at, None) for each in fleet.members],
            decisions=[event_row(each) for each in decisions],
            money=money(parts),
            samples=parts.history.samples(),
            failure=parts.ticks.failure,
            operates=caller.may(Right.OPERATE),
        )


def _field(name: str) -> str:
    if (request.content_length or 0) > BODY_BYTES:
        return ""
    return request.form.get(name, "")


def _is_foreign() -> bool:
    """Whether a page of another site sends this."""
    origin = request.headers.get("Origin")
    return origin is not None and urlsplit(origin).netloc != request.host


def _html(text: str, status: int = 200) -> Response:
    return Response(text, status, headers=_HEADERS, content_type=HTML)
