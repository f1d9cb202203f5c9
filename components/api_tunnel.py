"""The way from the internet to the platform's webhook: a Cloudflare tunnel and the proxied CNAME that leads to it.

Three forms: a tunnel that this stack creates (its ingress and token too), an existing one that is only named, or none.
The sidecar that connects the tunnel (`cloudflared`) runs beside the platform, not here (deploy/docker-compose.yml).

A tunnel that is replaced (another account) or traded for an existing one leaves the CNAME in place: it is updated
between the creation of the new tunnel and the deletion of the old one. It must never be deleted before it is replaced.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pulumi

from components.cloudflare_questions import CloudflareQuestions
from components.cloudflare_sdk import DnsRecord, ZeroTrustTunnelCloudflared, ZeroTrustTunnelCloudflaredConfig
from components.ending import end_with
from components.failures import tunnel_token_sentence
from components.tunnel_survey import ask_about_tunnels, tunnel_guard
from components.zone_survey import ZoneSurvey
from settings.model import Settings
from settings.values import Dns, TunnelKind
from zone.names import tunnel_host
from zone.records import AUTOMATIC_TTL, Record, tunnel_record

if TYPE_CHECKING:
    from pulumi_cloudflare import ZeroTrustTunnelCloudflaredConfigConfigIngressArgsDict

INBOX_API_PATH = "^/v1/"
SEND_API_PATH = "^/v3\\.1/send$"
"""A regular expression, as cloudflared's ingress rules have it; nothing else of the gateway is on the internet."""


@dataclass(frozen=True, kw_only=True)
class ApiTunnelArgs:
    """What leads to the platform."""

    stack: str
    kind: TunnelKind
    tunnel_name: str
    account_id: str
    hostname: str
    service: str
    gateway: str
    """What the Send API's path leads to; empty for no such way."""
    inbox: str
    """What takes Mailjet's deliveries in the platform's place; empty for nothing."""
    inbox_paths: Sequence[str]
    """Regular expressions of what the inbox gets."""
    existing_cname: str
    zone_id: str
    comment: str
    protect: bool
    cloudflare_token: str = field(default="", repr=False)
    preview: bool = False
    guard: pulumi.ResourceHookBinding | None = None
    """Refuses to create what the zone has already."""

    @classmethod
    def of(cls, settings: Settings, zone: ZoneSurvey) -> ApiTunnelArgs:
        """The tunnel that the stack's settings describe."""
        return cls(
            stack=settings.stack,
            kind=settings.tunnel_kind,
            tunnel_name=settings.tag,
            account_id=settings.account_id,
            hostname=settings.tunnel_hostname,
            service=settings.tunnel_service,
            gateway=settings.gateway_service,
            inbox=settings.inbox_service,
            inbox_paths=(
                *(f"^{re.escape(path)}$" for path in settings.delivery_paths),
                *([INBOX_API_PATH] if settings.inbox_is_public else []),
            ),
            existing_cname=settings.tunnel_cname,
            zone_id=settings.zone_id if settings.dns is Dns.CLOUDFLARE else "",
            comment=settings.record_comment,
            protect=settings.protected,
            cloudflare_token=settings.cloudflare_api_token,
            preview=settings.preview,
            guard=zone.guard,
        )


class ApiTunnel(pulumi.ComponentResource):
    """A tunnel with ingress `hostname -> service`, its token (secret), and the proxied CNAME."""

    hostname: pulumi.Output[str]
    token: pulumi.Output[str]
    target: pulumi.Output[str]
    expected_records: pulumi.Output[list[Record]]

    def __init__(
        self,
        name: str,
        args: ApiTunnelArgs,
        after: Sequence[pulumi.Resource],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """`after`: what must be accepted before the first write to Cloudflare."""
        super().__init__("azt3knet:mail:ApiTunnel", name, None, opts)
        own = pulumi.ResourceOptions(parent=self, protect=args.protect, depends_on=list(after))
        self.hostname = pulumi.Output.from_input(args.hostname)
        self.token = pulumi.Output.secret("")
        self.target = pulumi.Output.from_input(args.existing_cname)
        before_cname: list[pulumi.Resource] = []

        if args.kind is TunnelKind.CREATED:
            questions = CloudflareQuestions(args.cloudflare_token)
            guard = self._guard(args, questions)
            tunnel = ZeroTrustTunnelCloudflared(
                f"{name}-tunnel",
                account_id=args.account_id,
                name=args.tunnel_name,
                config_src="cloudflare",
                opts=pulumi.ResourceOptions.merge(own, pulumi.ResourceOptions(hooks=guard)),
            )
            rules: list[ZeroTrustTunnelCloudflaredConfigConfigIngressArgsDict] = [
                {"hostname": args.hostname, "service": args.service},
                {"service": "http_status:404"},
            ]
            if args.inbox:
                rules[:0] = [
                    {"hostname": args.hostname, "path": path, "service": args.inbox} for path in args.inbox_paths
                ]
            if args.gateway:
                rules.insert(0, {"hostname": args.hostname, "path": SEND_API_PATH, "service": args.gateway})
            ingress = ZeroTrustTunnelCloudflaredConfig(
                f"{name}-ingress",
                account_id=args.account_id,
                tunnel_id=tunnel.id,
                config={"ingresses": rules},
                opts=pulumi.ResourceOptions.merge(
                    own, pulumi.ResourceOptions(hooks=pulumi.ResourceHookBinding(on_error=guard.on_error))
                ),
            )
            self.target = tunnel.id.apply(tunnel_host)
            self.token = pulumi.Output.secret(
                tunnel.id.apply(lambda tunnel_id: self._token(args, questions, tunnel_id))
            )
            # No request may arrive before the tunnel knows where it goes.
            before_cname = [ingress]
        if args.kind is not TunnelKind.NONE and args.zone_id:
            DnsRecord(
                f"{name}-cname",
                zone_id=args.zone_id,
                name=args.hostname,
                type="CNAME",
                content=self.target,
                ttl=AUTOMATIC_TTL,
                proxied=True,
                comment=args.comment,
                opts=pulumi.ResourceOptions.merge(
                    own, pulumi.ResourceOptions(depends_on=before_cname, hooks=args.guard)
                ),
            )
        self.expected_records = self.target.apply(
            lambda target: [tunnel_record(hostname=args.hostname, target=target)] if target else []
        )
        self.register_outputs({"hostname": self.hostname})

    @staticmethod
    def _guard(args: ApiTunnelArgs, questions: CloudflareQuestions) -> pulumi.ResourceHookBinding:
        return tunnel_guard(
            questions, account_id=args.account_id, tunnel_name=args.tunnel_name, stack=args.stack, preview=args.preview
        )

    @staticmethod
    def _token(args: ApiTunnelArgs, questions: CloudflareQuestions, tunnel_id: str) -> pulumi.Output[str]:
        """The token that cloudflared runs the tunnel with.

        Cloudflare shows it only to who may change the tunnel; a preview with less than that leaves it unknown.
        """

        async def read() -> str | None:
            try:
                return await ask_about_tunnels(
                    lambda: questions.tunnel_token(args.account_id, tunnel_id),
                    told=lambda error: tunnel_token_sentence(error, args.tunnel_name),
                    preview=args.preview,
                )
            except pulumi.RunError as error:
                end_with(str(error))

        reading = asyncio.ensure_future(read())

        async def value() -> str:
            return await reading or ""

        async def is_known() -> bool:
            return await reading is not None

        return pulumi.Output(set(), asyncio.ensure_future(value()), asyncio.ensure_future(is_known()))
