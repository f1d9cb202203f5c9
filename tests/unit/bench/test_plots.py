"""The pictures of docs/scale.md: the same figures give the same bytes, and each picture shows the figures that are kept."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.bench.plots import FIGURES, PICTURES, Chart, digest, draw, read, save

CHART = Chart(title="A title", x="mailboxes", y="seconds", sizes=[3, 1000], lines={"up": [1, 2.5], "half": [None, 2]})


@pytest.mark.slow
def test_the_same_figures_give_the_same_bytes(tmp_path: Path) -> None:
    save("steps", CHART, figures=tmp_path)
    assert read(tmp_path / "steps.json") == CHART
    [picture] = draw(figures=tmp_path, pictures=tmp_path)
    text = picture.read_text()
    assert draw(figures=tmp_path, pictures=tmp_path) == []
    picture.unlink()
    assert draw(figures=tmp_path, pictures=tmp_path) == [picture]
    assert picture.read_text() == text
    assert all(word in text for word in ("A title", "mailboxes", "seconds", ">up<", ">half<", ">1,000<"))
    assert "dc:date" not in text


def test_a_row_of_another_length_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="up has 1 figures for 2 sizes"):
        save("x", Chart(title="", x="", y="", sizes=[1, 2], lines={"up": [1]}), figures=tmp_path)


@pytest.mark.parametrize("file", sorted(FIGURES.glob("*.json")), ids=lambda file: file.stem)
def test_each_picture_shows_the_figures_that_are_kept(file: Path) -> None:
    picture = PICTURES / f"scale-{file.stem}.svg"
    assert f"figures {digest(read(file))}" in picture.read_text(), "python -m tests.bench.plots"


def test_the_page_s_table_is_of_the_run_that_the_picture_shows() -> None:
    """In brackets: CPU seconds of each step, as `python -m tests.bench` has kept them."""
    text = (PICTURES.parent / "scale.md").read_text(encoding="utf-8")
    chart = read(FIGURES / "steps.json")
    for step, row in chart.lines.items():
        name = step.replace("first up", "first `up`").replace("up that", "`up` that")
        [line] = [line for line in text.splitlines() if line.startswith(f"| {name} | ")][:1]
        assert [float(cpu) for cpu in re.findall(r" s \(([0-9.]+)\)", line)] == row, line


def test_no_picture_is_without_figures() -> None:
    assert {file.stem for file in PICTURES.glob("scale-*.svg")} == {
        f"scale-{file.stem}" for file in FIGURES.glob("*.json")
    }
