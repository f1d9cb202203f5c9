"""The stack output contract, version 2: the models that read it and that `outputs.schema.json` is made from.

The program that writes the outputs does not import this module; the schema is what both sides agree on.
A minor version may add outputs, which this reader ignores; it never changes a mailbox, whose eight keys are exact.
"""

import json
import re
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    Json,
    ValidationError,
    model_validator,
)
from pydantic.alias_generators import to_camel

from azmail.columns import PackedColumns, columns_of
from azmail.errors import ContractError, ContractVersionError
from azmail.gateway.credentials import password_of

CONTRACT_VERSION = "2.0"
SECRET = {"x-secret": True}

_VERSION = re.compile(r"[0-9]{1,6}\.[0-9]{1,6}")

_HIDDEN = "[secret]"
"""What the Pulumi CLI prints for a secret output unless it is asked to show it."""

Text = Annotated[str, Field(min_length=1)]
_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+")
EmailAddress = Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+$")]
Port = Annotated[int, Field(ge=1, le=65535)]
EnvNumber = Annotated[str, Field(pattern=r"^[0-9]+$")]
OptionalText = Annotated[str | None, Field(default=None)]


class _Model(BaseModel):
    # Input values may be credentials: they stay out of error texts.
    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)


class SharedCredentials(_Model):
    """What all mailboxes of a stack have in common; a login only where all send as the account, without a gateway."""

    model_config = ConfigDict(extra="forbid")

    smtp_host: Text
    smtp_port: Port
    smtp_username: Annotated[str | None, Field(default=None, min_length=1, repr=False)]
    smtp_password: Annotated[str | None, Field(default=None, min_length=1, repr=False)]
    inbound_url: Annotated[str, Field(repr=False)]
    inbound_secret: Annotated[str, Field(repr=False)]


class Mailbox(_Model):
    """One agent's mailbox: its address, its own login at the gateway (the account's where there is none), and where its
    inbound mail is delivered.

    `inbound_secret` is "" unless the stack's `inboundAuth` is `basic` or `forwarder`.
    """

    model_config = ConfigDict(extra="forbid")

    agent_id: Text
    address: EmailAddress
    smtp_host: Text
    smtp_port: Port
    smtp_username: Annotated[str, Field(min_length=1, repr=False)]
    smtp_password: Annotated[str, Field(min_length=1, repr=False)]
    inbound_url: Annotated[str, Field(repr=False)]
    inbound_secret: Annotated[str, Field(repr=False)]

    def credentials(self) -> dict[str, str | int]:
        """The mailbox without its agent id: the keyword arguments of the platform's own credential classes."""
        return self.model_dump(exclude={"agent_id"})


class PackedMailboxes(_Model):
    """The output is this as JSON text: what all share, and columns of ids, addresses and, with a gateway, passwords.

    With passwords, an agent's user name is its id (decisions 004 and 131).
    """

    model_config = ConfigDict(extra="forbid")

    shared: SharedCredentials
    packed: Annotated[PackedColumns, Field(repr=False)]

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        agents, addresses, *passwords = columns_of(self.packed, {2, 3})
        if len(set(agents)) < len(agents):
            raise ValueError("expected each agent once")
        if not all(_ADDRESS.fullmatch(address) for address in addresses):
            raise ValueError("expected addresses in the second column")
        common = (self.shared.smtp_username, self.shared.smtp_password)
        if [login is None for login in common] != [bool(passwords)] * 2:
            raise ValueError(
                "expected either smtp_username and smtp_password for all in shared, or a password for each agent"
            )
        return self

    def expand(self) -> tuple[Mailbox, ...]:
        agents, addresses, *passwords = self.packed
        common = self.shared.model_dump()
        # The parts are valid already; validating 10,000 copies of them again would cost more than all the rest.
        if not passwords:
            return tuple(
                Mailbox.model_construct(agent_id=agent_id, address=address, **common)
                for agent_id, address in zip(agents, addresses, strict=True)
            )
        del common["smtp_username"], common["smtp_password"]
        return tuple(
            Mailbox.model_construct(
                agent_id=agent_id, address=address, smtp_username=agent_id, smtp_password=password, **common
            )
            for agent_id, address, password in zip(agents, addresses, passwords[0], strict=True)
        )


class InboxAccess(_Model):
    """What reads mail: the inbox's URL, the platform's credential for all mailboxes, and what each agent's own is made with.

    The output is this as JSON text; docs/gateway.md says how a password comes of `kid`, `key`, agent id and epoch.
    """

    model_config = ConfigDict(extra="forbid")

    url: Text
    platform: Annotated[str, Field(min_length=1, repr=False)]
    kid: Text
    key: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{43}$", repr=False)]
    """K of the scope `inbox`: unpadded base64url of 32 octets."""
    epochs: dict[str, int] = {}
    """Of the agents whose epoch is not 0."""

    def password(self, agent_id: str) -> str:
        """What the agent reads its own mailbox with."""
        return password_of(self.kid, urlsafe_b64decode(self.key + "="), agent_id, self.epochs.get(agent_id, 0))


class ExpectedRecord(_Model):
    """One DNS record that agent mail needs, with the sentence that says what it is for."""

    name: Text
    type: Text
    content: str
    priority: int | None = None
    ttl: int
    proxied: bool
    why: str


class PlatformEnv(_Model):
    """The platform's environment variables, every value a string; a variable left out has the platform's default.

    The three numbers are never empty: the platform reads them with `int()`. MAILJET_INBOUND_SECRET is "" unless
    something adds it to each delivery as a body token (the inbox, handing it on): today's platform refuses every
    genuine Mailjet delivery when it is set. With a gateway, MAILJET_API and the logins are the gateway's: those of the
    platform's own sender, or "" where the stack names none.
    """

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, str] = Field(init=False)

    MAILJET_API: str = "https://api.mailjet.com"
    MAILJET_API_KEY: Annotated[str, Field(repr=False, json_schema_extra=SECRET)]
    MAILJET_API_SECRET: Annotated[str, Field(repr=False, json_schema_extra=SECRET)]
    MAILJET_SMTP_HOST: str = "in-v3.mailjet.com"
    MAILJET_SMTP_PORT: EnvNumber = "587"
    MAILJET_SMTP_USER: Annotated[str, Field(repr=False, json_schema_extra=SECRET)] = ""
    MAILJET_SMTP_PASS: Annotated[str, Field(repr=False, json_schema_extra=SECRET)] = ""
    MAILJET_INBOUND_URL: Annotated[str, Field(repr=False)] = ""
    MAILJET_INBOUND_SECRET: Annotated[str, Field(repr=False, json_schema_extra=SECRET)] = ""
    MAILJET_MX_HOSTS: str = "in.mailjet.com"
    MAILJET_SPF_INCLUDE: str = "include:spf.mailjet.com"
    AZT3KNET_DOMAIN: Text
    AZT3KNET_AGENT_MAIL_PREFIX: str = "agent_"
    AZT3KNET_MAIL_TTL: EnvNumber = "300"
    AZT3KNET_DEFAULT_SEED: str = "azt3knet"
    CLOUDFLARE_API: str = "https://api.cloudflare.com/client/v4"
    CLOUDFLARE_API_TOKEN: Annotated[str, Field(repr=False, json_schema_extra=SECRET)] = ""
    CLOUDFLARE_ZONE_ID: str = ""
    CLOUDFLARE_ZONE_NAME: str = ""
    CLOUDFLARE_TUNNEL_TOKEN: Annotated[str, Field(repr=False, json_schema_extra=SECRET)] = ""
    CLOUDFLARE_TUNNEL_HOSTNAME: str = ""
    CLOUDFLARE_TUNNEL_SERVICE: str = "http://api:8000"
    CLOUDFLARE_TUNNEL_CNAME: str = ""
    CLOUDFLARE_TUNNEL_SUBDOMAIN: str = ""
    CLOUDFLARE_TUNNEL_CNAME_TTL: EnvNumber = "300"

    def __repr__(self) -> str:
        return f"PlatformEnv({self.AZT3KNET_DOMAIN!r}, {len(self.as_dict())} variables)"

    __str__ = __repr__

    def as_dict(self) -> dict[str, str]:
        """Every variable in the order of this class, then those that a later minor version added."""
        return self.model_dump()


class StackOutputs(_Model):
    """All outputs of the stack, as `./mail pulumi stack output --json --show-secrets` prints them."""

    model_config = ConfigDict(extra="ignore", alias_generator=to_camel, populate_by_name=True)

    contract_version: Annotated[str, Field(pattern=r"^2\.[0-9]+$")]
    mailboxes: Annotated[Json[PackedMailboxes], Field(repr=False, json_schema_extra=SECRET)]
    mailbox_count: Annotated[int, Field(ge=0)]
    platform_env: Annotated[PlatformEnv, Field(repr=False, json_schema_extra=SECRET)]
    gateway_env: Annotated[
        str,
        Field(
            default="",
            repr=False,
            json_schema_extra=SECRET,
            description="The gateway's file: JSON text with the account's key, root secrets and directory; \"\" without a gateway.",
        ),
    ]
    inbox_env: Annotated[
        Json[InboxAccess] | Literal[""],
        Field(
            default="",
            repr=False,
            json_schema_extra=SECRET,
            description="What reads mail: JSON text with the inbox's URL, the platform's credential and what agents' own "
            'are made with; "" without one.',
        ),
    ]
    domain: Text
    expected_records: tuple[ExpectedRecord, ...] = ()
    dkim_status: OptionalText
    spf_status: OptionalText
    tunnel_hostname: OptionalText
    tunnel_token: Annotated[str | None, Field(default=None, repr=False, json_schema_extra=SECRET)]
    webhook_url: OptionalText


def expand_mailboxes(text: str) -> tuple[Mailbox, ...]:
    """The mailboxes of the output alone. Raises pydantic's ValidationError, without input values."""
    return PackedMailboxes.model_validate_json(text).expand()


def read_outputs(outputs: Mapping[str, object], source: str) -> tuple[StackOutputs, tuple[Mailbox, ...]]:
    """Check outputs against the contract; `source` names them in errors.

    Raises ContractVersionError for another major version, ContractError for anything else that is wrong.
    """
    _check_version(outputs, source)
    hidden = sorted(name for name, value in outputs.items() if value == _HIDDEN)
    if hidden:
        raise ContractError(
            source,
            [
                f"{', '.join(hidden)} hidden as {_HIDDEN}: read them with `./mail pulumi stack output --json "
                "--show-secrets --stack STACK` in the infrastructure's clone"
            ],
        )
    try:
        parsed = StackOutputs.model_validate(dict(outputs))
    except ValidationError as error:
        raise ContractError(source, _problems(error)) from None
    mailboxes = parsed.mailboxes.expand()
    problems = _contradictions(parsed, mailboxes)
    if problems:
        raise ContractError(source, problems)
    return parsed, mailboxes


def schema_text() -> str:
    """The JSON Schema of the outputs, as `outputs.schema.json` holds it."""
    schema = StackOutputs.model_json_schema(by_alias=True)
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"Stack outputs of Azt3kNet agent mail, contract {CONTRACT_VERSION}",
    }
    return json.dumps(head | {k: v for k, v in schema.items() if k != "title"}, indent=2) + "\n"


def _check_version(outputs: Mapping[str, object], source: str) -> None:
    version = outputs.get("contractVersion")
    if not outputs:
        raise ContractError(
            source, ["it has no outputs: bring it up first with `./mail apply STACK` in the infrastructure's clone"]
        )
    if version is None:
        raise ContractError(source, [f"contractVersion is missing, expected {CONTRACT_VERSION}"])
    if not isinstance(version, str) or not _VERSION.fullmatch(version):
        raise ContractError(source, [f'contractVersion is not a text such as "{CONTRACT_VERSION}"'])
    if version.partition(".")[0] != CONTRACT_VERSION.partition(".")[0]:
        raise ContractVersionError(source, version, CONTRACT_VERSION)


def _problems(error: ValidationError) -> list[str]:
    return [
        f"{_place(item['loc'])}: {'expected JSON text' if item['type'].startswith('json_') else item['msg']}"
        for item in error.errors(include_url=False, include_context=False, include_input=False)
    ]


def _place(location: tuple[int | str, ...]) -> str:
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in location)
    return "".join(steps).removeprefix(".")


def _contradictions(outputs: StackOutputs, mailboxes: tuple[Mailbox, ...]) -> list[str]:
    problems = []
    if outputs.mailbox_count != len(mailboxes):
        problems.append(f"mailboxCount is {outputs.mailbox_count}, mailboxes has {len(mailboxes)}")
    owners: dict[str, str] = {}
    for mailbox in mailboxes:
        first = owners.setdefault(mailbox.address.lower(), mailbox.agent_id)
        if first != mailbox.agent_id:
            problems.append(f"{mailbox.address} belongs to agent {first} and to agent {mailbox.agent_id}")
    return problems
