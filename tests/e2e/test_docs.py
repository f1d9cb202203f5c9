"""Every command block of the documentation that is not marked live, as a reader would paste it: in order, page by page."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import pytest

from engine.cli import find_cli
from engine.layout import layout
from mailboxes import remedies
from tests.e2e.clone import Clone, clone
from tests.e2e.stack import ROOT
from tests.terminal import terminal
from tests.unit.commands.hints import GLOBAL, GRAMMAR, RENDERERS, WITHOUT_STACK
from tests.unit.docs.pages import PAGES, Block, read
from tests.unit.docs.pages import ROOT as PAGES_FROM

RUN = {path: [block for block in read(path).blocks if block.info == "sh"] for path in PAGES}
EDITED = ("Pulumi.dev.yaml", "populations")
"""What commands on a page may change, and the next page must not find changed."""


@pytest.fixture(scope="module")
def first_up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Clone, str]]:
    """A fresh clone, and what its first `make up` prints."""
    with clone(tmp_path_factory.mktemp("docs") / "clone") as made:
        yield made, made.sh("make up").out


@pytest.fixture
def reader(first_up: tuple[Clone, str]) -> Clone:
    return first_up[0]


@pytest.fixture
def page(reader: Clone, tmp_path: Path) -> Iterator[Clone]:
    """The clone; edited files come back afterwards."""
    for name in EDITED:
        copy = shutil.copytree if (reader.folder / name).is_dir() else shutil.copy2
        copy(reader.folder / name, tmp_path / name)
    yield reader
    changed = False
    for path in sorted(file for file in tmp_path.rglob("*") if file.is_file()):
        original = reader.folder / path.relative_to(tmp_path)
        if not original.exists() or original.read_bytes() != path.read_bytes():
            shutil.copy2(path, original)
            changed = True
    if changed:
        reader.sh("./mail pulumi up --stack dev --yes --skip-preview --suppress-outputs")


def runnable(block: Block) -> str:
    """`make test` is what runs this very test, so it is only looked at; whatever else stands there is run."""
    return re.sub(r"^make (test|lint)\b", r"make -n \1", block.text, flags=re.MULTILINE)


@pytest.mark.parametrize(
    "path", [path for path in PAGES if RUN[path]], ids=lambda path: str(path.relative_to(PAGES_FROM))
)
def test_the_commands_of_a_page(path: Path, page: Clone) -> None:
    for block in RUN[path]:
        done = page.sh(runnable(block), check=False)
        assert done.code == 0, f"{block.where}\n{block.text}\n{done.text}"
        assert "Traceback" not in done.text, f"{block.where}\n{done.text}"


def test_make_up_ends_as_the_readme_shows(first_up: tuple[Clone, str]) -> None:
    """The picture is of another stack: what differs from one to the next is left out."""
    _, printed = first_up
    [name] = re.findall(r"\]\((docs/pictures/up-80\.svg)\)", (ROOT / "README.md").read_text())
    picture = re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]*>", " ", (ROOT / name).read_text())))
    for line in (
        "dev.agents.example: 100 mailboxes, stack dev",
        "DKIM OK, SPF OK",
        "https://api-dev.agents.example/api/webhooks/mailjet/inbound",
        '"v=spf1 include:spf.mailjet.com ~all"',
        "Inbound mail for every agent goes to Mailjet's Parse API.",
        "0002ab14-cd6a-55e5-a9f1-e690b8927607",
        "agent.4741.801.20241005123045@dev.agents.example",
        *re.findall(r"^  (\./mail \S+)", printed.partition("\nNext\n")[2], re.MULTILINE),
    ):
        assert line in printed
        assert line in picture


class TestRemedies:
    """Every kind of command that an error, a finding or the summary proposes, run as it is printed."""

    def run(self, reader: Clone, command: str, *answers: tuple[str, str]) -> str:
        """At a terminal where it asks; `answers`: what is waited for, and what is typed then. What was shown."""
        shown = self.answered(reader, command, *answers) if answers else reader.sh(command).text
        assert "Traceback" not in shown, shown
        return shown

    def answered(self, reader: Clone, command: str, *answers: tuple[str, str]) -> str:
        with terminal(["bash", "-c", command], env=reader.environment, cwd=reader.folder) as screen:
            for question, answer in answers:
                screen.until(question)
                screen.enter(answer)
            status = screen.end()
        assert status == 0, f"{command}\n{screen.shown}"
        return screen.shown

    def test_each_kind_runs(self, first_up: tuple[Clone, str]) -> None:
        """Last on the clone: it takes the stack away in the end. The pages above, test_loop.py and
        test_split.py run the others."""
        reader, _ = first_up
        dev = "dev"
        done: set[str] = set()

        def run(name: str, *values: str, answers: tuple[tuple[str, str], ...] = (), **options: bool) -> str:
            done.add(name)
            return self.run(reader, getattr(remedies, name)(*values, **options), *answers)

        assert "already up" in run("emulators", "up")
        assert "_agentmail_completion" in run("completion", "bash")
        assert json.loads(run("preview_json", dev).partition("{")[2].join(["{", ""]))["steps"]
        agent, address = re.findall(r"([0-9a-f-]{36}) .*?(\S+)@dev\.agents\.example", run("list_agents", dev))[0]
        done.add("pin")
        assert address in self.run(reader, remedies.pin([(agent, address)]))
        done.add("set_value")
        self.run(reader, remedies.set_value("populations[0].file", "populations/dev.yaml", stack=dev, path=True))
        run("cancel", dev, answers=(("confirm", dev),))
        run("refresh", dev, answers=(("perform this refresh", "yes"),))
        assert "No changes" in run("apply", dev, refresh=True)
        run("clear_pending", dev)
        run("change_passphrase", dev, answers=((":", "loopback-only"), (":", "loopback-only")))

        # A record that the state has lost is taken back.
        state = json.loads(reader.sh("./mail pulumi stack export --stack dev").out)
        urn = next(r["urn"] for r in state["deployment"]["resources"] if r["urn"].endswith("::mail-dmarc"))
        run("forget_resource", urn, dev)
        run("adopt", dev, answers=(("[y/N]", "y"),))

        # A state that was cut, and one that is gone.
        file = reader.folder / ".state/backend/.pulumi/stacks/agentmail/dev.json"
        (reader.folder / "whole.json").write_text(reader.sh("./mail pulumi stack export --stack dev").out)
        file.write_text(file.read_text()[:1000])
        run("restore_state", dev)
        done.add("make_stack")
        reader.sh("./mail pulumi stack rm dev --force --yes --preserve-config")
        self.run(reader, remedies.make_stack(dev))
        run("import_state", dev, "whole.json")

        # The emulators' root secret, which a variable gives, is the one that goes on meanwhile.
        assert "those of r1 stay good meanwhile" in run("new_root", dev)
        run("save_plan", dev)
        assert "mailboxes, stack dev" in self.run(reader, remedies.apply(dev, yes=True, plan="plan.json"))
        run("destroy", dev, confirmed=True)
        run("down")

        by_pages = {"up", "preview", "doctor", "check_environment", "new_environment", "remove_stack", "import_agents"}
        by_pages |= {"set_secret", "remove_value"}
        by_the_loop = {"demo", "send", "messages"}
        by_the_split = {"split", "copy_value"}
        assert done | by_pages | by_the_loop | by_the_split == set(RENDERERS)

    def test_pulumi_has_what_is_proposed(self, first_up: tuple[Clone, str]) -> None:
        """The table of `tests/unit/commands/hints.py`, which reads commands without the engine."""
        reader, _ = first_up
        cli = find_cli(layout(reader.environment), reader.environment).path
        lines = "\n".join(f"echo '== {command}'; {cli} {command} --help" for command in GRAMMAR)
        told = dict(part.partition("\n")[::2] for part in reader.sh(lines).out.split("== ")[1:])
        for command, (options, _, _) in GRAMMAR.items():
            for option in options | GLOBAL | (set() if command in WITHOUT_STACK else {"--stack"}):
                assert re.search(rf"{option}\b", told[command]), f"pulumi {command} has no {option}:\n{told[command]}"


def test_there_is_something_to_run() -> None:
    assert sum(map(len, RUN.values())) >= 10
