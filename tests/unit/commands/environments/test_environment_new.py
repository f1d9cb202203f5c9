"""`environments new`: what it refuses, with nothing written; and that a failed writing is taken back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest
import yaml

from commands.cli.running import main
from commands.doctor.passphrase import passphrase_findings
from commands.environments.creation import create
from commands.environments.draft import PLACEHOLDER, Draft
from commands.environments.errors import AlreadyMadeError, StackWriteError
from commands.environments.gathering import fill, gather
from commands.environments.options import NewOptions
from commands.environments.stack_file import EditedStackFile
from commands.stack_commands import Pulumi, PulumiFailedError
from emulators.cloudflare import ZONE_ID
from emulators.embedded import EmbeddedMailjet
from settings.loading import from_config
from tests.unit.emulators.cloudflare_fixtures import TOKEN, EmulatedCloudflare

ROOT = Path(__file__).parents[4]
GOOD = (
    "--domain",
    "staging.agents.example",
    "--webhook-url",
    "https://hooks.example/in",
    "--zone-name",
    "agents.example",
)


@pytest.fixture
def accounts(
    project: Path, cloudflare: EmulatedCloudflare, mailjet: EmbeddedMailjet, monkeypatch: pytest.MonkeyPatch
) -> tuple[str, ...]:
    """Both emulators as the accounts of the new environment."""
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", TOKEN)
    monkeypatch.setenv("MAILJET_API_KEY", mailjet.api_key)
    monkeypatch.setenv("MAILJET_API_SECRET", mailjet.api_secret)
    return ("--cloudflare-api-url", cloudflare.base, "--mailjet-api-url", mailjet.url)


def check_main(project: Path) -> int:
    return main(["env", "check", "staging", "-C", str(project)])


def doctor_main(project: Path) -> int:
    return main(["doctor", "staging", "-C", str(project)])


def refused(capsys: pytest.CaptureFixture[str], project: Path, *arguments: str) -> str:
    """The sentences, after making sure that nothing was written."""
    before = sorted(project.rglob("*"))
    assert main(["env", "new", "staging", "-C", str(project), *arguments]) == 1
    assert sorted(project.rglob("*")) == before
    return capsys.readouterr().err


class TestRefusals:
    def test_everything_that_is_missing_at_once(self, project: Path, capsys: pytest.CaptureFixture[str]) -> None:
        said = refused(capsys, project, "--yes")
        for key in (
            "agentmail:domain",
            "agentmail:zoneName",
            "agentmail:zoneId",
            "mailjetApiKey",
            "cloudflare:apiToken",
        ):
            assert key in said

    def test_a_bad_name(self, project: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["env", "new", "../x", "-C", str(project)]) == 1
        assert "is no name for an environment" in capsys.readouterr().err

    def test_wrong_values(self, accounts: tuple[str, ...], project: Path, capsys: pytest.CaptureFixture[str]) -> None:
        said = refused(capsys, project, *accounts, *GOOD, "--tunnel-hostname", "api.elsewhere.example", "--yes")
        assert "agentmail:tunnelHostname is 'api.elsewhere.example', which is outside the zone" in said

    def test_a_wrong_token(
        self,
        accounts: tuple[str, ...],
        project: Path,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setenv("CLOUDFLARE_API_TOKEN", "x" * 40)
        said = refused(capsys, project, *accounts, *GOOD, "--zone-id", ZONE_ID, "--yes")
        assert "Cloudflare does not accept the token" in said
        assert "x" * 40 not in said
        # Without the zone's id, too: that it cannot be found by its name is no second fault.
        said = refused(capsys, project, *accounts, *GOOD, "--yes")
        assert said.startswith("Nothing was written: Cloudflare does not accept the token")
        assert "zoneId" not in said

    def test_a_wrong_key(
        self,
        accounts: tuple[str, ...],
        project: Path,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setenv("MAILJET_API_KEY", "0" * 32)
        assert "rejected the API key" in refused(capsys, project, *accounts, *GOOD, "--yes")

    def test_the_zone_of_another_name(
        self, accounts: tuple[str, ...], project: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        said = refused(
            capsys, project, *accounts, "--domain", "a.example", "--zone-name", "a.example", "--zone-id", ZONE_ID,
            "--webhook-url", "https://hooks.example/in", "--yes",
        )  # fmt: skip
        assert "is the zone 'agents.example', expected zoneName 'a.example'" in said

    def test_nobody_to_confirm(
        self, accounts: tuple[str, ...], project: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert "there is nobody to ask" in refused(capsys, project, *accounts, *GOOD)

    def test_placeholders(self, accounts: tuple[str, ...], project: Path, capsys: pytest.CaptureFixture[str]) -> None:
        said = refused(capsys, project, *accounts, *GOOD, "--zone-id", PLACEHOLDER, "--yes")
        assert "agentmail:zoneId is a placeholder" in said

    def test_a_population_that_is_none(
        self, accounts: tuple[str, ...], project: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (project / "people.yaml").write_text("agents: [\n")
        said = refused(capsys, project, *accounts, *GOOD, "--population", "people.yaml", "--yes")
        assert "people.yaml" in said

    def test_a_secret_as_an_argument(self, project: Path, capsys: pytest.CaptureFixture[str]) -> None:
        said = refused(capsys, project, "--set", "mailjetApiSecret=hunter2hunter2", "--yes")
        assert "arguments show in the list of processes" in said
        assert "hunter2" not in said

    def test_no_passphrase(
        self,
        accounts: tuple[str, ...],
        project: Path,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.delenv("PULUMI_CONFIG_PASSPHRASE")
        assert "No passphrase is set for the backend" in refused(capsys, project, *accounts, *GOOD, "--yes")

    def test_the_public_passphrase_guards_no_real_credentials(
        self,
        accounts: tuple[str, ...],
        project: Path,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.delenv("PULUMI_CONFIG_PASSPHRASE")
        monkeypatch.delenv("PULUMI_BACKEND_URL")
        monkeypatch.setenv("PULUMI_HOME", str(project))
        said = refused(capsys, project, *GOOD, "--zone-id", ZONE_ID, "--no-check", "--yes")
        assert "No backend is named for 'staging'" in said

    def test_one_that_exists(
        self, accounts: tuple[str, ...], project: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (project / "Pulumi.staging.yaml").write_text("encryptionsalt: v1:x\nconfig: {}\n")
        assert "exists already" in refused(capsys, project, *accounts, *GOOD, "--yes")


def options(**given: Any) -> NewOptions:
    return NewOptions(name="prod", cwd=ROOT, no_check=True, yes=True, **given)


class TestExamples:
    @pytest.mark.parametrize("name", ["prod", "staging"])
    def test_the_committed_examples_are_valid_and_hold_no_secret(self, name: str) -> None:
        document = yaml.safe_load((ROOT / f"Pulumi.{name}.yaml").read_text())
        assert set(document) == {"config"}
        config = {key.removeprefix("agentmail:"): value for key, value in document["config"].items()}
        settings = from_config(config, stack=name, preview=True)
        assert settings.verification == "require"
        assert settings.protected is (name == "prod")
        assert {settings.mailjet_api_key, settings.mailjet_api_secret, settings.webhook_secret} == {""}

    def test_placeholders_are_not_taken_over(self) -> None:
        draft = gather(options(), EditedStackFile.of(ROOT, "prod"), {})
        assert draft.plain["protected"] is True
        assert draft.plain["populations"] == [{"file": "populations/prod.yaml"}]
        for key in ("domain", "zoneName", "zoneId", "accountId", "tunnelHostname"):
            assert key not in draft.plain

    def test_flags_are_above_the_env_and_the_env_above_the_example(self, tmp_path: Path) -> None:
        env = tmp_path / ".env"
        env.write_text("AZT3KNET_DOMAIN=env.example.org\nAZT3KNET_MAIL_TTL=600\nCLOUDFLARE_TUNNEL_SERVICE=http://x:1\n")
        given = options(from_env=env, values={"domain": "flag.example.org"}, set=["dmarcPolicy=reject", "ttl=900"])
        plain = gather(given, EditedStackFile.of(ROOT, "prod"), {}).plain
        assert (plain["domain"], plain["tunnelService"], plain["dmarcPolicy"], plain["ttl"]) == (
            "flag.example.org", "http://x:1", "reject", 900,
        )  # fmt: skip


class TestWhereMailIsKept:
    """A gateway and a tunnel of its own: mail goes into the inbox, unless somebody says otherwise."""

    ACCOUNT: ClassVar = {"accountId": "0" * 31 + "1"}

    def filled(self, *given: str, **values: str) -> dict[str, object]:
        draft = gather(options(values=values, set=list(given)), EditedStackFile.of(ROOT, "prod"), {})
        fill(draft, options(keeps_secrets=False), None)
        return draft.plain

    def test_by_itself(self) -> None:
        plain = self.filled(**self.ACCOUNT)
        assert (plain["inboxService"], plain["inboundAuth"]) == ("http://mail-inbox:8026", "forwarder")

    @pytest.mark.parametrize(
        "given", [["inboxService="], ["submission=mailjet"], ["inboxUrl=https://read.example.org"]], ids=" ".join
    )
    def test_not_where_it_is_refused_or_elsewhere(self, given: list[str]) -> None:
        assert not {"inboxService", "inboundAuth"} & self.filled(*given, **self.ACCOUNT).keys()

    def test_named(self) -> None:
        plain = self.filled(inboxService="http://in:1", inboxUrl="https://in.example", **self.ACCOUNT)
        assert (plain["inboxService"], plain["inboxUrl"], plain["inboundAuth"]) == (
            "http://in:1", "https://in.example", "forwarder",
        )  # fmt: skip

    def test_none(self) -> None:
        draft = gather(options(values=self.ACCOUNT, without_inbox=True), EditedStackFile.of(ROOT, "prod"), {})
        fill(draft, options(keeps_secrets=False), None)
        assert not {"inboxService", "inboxUrl", "inboundAuth"} & draft.plain.keys()

    def test_not_without_a_tunnel_of_its_own(self) -> None:
        assert "inboxService" not in self.filled(tunnelCname="x.cfargotunnel.com")


class Failing(Pulumi):
    """An engine that fails at a command; the others do nothing."""

    def __init__(self, project: Path, at: tuple[str, ...], *, also: tuple[str, ...] = ("nothing",)) -> None:
        super().__init__("staging", project=project)
        self.at, self.also = at, also
        self.ran: list[tuple[str, ...]] = []
        self.stdin: list[str] = []

    def run(self, *arguments: str, stdin: str | None = None) -> str:
        self.ran.append(arguments)
        self.stdin.append(stdin or "")
        if arguments[: len(self.at)] == self.at or arguments[: len(self.also)] == self.also:
            raise PulumiFailedError(arguments[0], "error: no room")
        return ""


DRAFT = Draft(plain={"domain": "a.example", "protected": True}, secrets={"mailjetApiKey": "k" * 32})


class TestWriting:
    def test_secrets_travel_on_standard_input(self, project: Path) -> None:
        pulumi = Failing(project, ("never",))
        create(pulumi, EditedStackFile.of(project, "staging"), DRAFT, secrets_provider="", keep_secrets=True)
        assert not any("k" * 32 in word for arguments in pulumi.ran for word in arguments)
        assert "k" * 32 in pulumi.stdin
        written = yaml.safe_load((project / "Pulumi.staging.yaml").read_text())
        assert written == {"config": {"agentmail:domain": "a.example", "agentmail:protected": True}}

    def test_where_its_state_lies_is_remembered_beside_it(self, project: Path) -> None:
        create(
            Failing(project, ("never",)),
            EditedStackFile.of(project, "staging"),
            DRAFT,
            secrets_provider="",
            keep_secrets=True,
        )
        later = Pulumi("staging", project=project, environment={"PATH": "/bin", "HOME": str(project)})
        assert later.environment["PULUMI_BACKEND_URL"] == f"file://{project}/backend"

    def test_a_backend_with_a_credential_in_it_is_not_written_down(
        self, project: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PULUMI_BACKEND_URL", "s3://key:hunter2@states")
        with pytest.raises(StackWriteError, match="remembering the backend") as caught:
            create(
                Failing(project, ("never",)),
                EditedStackFile.of(project, "staging"),
                DRAFT,
                secrets_provider="",
                keep_secrets=True,
            )
        assert "hunter2" not in str(caught.value)
        assert list(project.iterdir()) == []

    def test_none_is_stored_where_the_environment_holds_them(self, project: Path) -> None:
        pulumi = Failing(project, ("never",))
        create(pulumi, EditedStackFile.of(project, "staging"), DRAFT, secrets_provider="", keep_secrets=False)
        assert "k" * 32 not in pulumi.stdin

    @pytest.mark.parametrize("at", [("stack", "init"), ("config", "set", "--secret")])
    def test_a_failure_is_taken_back(self, project: Path, at: tuple[str, ...]) -> None:
        pulumi = Failing(project, at)
        with pytest.raises(StackWriteError, match=r"no room; everything was taken back"):
            create(pulumi, EditedStackFile.of(project, "staging"), DRAFT, secrets_provider="", keep_secrets=True)
        assert list(project.iterdir()) == []
        assert (("stack", "rm", "staging", "--yes", "--preserve-config") in pulumi.ran) is (at[0] == "config")

    def test_an_example_comes_back(self, project: Path) -> None:
        example = "# an example\nconfig:\n  agentmail:domain: mail.agents.example\n"
        (project / "Pulumi.staging.yaml").write_text(example)
        with pytest.raises(StackWriteError):
            create(
                Failing(project, ("config",)),
                EditedStackFile.of(project, "staging"),
                DRAFT,
                secrets_provider="",
                keep_secrets=True,
            )
        assert (project / "Pulumi.staging.yaml").read_text() == example

    def test_what_cannot_be_taken_back_is_named(self, project: Path) -> None:
        pulumi = Failing(project, ("config",), also=("stack", "rm"))
        with pytest.raises(StackWriteError, match="left behind: the empty stack 'staging'"):
            create(pulumi, EditedStackFile.of(project, "staging"), DRAFT, secrets_provider="", keep_secrets=True)

    def test_an_example_keeps_its_comments(self, project: Path) -> None:
        (project / "Pulumi.staging.yaml").write_text(
            "config:\n  # why\n  agentmail:ttl: 60\n  agentmail:accountId: x\n"
        )
        EditedStackFile.of(project, "staging").write({"ttl": 300, "domain": "a.example"})
        assert (project / "Pulumi.staging.yaml").read_text() == (
            "config:\n  # why\n  agentmail:ttl: 300\n  agentmail:domain: a.example\n"
        )

    def test_one_that_was_made_is_left_alone(self, project: Path) -> None:
        (project / "Pulumi.staging.yaml").write_text("secretsprovider: awskms://x\n")
        with pytest.raises(AlreadyMadeError):
            EditedStackFile.of(project, "staging")


class TestPublicPassphrase:
    """A file that was encrypted with the word which every clone knows, for services that are real."""

    SALT = yaml.safe_load((ROOT / "Pulumi.dev.yaml").read_text())["encryptionsalt"]

    def written(self, project: Path, url: str) -> None:
        config = {"agentmail:mailjetApiUrl": url, "cloudflare:baseUrl": "http://127.0.0.1:1"}
        text = yaml.safe_dump({"encryptionsalt": self.SALT, "config": config})
        (project / "Pulumi.staging.yaml").write_text(text)

    @pytest.mark.parametrize("command", [check_main, doctor_main])
    @pytest.mark.slow
    def test_check_and_doctor_name_it(
        self,
        project: Path,
        capsys: pytest.CaptureFixture[str],
        command: Callable[[Path], int],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setenv("COLUMNS", "1000")
        self.written(project, "https://api.mailjet.com")
        assert command(project) == 1
        said = capsys.readouterr().out
        assert "Pulumi.staging.yaml" in said
        assert "encrypted with the public passphrase" in said
        assert "./mail pulumi stack change-secrets-provider passphrase --stack staging" in said

    def test_on_loopback_it_is_what_it_is_for(self, project: Path) -> None:
        self.written(project, "http://127.0.0.1:8810")
        assert list(passphrase_findings("staging", project)) == []

    def test_one_of_somebodys_own(self, project: Path) -> None:
        self.written(project, "https://api.mailjet.com")
        file = project / "Pulumi.staging.yaml"
        file.write_text(file.read_text().replace(self.SALT, "v1:AAAAAAAAAAA=:v1:AAAAAAAAAAAAAAAA:AAAA"))
        assert list(passphrase_findings("staging", project)) == []
