"""`./mail env new` asks a person: the token first, its zones to choose from, each answer tried at once, no secret twice."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, TypeVar

import pytest

from commands.environments.draft import API_TOKEN, Draft
from commands.environments.errors import InputProblemsError
from commands.environments.questions import ATTEMPTS, Interview
from commands.environments.trying import Trials
from emulators.cloudflare import ACCOUNT_ID, ZONE_ID
from emulators.embedded import EmbeddedMailjet
from tests.terminal import Terminal, terminal
from tests.unit.emulators.cloudflare_fixtures import TOKEN, EmulatedCloudflare

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[4]
WRONG_TOKEN = "Not-the-token-of-this-account_0123456789"
T = TypeVar("T")


class Answers:
    """A person who answers from lists: the beginning of a question -> what is said to it, one after the other."""

    def __init__(self, answers: dict[str, list[str]]) -> None:
        self._answers = answers
        self.asked: list[str] = []
        self.told: list[str] = []

    def ask(self, prompt: str, default: str = "") -> str:
        self.asked.append(prompt)
        waiting = next((answers for start, answers in self._answers.items() if prompt.startswith(start)), [])
        return waiting.pop(0) if waiting else default

    def hidden(self, prompt: str) -> str:
        return self.ask(prompt)

    def choose(self, prompt: str, choices: Sequence[tuple[str, T]]) -> T:
        answer = self.ask(prompt, choices[0][0])
        return next(value for text, value in choices if text == answer)

    def say(self, sentence: str) -> None:
        self.told.append(sentence)


@pytest.fixture
def trials(cloudflare: EmulatedCloudflare, mailjet: EmbeddedMailjet) -> Trials:
    return Trials(cloudflare_url=cloudflare.base, mailjet_url=mailjet.url)


def answers(mailjet: EmbeddedMailjet, **more: list[str]) -> Answers:
    return Answers(
        {
            "Cloudflare API token": [TOKEN],
            "Mailjet API key": [mailjet.api_key],
            "Mailjet API secret": [mailjet.api_secret],
            "Public host": ["api.agents.example"],
            **{start.replace("_", " "): list(given) for start, given in more.items()},
        }
    )


class TestOrder:
    def test_the_token_comes_first_and_its_zone_is_offered(self, trials: Trials, mailjet: EmbeddedMailjet) -> None:
        draft, person = Draft(), answers(mailjet)
        Interview(draft, person, trials).run()
        assert draft.plain == {
            "zoneName": "agents.example",
            "zoneId": ZONE_ID,
            "domain": "mail.agents.example",
            "tunnelHostname": "api.agents.example",
            "accountId": ACCOUNT_ID,
        }
        assert [prompt.split(" (")[0] for prompt in person.asked] == [
            "Cloudflare API token",
            "Zone that holds the mail domain",
            "Mail domain",
            "Public host of the platform behind a tunnel",
            "An existing tunnel's ID.cfargotunnel.com",
            "Cloudflare account ID for the new tunnel",
            "Mailjet API key",
            "Mailjet API secret",
        ]
        assert person.told == []

    def test_what_is_known_is_not_asked(self, trials: Trials, mailjet: EmbeddedMailjet) -> None:
        draft = Draft(
            plain={
                "domain": "a.agents.example",
                "zoneName": "agents.example",
                "zoneId": ZONE_ID,
                "webhookUrl": "https://h/p",
            },
            secrets={API_TOKEN: TOKEN, "mailjetApiKey": mailjet.api_key, "mailjetApiSecret": mailjet.api_secret},
        )
        person = Answers({})
        Interview(draft, person, trials).run()
        assert person.asked == []

    def test_a_zone_elsewhere_needs_no_cloudflare(self, trials: Trials, mailjet: EmbeddedMailjet) -> None:
        draft = Draft(plain={"dns": "none"})
        person = answers(mailjet, Mail_domain=["a.example"], URL_of_the_platform=["https://h.example/p"])
        Interview(draft, person, trials).run()
        assert draft.plain == {"dns": "none", "domain": "a.example", "webhookUrl": "https://h.example/p"}
        assert not any("Cloudflare" in prompt for prompt in person.asked)

    def test_offline_nothing_is_tried(self) -> None:
        draft = Draft()
        person = Answers(
            {
                "Cloudflare API token": ["t"],
                "Cloudflare zone": ["agents.example"],
                "Zone ID": ["0" * 32],
                "Public host": ["api.agents.example"],
                "Cloudflare account": ["1" * 32],
                "Mailjet API key": ["k"],
                "Mailjet API secret": ["s"],
            }
        )
        Interview(draft, person, None).run()
        assert draft.plain["zoneId"] == "0" * 32
        assert draft.secrets == {API_TOKEN: "t", "mailjetApiKey": "k", "mailjetApiSecret": "s"}


class TestWhoKeepsTheMail:
    """The last questions, for whoever sends through a gateway and has not said where mail is kept."""

    BESIDE = "an inbox beside the platform, http://mail-inbox:8026"
    NOBODY = "nobody: Mailjet delivers to the platform itself"
    TUNNEL: ClassVar = {"accountId": "1" * 32, "tunnelHostname": "api.a.example"}
    ELSEWHERE: ClassVar = {"webhookUrl": "https://h.example/p"}

    def kept(self, plain: dict[str, str], **answers: list[str]) -> tuple[dict[str, object], Answers]:
        draft = Draft(plain={"dns": "none", "domain": "a.example", "submission": "gateway", **plain})
        draft.secrets |= {"mailjetApiKey": "k", "mailjetApiSecret": "s"}
        person = Answers({start.replace("_", " "): given for start, given in answers.items()})
        Interview(draft, person, None).run()
        return {key: value for key, value in draft.plain.items() if key.startswith("inbox")}, person

    @pytest.mark.parametrize(
        ("plain", "answers", "found"),
        [
            (TUNNEL, {}, {"inboxService": "http://mail-inbox:8026"}),
            (TUNNEL, {"Who_keeps": [NOBODY]}, {"inboxService": ""}),
            (
                TUNNEL,
                {"Who_reads": ["agents anywhere, at https://api.a.example"]},
                {"inboxService": "http://mail-inbox:8026", "inboxUrl": "https://api.a.example"},
            ),
            (
                TUNNEL,
                {"Who_keeps": ["an inbox that cloudflared reaches at another URL"], "URL_where": ["x", "http://in:1"]},
                {"inboxService": "http://in:1"},
            ),
            (ELSEWHERE, {}, {}),
            (
                ELSEWHERE,
                {"Who_keeps": ["an inbox that the webhook's URL leads to"], "URL_where": ["https://in.example"]},
                {"inboxUrl": "https://in.example"},
            ),
        ],
    )
    def test_what_is_chosen(
        self, plain: dict[str, str], answers: dict[str, list[str]], found: dict[str, object]
    ) -> None:
        kept, person = self.kept(plain, **answers)
        assert kept == found
        assert [sentence.partition(" ")[0] for sentence in person.told] == ["It"] * (
            found == {"inboxService": "http://in:1"}
        )

    @pytest.mark.parametrize(
        "known", [{"submission": "mailjet"}, {"inboxService": ""}, {"inboxUrl": "https://in.example"}], ids=str
    )
    def test_not_asked(self, known: dict[str, str]) -> None:
        _, person = self.kept(self.TUNNEL | known)
        assert person.asked == []


class TestAnswersThatWillNotDo:
    def test_each_is_told_at_once_and_asked_for_again(self, trials: Trials, mailjet: EmbeddedMailjet) -> None:
        draft = Draft()
        person = answers(
            mailjet,
            Cloudflare_API_token=[WRONG_TOKEN, TOKEN],
            Zone_that_holds=["another one"],
            Cloudflare_zone=["agents.example", "agents.example"],
            Zone_ID=["no id", "f" * 32, ZONE_ID],
            Mail_domain=["mail.elsewhere.example", "agents"],
            Public_host=["api.elsewhere.example", "mail.agents.example", "api.agents.example"],
            Cloudflare_account=["e" * 32, ACCOUNT_ID],
            Mailjet_API_secret=["wrong", mailjet.api_secret],
            Mailjet_API_key=[mailjet.api_key, mailjet.api_key],
        )
        Interview(draft, person, trials).run()
        assert (draft.plain["zoneId"], draft.plain["accountId"]) == (ZONE_ID, ACCOUNT_ID)
        assert draft.secrets[API_TOKEN] == TOKEN
        told = iter(person.told)
        for expected in (
            "Cloudflare does not accept the token",
            "It is 'no id'; expected 32 hexadecimal digits",
            "The token may not read the DNS of agents.example",
            "mail.elsewhere.example is outside the zone agents.example",
            "It is 'agents'; expected a domain name",
            "api.elsewhere.example is outside",
            "mail.agents.example is the mail domain itself",
            "may not read the tunnels of the account eeee",
            "rejected the API key or its secret",
        ):
            assert expected in next(told)
        assert list(told) == []

    def test_a_token_that_was_given_is_refused_and_not_asked_for(self, trials: Trials) -> None:
        person = Answers({})
        with pytest.raises(InputProblemsError, match=r"does not accept the token.*given as CLOUDFLARE_API_TOKEN"):
            Interview(Draft(secrets={API_TOKEN: WRONG_TOKEN}), person, trials).run()
        assert person.asked == []

    def test_a_service_is_not_asked_for_ever(self, trials: Trials) -> None:
        person = Answers({"Cloudflare API token": [WRONG_TOKEN] * 9})
        with pytest.raises(InputProblemsError, match="does not accept the token"):
            Interview(Draft(), person, trials).run()
        assert len(person.asked) == ATTEMPTS

    def test_nobody_answers(self, mailjet: EmbeddedMailjet) -> None:
        """Another token would do no better."""
        person = Answers({"Cloudflare API token": [TOKEN]})
        with pytest.raises(InputProblemsError, match="check the network"):
            Interview(Draft(), person, Trials(cloudflare_url="http://127.0.0.1:9/client/v4", mailjet_url="")).run()
        assert person.asked == ["Cloudflare API token"]


class TestAtATerminal:
    """The real command at a pseudo-terminal of 80 columns, against both emulators; declined at its end."""

    def command(self, project: Path, cloudflare: EmulatedCloudflare, mailjet: EmbeddedMailjet) -> list[str | Path]:
        options = ["--cloudflare-api-url", cloudflare.base, "--mailjet-api-url", mailjet.url]
        return [ROOT / "mail", "env", "new", "prod", "-C", project, *options]

    def environment(self, project: Path, **more: str) -> dict[str, str]:
        return {
            "PATH": "/usr/bin:/bin",
            "HOME": str(project),
            "LANG": "C.UTF-8",
            "PULUMI_BACKEND_URL": f"file://{project}/backend",
            "PULUMI_CONFIG_PASSPHRASE": "of the tests",
            **more,
        }

    def converse(self, person: Terminal, mailjet: EmbeddedMailjet, *, choice: str) -> None:
        person.until("Cloudflare API token")
        person.enter(WRONG_TOKEN)
        person.until("does not accept the token")
        person.until("Cloudflare API token")
        person.enter(TOKEN)
        person.until("agents.example")
        person.until("another one")
        person.enter(choice)
        person.until("Mail domain")
        person.enter()
        person.until("Public host")
        person.enter("api.agents.example")
        person.until("existing tunnel")
        person.enter()
        person.until("account ID")
        person.enter()
        person.until("Mailjet API key")
        person.enter(mailjet.api_key)
        person.until("Mailjet API secret")
        person.enter(mailjet.api_secret)
        person.until("nobody: Mailjet")
        person.enter(choice)
        person.until("agents anywhere")
        person.enter(choice)
        person.until("Write this?")
        person.enter("n")
        assert person.end() == 1

    @pytest.mark.parametrize("term", ["xterm-256color", "dumb"])
    def test_a_whole_conversation(
        self, project: Path, cloudflare: EmulatedCloudflare, mailjet: EmbeddedMailjet, term: str
    ) -> None:
        before = sorted(project.rglob("*"))
        environment = self.environment(project, TERM=term)
        with terminal(self.command(project, cloudflare, mailjet), env=environment, cwd=project) as person:
            self.converse(person, mailjet, choice="1" if term == "dumb" else "")
        assert "agentmail:domain = mail.agents.example" in person.shown
        assert f"agentmail:zoneId = {ZONE_ID}" in person.shown
        assert "agentmail:inboxService = http://mail-inbox:8026" in person.shown
        for secret in (TOKEN, WRONG_TOKEN, mailjet.api_secret):
            assert secret not in person.text
        assert "Traceback" not in person.shown
        assert sorted(project.rglob("*")) == before
        if term == "dumb":  # nothing is drawn twice
            assert person.shown.count("Mailjet API secret") == 1
            assert "\x1b" not in person.text

    @pytest.mark.parametrize("keys", ["\x03", "\x04"])
    def test_somebody_leaves(
        self, project: Path, cloudflare: EmulatedCloudflare, mailjet: EmbeddedMailjet, keys: str
    ) -> None:
        environment = self.environment(project)
        with terminal(self.command(project, cloudflare, mailjet), env=environment, cwd=project) as person:
            person.until("Cloudflare API token")
            person.press(keys)
            assert person.end() == 130
        assert "Interrupted" in person.shown
        assert "Traceback" not in person.shown
