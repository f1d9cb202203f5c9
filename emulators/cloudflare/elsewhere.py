"""Names outside of the account's zones that mail checks ask for, so that they work without the Internet.

Addresses are of the documentation networks (RFC 5737, RFC 3849): nothing that resolves here can be reached.
"""

from __future__ import annotations

import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.reversename

# What a proxied host answers. Cloudflare's own addresses would send a careless client to the Internet.
EDGE_ADDRESSES = {"A": ("198.51.100.1", "198.51.100.2"), "AAAA": ("2001:db8:cf::1", "2001:db8:cf::2")}
# What an existing tunnel's name answers: Cloudflare's unique local address, reachable through the proxy only.
TUNNEL_ADDRESS = "fd10:aec2:5dae::"

TTL = 300

_ZONES: dict[str, dict[str, dict[str, tuple[str, ...]]]] = {
    "mailjet.com": {
        "mailjet.com": {
            "MX": ("10 parse.mailjet.com.",),
            "TXT": ('"v=spf1 include:spf.mailjet.com -all"',),
            "A": ("192.0.2.20",),
        },
        "spf.mailjet.com": {"TXT": ('"v=spf1 ip4:192.0.2.0/25 ip4:198.51.100.128/25 ~all"',)},
        "parse.mailjet.com": {"A": ("192.0.2.21", "192.0.2.22")},
        "in.mailjet.com": {"A": ("192.0.2.23",)},
        "in-v3.mailjet.com": {"A": ("192.0.2.24",)},
        "bnc3.mailjet.com": {
            "A": ("192.0.2.25",),
            "MX": ("10 parse.mailjet.com.",),
            "TXT": ('"v=spf1 include:spf.mailjet.com ~all"',),
        },
    },
    "cloudflare.com": {
        "ada.ns.cloudflare.com": {"A": ("192.0.2.53",), "AAAA": ("2001:db8:53::1",)},
        "bob.ns.cloudflare.com": {"A": ("192.0.2.54",), "AAAA": ("2001:db8:53::2",)},
    },
    "corp.example": {
        "_spf.corp.example": {"TXT": ('"v=spf1 ip4:203.0.113.0/24 -all"',)},
        "mx1.corp.example": {"A": ("203.0.113.25",)},
    },
}


def rdatas(kind: str, texts: tuple[str, ...]) -> list[dns.rdata.Rdata]:
    rdtype = dns.rdatatype.from_text(kind)
    return [
        dns.rdata.from_text(dns.rdataclass.IN, rdtype, text, origin=dns.name.root, relativize=False) for text in texts
    ]


def _reverse() -> dict[str, dict[str, dict[str, tuple[str, ...]]]]:
    """The reverse zones of the IPv4 addresses above: mail checks ask who a mail exchanger is."""
    zones: dict[str, dict[str, dict[str, tuple[str, ...]]]] = {}
    for names in _ZONES.values():
        for name, types in names.items():
            for address in types.get("A", ()):
                pointer = dns.reversename.from_address(address).to_text(omit_final_dot=True)
                zones.setdefault(pointer.partition(".")[2], {})[pointer] = {"PTR": (name + ".",)}
    return zones


# apex -> name -> type -> data
ELSEWHERE = {
    apex: {name: {kind: rdatas(kind, texts) for kind, texts in types.items()} for name, types in names.items()}
    for apex, names in (_ZONES | _reverse()).items()
}


def apex_elsewhere(name: str) -> str | None:
    return next((apex for apex in ELSEWHERE if name == apex or name.endswith("." + apex)), None)
