"""The launcher, the language host and the host of dynamic providers, on the real engine and a tiny program.

These are tests of the stand-ins, in words that are theirs: they bring an engine of their own, also where Pulumi is
installed with official hosts.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from engine.layout import layout
from engine.plugins import DYNAMIC_HOST, LANGUAGE_HOST, script
from tests import forks
from tests.e2e.own_engine import official_layout, without_official_hosts
from tests.processes import killed_at_the_end
from tests.waiting import wait_until

ROOT = Path(__file__).parents[2]
SECONDS = 120

PROJECT = """
name: tiny
runtime:
  name: python
  options:
    virtualenv: venv
config:
  greeting:
    type: string
    default: hello
"""

PROGRAM = """
import os
import signal
import sys
from pathlib import Path

import pulumi

import things

config = pulumi.Config()
ending = config.get("ending")
print("a line on stdout")
print("a line on stderr", file=sys.stderr)
if ending == "logged":
    pulumi.log.error("One sentence.")
    sys.exit(1)
if ending == "status":
    sys.exit(3)
if ending == "text":
    sys.exit("One sentence.")
if ending == "run-error":
    raise pulumi.RunError("One sentence.")
if ending == "raised":
    raise ValueError("why it broke")


class Pair(pulumi.ComponentResource):
    def __init__(self, name: str) -> None:
        super().__init__("tiny:index:Pair", name)
        self.thing = things.Thing(f"{name}-thing", config.get("text") or "abc", pulumi.ResourceOptions(parent=self))
        self.register_outputs({})


pair = Pair("pair")
if ending == "hanging":
    Path("started").write_text(str(os.getpid()))
    signal.pause()
pulumi.export("length", pair.thing.length)
pulumi.export("token", config.get_secret("token"))
pulumi.export("seen", {
    "greeting": config.require("greeting"),
    "project": pulumi.get_project(),
    "stack": pulumi.get_stack(),
    "organization": pulumi.get_organization(),
    "root": pulumi.runtime.get_root_directory(),
    "folder": os.getcwd(),
    "imports": sys.path[0],
    "arguments": sys.argv,
    "python": sys.executable,
    "virtualenv": os.environ["VIRTUAL_ENV"],
})
"""

THINGS = """
import os
import threading
from pathlib import Path

import pulumi
from engine import length
from pulumi.dynamic import CreateResult, ReadResult, Resource, ResourceProvider


class ThingProvider(ResourceProvider):
    serialize_as_secret_always = False

    def create(self, props):
        if props["text"] == "impossible":
            raise ValueError("no such text")
        if props["text"] == "slow":
            Path("started").write_text(str(os.getpid()))
            threading.Event().wait()
        return CreateResult("the-thing", {"text": props["text"], "length": length(props["text"])})

    def read(self, id_, props):
        return ReadResult(id_, props)


class Thing(Resource):
    length: pulumi.Output[int]

    def __init__(self, name, text, opts=None):
        super().__init__(ThingProvider(), name, {"text": text, "length": None}, opts)
"""


ENGINE = """
def length(text):
    return len(text)
"""
"""A module of the project, whatever those are called that start its plugins."""


class Tiny:
    """A stack of the tiny program, with state of its own; `clone` is whose launcher and hosts it is run by."""

    def __init__(self, folder: Path, clone: Path = ROOT, **environment: str) -> None:
        self.clone = clone
        self.folder = folder / "tiny"
        self.folder.mkdir()
        (self.folder / "Pulumi.yaml").write_text(PROJECT)
        (self.folder / "__main__.py").write_text(PROGRAM)
        (self.folder / "things.py").write_text(THINGS)
        (self.folder / "engine.py").write_text(ENGINE)
        (self.folder / "venv").symlink_to(clone / ".venv")
        self.state = folder / "state"
        kept: dict[str, str] = {
            name: value
            for name, value in os.environ.items()
            if not re.match(r"(PULUMI|AGENTMAIL|CLOUDFLARE|MAILJET)_", name)
        }
        stand_in = {"AGENTMAIL_CLOUDFLARE_PLUGIN": "stand-in"}
        self.environment = {
            **kept,
            **stand_in,
            "AGENTMAIL_STATE_DIR": str(self.state),
            "PULUMI_STACK": "dev",
            "PULUMI_CONFIG_PASSPHRASE": "of the tests",
        }
        self.environment |= without_official_hosts(folder / "cli", self.environment) | environment

    def command(self, *arguments: str) -> list[str]:
        return [
            str(self.clone / "engine" / "pulumi"),
            "-C",
            str(self.folder),
            "--non-interactive",
            "--color",
            "never",
            *arguments,
        ]

    def pulumi(self, *arguments: str, status: int = 0) -> str:
        """Run a command; its output. Fails the test on another exit status."""
        done = subprocess.run(
            self.command(*arguments), env=self.environment, capture_output=True, text=True, timeout=SECONDS
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout + done.stderr

    def up(self, *arguments: str, status: int = 0, **config: str) -> str:
        changes = [word for key, value in config.items() for word in ("--config", f"{key}={value}")]
        return self.pulumi("up", "--yes", "--skip-preview", *changes, *arguments, status=status)

    def outputs(self) -> dict[str, object]:
        found: dict[str, object] = json.loads(self.pulumi("stack", "output", "--json", "--show-secrets"))
        return found

    def write_config(self, **values: str) -> None:
        lines = [f"  tiny:{key}: {value}\n" for key, value in values.items()]
        file = self.folder / "Pulumi.dev.yaml"
        salt = next(line for line in file.read_text().splitlines() if line.startswith("encryptionsalt"))
        file.write_text(f"{salt}\nconfig:\n{''.join(lines)}" if lines else f"{salt}\n")

    @property
    def started(self) -> Path:
        return self.folder / "started"


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """An empty stack, to be copied."""
    made = Tiny(tmp_path_factory.mktemp("fresh"), forks.project())
    made.pulumi("stack", "init", "dev")
    return made


@pytest.fixture
def tiny(fresh: Tiny, tmp_path: Path) -> Tiny:
    return like(fresh, Tiny(tmp_path, forks.project()))


@pytest.fixture
def watched(fresh: Tiny, tmp_path: Path) -> Tiny:
    """With Pythons that nobody has forked, whose end is looked at."""
    return like(fresh, Tiny(tmp_path))


def like(fresh: Tiny, made: Tiny) -> Tiny:
    shutil.copytree(fresh.state, made.state)
    shutil.copy2(fresh.folder / "Pulumi.dev.yaml", made.folder)
    return made


def descendants(pid: int) -> set[int]:
    """Every process that a process started, directly or not."""
    listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    parents = {int(child): int(parent) for child, parent in (line.split() for line in listed.splitlines())}
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {pid}


def runs(pid: int) -> bool:
    """Whether a process is there and not merely waiting to be reaped."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True).stdout.strip()
    return bool(state) and not state.startswith("Z")


def test_a_stacks_whole_life(tiny: Tiny) -> None:
    assert "looks like a secret" in tiny.pulumi("config", "set", "token", "Kd83hfLq0sZx", status=1)
    tiny.pulumi("config", "set", "token", "bearer")
    tiny.pulumi("config", "set", "--secret", "token", "planted-secret")
    quiet, loud = tiny.pulumi("preview"), tiny.pulumi("preview", "--debug")
    assert "+ 3 to create" in quiet
    assert "debug: registering resource" not in quiet
    assert "debug: registering resource" in loud

    first = tiny.up()
    assert "+ 3 created" in first
    assert "a line on stdout" in first
    assert "a line on stderr" in first
    assert "warning" not in first
    assert "planted-secret" not in first

    outputs = tiny.outputs()
    assert (outputs["length"], outputs["token"]) == (3, "planted-secret")
    folder = str(tiny.folder)
    assert outputs["seen"] == {
        "greeting": "hello",
        "project": "tiny",
        "stack": "dev",
        "organization": "organization",
        "root": folder,
        "folder": folder,
        "imports": folder,
        "arguments": [folder],
        "python": f"{folder}/venv/bin/python",
        "virtualenv": f"{folder}/venv",
    }

    tiny.up("--expect-no-changes")
    assert "3 unchanged" in tiny.pulumi("refresh", "--yes", "--skip-preview", "--expect-no-changes")

    imported = tiny.folder / "import.json"
    component = {"type": "tiny:index:Pair", "name": "other", "component": True}
    imported.write_text(json.dumps({"nameTable": {}, "resources": [component]}))
    options = ["--file", str(imported), "--yes", "--protect=false", "--generate-code=false", "--skip-preview"]
    assert "= 1 imported" in tiny.pulumi("import", *options)

    assert "- 4 deleted" in tiny.pulumi("destroy", "--yes", "--skip-preview")


@pytest.mark.parametrize("ending", ["logged", "text", "run-error"])
def test_a_users_error_is_shown_once_and_without_a_traceback(tiny: Tiny, ending: str) -> None:
    tiny.write_config(ending=ending)
    said = tiny.pulumi("preview", "--diff", status=1)
    assert said.count("error:") == 1
    assert said.count("One sentence.") == 1
    assert "Traceback" not in said


def test_other_endings_of_a_program(tiny: Tiny) -> None:
    tiny.write_config(ending="status")
    assert "Program exited with non-zero exit code: 3" in tiny.pulumi("preview", status=1)

    tiny.write_config(ending="raised")
    said = tiny.pulumi("preview", "--diff", status=1)
    assert f'File "{tiny.folder}/__main__.py", line ' in said
    assert said.count("ValueError: why it broke") == 1
    assert "engine/language" not in said

    tiny.write_config()
    (tiny.folder / "__main__.py").write_text("def f(:\n")
    said = tiny.pulumi("preview", status=1)
    assert "SyntaxError: invalid syntax" in said
    assert "Traceback" not in said

    (tiny.folder / "__main__.py").unlink()
    assert f"there is no program {tiny.folder}/__main__.py" in tiny.pulumi("preview", status=1)

    (tiny.folder / "venv").unlink()
    assert f"{tiny.folder}/venv is no virtual environment" in tiny.pulumi("preview", status=1)


def test_a_failing_dynamic_provider_fails_the_up(tiny: Tiny) -> None:
    assert "no such text" in tiny.up(text="impossible", status=1)


@contextmanager
def up_in_background(tiny: Tiny) -> Iterator[tuple[subprocess.Popen[str], set[int]]]:
    """An `up` whose program or provider has started and hangs, and the processes that it started."""
    command = tiny.command("up", "--yes", "--skip-preview")
    with killed_at_the_end(
        subprocess.Popen(command, env=tiny.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    ) as cli:
        wait_until(
            tiny.started.exists, "neither program nor provider ever started", seconds=SECONDS, pause_seconds=0.05
        )
        yield cli, descendants(cli.pid)


@pytest.mark.parametrize("config", [{"text": "slow"}, {"ending": "hanging"}], ids=["provider", "program"])
def test_a_killed_cli_leaves_no_process(watched: Tiny, config: dict[str, str]) -> None:
    watched.write_config(**config)
    with up_in_background(watched) as (cli, started):
        # The launcher has become the CLI: what a user kills is the engine itself.
        assert len(started) >= 2
        cli.kill()
        wait_until(
            lambda: not any(runs(pid) for pid in started), "processes are left", seconds=SECONDS, pause_seconds=0.05
        )
    watched.pulumi("cancel", "--yes")
    watched.write_config()
    assert "length: 3" in watched.up()


def test_ctrl_c_cancels_a_program_that_hangs(watched: Tiny) -> None:
    watched.write_config(ending="hanging")
    with up_in_background(watched) as (cli, started):
        cli.send_signal(signal.SIGINT)
        said, _ = cli.communicate(timeout=SECONDS)
        wait_until(
            lambda: not any(runs(pid) for pid in started), "processes are left", seconds=SECONDS, pause_seconds=0.05
        )
    assert cli.returncode != 0
    assert "error: update canceled" in said
    assert "Traceback" not in said


def test_an_installed_pulumi_is_used_with_what_it_brings(tiny: Tiny, tmp_path: Path) -> None:
    """A folder laid out like the official distribution, first on PATH."""
    installed = tmp_path / "installed"
    hosts = {plugin.executable: script(layout(tiny.environment), plugin) for plugin in (LANGUAGE_HOST, DYNAMIC_HOST)}
    official_layout(installed, tiny.environment, hosts)
    theirs = Tiny(tmp_path / "installed", PATH=f"{installed}:{os.environ['PATH']}")
    said = about(theirs)
    assert f"installed: {installed}/pulumi\n" in said
    assert f"language host: {installed}/pulumi-language-python\n" in said
    theirs.pulumi("stack", "init", "dev")
    first = theirs.up()
    assert "+ 3 created" in first
    assert "warning" not in first
    assert not list((theirs.state / "pulumi-home" / "plugins").glob("language-*"))


def about(tiny: Tiny) -> str:
    command = [str(ROOT / ".venv" / "bin" / "python"), "-m", "engine", "about"]
    return subprocess.run(command, cwd=ROOT, env=tiny.environment, capture_output=True, text=True, check=True).stderr


def test_where_the_default_state_is(tiny: Tiny) -> None:
    said = json.loads(tiny.pulumi("about", "--json"))
    assert said["backend"]["url"].partition("?")[0] == f"file://{tiny.state}/backend"
    assert (tiny.state / "backend" / ".pulumi").is_dir()


def test_a_backend_of_the_users_own(tiny: Tiny, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    tiny.environment |= {"PULUMI_BACKEND_URL": f"file://{elsewhere}", "PULUMI_CONFIG_PASSPHRASE": "mine"}
    tiny.pulumi("stack", "init", "theirs")
    assert "theirs" in tiny.pulumi("stack", "ls")
    assert (elsewhere / ".pulumi").is_dir()
    # The default backend still has the stack of the fixture, and only that one.
    del tiny.environment["PULUMI_BACKEND_URL"]
    assert [each["name"] for each in json.loads(tiny.pulumi("stack", "ls", "--json"))] == ["dev"]


def test_a_login_chooses_the_backend_until_the_logout(tiny: Tiny, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    tiny.pulumi("login", f"file://{elsewhere}")
    assert json.loads(tiny.pulumi("stack", "ls", "--json")) == []
    tiny.pulumi("logout")
    assert [each["name"] for each in json.loads(tiny.pulumi("stack", "ls", "--json"))] == ["dev"]
