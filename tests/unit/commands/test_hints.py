"""What is proposed can be pasted: every command is rendered by one module, or is at least a command that there is."""

from __future__ import annotations

import inspect
import re
import shlex

import pytest
from typer import Exit
from typer.exceptions import TyperException

from mailboxes import remedies
from tests.unit.commands.hints import (
    FREE,
    MENTIONED,
    OLD,
    PROGRAM,
    RENDERER,
    RENDERERS,
    ROOT,
    GrammarError,
    Text,
    commands,
    parse,
    read_by_people,
    said,
    written,
)

TARGETS = set(re.findall(r"^([a-z][a-z0-9-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))


@pytest.fixture(autouse=True)
def _this_process_is_about_no_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parsing says of which stack a command is; that must not last."""
    monkeypatch.setenv(remedies.STACK_VARIABLE, "prod")


def refusal(command: str) -> str:
    """Why it is no command; empty where it is one."""
    try:
        parse(command)
    except (TyperException, Exit, GrammarError, ValueError) as error:
        return f"{type(error).__name__}: {error}"
    return ""


@pytest.mark.slow
class TestWhatIsPrinted:
    def test_it_is_rendered_in_one_place(self) -> None:
        elsewhere = [
            f"{text.where}: {text.text[:100]!r}"
            for text in said(*PROGRAM)
            if not text.where.startswith(RENDERER) and re.search(r"\./mail [a-z{]", text.text)
        ]
        assert elsewhere == []

    def test_it_speaks_of_one_command_line(self) -> None:
        old = [f"{text.where}: {text.text[:100]!r}" for text in said(*PROGRAM, *FREE) if OLD.search(text.text)]
        assert old == []

    def test_rooms_of_their_own_propose_what_there_is(self) -> None:
        found = [(text.where, command) for text in said(*FREE) for command in commands(text.text)]
        found = [one for one in found if not one[1].startswith("./mail pulumi {} ")]  # the words of whoever called
        assert len(found) >= 15
        assert [(where, command, why) for where, command in found if (why := refusal(command))] == []

    def test_a_target_of_make_is_one(self) -> None:
        named = [
            (text.where, target)
            for text in [*said(*PROGRAM, *FREE), *written(), *read_by_people()]
            for target in re.findall(r"(?:`|^\s*)make ([a-z][a-z-]*)`", text.text)
        ]
        assert len(named) >= 10
        assert [one for one in named if one[1] not in TARGETS] == []


class TestWhatIsRead:
    def test_every_command_is_one(self) -> None:
        found = [(text.where, command) for text in [*read_by_people(), *written()] for command in commands(text.text)]
        assert len(found) >= 100
        refused = [(where, command, why) for where, command in found if (why := refusal(command))]
        assert [one for one in refused if not any(word in one[2] for word in MENTIONED)] == []

    def test_it_speaks_of_one_command_line(self) -> None:
        assert [f"{text.where}: {text.text.strip()}" for text in read_by_people() if OLD.search(text.text)] == []

    def test_documentation_of_the_code_proposes_no_python_program(self) -> None:
        old = re.compile(r"python3? -m (emulators|engine|commands|mailboxes|azmail|zone|components)\b|\./engine/pulumi")
        assert [text for text in written() if old.search(text.text)] == []


class TestHowTheyAreFound:
    """The net has no holes of the sizes that matter."""

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("set it with: ./mail pulumi config set --stack dev domain VALUE", ["./mail pulumi config set --stack dev domain VALUE"]),
            ("run `./mail apply prod` again: it goes on", ["./mail apply prod"]),
            ("run: ./mail adopt prod; then ./mail apply prod --yes.", ["./mail adopt prod", "./mail apply prod --yes"]),
            ("no command here", []),
            ("./mail up", ["./mail up"]),
        ],
    )  # fmt: skip
    def test_commands_in_a_sentence(self, text: str, expected: list[str]) -> None:
        assert list(commands(text)) == expected

    @pytest.mark.parametrize(
        "command",
        [
            "./mail aply prod",
            "./mail apply",
            "./mail apply prod --now",
            "./mail doctor prod --timeout soon",
            "./mail agents list prod",
            "./mail pulumi config set",
            "./mail pulumi config set --stack dev --plain a b",
            "./mail pulumi stack destroy dev",
        ],
    )
    def test_what_is_no_command(self, command: str) -> None:
        assert refusal(command)

    @pytest.mark.parametrize(
        "text",
        [
            "run `pulumi up` again",
            "./engine/pulumi config",
            "python -m emulators up",
            "then pulumi config set --secret x",
        ],
    )
    def test_old_words(self, text: str) -> None:
        assert OLD.search(text)

    @pytest.mark.parametrize("text", ["./mail pulumi config set a b", "python -m tests.versions", "Pulumi up there"])
    def test_words_of_today(self, text: str) -> None:
        assert not OLD.search(text)


# -- the renderer ------------------------------------------------------------------------------------------------------


def example(name: str, stack: str = "") -> str:
    """What the renderer gives for values that need quoting; `stack` empty: as if nobody had named one."""
    given = {
        "key": "populations[0].file",
        "export": "the export.json",
        "file": "populations/$HOME.yaml",
        "urn": "urn:pulumi:dev::agentmail::a$b:c:D::e f",
        "pins": [("538605c0-4728-53d9-b533-76e2b3da240c", "it's")],
        "command": "up",
        "shell": "bash",
        "to": "prod-01",
    }
    function = RENDERERS[name]
    wanted = inspect.signature(function).parameters
    arguments = {key: value for key, value in given.items() if key in wanted}
    named = next((key for key in ("stack", "name") if key in wanted), None)
    return str(function(**arguments, **({named: stack} if named else {})))


@pytest.mark.parametrize("name", RENDERERS)
class TestRemedies:
    def test_it_is_a_command(self, name: str) -> None:
        assert refusal(example(name)) == ""

    def test_it_names_the_stack(self, name: str) -> None:
        """A key without `--stack` goes into whichever stack is selected."""
        parameters = inspect.signature(RENDERERS[name]).parameters
        if name not in ("up", "down") and ("stack" in parameters or "name" in parameters):
            assert "prod" in shlex.split(example(name)), "the stack that the process is about"
            assert "staging" in shlex.split(example(name, "staging"))

    def test_it_survives_a_shell(self, name: str) -> None:
        assert "$" not in re.sub(r"'[^']*'", "", example(name).replace("'\"'\"'", ""))


def test_a_stack_that_nobody_knows_is_the_word_of_the_help(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(remedies.STACK_VARIABLE)
    assert remedies.apply() == "./mail apply STACK"


def test_a_text_has_its_place() -> None:
    assert Text("a:1", "b").where == "a:1"


def test_grammar_errors_are_told() -> None:
    assert "GrammarError" in refusal("./mail pulumi nothing")
    assert issubclass(GrammarError, Exception)
