"""Reading a stack's configuration: the only place that does.

Reading does no network call and collects every problem before it raises.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from hashlib import sha256
from typing import Any, get_origin

import pulumi
from pydantic import ValidationError

from mailboxes import remedies
from mailboxes.wording import one_or_list
from settings import credentials
from settings.model import Settings
from settings.values import PROJECT, Dns


class SettingsError(pulumi.RunError):
    """The stack's configuration is not usable; one sentence for each problem."""

    def __init__(self, stack: str, problems: list[str]) -> None:
        self.problems = problems
        heading = f"The configuration of stack {stack!r} has {len(problems)} problems"
        super().__init__(one_or_list(problems, heading=heading))


SECRET_KEYS = (
    *(credential.key for credential in credentials.OWN),
    f"{PROJECT}:platformCloudflareToken",
    # The Cloudflare provider takes any of these; in plain text they would stand raw in file, state, backups and history.
    credentials.API_TOKEN.key,
    "cloudflare:apiKey",
    "cloudflare:apiUserServiceKey",
)
"""Every configuration key whose value must be stored as a secret, with its namespace."""


def stored_in_plain_text(values: Mapping[str, Any], is_secret: Callable[[str], bool]) -> list[str]:
    """The keys of secrets that are stored readable; `values` by the keys with their namespaces."""
    return [key for key in SECRET_KEYS if values.get(key) and not is_secret(key)]


def credential_marks(values: Mapping[str, Any], stack: str) -> dict[str, str]:
    """What tells one value of a configured credential from another, by its key; no credential can be had from it.

    32 bits of a digest of some 160 random ones, which Mailjet and Cloudflare have chosen. A password that a person may
    have chosen could be guessed against it, so the webhook's has none: its change shows in every route. What stands in the
    environment differs between people and workflows, so it has none either.
    """
    marked = (key for key in SECRET_KEYS if key != f"{PROJECT}:webhookSecret" and values.get(key))
    return {
        key.removeprefix(f"{PROJECT}:"): sha256(f"{stack}\0{key}\0{values[key]}".encode()).hexdigest()[:8]
        for key in marked
    }


def configured_credential_marks() -> dict[str, str]:
    """Those of the running stack's configuration."""
    return credential_marks(pulumi.runtime.config.CONFIG.get(), pulumi.get_stack())


def own_values(config: Mapping[str, Any]) -> dict[str, Any]:
    """The project's keys, without its namespace."""
    own = f"{PROJECT}:"
    return {key.removeprefix(own): value for key, value in config.items() if key.startswith(own)}


def load() -> Settings:
    """The settings of the running stack.

    Raises SettingsError, which the engine shows as a sentence, never as a traceback.
    """
    plain = stored_in_plain_text(pulumi.runtime.config.CONFIG.get(), pulumi.runtime.is_config_secret)
    return from_config(
        own_values(pulumi.runtime.config.CONFIG.get()),
        stack=pulumi.get_stack(),
        preview=pulumi.runtime.is_dry_run(),
        cloudflare_api_token=pulumi.Config("cloudflare").get("apiToken") or "",
        in_plain_text=plain,
        environment=os.environ,
    )


def from_config(
    config: Mapping[str, Any],
    *,
    stack: str,
    preview: bool,
    cloudflare_api_token: str = "",
    in_plain_text: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
) -> Settings:
    """Settings from configuration values as the engine hands them over (text; structured values as JSON).

    `preview` asks for no credential: a reviewer sees what would change without holding any.
    `in_plain_text`: what `stored_in_plain_text` found. Raises SettingsError with every problem found.
    """
    environment = environment or {}
    values = {key: value for key, value in config.items() if value != ""}
    for one in credentials.OWN:
        if not values.get(one.name) and environment.get(one.variable):
            values[one.name] = environment[one.variable]
    token = (
        cloudflare_api_token
        or environment.get(credentials.API_TOKEN.variable)
        or environment.get("CLOUDFLARE_API_KEY")
        or ""
    )

    problems = [
        f"{key} is stored in plain text in the stack's configuration; expected a secret; "
        f"store it again with: {remedies.set_secret(key, stack=stack)}"
        for key in in_plain_text
    ]
    settings = None
    try:
        settings = Settings.model_validate({**values, "stack": stack, "preview": preview, "cloudflareApiToken": token})
    except ValidationError as error:
        problems += _sentences(error, stack)
    if not values.get("domain") and not values.get("domainStack"):
        problems.append(
            f"agentmail:domain is not set; expected a value; set it with: {remedies.set_value('domain', stack=stack)}"
        )
    if settings and not preview:
        problems += _missing_credentials(settings)
    if problems or settings is None:
        # Who validates a value does not know whose it is; what is pasted goes into this stack's file.
        named = [problem.replace("--stack STACK", f"--stack {stack}") for problem in problems]
        raise SettingsError(stack, named)
    return settings


def _missing_credentials(settings: Settings) -> list[str]:
    """An `up` needs every credential before its first write; it never ends half done for want of one."""
    wanted = [one for one in credentials.OWN if one is not credentials.GATEWAY_ROOTS]
    if not settings.domain_stack and (settings.dns is Dns.CLOUDFLARE or settings.account_id):
        wanted.append(credentials.API_TOKEN)
    found = [
        f"{one.key} is not set; expected {one.what}; "
        f"set it with: {remedies.set_secret(one.name, stack=settings.stack)}, or in the environment as {one.variable}"
        for one in wanted
        if not getattr(settings, one.field)
    ]
    roots = credentials.GATEWAY_ROOTS
    if settings.has_gateway and not settings.gateway_roots:
        found.append(
            f"{roots.key} is not set; expected {roots.what}; make one with: {remedies.new_root(settings.stack)}, or set it in "
            f"the environment as {roots.variable}"
        )
    return found


def _sentences(error: ValidationError, stack: str) -> list[str]:
    """Pydantic's findings as sentences that name the key, what was found, what is expected and what to do."""
    sentences: list[str] = []
    known = [field.alias or name for name, field in Settings.model_fields.items()]
    for detail in error.errors(include_url=False):
        context = detail.get("ctx", {})
        where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in detail["loc"]).lstrip(".")
        key = credentials.API_TOKEN.key if where == "cloudflareApiToken" else f"agentmail:{where}"
        if detail["type"] == "across":
            sentences += str(context["problems"]).split("\n")
        elif detail["type"] == "agentmail":
            sentences.append(f"{key} {detail['msg']}")
        elif detail["type"] == "missing":
            sentences.append(
                f"{key} is not set; expected a value; set it with: {remedies.set_value(where, stack=stack)}"
            )
        elif detail["type"] == "extra_forbidden":
            guess = get_close_matches(str(detail["loc"][-1]), known, n=1)
            hint = f"did you mean {guess[0]}?" if guess else "Pulumi.yaml lists the keys there are"
            sentences.append(f"{key} is not a configuration key of this project; {hint}")
        else:
            expectation = detail["msg"][:1].lower() + detail["msg"][1:]
            sentences.append(f"{key} is not valid: {expectation}; correct it with: {_set_command(where, stack)}")
    return sentences


def _set_command(where: str, stack: str) -> str:
    """What stores a value at this place; a list is typed, and refused as the text that `config set KEY '[…]'` makes of it."""
    field = next((field for name, field in Settings.model_fields.items() if (field.alias or name) == where), None)
    is_list = field is not None and get_origin(field.annotation) is list
    within = is_list or "[" in where
    return remedies.set_value(f"{where}[0]" if is_list else where, stack=stack, path=within)
