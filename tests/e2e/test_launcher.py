"""The launcher with the real engine, as in a fresh clone: passphrases, backends, ports."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from engine.layout import layout
from engine.passphrase import is_public
from tests.e2e.clone import Clone, clone

SECRET = "8f14e45fceea167a5a36dedd4bea2543"


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clone]:
    with clone(tmp_path_factory.mktemp("launcher") / "clone") as made:
        yield made


class TestPassphrase:
    """The tests of this class build on each other, in order."""

    @pytest.mark.parametrize(
        "command",
        [
            "stack init prod",
            "stack select --create prod",
            f"config set --secret mailjetApiSecret {SECRET} --stack prod",
            f"config set --secret mailjetApiSecret {SECRET} -s prod",
            f"-C . config set --secret mailjetApiSecret {SECRET} -sprod",
            "stack init newcomer",
            "up --yes --stack prod",
        ],
    )
    def test_no_real_secret_is_encrypted_with_the_public_one(self, fresh: Clone, command: str) -> None:
        before = (fresh.folder / "Pulumi.prod.yaml").read_text()
        done = fresh.sh(f"./engine/pulumi {command} --non-interactive", check=False)
        assert done.code == 1
        assert "has no passphrase of its own, and this clone's is public" in done.err
        assert done.err.count("\n") == 1
        assert (fresh.folder / "Pulumi.prod.yaml").read_text() == before
        assert not (fresh.folder / "Pulumi.newcomer.yaml").exists()

    def test_the_remedy_can_be_pasted(self, fresh: Clone, tmp_path: Path) -> None:
        refused = fresh.sh("./mail pulumi stack init prod", check=False).err
        remedy = refused.partition("run the command again: ")[2].strip()
        store = f"printf %s {SECRET} | ./mail pulumi config set --secret mailjetApiSecret --stack prod"
        # Another home, with the engine that this machine has already.
        home = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(layout(os.environ).cache.parent)}
        fresh.sh(f"{remedy}\n./mail pulumi stack init prod --non-interactive\n{store}", check=True, **home)
        written = (fresh.folder / "Pulumi.prod.yaml").read_text()
        assert not is_public(yaml.safe_load(written)["encryptionsalt"])
        assert SECRET not in written

    def test_a_stack_that_has_become_real_finds_the_way_out(self, fresh: Clone) -> None:
        fresh.sh("cp Pulumi.dev.yaml Pulumi.was.yaml; ./mail pulumi stack init was --no-select")
        fresh.sh(f"./mail pulumi config set --secret mailjetApiSecret {SECRET} --stack was")
        fresh.sh("./mail pulumi config set mailjetApiUrl https://api.mailjet.com --stack was")
        show = "./mail pulumi config get mailjetApiSecret --show-secrets --stack was"
        assert "passphrase" in fresh.sh(f"{show} --non-interactive", check=False).err
        checked = fresh.sh("./mail env check was", check=False, COLUMNS="1000")
        assert "encrypted with the public passphrase" in checked.out
        move = "./mail pulumi stack change-secrets-provider passphrase --stack was"
        fresh.sh(f"echo our own words | {move}")
        assert not is_public(yaml.safe_load((fresh.folder / "Pulumi.was.yaml").read_text())["encryptionsalt"])
        read = "./mail pulumi config get mailjetApiSecret --stack was"
        assert fresh.sh(read, PULUMI_CONFIG_PASSPHRASE="our own words").out.strip() == SECRET


class TestBackend:
    def test_it_is_found_in_a_new_terminal(self, fresh: Clone, tmp_path: Path) -> None:
        backend = tmp_path / "states"
        backend.mkdir()
        (fresh.folder / "Pulumi.team.backend").write_text(f"# ours\nfile://{backend}\n")
        fresh.sh("./mail pulumi stack init team --non-interactive", PULUMI_CONFIG_PASSPHRASE="ours")
        assert (backend / ".pulumi" / "stacks" / "agentmail").is_dir()
        exported = fresh.sh("./mail pulumi stack export --stack team", PULUMI_CONFIG_PASSPHRASE="ours")
        assert '"version"' in exported.out


def port_of(clone: Clone, side: str) -> int:
    status = json.loads(clone.sh("./mail emulators status --json").out)
    return int(urlsplit(status[side]["url"]).port or 0)


class TestPorts:
    """`dev` follows the emulators to whatever ports they have; the committed file stays as it is."""

    @pytest.fixture
    def second(self, tmp_path: Path) -> Iterator[Clone]:
        with clone(tmp_path / "second", committed_ports=True) as made:
            yield made

    def test_a_second_clone_works_beside_the_first(self, second: Clone) -> None:
        committed = (second.folder / "Pulumi.dev.yaml").read_text()
        second.sh("./mail pulumi stack select --create dev --non-interactive")
        second.sh("./mail pulumi up --stack dev --yes --skip-preview --suppress-outputs --non-interactive")
        shown = json.loads(second.sh("./mail pulumi stack output --stack dev --json --show-secrets").out)
        assert shown["mailboxCount"] == 100
        assert "ok" in second.sh("./mail env check dev").out

        # Other ports: the next up follows, and so does what destroys.
        before = port_of(second, "mailjet")
        second.sh("./mail emulators down; rm .state/emulators/ports.json")
        second.sh("./mail emulators up --free-ports")
        assert port_of(second, "mailjet") != before
        second.sh("./mail pulumi up --stack dev --yes --skip-preview --suppress-outputs --non-interactive")
        second.sh("./mail pulumi destroy --stack dev --refresh --yes --skip-preview --non-interactive")
        assert (second.folder / "Pulumi.dev.yaml").read_text() == committed


@pytest.fixture(scope="module")
def made(fresh: Clone) -> Clone:
    """With a stack."""
    fresh.sh("./mail pulumi stack select --create dev --non-interactive")
    return fresh


class TestRefusals:
    """The engine's reason alone, with what to do; never a second line that says the preview is empty."""

    @pytest.fixture
    def stack_file(self, made: Clone) -> Iterator[Path]:
        file = made.folder / "Pulumi.dev.yaml"
        before = file.read_text()
        yield file
        file.write_text(before)

    def refusal(self, made: Clone, command: str = "./mail preview dev", **variables: str) -> str:
        done = made.sh(command, check=False, COLUMNS="2000", **variables)
        assert done.code == 1, done.text
        assert done.out == ""
        # Besides the line that says what takes a moment.
        said = [line for line in done.err.strip().splitlines() if not line.endswith("…")]
        assert len(said) == 1, done.err
        assert "The preview is" not in said[0]
        return said[0]

    def test_a_wrong_passphrase(self, made: Clone) -> None:
        said = self.refusal(made, PULUMI_CONFIG_PASSPHRASE="not this one")
        assert "not the one that the secrets of 'dev' are encrypted with" in said
        assert "export PULUMI_CONFIG_PASSPHRASE_FILE=FILE" in said

    def test_a_value_of_another_type(self, made: Clone, stack_file: Path) -> None:
        made.sh("./mail pulumi config set --stack dev ttl abc")
        said = self.refusal(made)
        assert "ttl in Pulumi.dev.yaml has another type; expected integer" in said
        remedy = said.partition("set it with: ")[2].strip().replace("VALUE", "300")
        made.sh(remedy)
        assert "mailboxes" in made.sh("./mail preview dev").out

    def test_a_file_that_is_no_yaml(self, made: Clone, stack_file: Path) -> None:
        stack_file.write_text(stack_file.read_text() + "\tx: [\n")
        for variables in ({}, {"PULUMI_CONFIG_PASSPHRASE": "loopback-only"}):
            said = self.refusal(made, **variables)
            assert "Pulumi.dev.yaml is no valid YAML (line " in said
            assert "git diff Pulumi.dev.yaml" in said

    def test_a_stack_that_nobody_knows(self, made: Clone) -> None:
        said = self.refusal(made, "./mail preview prdo")
        assert "no stack named 'prdo' found in file://" in said
        assert "(this clone's own)" in said
        assert "Pulumi.prdo.backend" in said

    def test_a_state_that_a_full_disk_has_cut(self, made: Clone) -> None:
        state = made.folder / ".state/backend/.pulumi/stacks/agentmail/dev.json"
        whole = state.read_text()
        state.write_text(whole[: len(whole) // 2])
        for command in (
            "./mail preview dev",
            "./mail pulumi up --stack dev --yes",
            "./mail pulumi stack rm dev --yes",
        ):
            said = self.refusal(made, command)
            assert "the state of 'dev' was cut off" in said
        remedy = said.partition("last whole state with: ")[2].strip()
        assert remedy == "./mail state restore dev"
        assert "is that of" in made.sh(remedy).out
        assert "mailboxes" in made.sh("./mail preview dev").out
