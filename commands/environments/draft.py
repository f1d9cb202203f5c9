"""An environment that is not written yet: configuration, secrets, and what was done with each imported variable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from settings import credentials
from settings.values import PROJECT

API_TOKEN = credentials.API_TOKEN.key
INBOX_SERVICE = "http://mail-inbox:8026"
"""As deploy/docker-compose.yml has it."""
BASE_URL = "cloudflare:baseUrl"
VARIABLES = {one.name: one.variable for one in (credentials.API_TOKEN, *credentials.OWN)}
"""Secret key -> the environment variable that stands in for it."""
PLACEHOLDER = "0" * 32
"""What the committed examples have where an id of Cloudflare belongs."""


@dataclass(frozen=True)
class Note:
    """What became of an imported variable."""

    variable: str
    outcome: str


@dataclass
class Draft:
    """Keys without a namespace are the project's."""

    plain: dict[str, Any] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict, repr=False)
    cloudflare_url: str = ""
    notes: list[Note] = field(default_factory=list)
    made: set[str] = field(default_factory=set)
    """Secret keys whose value nobody gave."""

    def take(self, variable: str, key: str, value: Any) -> None:
        """A variable that becomes a plain key."""
        self.plain[key] = value
        shown = ", ".join(value) if isinstance(value, list) else str(value)
        self.notes.append(Note(variable, f"{PROJECT}:{key} = {shown}"))

    def hide(self, variable: str, key: str, value: str) -> None:
        """A variable that becomes a secret key."""
        self.secrets[key] = value
        self.notes.append(Note(variable, f"{full(key)}, secret"))

    def ignore(self, variable: str, why: str) -> None:
        self.notes.append(Note(variable, f"ignored: {why}"))

    def configuration(self) -> Mapping[str, Any]:
        """What `settings.from_config` reads: plain and secret keys of the project together."""
        hidden = {key: value for key, value in self.secrets.items() if ":" not in key}
        return {**self.plain, **hidden}


def full(key: str) -> str:
    """The key with its namespace."""
    return key if ":" in key else f"{PROJECT}:{key}"
