"""The tunnel, and the webhook as the internet meets it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from azmail.webhook import BasicAuth, Unauthenticated, WebhookAuth, create_app
from commands.doctor.finding import Finding, Status, worst
from commands.doctor.round_trip import Arrivals, Listener, ListenError
from commands.doctor.tunnel import WebhookProbe, tunnel_findings, webhook_findings
from emulators.cloudflare import ACCOUNT_ID
from emulators.serving import ServerThread
from tests.unit.commands.doctor.world import HOST, SECRET, Up, examined, only, settings

PATH = "/api/webhooks/mailjet/inbound"


class TestTunnel:
    def test_healthy(self, up: Up) -> None:
        up.cloudflare.emulator.account.connect_tunnel(up.tunnel_id)
        assert worst(list(tunnel_findings(up.examined, up.reader))) is Status.OK

    def test_nobody_connected(self, up: Up) -> None:
        found = only(tunnel_findings(up.examined, up.reader), Status.ERROR)
        assert "The tunnel is inactive, expected healthy: no cloudflared is connected" in found.sentence

    def test_the_emulated_edge_needs_nobody(self, up: Up) -> None:
        assert worst(list(tunnel_findings(up.examined, up.reader, emulated=True))) is Status.OK

    def test_another_ingress(self, up: Up) -> None:
        path = f"/accounts/{ACCOUNT_ID}/cfd_tunnel/{up.tunnel_id}/configurations"
        rules = [{"hostname": HOST, "service": "http://other:1"}, {"service": "http_status:404"}]
        up.cloudflare.call("PUT", path, {"config": {"ingress": rules}})
        found = only(tunnel_findings(up.examined, up.reader, emulated=True), Status.ERROR)
        assert "It leads to http://other:1, expected http://127.0.0.1:9" in found.sentence

    def test_deliveries_that_pass_the_inbox_by(self, up: Up) -> None:
        inbox = "http://mail-inbox:8026"
        keeping = settings(submission="gateway", inboxService=inbox)
        kept = replace(up.examined, settings=keeping)
        found = only(tunnel_findings(kept, up.reader, emulated=True), Status.ERROR)
        assert f"{PATH} leads to http://127.0.0.1:9, expected the inbox at {inbox}" in found.sentence
        rules = [{"hostname": HOST, "path": f"^{path}$", "service": inbox} for path in keeping.delivery_paths]
        rules += [{"hostname": HOST, "service": keeping.tunnel_service}, {"service": "http_status:404"}]
        path = f"/accounts/{ACCOUNT_ID}/cfd_tunnel/{up.tunnel_id}/configurations"
        up.cloudflare.call("PUT", path, {"config": {"ingress": rules}})
        assert worst(list(tunnel_findings(kept, up.reader, emulated=True))) is Status.OK

    def test_gone(self, up: Up) -> None:
        up.cloudflare.call("DELETE", f"/accounts/{ACCOUNT_ID}/cfd_tunnel/{up.tunnel_id}")
        said = only(tunnel_findings(up.examined, up.reader)).sentence
        assert "is gone from the account" in said
        assert "./mail pulumi state delete 'urn:pulumi:dev::agentmail::azt3knet:mail:ApiTunnel$" in said
        assert said.index("--target-dependents") < said.index("./mail adopt dev --yes") < said.index("./mail apply dev")
        assert "--refresh" not in said

    def test_an_existing_one_is_somebody_elses(self, up: Up) -> None:
        existing = examined(accountId="", tunnelCname=f"{up.tunnel_id}.cfargotunnel.com")
        assert list(tunnel_findings(existing, up.reader)) == []


def webhook(auth: WebhookAuth) -> Starlette:
    return create_app(lambda _address: "agent", on_mail=lambda _mail, _agent: None, auth=auth)


def answering(status: int) -> Starlette:
    async def endpoint(_request: Request) -> Response:
        return Response(status_code=status)

    return Starlette(routes=[Route(PATH, endpoint, methods=["GET", "POST"])])


class TestWebhook:
    def probed(self, app: ASGIApp, **changes: Any) -> list[Finding]:
        with ServerThread(app) as server:
            probe = WebhookProbe(url=f"{server.url}{PATH}")
            return list(webhook_findings(examined(**changes), probe))

    def test_refuses_a_wrong_password(self) -> None:
        findings = self.probed(webhook(BasicAuth(SECRET)), inboundAuth="basic")
        assert worst(findings) is Status.OK
        assert findings[1].sentence == "A wrong one is refused, the right one is not."

    def test_accepts_a_wrong_password(self) -> None:
        found = only(self.probed(webhook(Unauthenticated()), inboundAuth="forwarder"), Status.ERROR)
        assert "A delivery with a wrong password is answered 400, expected 401" in found.sentence

    def test_refuses_the_right_one(self) -> None:
        found = only(self.probed(webhook(BasicAuth("anotherPassword0123")), inboundAuth="basic"), Status.ERROR)
        assert "refuses the stack's own webhookSecret" in found.sentence
        assert SECRET not in found.sentence

    def test_nobody_checks(self) -> None:
        found = only(self.probed(webhook(Unauthenticated())), Status.WARNING)
        assert "inboundAuth is none" in found.sentence

    @pytest.mark.parametrize(
        ("status", "said"),
        [
            (404, "nothing takes mail at this path"),
            (409, "edge answers 409 (error 1001)"),
            (530, "Cloudflare answers 530"),
            (500, "It answers 500"),
        ],
    )
    def test_something_else(self, status: int, said: str) -> None:
        assert said in only(self.probed(answering(status))).sentence

    def test_nobody(self) -> None:
        found = only(webhook_findings(examined(), WebhookProbe(url="http://127.0.0.1:9/x")))
        assert found.status is Status.ERROR
        assert "Nobody answers (no connection)" in found.sentence

    def test_an_inbox_without_its_file_is_not_waited_for(self) -> None:
        inbox = "http://127.0.0.1:9"
        kept = examined(submission="gateway", inboxService=inbox)
        found = only(webhook_findings(kept, WebhookProbe(url=HOST), without_file=True))
        assert (found.status, "start it with: ./mail up" in found.sentence) == (Status.WARNING, True)

    def test_through_an_emulated_edge(self, up: Up) -> None:
        with ServerThread(up.cloudflare.emulator.edge_app) as edge:
            probe = WebhookProbe(url=f"https://{HOST}{PATH}", edge=edge.url.removeprefix("http://"))
            found = only(webhook_findings(up.examined, probe))
        assert found.status is Status.WARNING
        assert "Nothing listens at tunnelService http://127.0.0.1:9" in found.sentence


class TestListener:
    @pytest.mark.parametrize("address", ["8800", "127.0.0.1:", ":8800"])
    def test_no_address(self, address: str) -> None:
        with pytest.raises(ListenError, match="HOST:PORT"):
            Listener(address, examined(), Arrivals())

    def test_no_password(self) -> None:
        with pytest.raises(ListenError, match="webhookSecret"):
            Listener("127.0.0.1:0", examined(webhookSecret=""), Arrivals())

    def test_an_address_that_is_taken(self) -> None:
        with ServerThread(answering(200)) as server:
            taken = server.url.removeprefix("http://")
            with pytest.raises(ListenError, match="cannot be listened at"), Listener(taken, examined(), Arrivals()):
                pass
