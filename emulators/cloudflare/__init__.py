"""The emulated Cloudflare: REST API, its zones as real DNS, and the edge in front of tunnels.

`answer` and the DNS server speak for every zone of the account and for a few names elsewhere that mail checks need
(elsewhere.py). A proxied host answers the edge's addresses, which are of the documentation networks and cannot be
reached: whoever delivers to such a host connects to the edge's port with the Host header, and asks
`CloudflareEmulator.tunnel_for` whether there is a tunnel.
"""

from emulators.cloudflare.dns_server import DnsServer, PortTakenError, serve_dns
from emulators.cloudflare.emulator import CloudflareEmulator
from emulators.cloudflare.records import ZonePlan
from emulators.cloudflare.rest import fold_path
from emulators.cloudflare.seed import ACCOUNT_ID, DEFAULT_ZONES, ZONE_ID, ZONE_NAME, SeedZone
from emulators.cloudflare.tokens import DNS_READ_ONLY, DNS_WITHOUT_TUNNEL, EVERYTHING, Permission

__all__ = [
    "ACCOUNT_ID",
    "DEFAULT_ZONES",
    "DNS_READ_ONLY",
    "DNS_WITHOUT_TUNNEL",
    "EVERYTHING",
    "ZONE_ID",
    "ZONE_NAME",
    "CloudflareEmulator",
    "DnsServer",
    "Permission",
    "PortTakenError",
    "SeedZone",
    "ZonePlan",
    "fold_path",
    "serve_dns",
]
