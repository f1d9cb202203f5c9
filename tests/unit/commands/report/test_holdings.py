"""What a stack holds, as it is told before a destroy."""

from __future__ import annotations

from typing import Any

from commands.report.holdings import holdings_text

STACK = {"urn": "urn:pulumi:dev::agentmail::pulumi:pulumi:Stack::agentmail-dev", "type": "pulumi:pulumi:Stack"}
RECORD = {
    "urn": "urn:pulumi:dev::agentmail::azt3knet:mail:MailDomain$cloudflare:index/dnsRecord:DnsRecord::mail-spf",
    "type": "cloudflare:index/dnsRecord:DnsRecord",
    "inputs": {"type": "TXT", "name": "dev.agents.example", "content": "v=spf1 -all"},
}


def told(*resources: dict[str, Any]) -> str:
    return holdings_text({"deployment": {"resources": list(resources)}}, stack="dev")


def test_nothing_is_not_told_as_a_stack_that_stays() -> None:
    for nothing in (told(), told(STACK), told(STACK, {**RECORD, "retainOnDelete": True})):
        assert nothing == "dev holds nothing.\n"
    assert holdings_text({}, stack="dev") == "dev holds nothing.\n"


def test_what_goes_is_named() -> None:
    assert "TXT   dev.agents.example  v=spf1 -all" in told(STACK, RECORD)
