"""`python -m tests.pictures [up|apply|doctor|page …]`: what people see, as pictures in docs/pictures, of what is up now.

The page in light and dark (a Chromium is needed), and what `./mail up`, `apply` and `doctor` say at 80 and 120 columns.
Names, ids and times in them are those of this machine's stack, so a picture changes when it is made again.
"""

from __future__ import annotations

import io
import json
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
from fcntl import ioctl
from pathlib import Path

import pyte
from playwright.sync_api import Page
from rich.console import Console
from rich.text import Text

from tests.processes import killed_at_the_end
from tests.unit.page.browsing import launched
from tests.unit.page.chromium import missing

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "pictures"
COLUMNS = (80, 120)
LINES = 400
WIDTH, HEIGHT, TALL = 1180, 720, 1080
SAID = {"up": ("up",), "apply": ("apply", "dev", "--yes"), "doctor": ("doctor", "dev")}
PATIENCE_SECONDS = 300


def main() -> int:
    """1 with a sentence where something is missing."""
    status = json.loads(
        subprocess.run([str(ROOT / "mail"), "emulators", "status", "--json"], capture_output=True, check=True).stdout
    )
    if reason := missing() or ("" if status["running"] else "Nothing is up to be seen; start it with: ./mail up"):
        print(reason, file=sys.stderr)
        return 1
    FOLDER.mkdir(exist_ok=True)
    wanted = sys.argv[1:] or [*SAID, "page"]
    for name, words in SAID.items():
        if name not in wanted:
            continue
        for columns in COLUMNS:
            print(f"./mail {' '.join(words)} at {columns} columns", flush=True)
            draw(said(words, columns), FOLDER / f"{name}-{columns}.svg", columns, title=f"./mail {' '.join(words)}")
    if "page" in wanted:
        with launched() as chromium:
            photograph(chromium.new_page(viewport={"width": WIDTH, "height": HEIGHT}), status["page"])
    return 0


def said(words: tuple[str, ...], columns: int) -> pyte.Screen:
    """What a terminal of this width shows when the command has ended."""
    output = b""
    ours, theirs = pty.openpty()
    ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, columns, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": str(columns)}
    with killed_at_the_end(
        subprocess.Popen(
            [str(ROOT / "mail"), *words],
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            stderr=theirs,
            env=environment,
            cwd=ROOT,
        )
    ):
        os.close(theirs)
        while select.select([ours], [], [], PATIENCE_SECONDS)[0]:
            try:
                output += os.read(ours, 65536)
            except OSError:
                break  # the other end is closed: the command has ended
    os.close(ours)
    screen = pyte.Screen(columns, LINES)
    for here, shown in ((ROOT, b"~/agent-mail"), (Path.home(), b"~")):
        output = output.replace(str(here).encode(), shown)
    pyte.ByteStream(screen).feed(output)
    return screen


def draw(screen: pyte.Screen, path: Path, columns: int, *, title: str) -> None:
    """The screen down to its last line that says something."""
    console = Console(width=columns, record=True, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    last = max((row for row in range(LINES) if screen.display[row].strip()), default=0)
    for row in range(last + 1):
        line = Text()
        for column in range(len(screen.display[row].rstrip())):
            character = screen.buffer[row][column]
            style = " ".join(filter(None, ("bold" if character.bold else "", _colour(character.fg))))
            line.append(character.data, style)
        console.print(line, soft_wrap=True)
    drawn = console.export_svg(title=title, unique_id=path.stem)
    # Nothing is fetched from another host to show it: no font, and whose program drew it is no link.
    drawn = re.sub(r"\s*@font-face \{.*?\}|<!--.*?-->", "", drawn, flags=re.DOTALL)
    path.write_text(drawn.replace("Fira Code, monospace", "ui-monospace, monospace"), encoding="utf-8")


def _colour(name: str) -> str:
    """pyte's name of a colour as Rich has it."""
    if name == "default":
        return ""
    if len(name) == 6 and all(digit in "0123456789abcdef" for digit in name):
        return f"#{name}"
    return name.replace("brown", "yellow").replace("bright", "bright_")


def photograph(page: Page, url: str) -> None:
    """The page's sections, and one mail with its thread."""
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        page.goto(url)
        page.screenshot(path=FOLDER / f"page-{scheme}.png")
    page.emulate_media(color_scheme="light")
    page.set_viewport_size({"width": 400, "height": 800})
    page.screenshot(path=FOLDER / "page-phone.png")
    page.set_viewport_size({"width": WIDTH, "height": HEIGHT})
    page.get_by_role("link", name="Re:").first.click()
    page.set_viewport_size({"width": WIDTH, "height": TALL})
    page.screenshot(path=FOLDER / "page-mail.png")
    page.set_viewport_size({"width": WIDTH, "height": HEIGHT})
    for section in ("agents", "dns", "requests", "faults"):
        page.goto(url + section)
        page.screenshot(path=FOLDER / f"page-{section}.png")


if __name__ == "__main__":
    sys.exit(main())
