"""`python -m tests.bench.plots`: draws every table of tests/bench/figures into docs/pictures.

`make bench` writes its tables there; any other measurement may add its own with `save`. A picture is readable on a light and on
a dark page, and the same figures give the same bytes, so that a difference in git is a difference in what was measured.
"""

from __future__ import annotations

import hashlib
import io
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
FIGURES = Path(__file__).with_name("figures")
PICTURES = ROOT / "docs" / "pictures"

_INK = "#7d8590"
"""Between black and white: text that both kinds of page leave legible."""
_COLOURS = ("#2f81f7", "#d29922", "#3fb950", "#db61a2", "#a371f7", "#f0883e", "#39c5cf", "#f85149", "#8b949e")
_MARKS = "osD^vPX*h"


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A table: a column for each `sizes`, a row for each of `lines`; None where nothing was measured."""

    title: str
    x: str
    """What the sizes are, with the unit."""
    y: str
    """What the figures are, with the unit."""
    sizes: Sequence[float]
    lines: Mapping[str, Sequence[float | None]]
    from_zero: bool = False
    """Both axes linear; else both logarithmic, where n times as much of both is a diagonal."""


def save(name: str, chart: Chart, *, figures: Path = FIGURES) -> None:
    """Keep the table as NAME.json. Raises ValueError for a row that is as long as no other."""
    for label, row in chart.lines.items():
        if len(row) != len(chart.sizes):
            raise ValueError(f"{name}: {label} has {len(row)} figures for {len(chart.sizes)} sizes")
    text = json.dumps(asdict(chart), indent=1, ensure_ascii=False)
    (figures / f"{name}.json").write_text(f"{text}\n", encoding="utf-8")


def read(file: Path) -> Chart:
    """A table that `save` has kept."""
    return Chart(**json.loads(file.read_text(encoding="utf-8")))


def digest(chart: Chart) -> str:
    """Stands in the picture, and so tells whether it shows these figures."""
    return hashlib.sha256(json.dumps(asdict(chart), sort_keys=True).encode()).hexdigest()[:16]


def svg(chart: Chart) -> str:
    """The picture."""
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    # Text stays text, ids do not come from chance, no date.
    settings = {"svg.fonttype": "none", "svg.hashsalt": "agent mail", "font.size": 10, "font.family": "sans-serif"}
    with matplotlib.rc_context(settings):
        figure = Figure(figsize=(8, 4.2), layout="constrained")
        axes = figure.add_subplot()
        for place, (label, row) in enumerate(chart.lines.items()):
            known = [(size, value) for size, value in zip(chart.sizes, row, strict=True) if value is not None]
            colour, mark = _COLOURS[place % len(_COLOURS)], _MARKS[place % len(_MARKS)]
            axes.plot(*zip(*known, strict=True), color=colour, marker=mark, markersize=5, linewidth=1.8, label=label)
        _dress(axes, chart)
        written = io.StringIO()
        FigureCanvasSVG(figure).print_svg(
            written, metadata={"Date": None, "Creator": None, "Description": f"figures {digest(chart)}"}
        )
    return "\n".join(line.rstrip() for line in written.getvalue().splitlines()) + "\n"


def _dress(axes: object, chart: Chart) -> None:
    """Scales, words, colours."""
    from matplotlib.axes import Axes
    from matplotlib.ticker import LogLocator

    assert isinstance(axes, Axes)
    if chart.from_zero:
        axes.set_xlim(left=0)
        axes.set_ylim(bottom=0)
    else:
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.yaxis.set_major_formatter(lambda value, _place: f"{value:,.10g}")
    axes.set_xticks(list(chart.sizes), labels=[f"{size:,g}" for size in chart.sizes])
    axes.minorticks_off()
    axes.set_title(chart.title, color=_INK, loc="left", fontsize=11)
    axes.set_xlabel(chart.x, color=_INK)
    axes.set_ylabel(chart.y, color=_INK)
    axes.tick_params(colors=_INK, which="both")
    axes.grid(visible=True, color=_INK, alpha=0.25, linewidth=0.6)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.figure.patch.set_alpha(0)
    axes.patch.set_alpha(0)
    axes.legend(frameon=False, labelcolor=_INK, loc="center left", bbox_to_anchor=(1.01, 0.5), fontsize=9)


def draw(*, figures: Path = FIGURES, pictures: Path = PICTURES) -> list[Path]:
    """Every table's picture, `scale-NAME.svg`; those that have changed."""
    changed = []
    for file in sorted(figures.glob("*.json")):
        picture = pictures / f"scale-{file.stem}.svg"
        drawn = svg(read(file))
        if not picture.exists() or picture.read_text(encoding="utf-8") != drawn:
            picture.write_text(drawn, encoding="utf-8")
            changed.append(picture)
    return changed


if __name__ == "__main__":
    for drawn in draw():
        print(drawn.relative_to(ROOT), file=sys.stderr)
