"""The controller's page in a browser: live, buttons, keyboard, phone, light and dark."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from vast_pyworker.controller.access import Right
from vast_pyworker.controller.fake_controller import (
    FakeController,
    fake_group,
    fake_wishes,
)
from vast_pyworker.controller.policy.observation import Load
from vast_pyworker.model import Desired

playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium")
DESKTOP = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 844}
WAIT_MS = 10_000


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def controller(tmp_path: Path) -> Iterator[FakeController]:
    groups = fake_group("llm"), fake_group("pictures", min_instances=1)
    with FakeController(tmp_path, fake_wishes(*groups)) as running:
        running.ears.loads["llm"] = Load(80.0, 60.0, 10.0, 0.0, 0.0, 0.0)
        running.tick(10, times=12)
        yield running


@pytest.fixture
def visit(browser: Any, controller: FakeController) -> Iterator[Callable[..., Any]]:
    """A page of the controller, signed in; what the browser complains about fails the test."""
    contexts: list[Any] = []
    complaints: list[str] = []

    def visited(right: Right | None = Right.OPERATE, **options: Any) -> Any:
        context = browser.new_context(**{"viewport": DESKTOP, **options})
        contexts.append(context)
        context.set_default_timeout(WAIT_MS)
        page = context.new_page()
        page.on("console", lambda said: complaints.append(said.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda sent: complaints.append(sent.url) if _is_foreign(sent) else None)
        page.goto(controller.url)
        if right is not None:
            page.fill("#key", controller.keys[right])
            page.keyboard.press("Enter")
            page.wait_for_selector("#live.on")
        return page

    def _is_foreign(sent: Any) -> bool:
        return not sent.url.startswith((controller.url, "data:"))

    visited.complaints = complaints
    yield visited
    for context in contexts:
        context.close()
    assert complaints == []


def ticking_until(controller: FakeController, page: Any, script: str) -> None:
    """Let the controller tick until the page says so."""
    for _ in range(100):
        if page.evaluate(script):
            return
        controller.tick()
        page.wait_for_timeout(100)
    raise AssertionError(f"never came true: {script}")


def text_of(page: Any, selector: str) -> str:
    return str(page.inner_text(selector))


def test_signing_in_and_out(visit, controller):
    page = visit(None)
    assert page.url.endswith("/login")
    assert page.evaluate("document.activeElement.id") == "key"
    page.fill("#key", controller.keys[Right.READ])
    page.keyboard.press("Enter")
    page.wait_for_selector("#live.on")
    assert page.evaluate("document.cookie") == ""  # no script can read it
    page.click("text=Sign out")
    page.wait_for_url("**/login")
    page.goto(controller.url)
    assert page.url.endswith("/login")


def test_it_shows_groups_money_instances_and_decisions(visit, controller):
    page = visit()
    assert "2 wanted" in text_of(page, "#groups") and "80" in text_of(page, "#groups")
    assert page.locator("#instances tbody tr").count() == 3
    assert page.locator("#groups svg path.line").first.get_attribute("d").startswith("M")
    assert page.locator("#money svg").count() == 2
    assert "want 2 (constant)" in text_of(page, "#decisions")
    for heading in ("Groups", "Money", "Decisions", "Instances"):
        assert page.get_by_role("heading", name=heading).count() == 1


def test_it_follows_the_controller_without_being_read_again(visit, controller):
    page = visit()
    page.evaluate("window.mark = 1")
    controller.parts.commands.scale("llm", 4, "a person")
    ticking_until(controller, page, "document.querySelectorAll('#instances tbody tr').length === 5")
    assert "held at 4" in text_of(page, "#groups")
    assert page.evaluate("window.mark") == 1


def test_focus_and_selection_stay_where_they_are_when_a_part_changes(visit, controller):
    page = visit()
    button = page.locator("#instances button[data-key=drain]").nth(1)
    button.focus()
    before = page.evaluate("document.activeElement.value")
    page.evaluate("window.held = document.activeElement")
    controller.parts.commands.scale("llm", 4, "a person")
    ticking_until(controller, page, "document.querySelectorAll('#instances tbody tr').length === 5")
    assert page.evaluate("document.activeElement === window.held")
    assert page.evaluate("document.activeElement.value") == before


def test_a_group_is_scaled_by_keyboard_alone(visit, controller):
    page = visit()
    page.locator("button[value='scale llm']").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("#ask[open]")
    assert page.evaluate("document.activeElement.id") == "ask-value"
    page.keyboard.type("3")
    page.keyboard.press("Enter")
    page.wait_for_selector("#ask:not([open])", state="attached")
    assert "held at 3" in text_of(page, "#said")
    assert controller.parts.desk.overlay.pins == {"llm": 3}


def test_escape_does_nothing_to_anybody(visit, controller):
    page = visit()
    page.locator("#instances button[data-key=drain]").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("#ask[open]")
    page.keyboard.press("Escape")
    page.wait_for_selector("#ask:not([open])", state="attached")
    intents = controller.ledger.intents.open().values()
    assert {each.desired for each in intents} == {Desired.RUN}


def test_hold_release_and_drain(visit, controller):
    page = visit()
    page.locator("#instances button[data-key=hold]").first.click()
    page.click("#ask-yes")
    ticking_until(controller, page, "document.querySelector('#instances .chip') !== null")
    assert any(each.held for each in controller.ledger.intents.open().values())
    page.locator("#instances button:has-text('Release')").click()
    page.click("#ask-yes")
    ticking_until(controller, page, "document.querySelector('#instances .chip') === null")
    page.locator("#instances button[data-key=drain]").first.click()
    page.click("#ask-yes")
    page.wait_for_selector("#ask:not([open])", state="attached")
    desired = [str(each.desired) for each in controller.ledger.intents.open().values()]
    assert sorted(desired) == ["destroy", "run", "run"]


def test_what_is_refused_is_said_in_the_dialog(visit, controller):
    page = visit()
    page.locator("button[value='scale llm']").click()
    page.fill("#ask-value", "500")
    page.click("#ask-yes")
    page.wait_for_selector("#ask-error:not([hidden])")
    assert "limits.instances" in text_of(page, "#ask-error")
    assert controller.parts.desk.overlay.pins == {}
    page.click("#ask-no")
    page.wait_for_selector("#ask:not([open])", state="attached")
    visit.complaints.clear()  # the browser's own word on the 409


def test_who_may_only_look_sees_no_buttons(visit):
    page = visit(Right.READ)
    assert page.locator("[form=act]").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE, {"width": 320, "height": 600}])
def test_nothing_runs_over_the_edge_and_text_can_be_read(visit, controller, scheme, size):
    ident = controller.parts.loop.fleet.members[0].intent.instance_id
    controller.ears.errors[ident] = "CUDA out of memory: " + "x" * 300
    controller.tick()
    page = visit(viewport=size, color_scheme=scheme, has_touch=size is not DESKTOP)
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    for selector in (
        "body", ".totals small", "#decisions span", ".chart figcaption", ".error",
        ".axis span", ".scale span", ".stream time", ".counts .zero",
    ):  # fmt: skip
        assert page.evaluate(CONTRAST, selector) >= 4.5, selector


def test_a_long_error_is_cut_and_can_be_read_in_full_by_keyboard(visit, controller):
    ident = controller.parts.loop.fleet.members[0].intent.instance_id
    controller.ears.errors[ident] = "CUDA out of memory: " + "why and how " * 60
    controller.tick()
    page = visit(viewport=PHONE)
    error = page.locator(".members .error").first
    cut = error.bounding_box()["height"]
    error.focus()
    page.wait_for_function(
        "(cut) => document.activeElement.getBoundingClientRect().height > 2 * cut", arg=cut
    )


def test_charts_say_how_far_their_scales_reach(visit, controller):
    page = visit()
    assert text_of(page, "#groups .scale").split() == ["300", "0"]
    tops = page.locator("#money .scale span:first-child").all_inner_texts()
    assert len(tops) == 2 and all(each.startswith("$") for each in tops)


def test_money_comes_before_many_groups(browser, tmp_path):
    groups = [fake_group(f"g{number}", min_instances=0) for number in range(50)]
    with FakeController(tmp_path, fake_wishes(*groups)) as running:
        running.tick(10, times=2)
        context = browser.new_context(viewport=DESKTOP)
        page = context.new_page()
        page.goto(running.url)
        page.fill("#key", running.keys[Right.READ])
        page.keyboard.press("Enter")
        page.wait_for_selector("#live.on")
        assert page.locator("#groups article").count() == 50
        at = {each: page.locator(f"#{each}").bounding_box()["y"] for each in ("money", "groups")}
        assert at["money"] < at["groups"]
        context.close()


def test_it_is_whole_without_its_script(visit, controller, browser):
    context = browser.new_context(viewport=DESKTOP, java_script_enabled=False)
    page = context.new_page()
    page.goto(controller.url)
    page.fill("#key", controller.keys[Right.OPERATE])
    page.click("text=Sign in")
    assert page.locator("#instances tbody tr").count() == 3
    page.locator("#instances button[data-key=hold]").first.click()
    assert "is held" in text_of(page, "#said")
    context.close()


def test_a_controller_that_has_gone_is_said(visit, controller, browser):
    context = browser.new_context(viewport=DESKTOP)
    page = context.new_page()
    page.goto(controller.url)
    page.fill("#key", controller.keys[Right.READ])
    page.keyboard.press("Enter")
    page.wait_for_selector("#live.on")
    context.set_offline(True)
    controller.parts.events.close()
    page.wait_for_selector("#live.off", timeout=WAIT_MS)
    context.close()


CONTRAST = """(selector) => {
  const element = document.querySelector(selector);
  const parse = (text) => text.match(/[\\d.]+/g).map(Number);
  let ground = element;
  while (parse(getComputedStyle(ground).backgroundColor)[3] === 0 && ground.parentElement)
    ground = ground.parentElement;
  const light = (text) => {
    const [r, g, b] = parse(text).map((each) => {
      const part = each / 255;
      return part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ink = light(getComputedStyle(element).color);
  const pair = [ink, light(getComputedStyle(ground).backgroundColor)];
  return (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
}"""
