"""The plugin's own configuration: `cloudflare:<key>` in a stack, arguments of an explicit provider, environment."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from engine.cloudflare.errors import BaseUrlError
from engine.cloudflare.fields import Failure
from engine.cloudflare.properties import Properties, Secret

DEFAULT_BASE_URL: Final = "https://api.cloudflare.com/client/v4"
ENVIRONMENT: Final = {
    "baseUrl": "CLOUDFLARE_BASE_URL",
    "apiToken": "CLOUDFLARE_API_TOKEN",
    "apiKey": "CLOUDFLARE_API_KEY",
    "email": "CLOUDFLARE_EMAIL",
    "apiUserServiceKey": "CLOUDFLARE_API_USER_SERVICE_KEY",
    "userAgentOperatorSuffix": "CLOUDFLARE_USER_AGENT_OPERATOR_SUFFIX",
}
SECRET_KEYS: Final = ("apiKey", "apiToken", "apiUserServiceKey")
# What the engine itself adds to the configuration of every plugin.
_ENGINE_KEYS: Final = ("version", "pluginDownloadURL")
_TOKEN: Final = re.compile(r"[0-9A-Za-z\-_]{40,80}")
_KEY: Final = re.compile(r"[0-9A-Za-z\-_]{37,60}")


@dataclass(frozen=True)
class ApiSettings:
    """Where the API is and how requests to it are signed. No credentials: requests go out unsigned."""

    base_url: str
    signature: Mapping[str, str] = field(repr=False)
    user_agent_suffix: str = ""


def check(urn: str, inputs: Properties) -> Iterator[Failure]:
    """Everything wrong with the configuration. Only configured values are checked, never the environment's."""
    for key in inputs:
        if key not in ENVIRONMENT and key not in _ENGINE_KEYS and not key.startswith("__"):
            yield _failure(urn, key, "Invalid or unknown key")
    for key, pattern, rule in (
        ("apiToken", _TOKEN, "API tokens have 40 to 80 characters 0-9, a-z, A-Z, hyphen and underscore"),
        ("apiKey", _KEY, "API keys have 37 to 60 characters 0-9, a-z, A-Z, hyphen and underscore"),
    ):
        value = inputs.get(key)
        if isinstance(value, str) and not pattern.fullmatch(value):
            yield _failure(urn, key, f"Invalid Attribute Value Match. {rule}")
    if inputs.get("apiKey") is not None and inputs.get("email") is None:
        yield _failure(urn, "apiKey", "Invalid Attribute Combination. An API key needs `email` beside it")


def with_secrets(inputs: Properties) -> Properties:
    """The inputs with the credentials among them marked, so that the engine encrypts them in the state."""
    return {key: Secret(value) if key in SECRET_KEYS else value for key, value in inputs.items()}


def settings(inputs: Properties, environment: Mapping[str, str]) -> ApiSettings:
    """Configured values, else the environment's. Raises BaseUrlError."""
    values = {key: _text(inputs.get(key)) or environment.get(name, "") for key, name in ENVIRONMENT.items()}
    base_url = values["baseUrl"] or DEFAULT_BASE_URL
    parts = urlsplit(base_url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise BaseUrlError(base_url)
    return ApiSettings(base_url, _signature(values), values["userAgentOperatorSuffix"])


def _signature(values: Mapping[str, str]) -> dict[str, str]:
    if values["apiToken"]:
        return {"Authorization": f"Bearer {values['apiToken']}"}
    if values["apiKey"]:
        return {"X-Auth-Key": values["apiKey"], "X-Auth-Email": values["email"]}
    if values["apiUserServiceKey"]:
        return {"X-Auth-User-Service-Key": values["apiUserServiceKey"]}
    return {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _failure(urn: str, key: str, problem: str) -> Failure:
    name = urn.rsplit("::", 1)[-1]
    if name == "default" or name.startswith("default_"):
        stack = os.environ.get("AGENTMAIL_STACK", "STACK")
        where = f"Check `./mail pulumi config get cloudflare:{key} --stack {stack}`."
    else:
        where = f"Examine values at '{name}.{key}'."
    return Failure(key, f"could not validate provider configuration: {problem}. {where}")
