"""Tunnels: what the API accepts and answers, and which ingress rule serves a request.

The rules are those of cloudflared's documentation ("Ingress rules"): the first match wins, the last rule must match
everything, a hostname may begin with `*.`, a path is a regular expression.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from emulators.cloudflare.errors import TunnelConfigInvalidError, TunnelInvalidError

TUNNEL_DOMAIN = "cfargotunnel.com"
_WORDS = frozenset({"hello_world", "hello-world", "bastion", "socks-proxy"})
_SCHEMES = frozenset({"http", "https", "ws", "wss", "tcp", "ssh", "rdp", "smb"})


@dataclass(frozen=True, kw_only=True)
class Connection:
    """A running connector, as `connections` of a tunnel lists it."""

    id: str
    opened_at: str
    origin_ip: str = "127.0.0.1"

    def as_json(self) -> dict[str, object]:
        return {
            "id": self.id,
            "uuid": self.id,
            "client_id": self.id,
            "client_version": "2026.1.0",
            "colo_name": "lo01",
            "is_pending_reconnect": False,
            "opened_at": self.opened_at,
            "origin_ip": self.origin_ip,
        }


@dataclass(frozen=True, kw_only=True)
class StoredTunnel:
    """A tunnel with its secret, configuration and connectors."""

    id: str
    account_id: str
    name: str
    secret: str
    config_src: str
    created_at: str
    deleted_at: str | None = None
    config: Mapping[str, object] | None = None
    version: int = 0
    configured_at: str | None = None
    connections: tuple[Connection, ...] = ()
    active_at: str | None = None
    inactive_at: str | None = None

    @property
    def token(self) -> str:
        """What `cloudflared tunnel run --token` takes."""
        content = {"a": self.account_id, "t": self.id, "s": self.secret}
        return base64.b64encode(json.dumps(content, separators=(",", ":")).encode()).decode()

    @property
    def status(self) -> str:
        if self.connections:
            return "healthy"
        return "down" if self.inactive_at is not None else "inactive"

    def as_json(self) -> dict[str, object]:
        return {
            "id": self.id,
            "account_tag": self.account_id,
            "created_at": self.created_at,
            "deleted_at": self.deleted_at,
            "name": self.name,
            "connections": [one.as_json() for one in self.connections],
            "conns_active_at": self.active_at,
            "conns_inactive_at": self.created_at if self.status == "inactive" else self.inactive_at,
            "tun_type": "cfd_tunnel",
            "metadata": {},
            "status": self.status,
            "remote_config": self.config_src == "cloudflare",
            "config_src": self.config_src,
        }

    def configuration(self) -> dict[str, object]:
        """The answer of the configurations endpoint."""
        config = None if self.config is None else {**self.config, "warp-routing": {"enabled": False}}
        return {
            "tunnel_id": self.id,
            "account_id": self.account_id,
            "version": self.version,
            "config": config,
            "source": self.config_src,
            "created_at": self.configured_at or self.created_at,
        }

    def stored(self) -> dict[str, object]:
        return {
            "id": self.id,
            "account_id": self.account_id,
            "name": self.name,
            "secret": self.secret,
            "config_src": self.config_src,
            "created_at": self.created_at,
            "deleted_at": self.deleted_at,
            "config": None if self.config is None else dict(self.config),
            "version": self.version,
            "configured_at": self.configured_at,
        }

    @staticmethod
    def from_stored(stored: Mapping[str, object]) -> StoredTunnel:
        """The tunnel that `stored` wrote; connectors do not outlive the process."""
        return StoredTunnel(**stored)  # type: ignore[arg-type]

    def connected(self, connection: Connection) -> StoredTunnel:
        return replace(
            self, connections=(*self.connections, connection), active_at=connection.opened_at, inactive_at=None
        )

    def disconnected(self, now: str) -> StoredTunnel:
        if not self.connections:
            return self
        return replace(self, connections=(), active_at=None, inactive_at=now)

    def rule_for(self, hostname: str, path: str) -> IngressRule | None:
        """The first ingress rule that matches; None where the tunnel has no configuration yet."""
        return next((rule for rule in ingress_of(self.config or {}) if rule.matches(hostname, path)), None)


@dataclass(frozen=True, kw_only=True)
class IngressRule:
    service: str
    hostname: str = ""
    path: str = ""
    host_header: str | None = None
    connect_timeout: float | None = None
    verify_tls: bool = True

    def matches(self, hostname: str, path: str) -> bool:
        pattern = self.hostname.lower()
        under = pattern.startswith("*.") and hostname.endswith(pattern[1:])
        fits = under or pattern in {"", "*", hostname}
        return fits and (not self.path or re.search(self.path, path) is not None)

    @property
    def fixed_status(self) -> int | None:
        """The status of a `http_status:NNN` service."""
        kind, _, status = self.service.partition(":")
        return int(status) if kind == "http_status" else None


def ingress_of(config: Mapping[str, object]) -> list[IngressRule]:
    """The rules of a configuration that `checked_config` accepted."""
    rules = config.get("ingress")
    defaults = config.get("originRequest")
    found = []
    for rule in rules if isinstance(rules, list) else []:
        own = rule.get("originRequest")
        origin = {**(defaults if isinstance(defaults, Mapping) else {}), **(own if isinstance(own, Mapping) else {})}
        timeout = origin.get("connectTimeout")
        found.append(
            IngressRule(
                service=str(rule["service"]),
                hostname=str(rule.get("hostname") or ""),
                path=str(rule.get("path") or ""),
                host_header=str(origin["httpHostHeader"]) if origin.get("httpHostHeader") else None,
                connect_timeout=float(timeout) if isinstance(timeout, int | float) else None,
                verify_tls=not origin.get("noTLSVerify", False),
            )
        )
    return found


def checked_config(given: object) -> dict[str, object]:
    """A configuration as cloudflared would accept it. Raises TunnelConfigInvalidError."""
    if not isinstance(given, Mapping):
        raise TunnelConfigInvalidError("config must be an object")
    config = {name: value for name, value in given.items() if value is not None}
    ingress = config.get("ingress")
    if ingress is None:
        return config
    if not isinstance(ingress, list) or not all(isinstance(rule, Mapping) for rule in ingress):
        raise TunnelConfigInvalidError("ingress must be a list of rules")
    for number, rule in enumerate(ingress, start=1):
        _check_rule(rule, number=number, last=number == len(ingress))
    config["ingress"] = [{name: value for name, value in rule.items() if value is not None} for rule in ingress]
    return config


def _check_rule(rule: Mapping[str, object], *, number: int, last: bool) -> None:
    hostname, path, service = (rule.get(name) or "" for name in ("hostname", "path", "service"))
    if not all(isinstance(value, str) for value in (hostname, path, service)):
        raise TunnelConfigInvalidError(f"Rule #{number}: hostname, path and service must be texts")
    hostname, path, service = str(hostname), str(path), str(service)
    if ":" in hostname:
        raise TunnelConfigInvalidError(f"Rule #{number}: Hostname cannot contain a port")
    if "*" in hostname.removeprefix("*") or (hostname.startswith("*") and hostname[1:2] not in {"", "."}):
        raise TunnelConfigInvalidError(
            f"Rule #{number}: a hostname can have one wildcard only, for subdomains, such as *.example.com"
        )
    matches_all = hostname in {"", "*"} and not path
    if last and not matches_all:
        raise TunnelConfigInvalidError(
            "The last ingress rule must match all URLs (i.e. it should not have a hostname or path filter)"
        )
    if matches_all and not last:
        raise TunnelConfigInvalidError(
            f"Rule #{number} matches every hostname, so the rules that follow it can never be triggered"
        )
    try:
        re.compile(path)
    except re.error as wrong:
        raise TunnelConfigInvalidError(f"Rule #{number} has an invalid regex: {wrong}") from None
    _check_service(service, number)


def _check_service(service: str, number: int) -> None:
    kind, _, status = service.partition(":")
    if kind == "http_status":
        if not re.fullmatch(r"[1-9]\d\d", status):
            raise TunnelConfigInvalidError(f"Rule #{number}: {service} has an invalid HTTP status code")
        return
    if service in _WORDS or kind in {"unix", "unix+tls"}:
        return
    parts = urlsplit(service)
    if parts.scheme not in _SCHEMES or not parts.hostname:
        raise TunnelConfigInvalidError(
            f"Rule #{number}: {service} is an invalid address, please make sure it has a scheme and a hostname"
        )
    if parts.path not in {"", "/"}:
        raise TunnelConfigInvalidError(
            f"Rule #{number}: {service} is an invalid address, ingress rules don't support proxying to a"
            " different path on the origin service"
        )


def checked_name(given: object) -> str:
    if not isinstance(given, str) or not given.strip():
        raise TunnelInvalidError("name is a required field")
    return given


def checked_secret(given: object) -> str:
    """A tunnel secret: at least 32 bytes in base64, as the API asks."""
    try:
        decoded = base64.b64decode(given, validate=True) if isinstance(given, str) else b""
    except binascii.Error:
        decoded = b""
    if len(decoded) < 32:
        raise TunnelInvalidError("tunnel_secret must be at least 32 bytes in base64")
    return str(given)


def tunnel_id_of(target: str) -> str | None:
    """The tunnel that a CNAME's content points at."""
    tunnel_id, _, domain = target.partition(".")
    return tunnel_id if domain == TUNNEL_DOMAIN else None


def by_name(tunnels: Sequence[StoredTunnel], name: str) -> StoredTunnel | None:
    return next((one for one in tunnels if one.name == name and one.deleted_at is None), None)
