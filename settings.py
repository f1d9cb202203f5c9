"""One typed, validated `Settings` from the stack's configuration: the only place that reads it.

Every key stands in the project's own namespace (`agentmail:`), because `Pulumi.yaml` may type only such keys and
the official Cloudflare plugin refuses keys under `cloudflare:` that it does not know (decision record 001).
`Pulumi.yaml` declares each key with its default; a test keeps the two lists equal.

Reading does no network call and collects every problem before it raises.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urljoin, urlsplit

import idna
import pulumi
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic import model_validator as check_across
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from zone.dmarc import DmarcPolicy
from zone.names import is_within
from zone.survey import Claim

PROJECT = "agentmail"
"""The Pulumi project's name, the namespace of its configuration and the start of the default owner tag."""


SUPERSEDED = "superseded-"
"""How the names of adopted records begin that this program does not declare, so that the next `up` deletes them."""


class Dns(StrEnum):
    """Who serves the zone of the mail domain."""

    CLOUDFLARE = "cloudflare"
    NONE = "none"


class InboundAuth(StrEnum):
    """How a delivery of Mailjet's Parse API proves itself to the platform."""

    NONE = "none"
    BASIC = "basic"
    FORWARDER = "forwarder"


class MailEvent(StrEnum):
    """What Mailjet can report about a mail that an agent sent; its own words."""

    BOUNCE = "bounce"
    BLOCKED = "blocked"
    SPAM = "spam"


class TunnelKind(StrEnum):
    """Where the tunnel in front of the platform comes from."""

    NONE = "none"
    EXISTING = "existing"
    CREATED = "created"


class SettingsError(pulumi.RunError):
    """The stack's configuration is not usable; one sentence for each problem."""

    def __init__(self, stack: str, problems: list[str]) -> None:
        self.problems = problems
        if len(problems) == 1:
            super().__init__(problems[0])
        else:
            lines = "\n".join(f"  - {problem}" for problem in problems)
            super().__init__(f"The configuration of stack {stack!r} has {len(problems)} problems:\n{lines}")


def _wrong(found: object, expected: str, remedy: str) -> PydanticCustomError:
    return PydanticCustomError(
        "agentmail",
        "is {found}; expected {expected}; {remedy}",
        {"found": found, "expected": expected, "remedy": remedy},
    )


def _domain_name(value: str) -> str:
    """An RFC 1035 host name in A-label form: lower case, no trailing dot; an IDN is encoded (RFC 5891)."""
    if value == "":
        return value
    bare = value.rstrip(".")
    try:
        encoded = idna.encode(bare, uts46=True).decode("ascii") if not bare.isascii() else bare.lower()
    except idna.IDNAError:
        encoded = ""
    labels = encoded.split(".")
    fits = len(encoded) <= 253 and len(labels) > 1
    if not fits or not all(re.fullmatch(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?", label) for label in labels):
        raise _wrong(repr(value), "a domain name such as 'agents.example'", "correct it")
    return encoded


def _hex_id(value: str) -> str:
    if value and not re.fullmatch(r"[0-9a-f]{32}", value):
        raise _wrong(
            repr(value),
            "32 hexadecimal digits",
            "copy it from the overview page of the zone in Cloudflare's dashboard",
        )
    return value


def _owner_tag(value: str) -> str:
    if value and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", value):
        raise _wrong(
            repr(value),
            "1 to 63 of the characters A-Z a-z 0-9 . _ - (it is the user name in the routes' URL and stands in the "
            "comment of every DNS record)",
            "choose such a tag",
        )
    return value


def _url(value: str) -> str:
    if value == "":
        return value
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise _wrong(repr(_without_userinfo(value)), "a URL such as 'https://api.agents.example/path'", "correct it")
    if parts.username is not None or parts.password is not None:
        raise _wrong(
            repr(_without_userinfo(value)) + " with a user name or password in it",
            "a URL without credentials",
            "keep the secret in webhookSecret or the Mailjet keys",
        )
    return value


def _without_userinfo(value: str) -> str:
    return re.sub(r"//[^/@]*@", "//***@", value)


def _url_safe_secret(value: str) -> str:
    if value and not re.fullmatch(r"[A-Za-z0-9_-]{16,128}", value):
        raise PydanticCustomError(
            "agentmail",
            "has {length} characters, some perhaps outside the URL-safe alphabet; expected 16 to 128 of A-Z a-z 0-9 _ - "
            "(Mailjet cannot parse others in a route's URL); make one with: openssl rand -hex 24",
            {"length": len(value)},
        )
    return value


def _json(value: object) -> object:
    """Structured configuration reaches the program as JSON text."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except json.JSONDecodeError as error:
        raise _wrong(
            repr(value[:40]),
            f"valid JSON ({error.msg} at character {error.pos})",
            "write it as YAML in the stack's file",
        ) from None


DomainName = Annotated[str, AfterValidator(_domain_name)]
HexId = Annotated[str, AfterValidator(_hex_id)]
Url = Annotated[str, AfterValidator(_url)]
Ttl = Annotated[int, Field(ge=60, le=86400)]


class PopulationFile(BaseModel):
    """A population of this stack: its file, and what stands in for the file's own seed and stamp."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, validate_by_name=True, coerce_numbers_to_str=True
    )

    file: Path
    seed: str | None = None
    created_at: str | None = None


class AdoptedRecord(BaseModel):
    """A record that belonged to somebody else and that `python -m adopt` has imported into the state."""

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
    owner_tag: Annotated[str, AfterValidator(_owner_tag)] = ""
    protected: bool = False

    dns: Dns = Dns.CLOUDFLARE
    zone_id: HexId = ""
    zone_name: DomainName = ""
    account_id: HexId = ""
    ttl: Ttl = 300
    cloudflare_api_token: str = Field(default="", repr=False)
    replace_foreign_mx: bool = False
    adopted_records: Annotated[list[AdoptedRecord], BeforeValidator(_json)] = []

    mailjet_api_url: Url = "https://api.mailjet.com"
    mailjet_api_key: str = Field(default="", repr=False)
    mailjet_api_secret: str = Field(default="", repr=False)
    mailjet_smtp_host: str = "in-v3.mailjet.com"
    mailjet_smtp_port: Annotated[int, Field(ge=1, le=65535)] = 587
    mailjet_mx_hosts: Annotated[list[DomainName], BeforeValidator(_json), Field(min_length=1)] = ["parse.mailjet.com"]
    mailjet_spf_include: Annotated[str, Field(pattern=r"^include:\S+$")] = "include:spf.mailjet.com"
    mailjet_delete_sender: bool = False
    mailjet_take_over_routes: bool = False
    mailjet_senders: Annotated[list[NamedSender], BeforeValidator(_json)] = []
    mailjet_events: Annotated[list[MailEvent], BeforeValidator(_json)] = []

    spf_mechanisms: Annotated[list[str], BeforeValidator(_json)] = []
    spf_qualifier: Literal["+", "?", "~", "-"] = "~"
    dmarc_policy: Literal["none", "quarantine", "reject"] = "none"
    dmarc_subdomain_policy: Literal["", "none", "quarantine", "reject"] = ""
    dmarc_dkim_alignment: Literal["", "r", "s"] = ""
    dmarc_spf_alignment: Literal["", "r", "s"] = ""
    dmarc_aggregate_reports: Annotated[list[str], BeforeValidator(_json)] = []
    dmarc_failure_reports: Annotated[list[str], BeforeValidator(_json)] = []
    dmarc_failure_options: Annotated[str, Field(pattern=r"^([01ds](:[01ds])*)?$")] = ""
    tls_reports: Annotated[list[str], BeforeValidator(_json)] = []

    verification: Literal["require", "warn", "off"] = "require"
    verification_timeout_seconds: Annotated[int, Field(ge=1, le=86400)] = 600

    tunnel_hostname: DomainName = ""
    tunnel_service: Url = "http://api:8000"
    tunnel_cname: DomainName = ""

    webhook_url: Url = ""
    webhook_path: Annotated[str, Field(pattern=r"^/[^\s?#@]+$")] = "/api/webhooks/mailjet/inbound"
    events_path: Annotated[str, Field(pattern=r"^/[^\s?#@]+$")] = "/api/webhooks/mailjet/events"
    webhook_secret: Annotated[str, AfterValidator(_url_safe_secret)] = Field(default="", repr=False)
    inbound_auth: InboundAuth = InboundAuth.NONE

    populations: Annotated[list[PopulationFile], BeforeValidator(_json)] = []
    agent_mail_prefix: Annotated[str, Field(pattern=r"^[a-z0-9._-]{0,32}$")] = "agent_"
    agent_mailboxes: Annotated[list[str], BeforeValidator(_json)] = []
    allow_mass_removal: Annotated[int, Field(ge=0)] = 0
    mass_removal_percent: Annotated[int, Field(ge=0, le=100)] = 30
    mass_removal_count: Annotated[int, Field(ge=0)] = 10

    platform_default_seed: str = "azt3knet"
    platform_cloudflare_token: str = Field(default="", repr=False)

    @check_across(mode="after")
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
                f"agentmail:{key} is not set; expected {what}; set it with: pulumi config set {key} VALUE"
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
        if self.tunnel_cname and not is_within(self.tunnel_cname, "cfargotunnel.com"):
            problems.append(
                f"agentmail:tunnelCname is {self.tunnel_cname!r}; expected the name of a tunnel, ID.cfargotunnel.com; "
                "copy the tunnel's id from the Zero Trust dashboard"
            )
        if (self.account_id or self.tunnel_cname) and not self.tunnel_hostname:
            problems.append(
                "agentmail:tunnelHostname is not set although a tunnel is; expected the public host name of the platform, "
                "such as 'api.agents.example'; set it with: pulumi config set tunnelHostname NAME"
            )
        if self.tunnel_hostname and self.tunnel_hostname == self.domain:
            problems.append(
                f"agentmail:tunnelHostname is {self.tunnel_hostname!r}, the mail domain itself; expected another host name, "
                "since a CNAME cannot stand beside the MX and TXT records of the mail domain (RFC 1034, 3.6.2); "
                f"choose for instance 'api.{self.domain}'"
            )
        if not self.webhook_url and not self.tunnel_hostname:
            problems.append(
                "agentmail:webhookUrl is not set and there is no tunnelHostname to derive it from; expected the URL that "
                "receives inbound mail; set it with: pulumi config set webhookUrl https://HOST/PATH"
            )
        if self.webhook_url and urlsplit(self.webhook_url).path in {"", "/"}:
            problems.append(
                f"agentmail:webhookUrl is {self.webhook_url!r}, the root of a site; expected a URL with a path, since Mailjet "
                "refuses a root URL; add the path of the webhook"
            )
        return problems

    def _not_of_a_shared_domain(self) -> list[str]:
        """What only the stack that owns the domain may have."""
        problems = [
            f"agentmail:{key} is set beside domainStack ({self.domain_stack}); expected it in that stack alone, which owns "
            f"the domain, its records and what leads to the platform; remove it with: pulumi config rm {key}"
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
    def claim(self) -> Claim:
        """The places of the zone that the stack needs for itself."""
        return Claim(
            domain=self.domain,
            tunnel_hostname="" if self.tunnel_kind is TunnelKind.NONE else self.tunnel_hostname,
            tls_reports=bool(self.tls_reports),
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


@dataclass(frozen=True)
class _Secret:
    """A secret field: its configuration key and the environment variable that stands in for it."""

    field: str
    variable: str


_SECRETS = (
    _Secret("mailjetApiKey", "MAILJET_API_KEY"),
    _Secret("mailjetApiSecret", "MAILJET_API_SECRET"),
    _Secret("webhookSecret", "MAILJET_INBOUND_SECRET"),
)
_MUST_BE_ENCRYPTED = frozenset({*(secret.field for secret in _SECRETS), "platformCloudflareToken"})


def load() -> Settings:
    """The settings of the running stack.

    Raises SettingsError, which the engine shows as a sentence, never as a traceback.
    """
    namespaced = {
        key.removeprefix(f"{PROJECT}:"): value
        for key, value in pulumi.runtime.config.CONFIG.get().items()
        if key.startswith(f"{PROJECT}:")
    }
    plain = [
        key
        for key in _MUST_BE_ENCRYPTED
        if namespaced.get(key) and not pulumi.runtime.is_config_secret(f"{PROJECT}:{key}")
    ]
    return from_config(
        namespaced,
        stack=pulumi.get_stack(),
        preview=pulumi.runtime.is_dry_run(),
        cloudflare_api_token=pulumi.Config("cloudflare").get("apiToken") or "",
        stored_in_plain_text=plain,
        environment=os.environ,
    )


def from_config(
    config: Mapping[str, Any],
    *,
    stack: str,
    preview: bool,
    cloudflare_api_token: str = "",
    stored_in_plain_text: list[str] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Settings:
    """Settings from configuration values as the engine hands them over (text; structured values as JSON).

    `preview` asks for no credential: a reviewer sees what would change without holding any.
    Raises SettingsError with every problem found.
    """
    environment = environment or {}
    values = {key: value for key, value in config.items() if value != ""}
    for secret in _SECRETS:
        if not values.get(secret.field) and environment.get(secret.variable):
            values[secret.field] = environment[secret.variable]
    token = (
        cloudflare_api_token or environment.get("CLOUDFLARE_API_TOKEN") or environment.get("CLOUDFLARE_API_KEY") or ""
    )

    problems = [
        f"agentmail:{key} is stored in plain text in the stack's configuration; expected a secret; "
        f"store it again with: pulumi config set --secret {key}"
        for key in stored_in_plain_text or []
    ]
    settings = None
    try:
        settings = Settings.model_validate({**values, "stack": stack, "preview": preview, "cloudflareApiToken": token})
    except ValidationError as error:
        problems += _sentences(error)
    if not values.get("domain") and not values.get("domainStack"):
        problems.append("agentmail:domain is not set; expected a value; set it with: pulumi config set domain VALUE")
    if settings and not preview:
        problems += _missing_credentials(settings)
    if problems or settings is None:
        raise SettingsError(stack, problems)
    return settings


def _missing_credentials(settings: Settings) -> list[str]:
    """An `up` needs every credential before its first write; it never ends half done for want of one."""
    wanted = [
        (
            settings.mailjet_api_key,
            "agentmail:mailjetApiKey",
            "Mailjet's API key",
            "mailjetApiKey",
            "MAILJET_API_KEY",
        ),
        (
            settings.mailjet_api_secret,
            "agentmail:mailjetApiSecret",
            "Mailjet's API secret",
            "mailjetApiSecret",
            "MAILJET_API_SECRET",
        ),
        (
            settings.webhook_secret,
            "agentmail:webhookSecret",
            "the password of the inbound webhook",
            "webhookSecret",
            "MAILJET_INBOUND_SECRET",
        ),
    ]
    if not settings.domain_stack and (settings.dns is Dns.CLOUDFLARE or settings.account_id):
        wanted.append(
            (
                settings.cloudflare_api_token,
                "cloudflare:apiToken",
                "a Cloudflare API token",
                "cloudflare:apiToken",
                "CLOUDFLARE_API_TOKEN",
            )
        )
    return [
        f"{key} is not set; expected {what}; set it with: pulumi config set --secret {name}, or in the environment as {variable}"
        for value, key, what, name, variable in wanted
        if not value
    ]


def _sentences(error: ValidationError) -> list[str]:
    """Pydantic's findings as sentences that name the key, what was found, what is expected and what to do."""
    sentences: list[str] = []
    known = [field.alias or name for name, field in Settings.model_fields.items()]
    for detail in error.errors(include_url=False):
        context = detail.get("ctx", {})
        where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in detail["loc"]).lstrip(".")
        key = f"agentmail:{where}"
        if detail["type"] == "across":
            sentences += str(context["problems"]).split("\n")
        elif detail["type"] == "agentmail":
            sentences.append(f"{key} {detail['msg']}")
        elif detail["type"] == "missing":
            sentences.append(f"{key} is not set; expected a value; set it with: pulumi config set {where} VALUE")
        elif detail["type"] == "extra_forbidden":
            guess = get_close_matches(str(detail["loc"][-1]), known, n=1)
            hint = f"did you mean {guess[0]}?" if guess else "Pulumi.yaml lists the keys there are"
            sentences.append(f"{key} is not a configuration key of this project; {hint}")
        else:
            expectation = detail["msg"][:1].lower() + detail["msg"][1:]
            sentences.append(
                f"{key} is not valid: {expectation}; correct it with: pulumi config set {where.split('[')[0]} VALUE"
            )
    return sentences
