"""What the way to the platform declares."""

from __future__ import annotations

import warnings

import pulumi
import pytest

from settings.loading import from_config

with warnings.catch_warnings():
    # The generated SDK warns of its own old names.
    warnings.simplefilter("ignore", DeprecationWarning)
    from components.api_tunnel import ApiTunnel, ApiTunnelArgs
    from components.zone_survey import ZoneSurvey

TOKEN_FUNCTION = "cloudflare:index/getZeroTrustTunnelCloudflaredToken:getZeroTrustTunnelCloudflaredToken"
CONFIG = {
    "domain": "dev.agents.example",
    "zoneName": "agents.example",
    "zoneId": "0f1e2d3c4b5a69788796a5b4c3d2e1f0",
    "accountId": "00112233445566778899aabbccddeeff",
    "tunnelHostname": "api-dev.agents.example",
    "mailjetApiKey": "k" * 32,
    "mailjetApiSecret": "s" * 32,
    "webhookSecret": "w" * 32,
}
EXISTING = {"accountId": "", "tunnelCname": "0f0f.cfargotunnel.com"}


class Declared:
    """A finished program: the component's outputs, and the options of everything in it."""

    def __init__(self, recorder, *, preview=False, **config):
        self.options = {}
        self.outputs = {}
        settings = from_config({**CONFIG, **config}, stack="dev", preview=preview, cloudflare_api_token="t" * 40)

        def remember(args):
            self.options[args.name] = args.opts

        @pulumi.runtime.test
        def program():
            zone = ZoneSurvey(records=(), needs=settings.zone_needs, stack="dev", looked=settings.dns == "cloudflare")
            opts = pulumi.ResourceOptions(transformations=[remember])
            made = ApiTunnel("api", ApiTunnelArgs.of(settings, zone), after=[], opts=opts)

            async def look():
                self.outputs["secret"] = await made.token.is_secret()
                self.outputs["known"] = await made.token.is_known()
                self.outputs["token"] = await made.token.future()
                self.outputs["records"] = await made.expected_records.future()

            return pulumi.Output.from_input(look())

        program()


@pytest.fixture
def cloudflare(recorder):
    recorder.results[TOKEN_FUNCTION] = {"accountId": "a", "tunnelId": "t", "token": "the-token"}
    return recorder


class TestCreated:
    def test_tunnel_ingress_and_cname(self, cloudflare):
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
            "content": "api-tunnel-id.cfargotunnel.com",
            "proxied": True,
            "ttl": 1,
            "comment": "managed by pulumi: agentmail-dev",
        }

    def test_the_token_is_a_secret_of_the_new_tunnel(self, cloudflare):
        found = Declared(cloudflare)
        assert (found.outputs["token"], found.outputs["secret"]) == ("the-token", True)
        [call] = cloudflare.calls
        assert call.args["tunnelId"] == "api-tunnel-id"

    def test_the_name_leads_there_only_when_the_tunnel_knows_where_to(self, cloudflare):
        found = Declared(cloudflare)
        depends_on = [type(resource).__name__ for resource in found.options["api-cname"].depends_on]
        assert depends_on == ["ZeroTrustTunnelCloudflaredConfig"]

    def test_nothing_is_ever_deleted_before_it_is_replaced(self, cloudflare):
        found = Declared(cloudflare)
        assert len(found.options) == 4
        assert not any(options.delete_before_replace for options in found.options.values())

    def test_the_cname_is_among_the_expected_records(self, cloudflare):
        [record] = Declared(cloudflare).outputs["records"]
        assert (record.type, record.content) == ("CNAME", "api-tunnel-id.cfargotunnel.com")

    def test_protected_where_the_configuration_says_so(self, cloudflare):
        found = Declared(cloudflare, protected="true")
        assert all(found.options[name].protect for name in ("api-tunnel", "api-ingress", "api-cname"))


class TestExistingOrNone:
    def test_an_existing_tunnel_gets_the_cname_only(self, recorder):
        found = Declared(recorder, **EXISTING)
        assert [inputs["content"] for inputs in recorder.of_type("DnsRecord").values()] == ["0f0f.cfargotunnel.com"]
        assert recorder.of_type("ZeroTrustTunnelCloudflared") == {}
        assert (found.outputs["token"], found.outputs["secret"]) == ("", True)

    def test_the_cname_keeps_its_name_when_one_tunnel_follows_another(self, cloudflare):
        Declared(cloudflare)
        [created] = cloudflare.of_type("DnsRecord")
        cloudflare.resources.clear()
        Declared(cloudflare, **EXISTING)
        assert list(cloudflare.of_type("DnsRecord")) == [created]

    def test_without_a_tunnel_there_is_nothing(self, recorder):
        found = Declared(recorder, accountId="", tunnelHostname="", webhookUrl="https://hooks.example/in")
        assert [args.typ for args in recorder.resources] == ["azt3knet:mail:ApiTunnel"]
        assert found.outputs["records"] == []

    def test_a_zone_elsewhere_is_only_told_the_cname(self, cloudflare):
        found = Declared(cloudflare, dns="none", zoneId="", zoneName="")
        assert cloudflare.of_type("DnsRecord") == {}
        assert [record.type for record in found.outputs["records"]] == ["CNAME"]


class TestReadOnlyToken:
    @pytest.fixture
    def refusing(self, recorder):
        said = 'GET "https://x/token": 403 Forbidden {"errors":[{"code": 10000,"message":"Authentication error"}]}'
        recorder.results[TOKEN_FUNCTION] = ({}, [("", said)])
        return recorder

    def test_a_preview_goes_on_without_the_tunnel_s_token(self, refusing, caplog):
        found = Declared(refusing, preview=True)
        assert found.outputs["known"] is False
        [warning] = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
        assert (
            "Cloudflare does not show the token of the tunnel 'agentmail-dev' to this API token, code 10000" in warning
        )

    def test_an_up_says_which_permission_it_needs(self, refusing):
        with pytest.raises(pulumi.RunError, match=r"expected the permission Account\.Cloudflare Tunnel Edit"):
            Declared(refusing)
