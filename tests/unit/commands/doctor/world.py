"""A stack that is up, without an engine: the emulated Cloudflare and Mailjet, holding what the program would have made."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import requests

from azmail.contract import Mailbox
from clients.cloudflare.lookups import Cloudflare
from clients.dns import Resolver
from clients.mailjet.api import MailjetApi
from commands.doctor.credentials import mailjet_api
from commands.doctor.finding import Finding, Status
from commands.doctor.stack import ExaminedStack, Expected
from emulators.cloudflare import ACCOUNT_ID, ZONE_ID
from emulators.embedded import EmbeddedMailjet
from settings.loading import from_config
from settings.model import Settings
from tests.unit.emulators.cloudflare_fixtures import TOKEN, EmulatedCloudflare
from zone.names import canonical
from zone.records import Record, configured_records, mailjet_records
from zone.survey import SurveyedRecord, survey
from zone.txt import joined

DOMAIN = "dev.agents.example"
HOST = "api-dev.agents.example"
SECRET = "webhookPassword0123456789"


def settings(**changes: Any) -> Settings:
    """A valid configuration of a stack `dev`."""
    config = {
        "domain": DOMAIN,
        "zoneName": "agents.example",
        "zoneId": ZONE_ID,
        "accountId": ACCOUNT_ID,
        "tunnelHostname": HOST,
        "tunnelService": "http://127.0.0.1:9",
        "webhookSecret": SECRET,
        **changes,
    }
    return from_config(config, stack="dev", preview=True, cloudflare_api_token=TOKEN)


def mailboxes(count: int = 3) -> list[Mailbox]:
    return [
        Mailbox(
            agent_id=f"agent-{number}",
            address=f"a.b.{number:03d}.20260101000000@{DOMAIN}",
            smtp_host="127.0.0.1",
            smtp_port=587,
            smtp_username="key",
            smtp_password="secret",
            inbound_url=f"https://{HOST}/api/webhooks/mailjet/inbound",
            inbound_secret="",
        )
        for number in range(count)
    ]


def examined(records: list[Expected] | None = None, *, boxes: int = 3, **changes: Any) -> ExaminedStack:
    return ExaminedStack(stack="dev", settings=settings(**changes), records=records or [], mailboxes=mailboxes(boxes))


def expected(record: Record) -> Expected:
    return Expected(
        name=record.name,
        type=record.type,
        content=joined(record.content) if record.type == "TXT" else canonical(record.content),
        priority=record.priority,
        proxied=record.proxied,
    )


def only(findings: Iterable[Finding], status: Status | None = None) -> Finding:
    """The one finding, or the one of that status."""
    found = [item for item in findings if status is None or item.status is status]
    assert len(found) == 1, found
    return found[0]


@dataclass
class Up:
    """What an `up` leaves behind."""

    cloudflare: EmulatedCloudflare
    mailjet: EmbeddedMailjet
    examined: ExaminedStack
    tunnel_id: str
    ids: dict[str, str] = field(default_factory=dict)
    """Label of a record -> its id in the zone."""

    @property
    def reader(self) -> Cloudflare:
        return Cloudflare(self.cloudflare.base, TOKEN)

    @property
    def api(self) -> MailjetApi:
        return mailjet_api(self.mailjet.url, *self.mailjet.auth)

    @property
    def resolver(self) -> Resolver:
        return Resolver(self.cloudflare.name_server.host, self.cloudflare.name_server.port)

    @property
    def zone(self) -> list[SurveyedRecord]:
        return survey(self.reader.records(ZONE_ID), zone_name="agents.example", zone_id=ZONE_ID)

    def change(self, label: str, **fields: Any) -> None:
        """Somebody edits a record by hand."""
        answer = self.cloudflare.call("PATCH", f"/zones/{ZONE_ID}/dns_records/{self.ids[label]}", fields)
        assert answer.status_code == 200, answer.text

    def delete(self, label: str) -> None:
        self.cloudflare.call("DELETE", f"/zones/{ZONE_ID}/dns_records/{self.ids[label]}")

    def mail(self, method: str, path: str, body: object = None) -> Any:
        answer = requests.request(method, self.mailjet.url + path, json=body, auth=self.mailjet.auth, timeout=10)
        assert answer.ok, answer.text
        return answer.json() if answer.content else None


def bring_up(cloudflare: EmulatedCloudflare, mailjet: EmbeddedMailjet) -> Up:
    """Sender domain, records, verification, routes, tunnel."""
    up = Up(cloudflare, mailjet, examined(), "")
    up.mail("POST", "/v3/REST/sender", {"Email": f"*@{DOMAIN}"})
    row = up.api.dns(DOMAIN)
    assert row is not None
    facts = settings()
    records = [
        *configured_records(
            domain=DOMAIN,
            mx_hosts=facts.mailjet_mx_hosts,
            spf_include=facts.mailjet_spf_include,
            spf_mechanisms=(),
            spf_qualifier=facts.spf_qualifier,
            dmarc=facts.dmarc,
            tls_reports=(),
            ttl=300,
        ),
        *mailjet_records(
            domain=DOMAIN,
            dkim_name=row.dkim_name,
            dkim_value=row.dkim_value,
            ownership_name=row.ownership_name,
            ownership_token=row.ownership_token,
            ttl=300,
        ),
    ]
    for record in records:
        fields: dict[str, Any] = {
            "name": record.name,
            "type": record.type,
            "content": record.content,
            "ttl": record.ttl,
        }
        if record.priority is not None:
            fields["priority"] = record.priority
        made = cloudflare.create(**fields, comment=facts.record_comment)
        up.ids[f"{record.type} {record.name}"] = made["id"]
    up.mail("POST", f"/v3/REST/sender/*@{DOMAIN}/validate")
    up.mail("POST", f"/v3/REST/dns/{DOMAIN}/check")
    for box in mailboxes():
        up.mail("POST", "/v3/REST/parseroute", {"Email": box.address, "Url": facts.route_url})
    up.tunnel_id = cloudflare.tunnel(HOST, facts.tunnel_service)
    cname = Expected(name=HOST, type="CNAME", content=f"{up.tunnel_id}.cfargotunnel.com", proxied=True)
    for found in up.zone:
        if found.name == HOST:
            up.ids[cname.label] = found.id
            up.change(cname.label, comment=facts.record_comment)
    up.examined = examined([*(expected(record) for record in records), cname])
    return up
