"""The site in a real Chromium, from its folder: search, dark and light, for screen readers, nothing from another host."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from docs.site.diagrams import DIAGRAMS
from tests.unit.page.browsing import findings, launched

pytestmark = pytest.mark.slow

CLIPPED = """() => [...document.querySelectorAll("svg.drawing")].flatMap(svg => {
  const paper = svg.viewBox.baseVal;
  const within = (inner, outer) => inner.x >= outer.x && inner.y >= outer.y
    && inner.x + inner.width <= outer.x + outer.width && inner.y + inner.height <= outer.y + outer.height;
  return [...svg.querySelectorAll("text")].filter(text => {
    const box = text.parentElement.querySelector(":scope > rect");
    return !within(text.getBBox(), text.parentElement.tagName === "g" ? box.getBBox() : paper);
  }).map(text => text.textContent);
})"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with launched() as chromium:
        yield chromium


@pytest.fixture
def front(browser: Browser, site: Path) -> Iterator[Page]:
    """The front page as a file; whatever it asks for elsewhere, or complains of, fails the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme="dark")
    page = context.new_page()
    wrong: list[str] = []
    page.on("request", lambda one: None if one.url.startswith(("file:", "data:", "blob:")) else wrong.append(one.url))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
    page.goto((site / "index.html").as_uri())
    yield page
    context.close()
    assert wrong == []


def test_it_is_searched_from_its_folder(front: Page) -> None:
    front.get_by_role("textbox", name="Search").click()
    front.keyboard.type("adopted by id")
    result = front.locator(".md-search-result__link").first
    expect(result).to_be_visible()
    result.click()
    expect(front.get_by_role("heading", level=1)).to_contain_text("020")


def test_it_is_for_everybody(front: Page) -> None:
    assert findings(front) == []
    front.emulate_media(color_scheme="light")
    assert findings(front, only="color-contrast") == []


def test_no_word_of_a_drawing_is_cut_off(front: Page, site: Path) -> None:
    seen = 0
    for page in ("index", "operations"):
        front.goto((site / f"{page}.html").as_uri())
        seen += front.locator("svg.drawing").count()
        clipped: Any = front.evaluate(CLIPPED)
        assert clipped == []
    assert seen == len(DIAGRAMS)
