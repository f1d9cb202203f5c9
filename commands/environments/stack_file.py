"""`Pulumi.NAME.yaml` of a new environment: what a committed example says, and writing it with the way back."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from commands.adopt.stack_file import change_configuration
from commands.environments.draft import BASE_URL, PLACEHOLDER, full
from commands.environments.errors import AlreadyMadeError, InputProblemsError
from mailboxes.merging import replace_file
from settings.values import PROJECT

_INITIALISED = ("encryptionsalt", "encryptedkey", "secretsprovider")
_HEADER = """\
# The environment {name!r} of agent mail. Every key is described in Pulumi.yaml; docs/environments.md says how to change one.
"""


def building_site(path: Path) -> Path:
    """The folder in which an environment is made before its file, `path`, is put in place."""
    return path.with_name(f".{path.stem}.new")


@dataclass(frozen=True)
class EditedStackFile:
    """The file before anything is written."""

    path: Path
    name: str
    before: str | None

    @classmethod
    def of(cls, project: Path, name: str) -> EditedStackFile:
        """Raises AlreadyMadeError for one that a stack has been made with."""
        path = project / f"Pulumi.{name}.yaml"
        made = cls(path, name, path.read_text(encoding="utf-8") if path.exists() else None)
        if any(made._document().get(key) for key in _INITIALISED):
            # Put in place by a run that was killed before it had cleared up.
            shutil.rmtree(building_site(path), ignore_errors=True)
            raise AlreadyMadeError(path, name)
        return made

    def _document(self) -> dict[str, Any]:
        try:
            found = yaml.safe_load(self.before or "") or {}
        except yaml.YAMLError:
            found = None
        if not isinstance(found, dict) or not isinstance(found.get("config") or {}, dict):
            raise InputProblemsError([f"{self.path.name} is no YAML with the key 'config'; correct or remove it"])
        return found

    def example(self) -> dict[str, Any]:
        """The plain keys of a committed example, without what only holds a place."""
        config = self._document().get("config") or {}
        found = {key.removeprefix(f"{PROJECT}:"): value for key, value in config.items() if key != BASE_URL}
        return {key: value for key, value in found.items() if not _is_placeholder(key, value)}

    def write(self, plain: Mapping[str, Any]) -> None:
        """The project's keys and where Cloudflare is; one that the example has and `plain` lacks is removed."""
        if self.before is None:
            named = {full(key): value for key, value in plain.items()}
            text = _HEADER.format(name=self.name) + yaml.safe_dump({"config": named}, sort_keys=False)
            replace_file(self.path, text)
            return
        gone = dict.fromkeys(
            key.removeprefix(f"{PROJECT}:")
            for key in self._document().get("config") or {}
            if (key.startswith(f"{PROJECT}:") or key == BASE_URL) and key.removeprefix(f"{PROJECT}:") not in plain
        )
        change_configuration(self.path, {**gone, **plain})


def _is_placeholder(key: str, value: object) -> bool:
    """Names below `.example` are for documents (RFC 2606) and nobody's own."""
    if key in {"zoneId", "accountId"}:
        return value == PLACEHOLDER
    return key in {"domain", "zoneName", "tunnelHostname"} and str(value).endswith(".example")
