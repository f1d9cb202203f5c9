"""What a stack may not do to its own things by a change of its configuration."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pulumi
import pytest

from components import own_stack
from components.own_stack import changed_owner_tag, refuse_own_tunnel
from settings.loading import from_config
from settings.model import Settings

OURS = "6ff42ae2-765d-4adf-8112-31c55c1551ef.cfargotunnel.com"
OUTPUTS = {
    "ownerTag": "agentmail-dev",
    "tunnelToken": "eyJ",
    "expectedRecords": [{"type": "MX", "content": "parse.mailjet.com"}, {"type": "CNAME", "content": OURS}],
}


def settings(**changes: Any) -> Settings:
    config = {
        "domain": "dev.agents.example",
        "dns": "none",
        "tunnelHostname": "api.agents.example",
        "tunnelCname": OURS,
        **changes,
    }
    return from_config({key: value for key, value in config.items() if value}, stack="dev", preview=True)


ID = OURS.partition(".")[0]
ACCOUNT = "00112233445566778899aabbccddeeff"
TUNNEL = {
    "type": "cloudflare:index/zeroTrustTunnelCloudflared:ZeroTrustTunnelCloudflared",
    "outputs": {"id": ID, "accountId": ACCOUNT},
}


@pytest.fixture
def outputs(monkeypatch: pytest.MonkeyPatch, recorder: Any) -> Any:
    monkeypatch.setattr(pulumi, "get_organization", lambda: "organization")
    monkeypatch.setattr(pulumi, "get_stack", lambda: "dev")

    def say(**changes: Any) -> None:
        recorder.results["pulumi:pulumi:readStackOutputs"] = {"name": "x", "outputs": OUTPUTS | changes}

    say()
    recorder.results[own_stack._RESOURCES] = {"name": "x", "outputs": {"urn:other": {"type": "x"}, "urn:it": TUNNEL}}
    return say


class TestTunnel:
    @pytest.mark.parametrize("died", [False, True])
    def test_the_tunnel_that_it_made_is_no_existing_one(self, outputs: Any, recorder: Any, died: bool) -> None:
        """Neither where the `up` that made it has died, and so recorded no outputs."""
        if died:
            recorder.results["pulumi:pulumi:readStackOutputs"] = {"name": "x", "outputs": {}}
        with pytest.raises(pulumi.RunError) as caught:
            refuse_own_tunnel(settings())
        assert f"agentmail:tunnelCname is '{OURS}', the tunnel that this stack made" in str(caught.value)
        assert str(caught.value).endswith(
            f"./mail pulumi config rm --stack dev tunnelCname && ./mail pulumi config set --stack dev accountId {ACCOUNT}"
        )

    def test_another_one_is(self, outputs: Any) -> None:
        refuse_own_tunnel(settings(tunnelCname="0" + OURS[1:]))

    @pytest.mark.parametrize(
        "token", ["", {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "value": ""}, None]
    )
    def test_what_an_up_has_settled_is_not_looked_for_in_the_whole_state(
        self, outputs: Any, recorder: Any, token: Any
    ) -> None:
        outputs(tunnelToken=token)
        refuse_own_tunnel(settings())
        assert own_stack._RESOURCES not in str(recorder.calls)

    def test_a_state_without_a_tunnel(self, outputs: Any, recorder: Any) -> None:
        recorder.results[own_stack._RESOURCES] = {"name": "x", "outputs": {}}
        refuse_own_tunnel(settings())

    def test_without_a_tunnel_of_others_nobody_is_asked(self, recorder: Any) -> None:
        refuse_own_tunnel(settings(tunnelCname="", webhookUrl="https://api.agents.example/in", tunnelHostname=""))
        assert recorder.calls == []


class TestOwnerTag:
    def test_it_is_frozen(self, outputs: Any) -> None:
        assert changed_owner_tag(settings()) == ""
        assert changed_owner_tag(settings(ownerTag="agentmail-dev")) == ""

    def test_a_changed_one_is_named_with_the_way_back(self, outputs: Any) -> None:
        sentence = changed_owner_tag(settings(ownerTag="another"))
        assert "agentmail:ownerTag is 'another', and the last up of this stack had 'agentmail-dev'" in sentence
        assert sentence.endswith("set it back with: ./mail pulumi config set --stack dev ownerTag agentmail-dev")

    def test_a_renamed_stack(self, outputs: Any) -> None:
        outputs(ownerTag="agentmail-old")
        assert "'agentmail-dev' (the default, which follows the stack's name), and the last up" in changed_owner_tag(
            settings()
        )


def test_a_state_that_is_being_written_is_read_again(monkeypatch: pytest.MonkeyPatch, recorder: Any) -> None:
    """The engine saves the steps of this very run; a file backend rewrites its sidecar in place meanwhile."""
    monkeypatch.setattr(own_stack, "_PAUSES", (0.0, 0.0))
    answers = iter([Exception("failed to load checkpoint: EOF"), Exception("failed to load checkpoint: EOF")])

    def invoke(*_given: Any) -> Any:
        for error in answers:
            raise error
        return SimpleNamespace(value={"outputs": OUTPUTS})

    monkeypatch.setattr(pulumi.runtime, "invoke", invoke)
    assert own_stack._outputs() == OUTPUTS


def test_a_state_that_stays_unreadable_is_told(monkeypatch: pytest.MonkeyPatch, recorder: Any) -> None:
    monkeypatch.setattr(own_stack, "_PAUSES", (0.0, 0.0))

    def invoke(*_given: Any) -> Any:
        raise Exception("failed to load checkpoint: EOF")

    monkeypatch.setattr(pulumi.runtime, "invoke", invoke)
    with pytest.raises(pulumi.RunError, match="The stack's own outputs cannot be read"):
        own_stack._outputs()
