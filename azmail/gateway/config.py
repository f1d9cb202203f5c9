"""What a gateway is started with: one JSON file, which holds secrets and belongs to its user alone."""

from __future__ import annotations

import json
import logging
import re
import threading
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from azmail.columns import PackedColumns, columns_of
from azmail.errors import AzmailError
from azmail.gateway.credentials import AgentLogin, Directory, RootError, Roots
from azmail.gateway.ledger import SendingLimits
from azmail.gateway.relay import Policy

log = logging.getLogger("azmail.gateway")

Count = Annotated[int, Field(ge=0)]


def _an_address(text: str) -> str:
    if not re.fullmatch(r"[^@\s]+@[^@\s]+", text):
        raise PydanticCustomError("address", "expected an address, such as ana@agents.example")
    return text


Address = Annotated[str, AfterValidator(_an_address)]


class GatewayConfigError(AzmailError):
    """The gateway's file cannot be used. No value of it is shown."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"the gateway's file {path} {problem}")


class _ConfigPart(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, validate_by_name=True, hide_input_in_errors=True
    )


class LimitsConfig(_ConfigPart):
    """0 is no limit."""

    messages_an_hour: Count = 0
    messages_a_day: Count = 0
    recipients_an_hour: Count = 0
    recipients_a_day: Count = 0

    def limits(self) -> SendingLimits:
        return SendingLimits(**self.model_dump())


class AgentConfig(_ConfigPart):
    """One agent, or its address alone; `recipients` are addresses and domains that it may write to, without it everybody."""

    address: Address
    epoch: Count = 0
    limits: LimitsConfig | None = None
    recipients: tuple[str, ...] | None = None

    @model_validator(mode="before")
    @classmethod
    def _of_an_address(cls, given: object) -> object:
        return {"address": given} if isinstance(given, str) else given


class UpstreamConfig(_ConfigPart):
    """The account at Mailjet."""

    api_key: Annotated[str, Field(min_length=1, repr=False)]
    api_secret: Annotated[str, Field(min_length=1, repr=False)]
    smtp_host: str = "in-v3.mailjet.com"
    smtp_port: Annotated[int, Field(ge=1, le=65535)] = 587
    api_url: str = "https://api.mailjet.com"


class WebhookConfig(_ConfigPart):
    """What the inbox shares with Mailjet and with the platform behind it."""

    secret: Annotated[str, Field(repr=False)] = ""
    """The password in the routes' URL."""
    forward_token: Annotated[str, Field(repr=False)] = ""
    """What the platform looks for in a delivery that is handed on; empty where it looks for nothing."""
    path: str = "/api/webhooks/mailjet/inbound"
    events_path: str = "/api/webhooks/mailjet/events"


class GatewayConfig(_ConfigPart):
    """The configuration file of gateway and inbox, whole and checked."""

    domain: Annotated[str, Field(min_length=1)]
    roots: Annotated[dict[str, str], Field(repr=False, min_length=1)]
    upstream: UpstreamConfig
    webhook: WebhookConfig = WebhookConfig()
    agents: Annotated[dict[str, AgentConfig], Field(repr=False)] = {}
    packed: Annotated[PackedColumns, Field(repr=False)] = ()
    """All agents, as the output `mailboxes` has them: a column of ids and one of addresses; what `agents` says goes before it."""
    agent_limits: LimitsConfig = LimitsConfig()
    account_limits: LimitsConfig = LimitsConfig()

    @field_validator("packed")
    @classmethod
    def _two_columns(cls, columns: tuple[tuple[str, ...], ...]) -> tuple[tuple[str, ...], ...]:
        return columns_of(columns, {0, 2, 3})

    @classmethod
    def read(cls, path: Path) -> GatewayConfig:
        """Raises GatewayConfigError, which says where the file is wrong and shows no value."""
        try:
            config = cls.model_validate(json.loads(path.read_text(encoding="utf-8")))
            config.keys()
        except OSError as error:
            raise GatewayConfigError(path, f"cannot be read ({error.strerror})") from None
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False, include_context=False)[0]
            place = ".".join(str(step) for step in first["loc"]) or "the whole"
            raise GatewayConfigError(path, f"is wrong at {place}: {first['msg']}") from None
        except ValueError:
            raise GatewayConfigError(path, "is no JSON object, expected what the output gatewayEnv holds") from None
        except RootError as error:
            raise GatewayConfigError(path, f"cannot be used: {error}") from None
        owners: dict[str, str] = {}
        for agent in config.directory():
            if (other := owners.setdefault(agent.address.lower(), agent.id)) != agent.id:
                raise GatewayConfigError(
                    path, f"gives {agent.address} to {other} and to {agent.id}, expected one agent for each address"
                )
        return config

    def keys(self) -> Roots:
        """The root secrets, ready to check with. Raises RootError."""
        return Roots(self.roots, domain=self.domain)

    def directory(self) -> Directory:
        return Directory(
            [
                *(
                    AgentLogin(agent_id, address)
                    for agent_id, address in zip(*(self.packed[:2] or ((), ())), strict=True)
                ),
                *(AgentLogin(agent_id, found.address, found.epoch) for agent_id, found in self.agents.items()),
            ]
        )

    def policies(self) -> dict[str, Policy]:
        """Of the agents that differ from `default_policy`."""
        return {
            agent_id: Policy(
                (found.limits or self.agent_limits).limits(),
                None if found.recipients is None else frozenset(entry.lower() for entry in found.recipients),
            )
            for agent_id, found in self.agents.items()
            if found.limits is not None or found.recipients is not None
        }

    def default_policy(self) -> Policy:
        return Policy(self.agent_limits.limits())


class FollowedConfig:
    """The file of a process that runs for longer: somebody replaces it, and what it says then counts.

    Safe to share between threads.
    """

    def __init__(self, file: Path) -> None:
        """Raises GatewayConfigError."""
        self._file = file
        self._lock = threading.Lock()
        self._seen = self._stamp()
        self.config = GatewayConfig.read(file)

    def look(self) -> bool:
        """Read the file where it has changed; whether there is something new."""
        with self._lock:
            seen = self._stamp()
            if seen is None or seen == self._seen:
                return False
            self._seen = seen
            return self._read()

    def read_again(self) -> bool:
        """Read the file, changed or not. One that is wrong changes nothing and is logged."""
        with self._lock:
            return self._read()

    def _read(self) -> bool:
        try:
            self.config = GatewayConfig.read(self._file)
        except GatewayConfigError as error:
            log.error("%s; what it said before goes on counting", error)
            return False
        return True

    def _stamp(self) -> tuple[int, int, int] | None:
        """What differs when the file is another; None while there is none."""
        try:
            found = self._file.stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size
