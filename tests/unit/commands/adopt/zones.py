"""Random zones: a domain in use, with whatever its owner and other services have put there."""

from __future__ import annotations

import random
from typing import Any

DOMAINS = ("dev.agents.example", "agents.example", "mail.dev.agents.example")
HOST = "api-dev.agents.example"

_SPF = (
    "v=spf1 mx -all",
    "v=spf1 include:_spf.corp.example ~all",
    "V=SPF1 a mx:agents.example ip4:192.0.2.0/24 ?all",
    "v=spf1 redirect=_spf.corp.example",
    "v=spf1",
    "v=spf1 ptr exp=why.corp.example +all",
    "v=spf1 " + " ".join(f"ip4:198.51.100.{number}" for number in range(18)) + " -all",
    "v=spf1 include:spf.mailjet.com ~all",
)
_DMARC = (
    "v=DMARC1; p=reject; rua=mailto:dmarc@corp.example!10m",
    "v=DMARC1;p=quarantine;sp=none;pct=50;adkim=s",
    "v=DMARC1; p=none",
    "v=DMARC1; p=reject; ruf=mailto:f@agents.example; fo=1; np=reject; ri=3600",
)
_TEXTS = (
    "google-site-verification=Jq3Kd0Zb7v2mWn8sYtR5cX1aLpE6uHfG9oVi4NxTzQk",
    "MS=ms12345678",
    "apple-domain=abcDEF0123",
    "v=spf10 is none",
    'say "hello" \\ goodbye',
    "x" * 300,
    "_globalsign-domain-verification=abc",
)
_OWN_COMMENTS = (
    None,
    "",
    "made by hand",
    "managed by terraform",
    "Managed by Pulumi: agentmail-dev",
    "managed by pulumi:agentmail-dev",
)


def quotings(text: str, chance: random.Random) -> str:
    """The same text as different people type it: bare, quoted, in several strings."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    forms = [f'"{escaped}"']
    if '"' not in text and "\\" not in text:
        cut = chance.randrange(1, len(text)) if len(text) > 1 else 1
        forms += [text, f'"{text[:cut]}" "{text[cut:]}"', f'"{text[:cut]}"  "{text[cut:]}"']
    return chance.choice(forms)


def record(name: str, type_: str, content: str, chance: random.Random, priority: int | None = None) -> dict[str, Any]:
    """The body that makes a record."""
    return {
        "name": name,
        "type": type_,
        "content": content,
        "ttl": chance.choice([1, 60, 300, 3600]),
        "priority": priority,
        "proxied": False,
        "comment": chance.choice(_OWN_COMMENTS),
    }


def random_zone(chance: random.Random, domain: str) -> list[dict[str, Any]]:
    """Bodies of the records of a zone, in random order; not all of them may stand beside each other."""
    made = []
    if chance.random() < 0.6:
        hosts = ["mx1.corp.example", "mx2.corp.example", "Parse.Mailjet.com", ".", "in-v3.mailjet.com"]
        made += [
            record(domain, "MX", host, chance, chance.choice([0, 5, 10, 20]))
            for host in chance.sample(hosts, chance.randint(1, 3))
        ]
    made += [
        record(domain, "TXT", quotings(chance.choice(_SPF), chance), chance)
        for _ in range(chance.choice([0, 0, 1, 1, 1, 2]))
    ]
    made += [
        record(f"_dmarc.{domain}", "TXT", quotings(chance.choice(_DMARC), chance), chance)
        for _ in range(chance.choice([0, 0, 1, 1, 2]))
    ]
    if chance.random() < 0.2:
        made.append(record(f"mailjet._domainkey.{domain}", "TXT", quotings("k=rsa; p=OLD", chance), chance))
    if chance.random() < 0.2:
        made.append(record(f"mailjet._deadbeef.{domain}", "TXT", quotings("deadbeef" * 4, chance), chance))
    if chance.random() < 0.3:
        made.append(record(HOST, "CNAME", chance.choice(["old.corp.example", "OLD.cfargotunnel.com"]), chance))
    if chance.random() < 0.05:
        made.append(record(HOST, "A", "192.0.2.1", chance))
    if chance.random() < 0.05:
        made.append(record(f"_dmarc.{domain}", "CNAME", "dmarc.corp.example", chance))
    if chance.random() < 0.03:
        theirs = record(f"_dmarc.{domain}", "TXT", "v=DMARC1; p=none", chance)
        made.append({**theirs, "comment": "managed by pulumi: agentmail-prod"})
    made += _unrelated(chance, domain)
    chance.shuffle(made)
    return made


def _unrelated(chance: random.Random, domain: str) -> list[dict[str, Any]]:
    """What must never change, much of it close to what may."""
    close = [
        record("agents.example", "A", "192.0.2.10", chance),
        record("www.agents.example", "CNAME", "agents.example", chance),
        record(f"*.{domain}", "MX", "mx1.corp.example", chance, 10),
        record("*.agents.example", "CNAME", "agents.example", chance),
        record(f"*.{domain}", "TXT", "v=spf1 -all", chance),
        record(f"sub.{domain}", "MX", "mx1.corp.example", chance, 10),
        record(f"sub.{domain}", "TXT", "v=spf1 -all", chance),
        record(f"_dmarc.sub.{domain}", "TXT", "v=DMARC1; p=reject", chance),
        record(f"mailjet._domainkey.sub.{domain}", "TXT", "k=rsa; p=SUB", chance),
        record(f"google._domainkey.{domain}", "TXT", "k=rsa; p=GOOGLE", chance),
        record(f"_smtp._tls.{domain}", "TXT", "v=TLSRPTv1; rua=mailto:t@corp.example", chance),
        record(f"_dmarc.{domain}", "TXT", "other-service=1", chance),
        record("not" + domain, "MX", "mx1.corp.example", chance, 10)
        if domain != "agents.example"
        else record("notdev.agents.example", "MX", "mx1.corp.example", chance, 10),
        record(HOST, "TXT", "host-note", chance),
        record(domain, "A", "192.0.2.11", chance)
        if domain != "agents.example"
        else record("agents.example", "AAAA", "2001:db8::1", chance),
    ]
    close += [record(domain, "TXT", quotings(text, chance), chance) for text in _TEXTS]
    return chance.sample(close, chance.randint(0, len(close)))
