"""One typed, validated `Settings`: the stack's configuration, and what follows from it.

Every key stands in the project's own namespace (`agentmail:`), because `Pulumi.yaml` may type only such keys and
the official Cloudflare plugin refuses keys under `cloudflare:` that it does not know (decision record 001).
`Pulumi.yaml` declares each key with its default; a test keeps the two lists equal.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urljoin, urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from mailboxes import remedies
from mailboxes.passwords import parse_roots
from settings.urls import is_loopback
from settings.values import (
    PROJECT,
    SUPERSEDED,
    ApiKey,
    Dns,
    DomainName,
    EnvText,
    HexId,
    Host,
    InboundAuth,
    MailEventType,
    NeighbourUrl,
    SecureUrl,
    Stamp,
    SubmissionKind,
    Token,
    Ttl,
    TunnelKind,
    Url,
    UrlPath,
    checked_owner_tag,
    from_json,
    removal_consent,
    root_secrets,
    spf_include,
    url_safe_secret,
)
from zone.dmarc import DmarcPolicy
from zone.names import host_beside, is_tunnel_host, is_within
from zone.survey import ZoneNeeds


class PopulationSetting(BaseModel):
    """A population of this stack: its file, and what stands in for the file's own seed and stamp."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, validate_by_name=True, coerce_numbers_to_str=True
    )

    file: Path
    seed: str | None = None
    created_at: Stamp | None = None


class AdoptedRecord(BaseModel):
    """A record that belonged to somebody else and that `./mail adopt` has imported into the state."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, validate_by_name=True)

    name: str
    """The resource's name: that of a declared one, or `superseded-…` for what the next `up` deletes."""
    id: HexId
    protected: bool = True
    """Whether the state still protects it from deletion."""

    @property
    def is_superseded(self) -> bool:
        return self.name.startswith(SUPERSEDED)


class NamedSender(BaseModel):
    """A single sender address with the name that recipients see."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    email: Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+$")]
    name: Annotated[str, Field(min_length=1)]


class SendLimits(BaseModel):
    """The most that may be sent through the gateway; 0 is no limit."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, validate_by_name=True)

    messages_an_hour: Annotated[int, Field(ge=0)] = 0
    messages_a_day: Annotated[int, Field(ge=0)] = 0
    recipients_an_hour: Annotated[int, Field(ge=0)] = 0
    recipients_a_day: Annotated[int, Field(ge=0)] = 0


class Settings(BaseModel):
    """The stack's configuration, field by field as `Pulumi.yaml` describes it; secrets are excluded from `repr`."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        validate_by_name=True,
        hide_input_in_errors=True,
    )

    stack: str
    preview: bool

    domain: DomainName = ""
    domain_stack: Annotated[str, Field(pattern=r"^([A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+/)?[A-Za-z0-9_.-]+$")] = ""
    owner_tag: Annotated[str, AfterValidator(checked_owner_tag)] = ""
    protected: bool = False

    dns: Dns = Dns.CLOUDFLARE
    zone_id: HexId = ""
    zone_name: DomainName = ""
    account_id: HexId = ""
    ttl: Ttl = 300
    cloudflare_api_token: Token = Field(default="", repr=False)
    replace_foreign_mx: bool = False
    adopted_records: Annotated[list[AdoptedRecord], BeforeValidator(from_json)] = []

    mailjet_api_url: SecureUrl = "https://api.mailjet.com"
    mailjet_api_key: ApiKey = Field(default="", repr=False)
    mailjet_api_secret: ApiKey = Field(default="", repr=False)
    mailjet_smtp_host: Host = "in-v3.mailjet.com"
    mailjet_smtp_port: Annotated[int, Field(ge=1, le=65535)] = 587
    mailjet_mx_hosts: Annotated[list[DomainName], BeforeValidator(from_json), Field(min_length=1)] = [
        "parse.mailjet.com"
    ]
    mx_preference: Annotated[int, Field(ge=0, le=65535)] = 10
    mailjet_spf_include: Annotated[str, AfterValidator(spf_include)] = "include:spf.mailjet.com"
    mailjet_delete_sender: bool = False
    mailjet_take_over_routes: bool = False
    mailjet_senders: Annotated[list[NamedSender], BeforeValidator(from_json)] = []
    mailjet_events: Annotated[list[MailEventType], BeforeValidator(from_json)] = []

    submission: SubmissionKind = SubmissionKind.MAILJET
    gateway_host: Host = "mail-gateway"
    gateway_port: Annotated[int, Field(ge=1, le=65535)] = 587
    gateway_api_url: SecureUrl = ""
    gateway_service: Url = ""
    gateway_roots: Annotated[str, AfterValidator(root_secrets)] = Field(default="", repr=False)
    gateway_agent_limits: Annotated[SendLimits, BeforeValidator(from_json)] = SendLimits(messages_an_hour=100)
    gateway_account_limits: Annotated[SendLimits, BeforeValidator(from_json)] = SendLimits()

    inbox_service: NeighbourUrl = ""
    inbox_url: NeighbourUrl = ""

    spf_mechanisms: Annotated[list[str], BeforeValidator(from_json)] = []
    spf_qualifier: Literal["+", "?", "~", "-"] = "~"
    dmarc_policy: Literal["none", "quarantine", "reject"] = "none"
    dmarc_subdomain_policy: Literal["", "none", "quarantine", "reject"] = ""
    dmarc_dkim_alignment: Literal["", "r", "s"] = ""
    dmarc_spf_alignment: Literal["", "r", "s"] = ""
    dmarc_aggregate_reports: Annotated[list[str], BeforeValidator(from_json)] = []
    dmarc_failure_reports: Annotated[list[str], BeforeValidator(from_json)] = []
    dmarc_failure_options: Annotated[str, Field(pattern=r"^([01ds](:[01ds])*)?$")] = ""
    tls_reports: Annotated[list[str], BeforeValidator(from_json)] = []

    verification: Literal["require", "warn", "off"] = "require"
    verification_timeout_seconds: Annotated[int, Field(ge=1, le=86400)] = 600

    tunnel_hostname: DomainName = ""
    tunnel_service: Url = "http://api:8000"
    tunnel_cname: DomainName = ""

    webhook_url: SecureUrl = ""
    webhook_path: UrlPath = "/api/webhooks/mailjet/inbound"
    events_path: UrlPath = "/api/webhooks/mailjet/events"
    webhook_secret: Annotated[str, AfterValidator(url_safe_secret)] = Field(default="", repr=False)
    inbound_auth: InboundAuth = InboundAuth.NONE

    populations: Annotated[list[PopulationSetting], BeforeValidator(from_json)] = []
    agent_mail_prefix: Annotated[str, Field(pattern=r"^[a-z0-9._-]{0,32}$")] = "agent_"
    agent_mailboxes: Annotated[list[str], BeforeValidator(from_json)] = []
    allow_mass_removal: Annotated[str, AfterValidator(removal_consent)] = ""
    mass_removal_percent: Annotated[int, Field(ge=0, le=100)] = 30
    mass_removal_count: Annotated[int, Field(ge=0)] = 10

    platform_default_seed: EnvText = "azt3knet"
    platform_cloudflare_token: ApiKey = Field(default="", repr=False)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        problems = list(self._contradictions())
        if problems:
            raise PydanticCustomError("across", "{problems}", {"problems": "\n".join(problems)})
        return self

    def _contradictions(self) -> list[str]:
        if self.domain_stack:
            return self._not_of_a_shared_domain()
        problems = []
        if self.dns is Dns.CLOUDFLARE:
            problems += [
                f"agentmail:{key} is not set; expected {what}; set it with: {remedies.set_value(key, stack=self.stack)}"
                for key, value, what in (
                    ("zoneId", self.zone_id, "the id of the Cloudflare zone that holds the mail domain"),
                    ("zoneName", self.zone_name, "the name of that zone, such as 'agents.example'"),
                )
                if not value
            ]
            problems += [
                f"agentmail:{key} is {name!r}, which is outside the zone {self.zone_name!r}; "
                f"expected the zone itself or a name below it; correct {key}, or zoneName and zoneId"
                for key, name in (("domain", self.domain), ("tunnelHostname", self.tunnel_hostname))
                if name and self.zone_name and not is_within(name, self.zone_name)
            ]
        if self.account_id and self.tunnel_cname:
            problems.append(
                "agentmail:accountId and agentmail:tunnelCname are both set; expected one: accountId creates a tunnel, "
                "tunnelCname names an existing one; remove the other"
            )
        if self.tunnel_cname and not is_tunnel_host(self.tunnel_cname):
            problems.append(
                f"agentmail:tunnelCname is {self.tunnel_cname!r}; expected the name of a tunnel, ID.cfargotunnel.com; "
                "copy the tunnel's id from the Zero Trust dashboard"
            )
        if (self.account_id or self.tunnel_cname) and not self.tunnel_hostname:
            problems.append(
                "agentmail:tunnelHostname is not set although a tunnel is; expected the public host name of the platform, "
                "such as 'api.agents.example'; set it with: "
                f"{remedies.set_value('tunnelHostname', stack=self.stack)}"
            )
        if self.tunnel_hostname and self.tunnel_hostname == self.domain:
            problems.append(
                f"agentmail:tunnelHostname is {self.tunnel_hostname!r}, the mail domain itself; expected another host name, "
                "since a CNAME cannot stand beside the MX and TXT records of the mail domain (RFC 1034, 3.6.2); "
                f"choose for instance {host_beside('api', self.domain, self.zone_name)!r}"
            )
        if not self.webhook_url and not self.tunnel_hostname:
            problems.append(
                "agentmail:webhookUrl is not set and there is no tunnelHostname to derive it from; expected the URL that "
                "receives inbound mail; set it with: "
                f"{remedies.set_value('webhookUrl', 'https://HOST/PATH', stack=self.stack)}"
            )
        if self.webhook_url and is_loopback(self.webhook_url) and not is_loopback(self.mailjet_api_url):
            problems.append(
                f"agentmail:webhookUrl is {self.webhook_url!r}, on this machine; expected one that Mailjet can reach, since "
                f"every inbound mail of {self.mailjet_api_url} would be sent there; set it with: "
                f"{remedies.set_value('webhookUrl', 'https://HOST/PATH', stack=self.stack)}"
            )
        if self.gateway_service and not (self.has_gateway and self.account_id):
            problems.append(
                f"agentmail:gatewayService is {self.gateway_service!r} although "
                f"{'submission is mailjet' if not self.has_gateway else 'this stack creates no tunnel (accountId)'}; expected "
                "it only where this stack's tunnel leads to the gateway; remove it with: "
                f"{remedies.remove_value('gatewayService', stack=self.stack)}"
            )
        problems += self._not_of_an_inbox()
        if self.webhook_url and urlsplit(self.webhook_url).path in {"", "/"}:
            problems.append(
                f"agentmail:webhookUrl is {self.webhook_url!r}, the root of a site; expected a URL with a path, since Mailjet "
                "refuses a root URL; add the path of the webhook"
            )
        return problems

    def _not_of_an_inbox(self) -> list[str]:
        """What an inbox cannot be without."""
        problems = []
        if self.has_inbox and not self.has_gateway:
            key = "inboxService" if self.inbox_service else "inboxUrl"
            problems.append(
                f"agentmail:{key} is set although submission is mailjet; expected submission gateway, since agents read their mail "
                f"with credentials of the gateway's root secret; set it with: "
                f"{remedies.set_value('submission', 'gateway', stack=self.stack)}, or remove {key} with: "
                f"{remedies.remove_value(key, stack=self.stack)}"
            )
        if self.inbox_service and not self.domain_stack and not self.account_id:
            problems.append(
                f"agentmail:inboxService is {self.inbox_service!r} although this stack creates no tunnel (accountId); expected it "
                "only where this stack's tunnel leads to the inbox, and inboxUrl where something else does; remove it with: "
                f"{remedies.remove_value('inboxService', stack=self.stack)}"
            )
        return problems

    def _not_of_a_shared_domain(self) -> list[str]:
        """What only the stack that owns the domain may have."""
        problems = [
            f"agentmail:{key} is set beside domainStack ({self.domain_stack}); expected it in that stack alone, which owns "
            f"the domain, its records and what leads to the platform; remove it with: "
            f"{remedies.remove_value(key, stack=self.stack)}"
            for key, value in (
                ("domain", self.domain),
                ("zoneId", self.zone_id),
                ("zoneName", self.zone_name),
                ("accountId", self.account_id),
                ("tunnelHostname", self.tunnel_hostname),
                ("tunnelCname", self.tunnel_cname),
                ("adoptedRecords", self.adopted_records),
                ("mailjetSenders", self.mailjet_senders),
                ("mailjetEvents", self.mailjet_events),
            )
            if value
        ]
        problems += self._not_of_an_inbox()
        if self.inbox_service:
            problems.append(
                f"agentmail:inboxService is set beside domainStack ({self.domain_stack}); expected inboxUrl alone, since the "
                f"tunnel is that stack's; remove it with: {remedies.remove_value('inboxService', stack=self.stack)}"
            )
        if self.gateway_service:
            problems.append(
                f"agentmail:gatewayService is set beside domainStack ({self.domain_stack}); expected gatewayApiUrl alone, since "
                f"the tunnel is that stack's; remove it with: {remedies.remove_value('gatewayService', stack=self.stack)}"
            )
        if self.domain_stack == self.stack:
            problems.append(
                f"agentmail:domainStack is {self.domain_stack!r}, this very stack; expected the stack that owns the domain; "
                "name it, or remove domainStack and set domain"
            )
        return problems

    # -- what follows from the fields ------------------------------------------------------------------------

    @property
    def tag(self) -> str:
        """The mark of everything that belongs to this stack."""
        return self.owner_tag or f"{PROJECT}-{self.stack}"

    @property
    def record_comment(self) -> str:
        """The comment of our DNS records, and the only thing that makes a record ours (100 characters at most)."""
        return f"managed by pulumi: {self.tag}"

    @property
    def zone_needs(self) -> ZoneNeeds:
        """The places of the zone that the stack needs for itself."""
        return ZoneNeeds(
            domain=self.domain,
            tunnel_hostname="" if self.tunnel_kind is TunnelKind.NONE else self.tunnel_hostname,
            tls_reports=bool(self.tls_reports),
            zone_name=self.zone_name,
        )

    @property
    def dmarc(self) -> DmarcPolicy:
        return DmarcPolicy(
            p=self.dmarc_policy,
            sp=self.dmarc_subdomain_policy,
            adkim=self.dmarc_dkim_alignment,
            aspf=self.dmarc_spf_alignment,
            rua=tuple(self.dmarc_aggregate_reports),
            ruf=tuple(self.dmarc_failure_reports),
            fo=self.dmarc_failure_options,
        )

    @property
    def tunnel_kind(self) -> TunnelKind:
        if self.account_id:
            return TunnelKind.CREATED
        return TunnelKind.EXISTING if self.tunnel_cname else TunnelKind.NONE

    @property
    def has_gateway(self) -> bool:
        """Whether agents send through the gateway, each with a credential of its own."""
        return self.submission is SubmissionKind.GATEWAY

    @property
    def has_inbox(self) -> bool:
        """Whether mail is kept and read in an inbox, which hands it on to the platform."""
        return bool(self.inbox_service or self.inbox_url)

    @property
    def inbox_api_url(self) -> str:
        """Where agents and the platform read mail; empty without an inbox."""
        return (self.inbox_url or self.inbox_service).rstrip("/")

    @property
    def inbox_is_public(self) -> bool:
        """Whether the tunnel leads to the inbox's API too, not only to its webhook."""
        return bool(self.inbox_service) and self.inbox_api_url == f"https://{self.tunnel_hostname}"

    @property
    def roots(self) -> dict[str, str]:
        """The root secrets by key id, the current one first; none in a preview without secrets."""
        return parse_roots(self.gateway_roots) if self.gateway_roots else {}

    @property
    def smtp_host(self) -> str:
        """Where agents send by SMTP."""
        return self.gateway_host if self.has_gateway else self.mailjet_smtp_host

    @property
    def smtp_port(self) -> int:
        return self.gateway_port if self.has_gateway else self.mailjet_smtp_port

    @property
    def send_api_url(self) -> str:
        """Where agents send by the Send API, without its path; empty for a gateway that only SMTP reaches."""
        if not self.has_gateway:
            return self.mailjet_api_url
        through_tunnel = f"https://{self.tunnel_hostname}" if self.gateway_service and self.tunnel_hostname else ""
        return self.gateway_api_url or through_tunnel

    @property
    def public_webhook_url(self) -> str:
        """The webhook's URL without its secret."""
        return self.webhook_url or f"https://{self.tunnel_hostname}{self.webhook_path}"

    @property
    def route_identity(self) -> str:
        """`https://OWNERTAG@host/path`: what makes a parse route ours, without the secret."""
        return _with_userinfo(self.public_webhook_url, self.tag)

    @property
    def route_url(self) -> str:
        """The URL of every inbound route, secret included: `https://OWNERTAG:SECRET@host/path`."""
        return _with_userinfo(self.public_webhook_url, f"{self.tag}:{self.webhook_secret}")

    @property
    def _public_events_url(self) -> str:
        """`eventsPath` on the webhook's host."""
        return urljoin(self.public_webhook_url, self.events_path)

    @property
    def delivery_paths(self) -> tuple[str, str]:
        """Of inbound mail and of events, as Mailjet posts to them."""
        return urlsplit(self.public_webhook_url).path, urlsplit(self._public_events_url).path

    @property
    def events_identity(self) -> str:
        """What makes an event callback ours, without the secret."""
        return _with_userinfo(self._public_events_url, self.tag)

    @property
    def events_url(self) -> str:
        """Where Mailjet reports events, secret included."""
        return _with_userinfo(self._public_events_url, f"{self.tag}:{self.webhook_secret}")


def _with_userinfo(url: str, userinfo: str) -> str:
    scheme, rest = url.split("://", 1)
    return f"{scheme}://{userinfo}@{rest}"
