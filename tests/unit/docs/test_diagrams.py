"""The drawings are what their source says, and say what they show."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from docs.site.diagrams import DIAGRAMS, FOLDER, Diagram
from tests.unit.docs.pages import PAGES, read

SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize("diagram", DIAGRAMS, ids=lambda diagram: diagram.name)
def test_the_file_is_what_the_source_draws(diagram: Diagram) -> None:
    path = FOLDER / f"{diagram.name}.svg"
    assert path.read_text(encoding="utf-8") == diagram.svg(), "draw it anew: python -m docs.site.diagrams"
    root = ET.fromstring(diagram.svg())
    assert root.get("role") == "img"
    told = [root.find(f"{SVG}title"), root.find(f"{SVG}desc")]
    assert root.get("aria-labelledby", "").split() == [one.get("id") for one in told if one is not None]
    assert all(one is not None and one.text for one in told)


def test_every_drawing_is_shown_and_has_a_source() -> None:
    shown = {link.rpartition("/")[2] for path in PAGES for link in read(path).links if "diagrams/" in link}
    assert shown == {f"{diagram.name}.svg" for diagram in DIAGRAMS} == {path.name for path in FOLDER.iterdir()}
