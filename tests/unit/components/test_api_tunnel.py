"""What the way to the platform declares."""

from __future__ import annotations

import asyncio
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pulumi
import pytest

from emulators.cloudflare import ACCOUNT_ID, ZONE_ID
from emulators.cloudflare.tokens import DNS_READ_ONLY
from settings.loading import from_config
from tests.unit.components.conftest import Recorder, run_program
from tests.unit.emulators.cloudflare_fixtures import TOKEN, EmulatedCloudflare, running

with warnings.catch_warnings():
    # The generated SDK warns of its own old names.
    warnings.simplefilter("ignore", DeprecationWarning)
    from components.api_tunnel import ApiTunnel, ApiTunnelArgs
    from components.cloudflare_questions import CloudflareQuestions
    from components.failures import tunnel_listing_sentence
    from components.tunnel_survey import ask_about_tunnels
    from components.zone_survey import ZoneSurvey

CONFIG = {
    "domain": "dev.agents.example",
    "zoneName": "agents.example",
    "zoneId": ZONE_ID,
    "accountId": ACCOUNT_ID,
    "tunnelHostname": "api-dev.agents.example",
    "mailjetApiKey": "k" * 32,
    "mailjetApiSecret": "s" * 32,
    "webhookSecret": "w" * 32,
}
EXISTING: dict[str, Any] = {"accountId": "", "tunnelCname": "0f0f.cfargotunnel.com"}


class Declared:
    """A finished program: the component's outputs, and the options of everything in it."""

    def __init__(self, recorder: Recorder, *, preview: bool = False, token: str = TOKEN, **config: object) -> None:
        self.options: dict[str, Any] = {}
        self.outputs: dict[str, Any] = {}
        settings = from_config({**CONFIG, **config}, stack="dev", preview=preview, cloudflare_api_token=token)

        def remember(args: pulumi.ResourceTransformationArgs) -> None:
            self.options[args.name] = args.opts

        def program() -> pulumi.Output[None]:
            zone = ZoneSurvey(records=(), needs=settings.zone_needs, stack="dev", looked=settings.dns == "cloudflare")
            opts = pulumi.ResourceOptions(transformations=[remember])
            made = ApiTunnel("api", ApiTunnelArgs.of(settings, zone), after=[], opts=opts)

            async def look() -> None:
                self.outputs["secret"] = await made.token.is_secret()
                self.outputs["known"] = await made.token.is_known()
                self.outputs["token"] = await made.token.future()
                self.outputs["records"] = await made.expected_records.future()

            return pulumi.Output.from_input(look())

        run_program(program)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EmulatedCloudflare]:
    """An emulated Cloudflare, where the program asks."""
    with running(tmp_path) as emulated:
        monkeypatch.setenv("CLOUDFLARE_BASE_URL", emulated.base)
        yield emulated


@pytest.fixture
def cloudflare(recorder: Recorder, world: EmulatedCloudflare) -> Recorder:
    """What is declared, with a tunnel that exists behind it."""
    made = world.call("POST", f"/accounts/{ACCOUNT_ID}/cfd_tunnel", {"name": "made", "config_src": "cloudflare"})
    recorder.ids["api-tunnel"] = made.json()["result"]["id"]
    return recorder


class TestCreated:
    def test_the_send_api_and_nothing_else_of_the_gateway(self, cloudflare: Recorder) -> None:
        root = "r1:" + "R" * 43
        Declared(cloudflare, submission="gateway", gatewayRoots=root, gatewayService="http://mail-gateway:8025")
        [ingress] = cloudflare.of_type("ZeroTrustTunnelCloudflaredConfig").values()
        rules = ingress["config"]["ingresses"]
        assert rules[0] == {
            "hostname": "api-dev.agents.example",
            "path": "^/v3\\.1/send$",
            "service": "http://mail-gateway:8025",
        }
        assert [rule["service"] for rule in rules] == [
            "http://mail-gateway:8025", "http://api:8000", "http_status:404",
        ]  # fmt: skip
        paths = ("/v3.1/send", "/v3.1/send/x", "/healthz", "/v3x1/send", "/api/v3.1/send")
        assert [re.search(rules[0]["path"], path) is not None for path in paths] == [True, *[False] * 4]

    @pytest.mark.parametrize("url", ["", "https://api-dev.agents.example"])
    def test_deliveries_reach_the_inbox_and_its_api_where_it_is_public(self, cloudflare: Recorder, url: str) -> None:
        inbox = "http://mail-inbox:8026"
        Declared(
            cloudflare,
            submission="gateway",
            gatewayRoots="r1:" + "R" * 43,
            inboxService=inbox,
            inboxUrl=url,
            eventsPath="/mail/events",
        )
        [ingress] = cloudflare.of_type("ZeroTrustTunnelCloudflaredConfig").values()
        rules = ingress["config"]["ingresses"]
        kept = [rule["path"] for rule in rules if rule["service"] == inbox]
        assert [rule["service"] for rule in rules[len(kept) :]] == ["http://api:8000", "http_status:404"]

        def leads(path: str) -> bool:
            return any(re.search(pattern, path) for pattern in kept)

        assert leads("/api/webhooks/mailjet/inbound")
        assert leads("/mail/events")
        assert leads("/v1/messages") is bool(url)
        assert not any(map(leads, ("/metrics", "/healthz", "/docs", "/", "/api/webhooks/mailjet/inbound/x", "/x/v1/")))

    def test_tunnel_ingress_and_cname(self, cloudflare: Recorder) -> None:
        Declared(cloudflare)
        [tunnel] = cloudflare.of_type("ZeroTrustTunnelCloudflared").values()
        assert (tunnel["name"], tunnel["configSrc"], tunnel["accountId"]) == (
            "agentmail-dev",
            "cloudflare",
            CONFIG["accountId"],
        )
        [ingress] = cloudflare.of_type("ZeroTrustTunnelCloudflaredConfig").values()
        assert ingress["config"]["ingresses"] == [
            {"hostname": "api-dev.agents.example", "service": "http://api:8000"},
            {"service": "http_status:404"},
        ]
        [cname] = cloudflare.of_type("DnsRecord").values()
        assert {key: cname[key] for key in ("name", "type", "content", "proxied", "ttl", "comment")} == {
            "name": "api-dev.agents.example",
            "type": "CNAME",
            "content": f"{cloudflare.ids['api-tunnel']}.cfargotunnel.com",
            "proxied": True,
            "ttl": 1,
            "comment": "managed by pulumi: agentmail-dev",
        }

    def test_the_token_is_a_secret_of_the_new_tunnel(self, cloudflare: Recorder, world: EmulatedCloudflare) -> None:
        found = Declared(cloudflare)
        path = f"/accounts/{ACCOUNT_ID}/cfd_tunnel/{cloudflare.ids['api-tunnel']}/token"
        assert (found.outputs["token"], found.outputs["secret"]) == (world.call("GET", path).json()["result"], True)

    def test_no_plugin_is_asked_which_would_log_a_refusal_as_an_error(self, cloudflare: Recorder) -> None:
        Declared(cloudflare)
        assert cloudflare.calls == []

    def test_the_name_leads_there_only_when_the_tunnel_knows_where_to(self, cloudflare: Recorder) -> None:
        found = Declared(cloudflare)
        depends_on = [type(resource).__name__ for resource in found.options["api-cname"].depends_on]
        assert depends_on == ["ZeroTrustTunnelCloudflaredConfig"]

    def test_nothing_is_ever_deleted_before_it_is_replaced(self, cloudflare: Recorder) -> None:
        found = Declared(cloudflare)
        assert len(found.options) == 4
        assert not any(options.delete_before_replace for options in found.options.values())

    def test_the_cname_is_among_the_expected_records(self, cloudflare: Recorder) -> None:
        [record] = Declared(cloudflare).outputs["records"]
        assert (record.type, record.content) == (
            "CNAME",
            f"{cloudflare.ids['api-tunnel']}.cfargotunnel.com",
        )

    def test_protected_where_the_configuration_says_so(self, cloudflare: Recorder) -> None:
        found = Declared(cloudflare, protected="true")
        assert all(found.options[name].protect for name in ("api-tunnel", "api-ingress", "api-cname"))


class TestExistingOrNone:
    def test_an_existing_tunnel_gets_the_cname_only(self, recorder: Recorder) -> None:
        found = Declared(recorder, **EXISTING)
        assert [inputs["content"] for inputs in recorder.of_type("DnsRecord").values()] == ["0f0f.cfargotunnel.com"]
        assert recorder.of_type("ZeroTrustTunnelCloudflared") == {}
        assert (found.outputs["token"], found.outputs["secret"]) == ("", True)

    def test_the_cname_keeps_its_name_when_one_tunnel_follows_another(self, cloudflare: Recorder) -> None:
        Declared(cloudflare)
        [created] = cloudflare.of_type("DnsRecord")
        cloudflare.resources.clear()
        Declared(cloudflare, **EXISTING)
        assert list(cloudflare.of_type("DnsRecord")) == [created]

    def test_without_a_tunnel_there_is_nothing(self, recorder: Recorder) -> None:
        found = Declared(recorder, accountId="", tunnelHostname="", webhookUrl="https://hooks.example/in")
        assert [args.typ for args in recorder.resources] == ["azt3knet:mail:ApiTunnel"]
        assert found.outputs["records"] == []

    def test_a_zone_elsewhere_is_only_told_the_cname(self, cloudflare: Recorder) -> None:
        found = Declared(cloudflare, dns="none", zoneId="", zoneName="")
        assert cloudflare.of_type("DnsRecord") == {}
        assert [record.type for record in found.outputs["records"]] == ["CNAME"]


class TestReadOnlyToken:
    @pytest.fixture
    def token(self, world: EmulatedCloudflare) -> str:
        """What the documentation gives a pull request's preview: DNS Read."""
        return world.emulator.add_token(permissions=DNS_READ_ONLY)[1]

    def test_a_preview_goes_on_without_the_tunnel_s_token(
        self, cloudflare: Recorder, token: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        found = Declared(cloudflare, preview=True, token=token)
        assert found.outputs["known"] is False
        [warning] = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
        assert (
            "Cloudflare does not show the token of the tunnel 'agentmail-dev' to this API token, code 10000" in warning
        )
        assert not [record for record in caplog.records if record.levelname == "ERROR"]

    async def refused(self, token: str, *, preview: bool) -> list[dict[str, Any]] | None:
        questions = CloudflareQuestions(token)
        return await ask_about_tunnels(
            lambda: questions.tunnels(ACCOUNT_ID, "agentmail-dev"),
            told=lambda error: tunnel_listing_sentence(error, "agentmail-dev"),
            preview=preview,
        )

    def test_an_up_says_which_permission_it_needs(self, token: str) -> None:
        with pytest.raises(pulumi.RunError, match=r"expected the permission Account\.Cloudflare Tunnel Edit"):
            asyncio.run(self.refused(token, preview=False))

    def test_a_preview_goes_on_without_the_list(self, token: str) -> None:
        assert asyncio.run(self.refused(token, preview=True)) is None
