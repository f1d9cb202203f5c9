"""What the stack's state knows of records and tunnels, from `pulumi stack export`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

RECORD_TYPE = "cloudflare:index/dnsRecord:DnsRecord"
TUNNEL_TYPE = "cloudflare:index/zeroTrustTunnelCloudflared:ZeroTrustTunnelCloudflared"
SENDER_DOMAIN_TYPE = "pulumi-python:dynamic/mailjet:SenderDomain"


@dataclass(frozen=True, kw_only=True)
class HeldRecord:
    """A DNS record that the state knows."""

    urn: str
    name: str
    id: str
    comment: str
    content: str = ""
    protected: bool = False
    retained: bool = False
    """Whether a destroy forgets it instead of deleting the record."""


@dataclass(frozen=True)
class StackState:
    """The part of a stack's state that an adoption looks at."""

    records: tuple[HeldRecord, ...] = ()
    tunnels: Mapping[str, str] = field(default_factory=dict)
    """Tunnel id -> resource name."""
    components: Mapping[str, str] = field(default_factory=dict)
    """Name of a component -> its URN."""
    parents: Mapping[str, int] = field(default_factory=dict)
    """URN -> how many resources lie directly below it."""
    ownership_name: str = ""
    """The name of Mailjet's ownership record; empty before the first `up`."""

    def by_id(self, record_id: str) -> HeldRecord | None:
        return next((record for record in self.records if record.id == record_id), None)

    def by_name(self, name: str) -> HeldRecord | None:
        return next((record for record in self.records if record.name == name), None)


def parse_state(export: Mapping[str, Any]) -> StackState:
    """The state in an export; an empty stack's has no resources at all."""
    deployment = export.get("deployment") or {}
    records, tunnels, components, ownership_name = [], {}, {}, ""
    parents: dict[str, int] = {}
    for resource in deployment.get("resources") or []:
        urn, type_ = str(resource["urn"]), str(resource["type"])
        name = urn.rsplit("::", 1)[-1]
        inputs = resource.get("inputs") or {}
        parent = str(resource.get("parent") or "")
        parents[parent] = parents.get(parent, 0) + 1
        if type_ == RECORD_TYPE:
            records.append(
                HeldRecord(
                    urn=urn,
                    name=name,
                    id=str(resource.get("id") or ""),
                    comment=str(inputs.get("comment") or ""),
                    content=str(inputs.get("content") or ""),
                    protected=bool(resource.get("protect")),
                    retained=bool(resource.get("retainOnDelete")),
                )
            )
        elif type_ == TUNNEL_TYPE:
            tunnels[str(resource.get("id") or "")] = name
        elif type_ == SENDER_DOMAIN_TYPE:
            ownership_name = str((resource.get("outputs") or {}).get("ownership_name") or "")
        elif not resource.get("custom"):
            components[name] = urn
    return StackState(tuple(records), tunnels, components, parents, ownership_name)
