"""Mailjet's statuses, the routes, and both credentials."""

from __future__ import annotations

from typing import Any

import pytest

from clients.cloudflare.lookups import Cloudflare
from clients.mailjet.api import EventCallbackRow, ParseRoute
from commands.doctor.credentials import ZoneWanted, cloudflare_findings, mailjet_api, mailjet_findings
from commands.doctor.finding import Finding, Status, worst
from commands.doctor.mailjet import event_findings, look_at_routes, named_sender_findings, status_findings
from emulators.cloudflare import ACCOUNT_ID, ZONE_ID
from emulators.cloudflare.tokens import DNS_READ_ONLY, Permission
from emulators.embedded import EmbeddedMailjet
from tests.unit.commands.doctor.world import DOMAIN, HOST, SECRET, Up, examined, only
from tests.unit.emulators.cloudflare_fixtures import EmulatedCloudflare


class TestStatuses:
    def statuses(self, up: Up) -> list[Finding]:
        return list(status_findings(up.examined, up.api.sender(f"*@{DOMAIN}"), up.api.dns(DOMAIN)))

    def test_verified(self, up: Up) -> None:
        assert [item.status for item in self.statuses(up)] == [Status.OK] * 3

    def test_a_record_that_mailjet_minds(self, up: Up) -> None:
        up.change(f"TXT {DOMAIN}", content='"v=spf1 -all"')
        up.mail("POST", f"/v3/REST/dns/{DOMAIN}/check")
        found = only(self.statuses(up), Status.ERROR)
        assert found.subject == f"SPF {DOMAIN}"

    def test_no_sender(self, up: Up) -> None:
        up.mail("DELETE", f"/v3/REST/sender/*@{DOMAIN}")
        assert "so agents cannot send" in only(self.statuses(up)).sentence


class TestNamedSenders:
    NAMED = examined(mailjetSenders=[{"email": f"notifications@{DOMAIN}", "name": "Azt3kNet"}])

    def test_active(self, up: Up) -> None:
        up.mail("POST", "/v3/REST/sender", {"Email": f"notifications@{DOMAIN}"})
        assert only(named_sender_findings(self.NAMED, up.api.sender)).status is Status.OK

    def test_missing(self, up: Up) -> None:
        found = only(named_sender_findings(self.NAMED, up.api.sender))
        assert found.status is Status.ERROR
        assert "Mailjet does not know it, expected Active" in found.sentence


class TestEvents:
    BOUNCES = examined(mailjetEvents=["bounce"])

    def events(self, up: Up, **fields: object) -> Finding:
        if fields:
            up.mail("POST", "/v3/REST/eventcallbackurl", {"EventType": "bounce", "Version": 2, **fields})
        return only(event_findings(self.BOUNCES, up.api.event_callbacks()))

    def test_reported(self, up: Up) -> None:
        assert self.events(up, Url=self.BOUNCES.settings.events_url).status is Status.OK

    def test_nowhere(self, up: Up) -> None:
        assert "Mailjet reports them nowhere" in self.events(up).sentence

    def test_to_somebody_else(self, up: Up) -> None:
        found = self.events(up, Url="https://u:hunter2secret@elsewhere.example/x")
        assert "Mailjet reports them to https://u@elsewhere.example/x, expected" in found.sentence
        assert "hunter2" not in found.sentence

    def test_suspended(self) -> None:
        callback = EventCallbackRow(1, "bounce", self.BOUNCES.settings.events_url, 2, "dead", False)
        assert "has suspended the callback (dead)" in only(event_findings(self.BOUNCES, [callback])).sentence


class TestRoutes:
    def routes(self, up: Up) -> list[Finding]:
        return list(look_at_routes(up.examined, up.api, every=False))

    def route(self, up: Up, number: int) -> ParseRoute:
        return next(route for route in up.api.routes() if route.email == up.examined.mailboxes[number].address)

    def test_as_made(self, up: Up) -> None:
        found = only(self.routes(up))
        assert found.sentence == f"3 mailboxes, each with its route to https://{HOST}/api/webhooks/mailjet/inbound."

    def test_missing(self, up: Up) -> None:
        up.mail("DELETE", f"/v3/REST/parseroute/{self.route(up, 1).id}")
        found = only(self.routes(up))
        assert found.status is Status.ERROR
        assert found.sentence.startswith("1 of 3 mailboxes have no inbound route (a.b.001.20260101000000@")

    def test_somebody_elses(self, up: Up) -> None:
        route = self.route(up, 1)
        up.mail("PUT", f"/v3/REST/parseroute/{route.id}", {"Url": "https://u:hunter2secret@elsewhere.example/x"})
        found = only(self.routes(up))
        assert "are routed elsewhere" in found.sentence
        assert "https://u@elsewhere.example/x" in found.sentence
        assert "hunter2" not in found.sentence

    def test_an_old_password(self, up: Up) -> None:
        route = self.route(up, 1)
        up.mail("PUT", f"/v3/REST/parseroute/{route.id}", {"Url": route.url.replace(SECRET, "oldPassword012345678")})
        found = only(self.routes(up))
        assert "another webhook password" in found.sentence
        assert SECRET not in found.sentence

    def test_one_too_many(self, up: Up) -> None:
        url = self.route(up, 1).url
        up.mail("POST", "/v3/REST/parseroute", {"Email": f"nobody@{DOMAIN}", "Url": url})
        found = only(self.routes(up))
        assert found.status is Status.WARNING
        assert f"1 inbound route of this stack without a mailbox (nobody@{DOMAIN})" in found.sentence

    @pytest.mark.slow
    def test_few_are_asked_for_one_by_one_on_a_large_account(self, up: Up) -> None:
        database, route = up.mailjet.emulator.mailjet.db, self.route(up, 1)
        rows = [(f"their{number}@{DOMAIN}", "https://agentmail-prod:x@their.example/in") for number in range(4000)]
        rows.append((f"nobody@{DOMAIN}", route.url))
        database.executemany(
            "INSERT INTO parseroute (apikey_id, email, url, is_auto) SELECT id, ?, ?, 0 FROM apikey LIMIT 1", rows
        )
        # Made anew she is beyond the first page, where the other two still are.
        up.mail("DELETE", f"/v3/REST/parseroute/{route.id}")
        up.mail("POST", "/v3/REST/parseroute", {"Email": route.email, "Url": route.url})
        up.mailjet.control.clear_requests()
        found = only(self.routes(up))
        assert (found.status, up.mailjet.control.counts()["reads"]) == (Status.OK, 1 + 1)
        assert found.sentence.startswith("3 mailboxes, each with its route to")
        assert "other routes 3,003 were not listed: ./mail doctor dev --every-route does" in found.sentence
        whole = only(look_at_routes(up.examined, up.api, every=True))
        assert f"1 inbound route of this stack without a mailbox (nobody@{DOMAIN})" in whole.sentence

    def test_other_stacks_are_none_of_ours(self, up: Up) -> None:
        body = {"Email": f"nobody@{DOMAIN}", "Url": f"https://agentmail-prod:{SECRET}@{HOST}/in"}
        up.mail("POST", "/v3/REST/parseroute", body)
        assert only(self.routes(up)).status is Status.OK


class TestMailjetKey:
    def test_good(self, up: Up) -> None:
        assert [item.status for item in mailjet_findings(up.api)] == [Status.OK, Status.OK]

    def test_wrong(self, mailjet: EmbeddedMailjet) -> None:
        found = only(mailjet_findings(mailjet_api(mailjet.url, "0" * 32, "1" * 32)))
        assert found.status is Status.ERROR
        assert "rejected the API key or its secret" in found.sentence
        assert "1" * 32 not in found.sentence

    def test_what_cannot_be_known(self, mailjet: EmbeddedMailjet) -> None:
        findings = list(mailjet_findings(mailjet_api(mailjet.url, *mailjet.auth)))
        assert "needs a paid plan" in findings[1].sentence

    def test_nobody_there(self) -> None:
        found = only(mailjet_findings(mailjet_api("http://127.0.0.1:9", "0" * 32, "1" * 32)))
        assert "nothing listens at http://127.0.0.1:9" in found.sentence


WANTED = ZoneWanted(zone_id=ZONE_ID, zone_name="agents.example", account_id=ACCOUNT_ID)


class TestCloudflareToken:
    def findings(self, world: EmulatedCloudflare, wanted: ZoneWanted = WANTED, **rights: Any) -> list[Finding]:
        _, token = world.emulator.add_token(**rights)
        return list(cloudflare_findings(Cloudflare(world.base, token), wanted))

    def test_good(self, up: Up) -> None:
        findings = list(cloudflare_findings(up.reader, WANTED))
        assert worst(findings) is Status.OK
        assert "Not to be seen without writing" in findings[-1].sentence

    def test_unknown(self, cloudflare: EmulatedCloudflare) -> None:
        found = only(cloudflare_findings(Cloudflare(cloudflare.base, "x" * 40), WANTED))
        assert found.status is Status.ERROR
        assert "Cloudflare does not accept the token (code 1000)" in found.sentence
        assert "x" * 40 not in found.sentence

    def test_malformed(self, cloudflare: EmulatedCloudflare) -> None:
        found = only(cloudflare_findings(Cloudflare(cloudflare.base, "short"), WANTED))
        assert "does not accept the token" in found.sentence

    def test_without_tunnel_rights(self, cloudflare: EmulatedCloudflare) -> None:
        found = only(self.findings(cloudflare, permissions=DNS_READ_ONLY), Status.ERROR)
        assert found.subject == "Cloudflare tunnels"
        assert "Account.Cloudflare Tunnel Edit" in found.sentence

    def test_without_dns_rights(self, cloudflare: EmulatedCloudflare) -> None:
        rights = frozenset({Permission.ZONE_READ, Permission.TUNNEL_READ})
        found = only(self.findings(cloudflare, permissions=rights), Status.ERROR)
        assert "Zone.DNS Edit" in found.sentence

    def test_without_zone_rights_the_name_stays_unknown(self, cloudflare: EmulatedCloudflare) -> None:
        rights = frozenset({Permission.DNS_WRITE, Permission.TUNNEL_WRITE})
        findings = self.findings(cloudflare, permissions=rights)
        assert "nobody compared its name" in only(findings, Status.WARNING).sentence
        assert worst(findings) is Status.WARNING

    def test_the_wrong_zone(self, up: Up) -> None:
        wanted = ZoneWanted(zone_id=ZONE_ID, zone_name="other.example", account_id=ACCOUNT_ID)
        found = only(cloudflare_findings(up.reader, wanted), Status.ERROR)
        assert "is the zone 'agents.example', expected zoneName 'other.example'" in found.sentence

    def test_another_account(self, up: Up) -> None:
        wanted = ZoneWanted(zone_id=ZONE_ID, zone_name="agents.example", account_id="f" * 32)
        sentences = [item.sentence for item in cloudflare_findings(up.reader, wanted) if item.status is not Status.OK]
        assert any("expected one account" in sentence for sentence in sentences)

    def test_nobody_there(self) -> None:
        waited: list[float] = []
        api = Cloudflare("http://127.0.0.1:9/client/v4", "x" * 40, wait=waited.append)
        found = only(cloudflare_findings(api, WANTED))
        assert "check the network and cloudflare:baseUrl" in found.sentence
        assert waited == [1.0]
