"""What the doctor knows before it looks: settings and outputs together."""

from __future__ import annotations

import pytest

from azmail.errors import AzmailError
from commands.doctor.stack import NeverUpError, examine
from settings.loading import from_config
from tests.unit.azmail.conftest import packed_mailboxes
from tests.unit.commands.doctor.world import mailboxes, settings

OUTPUTS = {
    "contractVersion": "2.0",
    "domain": "mail.agents.example",
    "mailboxCount": 3,
    "mailboxes": packed_mailboxes(
        {"smtp_host": "mail-gateway", "smtp_port": 587, "inbound_url": "", "inbound_secret": ""},
        {box.agent_id: box.address for box in mailboxes()},
        {box.agent_id: "s3cr3t" for box in mailboxes()},
    ),
    "platformEnv": {"MAILJET_API_KEY": "key", "MAILJET_API_SECRET": "s3cr3t", "AZT3KNET_DOMAIN": "mail.agents.example"},
    "expectedRecords": [
        {"name": "Mail.agents.example.", "type": "TXT", "content": '"v=spf1" " -all"', "ttl": 300, "proxied": False, "why": "w"},
        {"name": "mail.agents.example", "type": "MX", "content": "parse.mailjet.com.", "priority": 10, "ttl": 300,
         "proxied": False, "why": "w"},
        {"name": "api.agents.example", "type": "CNAME", "content": "6ff42ae2.cfargotunnel.com", "ttl": 1, "proxied": True,
         "why": "w"},
    ],
    "dkimStatus": "OK",
    "spfStatus": "OK",
    "tunnelHostname": "api.agents.example",
    "tunnelToken": "",
    "webhookUrl": "https://api.agents.example/in",
}  # fmt: skip


def test_records_are_compared_as_resolvers_answer_them() -> None:
    spf, mx, cname = examine("dev", settings(), OUTPUTS).records
    assert (spf.name, spf.answer) == ("mail.agents.example", "v=spf1 -all")
    assert mx.answer == "10 parse.mailjet.com"
    assert cname.proxied


def test_the_tunnel_is_known_by_its_name() -> None:
    examined = examine("dev", settings(), OUTPUTS)
    assert examined.tunnel_id == "6ff42ae2"
    assert len(examined.addresses) == 3


def test_a_stack_on_anothers_domain_borrows_it() -> None:
    guest = from_config({"domainStack": "prod", "webhookSecret": "w" * 32}, stack="guest", preview=True)
    examined = examine("guest", guest, {**OUTPUTS, "expectedRecords": []})
    assert examined.settings.domain == "mail.agents.example"
    assert examined.settings.route_identity == "https://agentmail-guest@api.agents.example/in"


def test_before_the_first_up() -> None:
    with pytest.raises(NeverUpError, match=r"create it with: \./mail apply dev"):
        examine("dev", settings(), {})


def test_outputs_of_another_version() -> None:
    with pytest.raises(AzmailError):
        examine("dev", settings(), {**OUTPUTS, "contractVersion": "9.0"})


def test_no_credential_in_its_repr() -> None:
    assert "smtp_password" not in repr(examine("dev", settings(), OUTPUTS))
