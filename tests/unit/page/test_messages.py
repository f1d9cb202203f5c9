"""`./mail messages`: the page's stream in a terminal."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

import pytest

from commands.errors import EmulatorsEndedError
from commands.letters import LetterBox
from tests import forks
from tests.processes import killed_at_the_end
from tests.unit.page.conftest import BOB, World, letter
from tests.waiting import wait_until

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]


def test_what_comes_is_told_and_what_becomes_of_it(world: World) -> None:
    world.webhook.answers.append(503)
    command = [str(forks.project() / "mail"), "messages", "--watch", "--state-dir", world.folder]
    with killed_at_the_end(
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    ) as watching:
        assert watching.stdout is not None
        world.arrives(letter("First\x1b[31m"))
        head, subject, text = (watching.stdout.readline().rstrip("\n") for _ in range(3))
        assert f"ada@example.com -> {BOB}  [" in head
        assert (subject.strip(), text.strip()) == ("First\N{REPLACEMENT CHARACTER}[31m", "Hello Bob")
        key = head.split()[0]
        if "delivered" not in head:
            said = next(line for line in watching.stdout if "delivered" in line)
            assert said == f"{key}  [delivered to the webhook: 200]\n"
        watching.send_signal(signal.SIGINT)
        assert watching.wait(30) in (0, 130)
        assert watching.stderr is not None
        assert "Traceback" not in watching.stderr.read()


def test_the_box(world: World) -> None:
    box = LetterBox(world.page)
    assert box.newest() == 0
    changes = box.changes()
    next(changes)
    world.arrives(letter("One"))
    next(changes)
    (one,) = box.after(0)
    assert (one["subject"], one["status"], one["via"]) == ("One", "received", "outside")
    for number in range(60):
        world.arrives(letter(f"number {number}"))
    assert len(list(box.after(0))) == 61
    assert len(list(box.after(one["id"]))) == 60
    assert list(LetterBox(world.page, agent="nobody@agents.example").after(0)) == []
    wait_until(lambda: box.these([one["id"]])[0]["outcome"] == "delivered to the webhook: 200")
    assert box.these([]) == []
    assert json.dumps(one)


def test_emulators_that_have_ended_are_a_sentence() -> None:
    box = LetterBox("http://127.0.0.1:1/")
    for ask in (box.newest, lambda: next(box.changes()), lambda: box.introduce([])):
        with pytest.raises(EmulatorsEndedError, match="does not answer any more"):
            ask()
