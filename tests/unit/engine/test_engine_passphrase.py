"""The public passphrase reaches no stack that leaves this machine, whichever way it is named."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path

import pytest
import yaml
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from engine.environment import EMULATOR_CREDENTIALS, CliEnvironment, cli_environment
from engine.errors import (
    NoOwnPassphraseError,
    NoStackNamedError,
    PublicPassphraseGivenError,
    StackFileError,
    StackMissingError,
)
from engine.passphrase import LOOPBACK_PASSPHRASE, is_public
from engine.stacks import meant
from tests.unit.engine.machines import ROOT, Machine


def prepared(machine: Machine, *arguments: str, **environment: str) -> CliEnvironment:
    return cli_environment(machine.layout, environment, arguments)


def select(machine: Machine, stack: str, *, layout_of: str = "stack") -> None:
    """As `pulumi stack select` leaves it."""
    project = machine.layout.root / "Pulumi.yaml"
    digest = hashlib.sha1(str(project).encode()).hexdigest()
    file = machine.layout.home / "workspaces" / f"agentmail-{digest}-workspace.json"
    file.parent.mkdir(parents=True)
    chosen = {"stack": stack} if layout_of == "stack" else {"stacks": {machine.layout.backend_url: stack}}
    file.write_text(json.dumps(chosen))


def dev(machine: Machine, **changes: str | None) -> Path:
    """Another stack file of the clone, like dev's but for some keys."""
    document = yaml.safe_load((ROOT / "Pulumi.dev.yaml").read_text())
    for key, value in changes.items():
        name = key.replace("__", ":")
        if value is None:
            del document["config"][name]
        else:
            document["config"][name] = value
    file = machine.layout.root / "Pulumi.try.yaml"
    file.write_text(yaml.safe_dump(document))
    return file


@pytest.fixture(autouse=True)
def stacks(request: pytest.FixtureRequest) -> None:
    """They are there: whether a stack exists is another question."""
    if "bare" in request.fixturenames:
        request.getfixturevalue("bare").has_stack("dev", "prod", "try")


DOORS = [
    ["stack", "init", "prod"],
    ["stack", "init", "nobody-has-made-it"],
    ["stack", "select", "--create", "prod"],
    ["stack", "select", "-c", "prod"],
    ["config", "set", "--secret", "mailjetApiSecret", "--stack", "prod"],
    ["config", "set", "--secret", "mailjetApiSecret", "-s", "prod"],
    ["config", "set", "--secret", "mailjetApiSecret", "-sprod"],
    ["config", "set-all", "--secret", "a=b", "--stack=prod"],
    ["config", "cp", "--stack", "dev", "--dest", "prod"],
    ["up", "--yes", "--stack", "prod"],
    ["up", "-ys", "prod"],
    ["preview", "--stack", "prod"],
    ["destroy", "--stack", "prod"],
    ["stack", "output", "--show-secrets", "--stack", "prod"],
    ["up", "--stack", "dev", "--config", "agentmail:mailjetApiUrl=https://api.mailjet.com"],
    ["up", "--stack", "dev", "-c", "cloudflare:baseUrl=https://api.cloudflare.com/client/v4"],
    ["config", "set-all", "--stack", "dev", "--secret", "a=b", "--plaintext", "mailjetApiUrl=https://api.mailjet.com"],
]


@pytest.mark.parametrize("arguments", DOORS, ids=" ".join)
def test_no_door_leads_a_real_stack_to_it(bare: Machine, arguments: list[str]) -> None:
    made = prepared(bare, *arguments)
    assert "PULUMI_CONFIG_PASSPHRASE" not in made.variables
    assert not set(EMULATOR_CREDENTIALS) & set(made.variables)
    assert isinstance(made.refused, NoOwnPassphraseError)
    assert "export PULUMI_CONFIG_PASSPHRASE_FILE=" in str(made.refused)
    assert str(made.refused).count("\n") == 0


@pytest.mark.parametrize("arguments", [arguments for arguments in DOORS if "dev" not in arguments], ids=" ".join)
def test_the_public_one_by_hand_is_refused_in_every_folder_or_bucket(bare: Machine, arguments: list[str]) -> None:
    for backend in ("file:///srv/states", "s3://states", bare.layout.backend_url):
        made = prepared(bare, *arguments, PULUMI_CONFIG_PASSPHRASE=LOOPBACK_PASSPHRASE, PULUMI_BACKEND_URL=backend)
        # A folder that has no such stack is a refusal as good.
        assert isinstance(made.refused, PublicPassphraseGivenError | StackMissingError)


def test_the_public_one_in_a_file(bare: Machine) -> None:
    file = bare.folder / "passphrase"
    file.write_text(f"{LOOPBACK_PASSPHRASE}\n")
    made = prepared(bare, "up", "--stack", "prod", PULUMI_CONFIG_PASSPHRASE_FILE=str(file))
    assert isinstance(made.refused, PublicPassphraseGivenError)


def test_another_folder(bare: Machine) -> None:
    """`-C` leads to another project, whose `dev` is not ours."""
    other = bare.folder / "other"
    other.mkdir()
    (other / "Pulumi.yaml").write_text("name: agentmail\nruntime: python\n")
    for arguments in (["-C", str(other), "up", "-s", "dev"], [f"--cwd={other}", "up", "-s", "dev"]):
        assert isinstance(prepared(bare, *arguments).refused, NoOwnPassphraseError)


@pytest.mark.parametrize("key", ["stackConfigDir: real", "config: 'real'"])
def test_files_of_stacks_in_a_folder_of_their_own(bare: Machine, key: str) -> None:
    """The `dev` that Pulumi reads then is another than the committed one."""
    project = bare.layout.root / "Pulumi.yaml"
    project.write_text(f"name: agentmail\nruntime: python\n{key}\n")
    assert isinstance(prepared(bare, "up", "--stack", "dev").refused, NoOwnPassphraseError)
    (bare.layout.root / "real").mkdir()
    (bare.layout.root / "Pulumi.dev.yaml").rename(bare.layout.root / "real" / "Pulumi.dev.yaml")
    assert prepared(bare, "up", "--stack", "dev").refused is None


def test_a_file_named_by_hand(bare: Machine) -> None:
    made = prepared(bare, "up", "--stack", "dev", "--config-file", "Pulumi.prod.yaml")
    assert isinstance(made.refused, NoOwnPassphraseError)
    assert prepared(bare, "up", "--stack", "prod", "--config-file", "Pulumi.dev.yaml").on_loopback


@pytest.mark.parametrize("layout_of", ["stack", "stacks"])
def test_the_selected_stack(bare: Machine, layout_of: str) -> None:
    select(bare, "prod", layout_of=layout_of)
    assert isinstance(prepared(bare, "up").refused, NoOwnPassphraseError)
    assert prepared(bare, "up", "--stack", "dev").refused is None
    assert prepared(bare, "up", PULUMI_STACK="dev").refused is None


def test_the_stack_of_the_environment(bare: Machine) -> None:
    select(bare, "dev")
    assert prepared(bare, "up").variables["PULUMI_CONFIG_PASSPHRASE"] == LOOPBACK_PASSPHRASE
    assert isinstance(prepared(bare, "up", PULUMI_STACK="prod").refused, NoOwnPassphraseError)


def test_no_stack_at_all(bare: Machine) -> None:
    refused = prepared(bare, "up").refused
    assert isinstance(refused, NoStackNamedError)
    assert str(refused).endswith("./mail pulumi up --stack dev")


@pytest.mark.parametrize("text", ["", "config:\n", "[]", "config: {a: b}\n", "config: []\n"])
def test_a_file_without_services_leads_to_the_real_ones(bare: Machine, text: str) -> None:
    (bare.layout.root / "Pulumi.try.yaml").write_text(text)
    assert isinstance(prepared(bare, "up", "--stack", "try").refused, NoOwnPassphraseError)


@pytest.mark.parametrize("text", ["config:\n\tx: y\n", "config: [", "a: b: c\n"])
def test_a_file_that_is_no_yaml_is_told_as_that(bare: Machine, text: str) -> None:
    (bare.layout.root / "Pulumi.try.yaml").write_text(text)
    by_hand = prepared(bare, "up", "--stack", "try", PULUMI_CONFIG_PASSPHRASE=LOOPBACK_PASSPHRASE)
    assert isinstance(by_hand.refused, StackFileError)
    made = prepared(bare, "up", "--stack", "try")
    assert isinstance(made.refused, StackFileError)
    assert str(made.refused).startswith("Pulumi.try.yaml is no valid YAML (line ")
    assert "PULUMI_CONFIG_PASSPHRASE" not in made.variables


@pytest.mark.parametrize(
    "changes",
    [
        {"agentmail__mailjetApiUrl": None},
        {"cloudflare__baseUrl": None},
        {"agentmail__mailjetApiUrl": "https://api.mailjet.com"},
        {"cloudflare__baseUrl": "https://127.0.0.1@api.example.com"},
        {"cloudflare__config__baseUrl": "https://api.example.com"},
    ],
    ids=str,
)
def test_one_real_service_is_enough(bare: Machine, changes: dict[str, str | None]) -> None:
    dev(bare, **changes)
    assert isinstance(prepared(bare, "up", "--stack", "try").refused, NoOwnPassphraseError)


def test_a_stack_on_loopback_of_whatever_name(bare: Machine) -> None:
    dev(bare)
    made = prepared(bare, "up", "--stack", "organization/agentmail/try")
    assert made.refused is None
    assert made.variables["PULUMI_CONFIG_PASSPHRASE"] == LOOPBACK_PASSPHRASE


@pytest.mark.parametrize(
    "arguments",
    [
        ["stack", "rm", "prod", "--yes"],
        ["stack", "ls"],
        ["stack", "select", "prod"],
        ["config", "get", "domain", "--stack", "prod"],
        ["up", "--help"],
        ["plugin", "ls"],
        ["stack", "init", "prod", "--secrets-provider", "awskms://alias/agentmail"],
        [],
    ],
    ids=" ".join,
)
def test_what_needs_no_passphrase_goes_on_without_one(bare: Machine, arguments: list[str]) -> None:
    made = prepared(bare, *arguments)
    assert made.refused is None
    assert "PULUMI_CONFIG_PASSPHRASE" not in made.variables


def test_a_passphrase_or_a_key_of_its_own(bare: Machine) -> None:
    assert prepared(bare, "up", "--stack", "prod", PULUMI_CONFIG_PASSPHRASE="mine").refused is None
    (bare.layout.root / "Pulumi.try.yaml").write_text("secretsprovider: awskms://alias/x\nencryptedkey: abc\n")
    assert prepared(bare, "up", "--stack", "try").refused is None


def test_the_way_out_of_the_public_one(bare: Machine) -> None:
    made = prepared(bare, "stack", "change-secrets-provider", "passphrase", "--stack", "prod")
    assert made.refused is None
    assert made.variables["PULUMI_CONFIG_PASSPHRASE"] == LOOPBACK_PASSPHRASE


@given(
    st.lists(st.sampled_from(["-s", "--stack", "-y", "-ys", "prod", "dev", "up", "--", "-Cx", "-c", "init", "stack"]))
)
def test_whatever_is_written_prod_never_shares_a_command_with_it(arguments: list[str]) -> None:
    """Only a command in which nothing could mean `prod` has the public passphrase."""
    from engine.layout import layout

    here = layout({"AGENTMAIL_STATE_DIR": "/nonexistent", "PULUMI_HOME": "/nonexistent"})
    made = cli_environment(here, {}, ["up", *arguments])
    if "PULUMI_CONFIG_PASSPHRASE" in made.variables:
        assert [stack.name for stack in meant(here, {}, ["up", *arguments]).stacks] == ["dev"]


def salt_of(passphrase: str) -> str:
    """An `encryptionsalt` as Pulumi makes one."""
    seed, nonce = b"eightbyt", b"twelve bytes"
    key = hashlib.pbkdf2_hmac("sha256", passphrase.encode(), seed, 1_000_000, 32)
    sealed = AESGCM(key).encrypt(nonce, b"pulumi", None)
    return "v1:{}:v1:{}:{}".format(*(base64.b64encode(part).decode() for part in (seed, nonce, sealed)))


@pytest.mark.slow
def test_which_file_was_encrypted_with_it() -> None:
    assert is_public(yaml.safe_load((ROOT / "Pulumi.dev.yaml").read_text())["encryptionsalt"])
    assert is_public(salt_of(LOOPBACK_PASSPHRASE))
    assert not is_public(salt_of("a passphrase of somebody's own"))


@pytest.mark.parametrize(
    "salt", ["", "v1", "v1:a:v1:b:c", "v2:AAAA:v1:AAAA:AAAA", "v1:AAAA:v1::", "v1:AAAA:v1:AAAA:AAAA"]
)
@pytest.mark.slow
def test_what_is_no_salt_is_not_public(salt: str) -> None:
    assert not is_public(salt)
