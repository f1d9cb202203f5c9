"""An emulated Cloudflare on loopback, and the clients that the world uses with it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cloudflare
import dns.message
import dns.query
import dns.rdatatype
import dns.resolver
import httpx

from emulators.cloudflare import (
    ACCOUNT_ID,
    DEFAULT_ZONES,
    ZONE_ID,
    CloudflareEmulator,
    DnsServer,
    SeedZone,
    serve_dns,
)
from emulators.serving import ServerThread

TOKEN = "Emulated-token_0123456789abcdefghijklmnop"


@dataclass
class EmulatedCloudflare:
    """The emulator behind real sockets."""

    emulator: CloudflareEmulator
    server: ServerThread
    name_server: DnsServer
    http: httpx.Client
    clients: dict[str, cloudflare.Cloudflare] = field(default_factory=dict)

    @property
    def base(self) -> str:
        return f"{self.server.url}/client/v4"

    def client(self, token: str = TOKEN) -> cloudflare.Cloudflare:
        """The official client, without its retries."""
        if token not in self.clients:
            self.clients[token] = cloudflare.Cloudflare(api_token=token, base_url=self.base, max_retries=0)
        return self.clients[token]

    def call(self, method: str, path: str, body: object = None, *, token: str | None = TOKEN) -> httpx.Response:
        """A bare request: what the official client would not send, or hides."""
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        return self.http.request(method, self.base + path, json=body, headers=headers)

    def create(self, zone_id: str = ZONE_ID, **record: object) -> dict[str, Any]:
        answer = self.call("POST", f"/zones/{zone_id}/dns_records", record)
        assert answer.status_code == 200, answer.text
        result: dict[str, Any] = answer.json()["result"]
        return result

    def refused(self, zone_id: str = ZONE_ID, **record: object) -> list[int]:
        """The error codes that a new record is refused with."""
        answer = self.call("POST", f"/zones/{zone_id}/dns_records", record)
        assert answer.status_code == 400, answer.text
        assert answer.json()["success"] is False
        assert answer.json()["result"] is None
        return [error["code"] for error in answer.json()["errors"]]

    def ask(self, name: str, kind: str, **how: Any) -> dns.message.Message:
        query = dns.message.make_query(name, kind, **how)
        return dns.query.udp(query, self.name_server.host, port=self.name_server.port, timeout=5)

    def published(self, name: str, kind: str) -> set[str]:
        """The data of the answer's set of this type, in presentation form."""
        return {
            rdata.to_text()
            for rrset in self.ask(name, kind).answer
            if rrset.rdtype == dns.rdatatype.from_text(kind)
            for rdata in rrset
        }

    def resolver(self) -> dns.resolver.Resolver:
        resolver = dns.resolver.Resolver(configure=False)
        resolver.nameservers = [self.name_server.host]
        resolver.port = self.name_server.port
        resolver.lifetime = resolver.timeout = 5
        return resolver

    def tunnel(self, host: str, service: str, *, zone_id: str = ZONE_ID) -> str:
        """A tunnel to `service` with its proxied CNAME, as `up` makes them; returns its id."""
        created = self.call("POST", f"/accounts/{ACCOUNT_ID}/cfd_tunnel", {"name": host, "config_src": "cloudflare"})
        tunnel_id: str = created.json()["result"]["id"]
        ingress = [{"hostname": host, "service": service}, {"service": "http_status:404"}]
        configured = self.call(
            "PUT",
            f"/accounts/{ACCOUNT_ID}/cfd_tunnel/{tunnel_id}/configurations",
            {"config": {"ingress": ingress}},
        )
        assert configured.status_code == 200, configured.text
        self.create(
            zone_id,
            type="CNAME",
            name=host,
            content=f"{tunnel_id}.cfargotunnel.com",
            proxied=True,
            ttl=1,
        )
        return tunnel_id


@contextmanager
def running(
    folder: Path, *, zones: tuple[SeedZone, ...] = DEFAULT_ZONES, legacy_errors: bool = False
) -> Iterator[EmulatedCloudflare]:
    emulator = CloudflareEmulator(folder / "cloudflare.sqlite", token=TOKEN, zones=zones, legacy_errors=legacy_errors)
    name_server = serve_dns(emulator)
    with ServerThread(emulator.app) as server, httpx.Client(trust_env=False) as http:
        world = EmulatedCloudflare(emulator, server, name_server, http)
        yield world
        for client in world.clients.values():
            client.close()
    name_server.close()
    emulator.close()
