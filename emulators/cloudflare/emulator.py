"""One emulated Cloudflare account: REST API, DNS and edge over the same state."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from starlette.types import ASGIApp

from emulators.cloudflare.account import Account, system_clock
from emulators.cloudflare.answers import answer, records_for
from emulators.cloudflare.edge import Destination, Edge, EdgeError
from emulators.cloudflare.errors import TunnelNotFoundError
from emulators.cloudflare.rest import RestApi
from emulators.cloudflare.seed import ACCOUNT_ID, DEFAULT_ZONES, SeedZone
from emulators.cloudflare.tokens import Permission, Token
from emulators.cloudflare.tunnels import tunnel_id_of


class CloudflareEmulator:
    """The account behind `app` (REST under `/client/v4`), `answer` (DNS) and `edge_app` (proxy and tunnels).

    `database` is a path or a connection made with `check_same_thread=False`; an empty one gets the seed, another is
    taken up as it is. `token` has every right. All methods may be called from any thread.
    `legacy_errors` refuses records as the API did until 2024: 1004 with an `error_chain`, 81057 for 81058.
    """

    def __init__(
        self,
        database: sqlite3.Connection | str | Path,
        *,
        token: str,
        zones: Sequence[SeedZone] = DEFAULT_ZONES,
        account_id: str = ACCOUNT_ID,
        legacy_errors: bool = False,
        clock: Callable[[], datetime] = system_clock,
    ) -> None:
        self.account = Account(database, account_id=account_id, token=token, zones=zones, clock=clock)
        self.app: ASGIApp = RestApi(self.account, legacy_errors=legacy_errors).app()
        self.edge_app = Edge(self._destination)

    def close(self) -> None:
        """Close the database."""
        self.account.close()

    def state(self) -> dict[str, Any]:
        """Zones, records, tunnels and tokens in a fixed order, without a secret."""
        return self.account.state()

    def reset(self) -> None:
        """Back to the seed."""
        self.account.reset()

    def reseed(self, zones: Sequence[SeedZone]) -> None:
        """Another seed, and back to it."""
        self.account.reseed(zones)

    def add_token(
        self, *, permissions: frozenset[Permission], zones: frozenset[str] | None = None, name: str = ""
    ) -> tuple[Token, str]:
        """A token with fewer rights, and its value; `POST /user/tokens` does the same over HTTP."""
        return self.account.add_token(permissions=permissions, zones=zones, name=name)

    def answer(self, dns_query: bytes, *, udp: bool) -> bytes:
        """The DNS answer to a query, both in wire format; empty where nothing may be answered."""
        return answer(self.account, dns_query, udp=udp)

    def tunnel_for(self, hostname: str, path: str = "/") -> str | None:
        """The service that requests for `hostname` reach through the edge, such as `http://127.0.0.1:8800`.

        It may also be cloudflared's `http_status:404`. None where the host is not a proxied CNAME to an existing
        tunnel: a client that gets None must not connect to the edge for it.
        """
        try:
            return self._destination(hostname.rstrip(".").lower(), path).rule.service
        except EdgeError:
            return None

    def _destination(self, hostname: str, path: str) -> Destination:
        with self.account.lock:
            alias = next((one for one in records_for(self.account, hostname) if one.proxied), None)
            if alias is None:
                raise EdgeError.numbered(409, 1001)
            zone = self.account.zone_of(hostname)
            if zone is not None and hostname.removesuffix(zone.name).count(".") > 1:
                # Universal SSL covers the zone and one level below: the handshake fails before any request.
                raise EdgeError.numbered(525, 525)
            tunnel_id = tunnel_id_of(alias.content)
            if tunnel_id is None:
                # A proxied host whose origin is elsewhere: the emulated edge reaches nothing outside (523).
                raise EdgeError.numbered(523, 523)
            try:
                tunnel = self.account.tunnel(tunnel_id, deleted=False)
            except TunnelNotFoundError:
                raise EdgeError.numbered(530, 1033) from None
            rule = tunnel.rule_for(hostname, path)
            if rule is None:
                # cloudflared without any ingress rule answers 503 to everything.
                raise EdgeError(503, "")
            return Destination(tunnel_id=tunnel_id, rule=rule)
