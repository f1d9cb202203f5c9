"""The stack output contract, version 1: the models that read it and that `outputs.schema.json` is made from.

The program that writes the outputs does not import this module; the schema is what both sides agree on.
A minor version may add outputs, which this reader ignores; it never changes a mailbox, whose eight keys are exact.
"""

import json
import re
from collections.abc import Mapping
from typing import Annotated

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    Json,
    ValidationError,
)
from pydantic.alias_generators import to_camel

from azmail.errors import ContractError, ContractVersionError

CONTRACT_VERSION = "1.0"
SECRET = {"x-secret": True}

_VERSION = re.compile(r"[0-9]{1,6}\.[0-9]{1,6}")

_HIDDEN = "[secret]"
"""What the Pulumi CLI prints for a secret output unless it is asked to show it."""

Text = Annotated[str, Field(min_length=1)]
EmailAddress = Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+$")]
Port = Annotated[int, Field(ge=1, le=65535)]
EnvNumber = Annotated[str, Field(pattern=r"^[0-9]+$")]
OptionalText = Annotated[str | None, Field(default=None)]


class _Model(BaseModel):
    # Input values may be credentials: they stay out of error texts.
    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)


class SharedCredentials(_Model):
    """What all mailboxes of a stack have in common: Mailjet has one SMTP login per account, not per mailbox."""

    model_config = ConfigDict(extra="forbid")

    smtp_host: Text
    smtp_port: Port
    smtp_username: Annotated[str, Field(min_length=1, repr=False)]
    smtp_password: Annotated[str, Field(min_length=1, repr=False)]
    inbound_url: Annotated[str, Field(repr=False)]
    inbound_secret: Annotated[str, Field(repr=False)]


class Mailbox(_Model):
    """One agent's mailbox: its address, the account's SMTP login and where its inbound mail is delivered.

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


class CompactMailboxes(_Model):
    """The mailboxes with the shared credentials written once: the output is this as JSON text (decision 004)."""

    model_config = ConfigDict(extra="forbid")

    shared: SharedCredentials
    addresses: dict[Text, EmailAddress]

    def expand(self) -> tuple[Mailbox, ...]:
        shared = self.shared.model_dump()
        # The parts are valid already; validating 10,000 copies of them again would cost more than all the rest.
        return tuple(
            Mailbox.model_construct(agent_id=agent_id, address=address, **shared)
            for agent_id, address in self.addresses.items()
        )


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
    something adds it to each delivery as a body token (`azmail forward`): today's platform refuses every
    genuine Mailjet delivery when it is set.
    """

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, str] = Field(init=False)

    MAILJET_API: str = "https://api.mailjet.com"
    MAILJET_API_KEY: Annotated[str, Field(min_length=1, repr=False, json_schema_extra=SECRET)]
    MAILJET_API_SECRET: Annotated[str, Field(min_length=1, repr=False, json_schema_extra=SECRET)]
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

    contract_version: Annotated[str, Field(pattern=r"^1\.[0-9]+$")]
    mailboxes: Annotated[Json[CompactMailboxes], Field(repr=False, json_schema_extra=SECRET)]
    mailbox_count: Annotated[int, Field(ge=0)]
    platform_env: Annotated[PlatformEnv, Field(repr=False, json_schema_extra=SECRET)]
    domain: Text
    expected_records: tuple[ExpectedRecord, ...] = ()
    dkim_status: OptionalText
    spf_status: OptionalText
    tunnel_hostname: OptionalText
    tunnel_token: Annotated[str | None, Field(default=None, repr=False, json_schema_extra=SECRET)]
    webhook_url: OptionalText


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
