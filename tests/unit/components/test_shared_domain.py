"""What another stack has to tell before this one may use its domain."""

from __future__ import annotations

from typing import Any

import pulumi
import pytest

from components.shared_domain import DomainStackError, SharedDomain, read_shared_domain
from settings.loading import from_config
from settings.model import Settings
from tests.unit.components.conftest import Recorder

REFERENCE = "organization/agentmail/dev"
SECRETS = {"mailjetApiKey": "k" * 32, "mailjetApiSecret": "s" * 32, "webhookSecret": "w" * 32}
OUTPUTS = {
    "domain": "dev.agents.example",
    "webhookUrl": "https://api.agents.example/in",
    "ownerTag": "agentmail-dev",
    "dkimStatus": "OK",
    "spfStatus": "OK",
    "tunnelHostname": "api.agents.example",
    "tunnelToken": "a-token-that-is-no-business-of-ours",
}


def settings(**changes: Any) -> Settings:
    return from_config({**SECRETS, "domainStack": "dev", **changes}, stack="second", preview=False)


def shared(**changes: Any) -> SharedDomain:
    return SharedDomain.of(REFERENCE, OUTPUTS | changes, own_tag="agentmail-second")


class TestReading:
    def test_a_stack_with_a_domain_of_its_own_asks_nobody(self) -> None:
        config = {"domain": "dev.agents.example", "dns": "none", "webhookUrl": "https://api.agents.example/in"}
        assert read_shared_domain(from_config(SECRETS | config, stack="dev", preview=False)) is None

    @pytest.mark.parametrize("named", ["dev", REFERENCE])
    def test_it_asks_the_engine_for_the_outputs(
        self, monkeypatch: pytest.MonkeyPatch, recorder: Recorder, named: str
    ) -> None:
        monkeypatch.setattr(pulumi, "get_organization", lambda: "organization")
        recorder.results["pulumi:pulumi:readStackOutputs"] = {"name": REFERENCE, "outputs": OUTPUTS}

        assert read_shared_domain(settings(domainStack=named)) == shared()
        [call] = recorder.calls
        assert call.args == {"name": REFERENCE}
        assert recorder.resources == []

    def test_nothing_that_is_secret_is_kept(self) -> None:
        assert OUTPUTS["tunnelToken"] not in repr(shared())


class TestRefusals:
    @pytest.mark.parametrize(
        ("outputs", "found"),
        [
            ({}, "has no outputs"),
            ({key: value for key, value in OUTPUTS.items() if key != "webhookUrl"}, "has no output webhookUrl"),
            (OUTPUTS | {"ownerTag": ""}, "has no output ownerTag"),
        ],
    )
    def test_a_stack_that_is_not_up(self, outputs: dict[str, object], found: str) -> None:
        with pytest.raises(DomainStackError, match=f"names the stack {REFERENCE}, which {found}; expected"):
            SharedDomain.of(REFERENCE, outputs, own_tag="agentmail-second")

    def test_a_stack_with_the_same_mark(self) -> None:
        """Each would take the other's routes for its own."""
        with pytest.raises(DomainStackError, match="has the owner tag 'agentmail-second' of this stack too"):
            shared(ownerTag="agentmail-second")

    @pytest.mark.parametrize(
        ("answer", "found"),
        [
            ('rpc error: unknown stack "organization/agentmail/dev"', "does not exist in this backend"),
            ("first line\nthe backend is away", r"cannot be read \(the backend is away\)"),
        ],
    )
    def test_an_engine_that_cannot_read_it(
        self, monkeypatch: pytest.MonkeyPatch, recorder: Recorder, answer: str, found: str
    ) -> None:
        """The SDK raises a bare Exception."""

        def fail(*_args: object) -> None:
            raise Exception(answer)

        monkeypatch.setattr(pulumi.runtime, "invoke", fail)
        with pytest.raises(DomainStackError, match=found):
            read_shared_domain(settings(domainStack=REFERENCE))


class TestCompletedSettings:
    def test_the_domain_and_the_webhook_are_those_of_the_other_stack(self) -> None:
        completed = shared().complete(settings())
        assert completed.domain == "dev.agents.example"
        assert completed.route_identity == "https://agentmail-second@api.agents.example/in"

    def test_a_webhook_of_its_own_stays(self) -> None:
        completed = shared().complete(settings(webhookUrl="https://api-2.agents.example/in"))
        assert completed.public_webhook_url == "https://api-2.agents.example/in"
