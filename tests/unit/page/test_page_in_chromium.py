"""The page in a real Chromium: live, by keyboard, for screen readers, and against mails that want to do something."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from emulators.serving import ServerThread
from tests.unit.page.browsing import findings, launched
from tests.unit.page.conftest import BOB, World, letter

pytestmark = pytest.mark.slow

PICTURES = os.environ.get("PAGE_SCREENSHOTS")

HOSTILE = """
<h1>Hello</h1>
<script>document.title = 'ran'; parent.document.title = 'ran'</script>
<img src="{elsewhere}/pixel.gif" onerror="document.title = 'ran'">
<link rel="stylesheet" href="{elsewhere}/style.css"><link rel="dns-prefetch" href="{elsewhere}">
<style>@import url('{elsewhere}/import.css'); body {{ background: url('{elsewhere}/background.png') }}</style>
<meta http-equiv="refresh" content="0; url={elsewhere}/refresh">
<iframe src="{elsewhere}/frame"></iframe><object data="{elsewhere}/object"></object><embed src="{elsewhere}/embed">
<form action="{elsewhere}/form"><button>Send</button></form>
<a id="away" href="{elsewhere}/away">Click</a><a id="top" target="_top" href="{elsewhere}/top">Top</a>
<video src="{elsewhere}/video" autoplay></video><svg onload="document.title = 'ran'"><image href="{elsewhere}/svg"/></svg>
"""
# What the console names as the cause, once nothing follows a click.
CLICKS = {"#away": "frame-src 'self'", "#top": "allow-top-navigation", "button": "allow-forms"}
# What the console tells of, once it is not loaded.
LOADS = ("style.css", "import.css", "pixel.gif", "background.png", "svg", "video", "object", "embed")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with launched() as chromium:
        yield chromium


@pytest.fixture
def page(browser: Browser, world: World) -> Iterator[Page]:
    """The list of mails; anything that the browser complains of fails the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 800}, color_scheme="light")
    shown = context.new_page()
    problems: list[str] = []
    shown.on("pageerror", lambda error: problems.append(str(error)))
    shown.on("console", lambda said: problems.append(said.text) if said.type == "error" else None)
    shown.goto(world.page)
    yield shown
    context.close()
    # What a hostile mail was kept from is told in the console, and nothing else may be.
    assert [one for one in problems if "Content Security Policy" not in one and "sandboxed" not in one] == []


def live(page: Page) -> None:
    expect(page.locator("#link")).to_have_text("live")


def picture(page: Page, name: str) -> None:
    """Kept where CI wants it."""
    if PICTURES:
        Path(PICTURES).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=Path(PICTURES) / f"{name}.png", full_page=True)


def test_a_mail_by_smtp_appears_without_reload(page: Page, world: World) -> None:
    page.evaluate("window.here = true")
    live(page)
    expect(page.get_by_text("No mail yet.")).to_be_visible()
    world.arrives(letter("Fresh from SMTP"))
    row = page.get_by_role("link", name="Fresh from SMTP")
    expect(row).to_be_visible()
    expect(page.get_by_text("delivered to the webhook: 200")).to_be_visible()
    expect(page.locator("#news")).to_have_text("New mail from Ada <ada@example.com>: Fresh from SMTP")
    # Focus stays where it was when another comes.
    row.focus()
    world.arrives(letter("Another"))
    expect(page.get_by_role("link", name="Another")).to_be_visible()
    expect(row).to_be_focused()
    assert page.evaluate("window.here")
    picture(page, "mail")


class Elsewhere:
    """Another host, which notes what it is asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.asked.append(scope["path"])
        await Response("reached")(scope, receive, send)


def telling(cause: str) -> Callable[[ConsoleMessage], bool]:
    return lambda said: cause in said.text


def test_what_is_in_a_mail_runs_nothing_and_loads_nothing(page: Page, world: World) -> None:
    elsewhere = Elsewhere()
    with ServerThread(elsewhere) as server:
        html = HOSTILE.format(elsewhere=server.url.replace("127.0.0.1", "localhost"))
        world.arrives(letter("Hostile <img src=x onerror=alert(1)>", html=html))
        key = world.settled()["id"]
        # What the browser says of it is waited for, not an idle network: once a frame was kept from going elsewhere,
        # that is not told for sure.
        for target, cause in CLICKS.items():
            page.goto(f"{world.page}mail/{key}")
            expect(page.frame_locator("iframe").get_by_role("heading", name="Hello")).to_be_visible()
            with page.expect_console_message(telling(cause)):
                page.frame_locator("iframe").locator(target).click()
            assert page.url == f"{world.page}mail/{key}"
            assert page.title().startswith("Hostile <img")
        # Not in a frame either: the policy goes with it.
        told: list[str] = []

        def all_refused(said: ConsoleMessage) -> bool:
            told.append(said.text)
            return all(any(f"/{name}'" in one for one in told) for name in LOADS)

        with page.expect_console_message(all_refused):
            page.goto(f"{world.page}mail/{key}/html")
        assert page.title() == ""
    assert elsewhere.asked == []
    assert [call.path for call in world.webhook.calls] == ["/in"]


def test_everything_by_keyboard(page: Page, world: World) -> None:
    live(page)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="To the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    for _ in range(4):
        page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Write from outside")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Write from outside")).to_be_visible()
    page.get_by_label("To", exact=True).focus()
    expect(page.get_by_label("To", exact=True)).to_have_value(BOB)
    for _ in range(3):
        page.keyboard.press("Tab")
    expect(page.get_by_label("Subject")).to_be_focused()
    page.keyboard.type("By keyboard")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="By keyboard")).to_be_visible()
    expect(page.get_by_text("Delivered to the webhook")).to_be_visible()
    again = page.get_by_role("button", name="Deliver again")
    again.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("on its way to the webhook again")).to_be_visible()
    expect(page.get_by_text("Delivered to the webhook")).to_be_visible()
    assert len(world.webhook.calls) == 2


def test_axe_finds_nothing_serious(page: Page, world: World) -> None:
    world.webhook.answers.append(503)
    world.arrives(letter("With HTML", html="<h1>Hello</h1>"))
    key = world.settled()["id"]
    world.post("faults/cloudflare", {"kind": "503", "percent": "0"})
    found: dict[str, list[str]] = {}
    for path in ("", f"mail/{key}", "write", "agents", "dns", "requests", "faults"):
        page.goto(world.page + path)
        page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
        found[path] = findings(page)
        picture(page, f"page-{path.partition('/')[0] or 'mails'}")
        # In the dark other colours stand beside each other, and nothing else is different.
        page.emulate_media(color_scheme="dark")
        found[f"{path} in the dark"] = findings(page, only="color-contrast")
        picture(page, f"page-{path.partition('/')[0] or 'mails'}-dark")
        page.emulate_media(color_scheme="light")
    assert {path: one for path, one in found.items() if one} == {}


@pytest.mark.parametrize("width", [320, 1280])
def test_nothing_is_wider_than_the_window(page: Page, world: World, width: int) -> None:
    """WCAG 1.4.10: at 320 pixels only a table may be scrolled sideways, within itself."""
    world.arrives(letter("x" * 200, html="<p>Hello</p>"))
    key = world.settled()["id"]
    page.set_viewport_size({"width": width, "height": 800})
    for path in ("", f"mail/{key}", "write", "agents", "dns", "requests", "faults"):
        page.goto(world.page + path)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path


def test_a_fault_is_switched_by_keyboard_in_its_place(page: Page, world: World) -> None:
    world.post("faults/none")
    page.goto(world.page + "faults")
    page.evaluate("window.here = true")
    switch = page.get_by_role("switch", name="Mailjet is down")
    expect(switch).to_have_attribute("aria-checked", "false")
    switch.focus()
    page.keyboard.press("Space")
    expect(switch).to_have_attribute("aria-checked", "true")
    expect(switch).to_be_focused()
    expect(page.get_by_role("link", name="1 fault is on")).to_be_visible()
    page.keyboard.press("Space")
    expect(switch).to_have_attribute("aria-checked", "false")
    page.get_by_text("Inbound routes", exact=True).click()
    page.get_by_label("reaches the route of").check()
    page.get_by_role("button", name="Apply").first.click()
    expect(page.locator("#news")).to_have_text("Mailjet does as you said.")
    expect(page.get_by_label("reaches the route of")).to_be_checked()
    assert page.evaluate("window.here"), "nobody was thrown to the top"


def test_a_press_counts_whatever_changes_meanwhile(page: Page, world: World) -> None:
    world.post("faults/none")
    others = page.context.new_page()
    for one in (page, others):
        one.goto(world.page + "faults")
        expect(one.locator("#link")).to_have_text("live")
    switch = page.get_by_role("switch", name="Mailjet is down")
    switch.hover()
    page.mouse.down()
    world.post("faults/cloudflare", {"latency_ms": "1"})
    expect(others.locator("#cloudflare-latency")).to_have_value("1")
    page.mouse.up()
    expect(switch).to_have_attribute("aria-checked", "true")
    expect(page.locator("#cloudflare-latency")).to_have_value("1")
    switch.focus()
    page.keyboard.down("Space")
    world.post("faults/cloudflare", {"latency_ms": "2"})
    expect(others.locator("#cloudflare-latency")).to_have_value("2")
    page.keyboard.up("Space")
    expect(switch).to_have_attribute("aria-checked", "false")
    expect(page.locator("#cloudflare-latency")).to_have_value("2")


def test_what_is_filled_in_outlives_what_others_change(page: Page, world: World) -> None:
    """The page is kept as it is now, but for what somebody is just typing."""
    world.post("faults/none")
    world.post("faults/mailjet", {"kind": "503", "percent": "20", "path": "/a"})
    page.goto(world.page + "faults")
    expect(page.locator("#link")).to_have_text("live")
    page.get_by_text("Inbound routes", exact=True).click()
    page.get_by_label("reaches the route of").check()
    page.get_by_label("503 for 20 %").uncheck()
    page.locator("#cloudflare-kind").select_option("429")
    path = page.locator("#cloudflare-path")
    path.fill("/zones/*")
    path.press("Home")
    world.post("faults/preset", {"preset": "slow", "on": "1"})
    expect(page.get_by_role("link", name="2 faults are on")).to_be_visible()
    expect(page.locator("#mailjet-latency")).to_have_value("2000")
    expect(page.get_by_label("reaches the route of")).to_be_checked()
    expect(page.get_by_label("503 for 20 %")).not_to_be_checked()
    expect(page.locator("#cloudflare-kind")).to_have_value("429")
    page.keyboard.type("/v4")
    expect(path).to_have_value("/v4/zones/*")
    page.get_by_role("button", name="Apply").last.click()
    expect(page.locator("#news")).to_have_text("Cloudflare does as you said.")
    expect(page.get_by_text("429 for 20 % of * /v4/zones/*")).to_be_visible()
    expect(page.get_by_label("reaches the route of")).to_be_checked()
    expect(path).to_have_value("*")
