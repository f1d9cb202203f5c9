"""An environment remembers where its state lies, in a file beside its configuration."""

from __future__ import annotations

import json

import pytest

from engine.environment import cli_environment
from engine.errors import BackendFileError, StateCutError
from engine.stacks import backend_text, without_credentials
from tests.unit.engine.machines import Machine

UP = ["up", "--stack", "prod"]


def remember(machine: Machine, text: str) -> None:
    (machine.layout.root / "Pulumi.prod.backend").write_text(text)


def test_it_is_used_without_a_word_in_the_environment(bare: Machine) -> None:
    remember(bare, backend_text("s3://states?region=eu-west-1", "prod"))
    made = cli_environment(bare.layout, {}, UP)
    assert made.variables["PULUMI_BACKEND_URL"] == "s3://states?region=eu-west-1"
    assert not made.embedded
    assert made.refused is None
    assert str(made.backend) == "s3://states?region=eu-west-1 (Pulumi.prod.backend names it)"


def test_it_goes_before_a_login_and_only_for_its_stack(bare: Machine) -> None:
    bare.layout.home.mkdir(parents=True)
    (bare.layout.home / "credentials.json").write_text(json.dumps({"current": "https://api.pulumi.com"}))
    remember(bare, "s3://states\n")
    assert cli_environment(bare.layout, {}, UP).variables["PULUMI_BACKEND_URL"] == "s3://states"
    other = cli_environment(bare.layout, {}, ["up", "--stack", "dev"])
    assert "PULUMI_BACKEND_URL" not in other.variables
    assert other.backend.url == "https://api.pulumi.com"


def test_the_environment_goes_before_it(bare: Machine) -> None:
    remember(bare, "s3://states\n")
    made = cli_environment(bare.layout, {"PULUMI_BACKEND_URL": "file:///elsewhere"}, UP)
    assert made.variables["PULUMI_BACKEND_URL"] == "file:///elsewhere"
    assert str(made.backend) == "file:///elsewhere (PULUMI_BACKEND_URL names it)"


def test_without_one_the_clones_own_is_named(bare: Machine) -> None:
    assert str(cli_environment(bare.layout, {}, UP).backend) == f"{bare.layout.backend_url} (this clone's own)"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "has 0 lines"),
        ("# only a comment\n", "has 0 lines"),
        ("s3://a\ns3://b\n", "has 2 lines"),
        ("ftp://host/state", "has 'ftp://host/state', and no backend is reached by ftp"),
        ("states\n", "has 'states'"),
        ("s3://key:secret@states\n", "holds a credential"),
        ("azblob://states?sig=abc\n", "holds a credential"),
        ("postgres://me:pass@db.example/states\n", "holds a credential"),
        ("mysql://me:pass@db.example/states\n", "holds a credential"),
        ("s3://states?secret_key=abc\n", "holds a credential"),
    ],
)
def test_a_file_that_names_none(bare: Machine, text: str, found: str) -> None:
    remember(bare, text)
    with pytest.raises(BackendFileError, match=rf"^Pulumi\.prod\.backend {found}.*echo s3://BUCKET > Pulumi\.prod\."):
        cli_environment(bare.layout, {}, UP)


READING = [["preview"], ["destroy"], ["refresh"], ["stack", "output"], ["config"], ["config", "get", "ttl"], ["cancel"]]


@pytest.mark.parametrize("arguments", READING, ids=" ".join)
def test_a_stack_that_is_not_there_is_told_with_where_it_was_looked_for(bare: Machine, arguments: list[str]) -> None:
    bare.has_stack("dev")
    refused = cli_environment(bare.layout, {}, [*arguments, "--stack", "prdo"]).refused
    assert str(refused) == (
        f"no stack named 'prdo' found in {bare.layout.backend_url} (this clone's own); if its state lies elsewhere, say "
        f"where with: echo URL > Pulumi.prdo.backend (or export PULUMI_BACKEND_URL=URL), if there is none yet, make it "
        f"with: ./mail env new prdo"
    )


def test_a_stack_whose_file_is_here_has_lost_its_state(bare: Machine) -> None:
    bare.layout.root.joinpath("Pulumi.prod.yaml").write_text("config:\n  agentmail:zoneId: x\n")
    refused = cli_environment(
        bare.layout,
        {"PULUMI_BACKEND_URL": bare.layout.backend_url, "PULUMI_CONFIG_PASSPHRASE": "x"},
        ["preview", "-s", "prod"],
    ).refused
    assert str(refused).endswith("./mail pulumi stack select --create prod && ./mail adopt prod")


def test_what_makes_a_stack_may_begin_without_it(bare: Machine) -> None:
    for arguments in (["up", "-s", "dev"], ["stack", "init", "dev"], ["config", "set", "a", "b", "-s", "dev"]):
        assert cli_environment(bare.layout, {}, arguments).refused is None


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
def test_compressed_states_are_there_too(bare: Machine, suffix: str) -> None:
    file = bare.has_stack("dev")
    file.rename(file.with_name(file.name + suffix))
    assert cli_environment(bare.layout, {}, ["preview", "--stack", "dev"]).refused is None


@pytest.mark.parametrize("text", ["", "{", '{"version": 3, "checkpoint": {"latest": {"resources": [{"urn": "urn:pul'])
def test_a_state_that_a_full_disk_has_cut_is_told_with_what_mends_it(bare: Machine, text: str) -> None:
    file = bare.has_stack("dev", state=text)
    for arguments in (
        ["preview", "-s", "dev"],
        ["up", "-s", "dev"],
        ["stack", "rm", "dev"],
        ["stack", "select", "dev"],
    ):
        assert isinstance(cli_environment(bare.layout, {}, arguments).refused, StateCutError)
    refused = cli_environment(bare.layout, {}, ["preview", "--stack", "dev"]).refused
    assert str(refused) == (
        f"the state of 'dev' was cut off, as by a full disk ({file}); make room, then bring back the last whole state "
        f"with: ./mail state restore dev"
    )


def test_a_bucket_is_not_looked_into(bare: Machine) -> None:
    remember(bare, "s3://states\n")
    assert cli_environment(bare.layout, {"PULUMI_CONFIG_PASSPHRASE": "x"}, ["preview", "-s", "prod"]).refused is None


@pytest.mark.parametrize("url", ["s3://states?region=x", "gs://states", "azblob://states", "postgres://me@db/states"])
def test_states_behind_a_network_are_compressed_unless_somebody_says_otherwise(bare: Machine, url: str) -> None:
    remember(bare, f"{url}\n")
    assert cli_environment(bare.layout, {}, UP).variables["PULUMI_DIY_BACKEND_GZIP"] == "true"
    for said in ({"PULUMI_DIY_BACKEND_GZIP": "false"}, {"PULUMI_DIY_BACKEND_ZSTD": "true"}):
        made = cli_environment(bare.layout, said, UP).variables
        assert {name: value for name, value in made.items() if "BACKEND_" in name and "URL" not in name} == said


@pytest.mark.parametrize("url", ["file:///srv/states", "https://api.pulumi.com"])
def test_no_other_is(bare: Machine, url: str) -> None:
    remember(bare, f"{url}\n")
    assert "PULUMI_DIY_BACKEND_GZIP" not in cli_environment(bare.layout, {}, UP).variables


def test_a_store_that_speaks_s3_is_not_asked_for_checksums(bare: Machine) -> None:
    checks = "AWS_RESPONSE_CHECKSUM_VALIDATION"
    remember(bare, "s3://states?region=x\n")
    assert checks not in cli_environment(bare.layout, {}, UP).variables
    remember(bare, "s3://states?region=x&endpoint=127.0.0.1:9000\n")
    assert cli_environment(bare.layout, {}, UP).variables[checks] == "when_required"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (
            "postgres://me:pass@db.example/states?sslmode=disable",
            "postgres://me:****@db.example/states?sslmode=disable",
        ),
        ("postgres://me@db.example/states", "postgres://me@db.example/states"),
        ("azblob://states?sig=abc&x=1", "azblob://states?sig=****&x=1"),
        ("s3://states?endpoint=127.0.0.1:9000", "s3://states?endpoint=127.0.0.1:9000"),
    ],
)
def test_no_password_of_a_backend_is_shown(bare: Machine, url: str, shown: str) -> None:
    assert without_credentials(url) == shown
    assert (
        str(cli_environment(bare.layout, {"PULUMI_BACKEND_URL": url}, UP).backend)
        == f"{shown} (PULUMI_BACKEND_URL names it)"
    )
