"""`./mail` at real terminals, in shells, in pipes: completion, colours, widths, readers that leave, silence."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.core import TyperGroup

from commands import stack_commands
from commands.cli import console
from commands.cli.app import command_line
from commands.cli.running import main
from commands.doctor.finding import Finding, Status
from commands.doctor.table import as_table
from commands.stack_commands import Pulumi
from tests.terminal import terminal

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
MAIL = ROOT / "mail"
POPULATION = ROOT / "populations" / "dev.yaml"
BARE = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "LANG": "C.UTF-8"}
COLOUR = re.compile(r"\x1b\[(?:\d+;)*(?:3[0-8]|4[0-8]|9\d|10\d)(?:;\d+)*m")

SHELLS = {
    "bash": (["--norc", "--noprofile", "-i"], "source <({mail} completion bash)"),
    "zsh": (["-f", "-i"], "autoload -U compinit && compinit -u -D; source <({mail} completion zsh)"),
    "fish": (["--no-config", "-i"], "{mail} completion fish | source"),
}


def commands(group: Any = None, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command and group there is."""
    current = group or command_line()
    yield path, current
    if isinstance(current, TyperGroup):
        for name, below in current.commands.items():
            yield from commands(below, (*path, name))


COMMANDS = {path: command for path, command in commands() if path not in {("pulumi",), ("inbox",)}}


def described(group: Any) -> list[Any]:
    """What distinguishes commands, as far as their users see."""
    options = ("opts", "secondary_opts", "default", "metavar")
    return [
        [
            (path, command.help, command.rich_help_panel, command.context_settings, command.callback.__doc__),
            *(getattr(one, name) for one in command.params for name in options),
        ]
        for path, command in commands(group)
    ]


class TestOneOfThem:
    @pytest.mark.parametrize("word", sorted(command_line().commands))
    def test_made_alone_it_is_as_among_all(self, word: str) -> None:
        alone = command_line(word)
        assert list(alone.commands) == [word]
        assert described(alone.commands[word]) == described(command_line().commands[word])

    @pytest.mark.parametrize("word", ["", "nonsense", "--version", "doc"])
    def test_where_none_is_named_all_are_there(self, word: str) -> None:
        assert described(command_line(word)) == described(command_line())


class TestCompletion:
    @pytest.mark.parametrize("shell", [shell for shell in SHELLS if shutil.which(shell)])
    def test_a_real_shell(self, shell: str, tmp_path: Path) -> None:
        """Of those that this machine has; each has bash. A command, and a stack by the name of its file."""
        program, (options, source) = str(shutil.which(shell)), SHELLS[shell]
        with terminal([program, *options], env={**BARE, "HOME": str(tmp_path), "TERM": "xterm"}, cwd=ROOT) as typing:
            typing.enter(source.format(mail=MAIL) + "; echo rea''dy")
            typing.until("ready")
            typing.press("./mail agents addr\t")
            typing.until("addresses")
            typing.press("\x15./mail preview sta\t")
            typing.until("staging")
            typing.press("\x15exit")
            typing.enter()
            typing.end()

    @pytest.mark.parametrize(
        ("shell", "line", "expected"),
        [
            ("bash", {"COMP_WORDS": "./mail\nagents\naddr", "COMP_CWORD": "2"}, "addresses"),
            ("zsh", {"_TYPER_COMPLETE_ARGS": "./mail agents addr"}, '"addresses"'),
            (
                "fish",
                {"_TYPER_COMPLETE_ARGS": "./mail agents addr", "_TYPER_COMPLETE_FISH_ACTION": "get-args"},
                "addresses",
            ),
        ],
    )
    def test_what_each_shell_is_answered(self, shell: str, line: dict[str, str], expected: str) -> None:
        done = subprocess.run(
            [MAIL], env={**BARE, **line, "_MAIL_COMPLETE": f"complete_{shell}"}, capture_output=True, text=True
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert expected in done.stdout

    @pytest.mark.parametrize("shell", SHELLS)
    def test_the_scripts_name_this_clone(self, shell: str, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["completion", shell]) == 0
        assert shlex.quote(str(MAIL)) in capsys.readouterr().out

    def test_no_script_for_any_other(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["completion", "csh"]) == 1
        assert "expected bash, zsh or fish: ./mail completion bash" in capsys.readouterr().err


class TestColours:
    def shown(self, **variables: str) -> str:
        with terminal([MAIL, "agents", "--help"], env={**BARE, **variables}, cwd=ROOT) as help_:
            assert help_.end() == 0
        return help_.text

    def test_a_terminal_has_them(self) -> None:
        assert COLOUR.search(self.shown())

    def test_not_where_nobody_wants_them(self) -> None:
        assert not COLOUR.search(self.shown(NO_COLOR="1"))

    def test_a_dumb_terminal_gets_text(self) -> None:
        assert "\x1b" not in self.shown(TERM="dumb")

    def test_a_pipe_gets_text(self) -> None:
        done = subprocess.run([MAIL, "agents", "--help"], env={**BARE, "TERM": "xterm"}, capture_output=True, text=True)
        assert "\x1b" not in done.stdout + done.stderr


class TestWidth:
    @pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
    def test_help_in_eighty_columns(
        self, path: tuple[str, ...], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """No line is longer, no option and no word of the description is broken."""
        monkeypatch.setenv("COLUMNS", "80")
        assert main([*path, "--help"]) == 0
        shown = capsys.readouterr().out
        assert max(map(len, shown.splitlines())) <= 80
        assert "<bool>" not in shown, "a flag takes no value"
        words = set(re.sub(r"[│╭╮╰╯─]", " ", shown).split())
        command = COMMANDS[path]
        for option in command.params:
            for name in option.opts:
                assert not name.startswith("--") or any(word.startswith(name) for word in words), name
        for word in re.sub(r"\[/?\w+\]", "", command.help or "").split():
            assert word.strip("`") in {one.strip("`") for one in words}, word

    def test_a_command_in_a_finding_stays_on_one_line(self) -> None:
        remedy = "./mail pulumi config set --stack production --path 'populations[0].file' populations/prod.yaml"
        for columns in (40, 80, 100):
            text = as_table(
                [
                    Finding(
                        "zone",
                        "MX a.example",
                        Status.ERROR,
                        f"It is gone, expected it: put it back with: {remedy}, or not",
                    )
                ],
                columns=columns,
            )
            assert any(remedy in line for line in text.splitlines()), text

    def test_an_error_is_wrapped_where_words_end(self) -> None:
        """On a terminal alone, and its command stays whole."""
        command = [str(MAIL), "env", "new", "prod", "--yes", "--set", "mailjetApiSecret=x"]
        with terminal(command, env=BARE, cwd=ROOT) as refused:
            assert refused.end() == 1
        lines = refused.shown.splitlines()
        assert len(lines) > 1
        assert max(map(len, lines)) <= 80
        assert any("./mail pulumi config set --stack prod --secret mailjetApiSecret" in line for line in lines)
        done = subprocess.run(command, env=BARE, capture_output=True, text=True)
        assert done.stderr.count("\n") == 1
        assert " ".join(lines) == done.stderr.strip()


class TestReadersThatLeave:
    """`| head`: status 141, as of any program that writes into a pipe which nobody reads."""

    @pytest.mark.parametrize(
        "command",
        [
            f"agents addresses {POPULATION} --domain dev.agents.example",
            "--help",
            "env list",
        ],
    )
    def test_it_ends_without_a_word(self, command: str) -> None:
        script = f"{MAIL} {command} | head -c 1 >/dev/null; echo ${{PIPESTATUS[0]}}"
        done = subprocess.run(["bash", "-c", script], env=BARE, capture_output=True, text=True)
        assert done.stderr == ""
        assert done.stdout.strip() in ("0", "141"), "141 where it had more to say than a pipe holds"

    def test_nobody_has_ever_read(self) -> None:
        reader, writer = os.pipe()
        os.close(reader)
        try:
            done = subprocess.run([MAIL, "env", "list"], env=BARE, stdout=writer, stderr=subprocess.PIPE, text=True)
        finally:
            os.close(writer)
        assert (done.returncode, done.stderr) == (141, "")


class TestInterrupted:
    def test_ctrl_c_at_a_terminal(self, tmp_path: Path) -> None:
        """In the middle of work that waits for somebody: emulators in the foreground."""
        command: list[str | Path] = [MAIL, "emulators", "serve", "--free-ports", "--state-dir", tmp_path / "state"]
        with terminal(command, env=BARE, cwd=ROOT) as served:
            served.until("Mailjet REST")
            served.interrupt()
            assert served.end() in (0, 130)
        assert "Traceback" not in served.shown

    def test_ctrl_c_before_the_command_has_begun(self, tmp_path: Path) -> None:
        """While modules are imported, which is most of the time that a help takes."""
        (tmp_path / "typer.py").write_text("raise KeyboardInterrupt\n")
        done = subprocess.run(
            [MAIL, "--help"], env={**BARE, "PYTHONPATH": str(tmp_path)}, capture_output=True, text=True
        )
        assert done.returncode == 130
        assert done.stderr == "Interrupted; run the command again to go on from here.\n"


class TestSilence:
    """Nothing is silent for more than two seconds."""

    def test_a_wait_says_what_for(self, capsys: pytest.CaptureFixture[str]) -> None:
        with console.working("Reading"):
            assert capsys.readouterr().err == "Reading …\n"

    def test_one_that_is_soon_over_says_nothing(self, capsys: pytest.CaptureFixture[str]) -> None:
        with console.working("Reading", after=60):
            pass
        assert capsys.readouterr().err == ""

    def spin(self, after: float, **variables: str) -> str:
        """What a terminal shows while a program works, until somebody lets it go on."""
        script = (
            f"from commands.cli.console import working\nwith working('Reading', after={after}): input()\nprint('done')"
        )
        environment = {**BARE, "PYTHONPATH": str(ROOT), **variables}
        with terminal([sys.executable, "-c", script], env=environment, cwd=ROOT) as spinning:
            spinning.until("Reading …")
            spinning.enter()
            assert spinning.end() == 0
        return spinning.text

    @pytest.mark.parametrize("after", [0.0, 0.01])
    def test_a_spinner_goes_when_the_work_is_done(self, after: float) -> None:
        assert self.spin(after).endswith("done\r\n")

    def test_a_dumb_terminal_gets_one_line(self) -> None:
        assert self.spin(0.01, TERM="dumb").split() == ["Reading", "…", "done"]

    def test_a_program_reads_the_same_on_a_slow_machine(self, capsys: pytest.CaptureFixture[str]) -> None:
        with console.working("Reading", after=1e-9):
            threading.Event().wait(0.01)
        assert capsys.readouterr().err == ""

    def test_one_within_another_is_part_of_it(self, capsys: pytest.CaptureFixture[str]) -> None:
        with console.working("Reading"), console.working("Waiting"):
            pass
        assert capsys.readouterr().err == "Reading …\n"

    def test_every_wait_for_the_engine_is_one(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(stack_commands, "SOON", 0.0)
        monkeypatch.setattr(stack_commands, "ROOT", tmp_path)
        (tmp_path / "engine").mkdir()
        engine = tmp_path / "engine" / "pulumi"
        engine.write_text(f"#!{sys.executable}\nprint('{{}}')\n")
        engine.chmod(0o755)
        pulumi = Pulumi("dev", project=tmp_path)
        pulumi.run("config", "--json")
        pulumi.attempt("preview", "--json")
        assert capsys.readouterr().err == "Waiting for the engine (config) …\nWaiting for the engine (preview) …\n"
