"""A second population on the domain of another stack: two states, two owners, one domain."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from azmail import MailStack
from tests.e2e.stack import Emulators, Stack, mail

FIRST = {"a-1": "Ada Lovelace", "a-2": "Grace Hopper"}
SECOND = {"b-1": "Mary Shelley", "b-2": "Jane Austen", "b-3": "Emily Brontë"}
NEWCOMER = {"b-4": "Anne Brontë"}
OF_THE_DOMAIN_ALONE = (
    *("domain", "zoneId", "zoneName", "accountId", "tunnelHostname", "tunnelService", "inboxService"),
    *("mailjetSenders", "mailjetEvents"),
)


def write(population: Path, agents: dict[str, str], *, pinned: dict[str, str] | None = None) -> None:
    """{agent id: name}; `pinned` gives some of them their local part."""
    people = [{"id": agent, "name": name, "username_hint": agent} for agent, name in agents.items()]
    for person in people:
        if pinned and person["id"] in pinned:
            person["local_part"] = pinned[person["id"]]
    population.write_text(json.dumps({"seed": population.stem, "created_at": "20241005123045", "agents": people}))


def on_the_domain_of(owner: Stack, name: str, population: Path) -> Stack:
    """A stack beside `owner`, in the same backend, with mailboxes on its domain."""
    stack = Stack.create(owner.folder, owner.emulators, name=name, population=population)
    stack.configure(**dict.fromkeys(OF_THE_DOMAIN_ALONE), domainStack=owner.name)
    return stack


def kinds(stack: Stack) -> set[str]:
    """What the state of a stack holds beside providers, by type without its module."""
    exported = json.loads(stack.pulumi("stack", "export", "--stack", stack.name).out)
    types = {resource["type"] for resource in exported["deployment"]["resources"]}
    return {kind.rsplit(":", 1)[-1] for kind in types if not kind.startswith("pulumi:providers:")}


@pytest.fixture(scope="module")
def owner(emulators: Emulators, tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """The stack that owns the domain, with a population of its own."""
    emulators.reset()
    folder = tmp_path_factory.mktemp("two-stacks")
    write(folder / "first.json", FIRST)
    stack = Stack.create(folder / "project", emulators, population=folder / "first.json")
    stack.up()
    return stack


@pytest.fixture(scope="module")
def guest(owner: Stack) -> Stack:
    """A stack with mailboxes on that domain and nothing else."""
    population = owner.folder.parent / "second.json"
    write(population, SECOND)
    return on_the_domain_of(owner, "second", population)


class TestTwoStacksOnOneDomain:
    """The tests of this class build on each other, in order."""

    def test_a_preview_knows_every_address(self, guest: Stack) -> None:
        shown = guest.preview("--diff").out
        assert shown.count("@dev.agents.example") == len(SECOND)
        assert "mary.shelley." in shown

    def test_the_second_stack_adds_its_mailboxes_and_touches_nothing_else(
        self, owner: Stack, guest: Stack, emulators: Emulators
    ) -> None:
        records, before = emulators.state("cloudflare"), route_owners(emulators)
        emulators.forget_requests()
        guest.up()
        assert emulators.writes == len(SECOND)
        assert emulators.state("cloudflare") == records
        assert emulators.counts("cloudflare")["reads"] == 0
        assert route_owners(emulators) == before | dict.fromkeys(addresses(guest).values(), "agentmail-second")
        assert kinds(guest) == {"Stack", "AgentMailboxes", "AddressBook", "InboundRoutes"}

    def test_the_platform_reads_both_alike(self, owner: Stack, guest: Stack) -> None:
        first, second = owner.outputs(), guest.outputs()
        assert {box.agent_id for box in MailStack(second)} == SECOND.keys()
        assert {key: second[key] for key in ("domain", "webhookUrl", "dkimStatus", "spfStatus", "tunnelHostname")} == {
            key: first[key] for key in ("domain", "webhookUrl", "dkimStatus", "spfStatus", "tunnelHostname")
        }
        assert (first["ownerTag"], second["ownerTag"]) == ("agentmail-dev", "agentmail-second")
        assert second["tunnelToken"] == ""
        assert second["platformEnv"]["AZT3KNET_DOMAIN"] == "dev.agents.example"

    def test_the_other_stacks_secrets_and_mailboxes_stay_with_it(self, owner: Stack, guest: Stack) -> None:
        exported = guest.pulumi("stack", "export", "--stack", guest.name, "--show-secrets").out
        assert "mary.shelley." in exported
        assert "ada.lovelace." not in exported
        assert owner.outputs()["tunnelToken"] not in exported

    def test_the_doctor_asks_the_webhook_of_the_shared_domain(
        self, owner: Stack, guest: Stack, emulators: Emulators
    ) -> None:
        owner.start_gateway()
        words = ("doctor", guest.name, "-C", guest.folder, "--json", "--emulators", emulators.folder)
        findings = json.loads(mail(*words, env=guest.environment, check=False).out)["findings"]
        [label] = {item["subject"] for item in findings if item["check"] == "webhook"} - {"webhook password"}
        assert label == guest.outputs()["webhookUrl"]
        assert not any("Nobody answers" in item["sentence"] for item in findings), findings

    def test_either_changes_alone(self, owner: Stack, guest: Stack, emulators: Emulators) -> None:
        write(owner.folder.parent / "second.json", SECOND | NEWCOMER)
        emulators.forget_requests()
        guest.up()
        assert emulators.writes == 1
        emulators.forget_requests()
        owner.up("--expect-no-changes")
        guest.up("--expect-no-changes")
        assert emulators.writes == 0

    def test_an_address_of_the_other_stack_is_refused(
        self, owner: Stack, guest: Stack, emulators: Emulators, tmp_path: Path
    ) -> None:
        """The same population file, seed and stamp give the same addresses."""
        population = tmp_path / "first.json"
        write(population, FIRST)
        rival = on_the_domain_of(owner, "rival", population)
        before = route_owners(emulators)
        emulators.forget_requests()
        refused = rival.up(check=False)
        assert refused.code != 0
        assert "agentmail-dev@" in refused.text
        assert "ada.lovelace." in refused.text
        assert emulators.writes == 0
        rival.destroy()
        assert route_owners(emulators) == before

    def test_a_copied_tag_makes_no_record_another_stack_s(self, owner: Stack, emulators: Emulators) -> None:
        """The file of the first stack, copied whole: adopting would take its records, discarding would delete them."""
        copied = Stack.create(owner.folder, emulators, name="copied")
        copied.configure(ownerTag="agentmail-dev", populations=[])
        emulators.forget_requests()
        for option in ("--yes", "--discard"):
            done = mail("adopt", "copied", "-C", copied.folder, option, env=copied.environment, check=False)
            assert done.code == 1
            assert "stands in the state of the stack 'dev', and so is that stack's" in done.err
            assert "./mail pulumi config set --stack copied ownerTag agentmail-copied" in done.err
        assert emulators.writes == 0
        copied.config_file.unlink()

    def test_an_agent_moves_to_the_other_stack_without_a_gap(
        self, owner: Stack, guest: Stack, emulators: Emulators
    ) -> None:
        """The new stack takes her route over; to the old one it is then somebody else's, which it leaves alone."""
        address = addresses(owner)["a-2"]
        second = owner.folder.parent / "second.json"
        write(second, SECOND | NEWCOMER | {"a-2": FIRST["a-2"]}, pinned={"a-2": address.split("@")[0]})
        guest.configure(mailjetTakeOverRoutes=True)
        guest.up()
        guest.configure(mailjetTakeOverRoutes=None)
        assert route_owners(emulators)[address] == "agentmail-second"

        write(owner.folder.parent / "first.json", {"a-1": FIRST["a-1"]})
        emulators.forget_requests()
        owner.up()
        assert emulators.writes == 0
        assert route_owners(emulators)[address] == "agentmail-second"
        assert addresses(guest)["a-2"] == address

    def test_destroying_one_never_touches_the_other(self, owner: Stack, guest: Stack, emulators: Emulators) -> None:
        records = emulators.state("cloudflare")
        guest.destroy()
        assert route_owners(emulators) == dict.fromkeys(addresses(owner).values(), "agentmail-dev")
        assert emulators.state("cloudflare") == records
        owner.up("--expect-no-changes")

        guest.up()
        owner.destroy()
        assert route_owners(emulators) == dict.fromkeys(addresses(guest).values(), "agentmail-second")
        guest.destroy()
        assert emulators.routes() == []


class TestMistakes:
    """Each is one sentence, and nothing is written."""

    def refused(self, stack: Stack) -> str:
        stack.emulators.forget_requests()
        finished = stack.up(check=False)
        assert finished.code != 0
        assert stack.emulators.writes == 0
        assert "Traceback" not in finished.text
        return finished.text

    @pytest.fixture
    def lone(self, stack: Stack, tmp_path: Path) -> Stack:
        """A stack whose domain stack has never been brought up."""
        population = tmp_path / "second.json"
        write(population, SECOND)
        return on_the_domain_of(stack, "second", population)

    def test_a_domain_stack_without_outputs(self, lone: Stack) -> None:
        assert "organization/agentmail/dev, which has no outputs" in self.refused(lone)

    def test_a_domain_stack_that_does_not_exist(self, lone: Stack) -> None:
        lone.configure(domainStack="nowhere")
        text = self.refused(lone)
        assert "the stack organization/agentmail/nowhere, which does not exist in this backend" in text


def addresses(stack: Stack) -> dict[str, str]:
    return {box.agent_id: box.address for box in MailStack(stack.outputs())}


def route_owners(emulators: Emulators) -> dict[str, str]:
    """Address -> owner tag of every route there is."""
    return {route["Email"]: route["Url"].split("//", 1)[1].split(":", 1)[0] for route in emulators.routes()}
