"""Parents, types and logical names of the whole program. They are in every stack's state: a resource that changes one of
them is created anew and its predecessor deleted, live routes and records included."""

from __future__ import annotations

import json
from pathlib import Path

from tests.e2e.stack import ROOT, Emulators, Stack

MAILJET = "pulumi-python:dynamic/mailjet:"
RECORD = "cloudflare:index/dnsRecord:DnsRecord"
TUNNEL = "cloudflare:index/zeroTrustTunnelCloudflared:ZeroTrustTunnelCloudflared"
INGRESS = "cloudflare:index/zeroTrustTunnelCloudflaredConfig:ZeroTrustTunnelCloudflaredConfig"
FROZEN = {
    "azt3knet:mail:MailDomain": {
        "": "mail",
        f"{MAILJET}Footprint": "mail-footprint",
        f"{MAILJET}SenderDomain": "mail-sender",
        f"{MAILJET}DomainVerification": "mail-verification",
        RECORD: "mail-dkim mail-dmarc mail-mx-parse.mailjet.com mail-ownership mail-spf mail-tls-rpt",
    },
    "azt3knet:mail:ApiTunnel": {"": "api", TUNNEL: "api-tunnel", INGRESS: "api-ingress", RECORD: "api-cname"},
    "azt3knet:mail:AgentMailboxes": {
        "": "agents",
        f"{MAILJET}AddressBook": "agents-book",
        # The buckets of these three agents, by the hash of their ids.
        f"{MAILJET}InboundRoutes": "agents-routes-08 agents-routes-16 agents-routes-22",
    },
    "azt3knet:mail:PlatformMail": {
        "": "platform",
        f"{MAILJET}Footprint": "platform-footprint",
        f"{MAILJET}Sender": "platform-sender-news@dev.agents.example",
        f"{MAILJET}EventCallback": "platform-bounce platform-spam",
    },
}


def test_urns_never_change(emulators: Emulators, tmp_path: Path) -> None:
    emulators.reset()
    stack = Stack.create(tmp_path, emulators, population=ROOT / "tests/fixtures/population-3.json")
    stack.configure(
        populations=[{"file": str(ROOT / "tests/fixtures/population-3.json"), "createdAt": "20241005123045"}],
        mailjetEvents=["bounce", "spam"],
        mailjetSenders=[{"email": "news@dev.agents.example", "name": "News"}],
        tlsReports=["tls@agents.example"],
    )
    steps = json.loads(stack.preview("--json").out)["steps"]
    urns = {step["urn"].removeprefix("urn:pulumi:dev::agentmail::") for step in steps}
    expected = {
        f"{component}${kind}::{name}" if kind else f"{component}::{name}"
        for component, kinds in FROZEN.items()
        for kind, names in kinds.items()
        for name in names.split()
    }
    assert {urn for urn in urns if urn.startswith("azt3knet:")} == expected
