"""Which stacks a command can touch, where their state lies, and whether all that they talk to is on loopback."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine import json_file
from engine.arguments import stacks_named, values, words
from engine.errors import BackendFileError
from engine.layout import Layout
from engine.loopback import is_loopback

SERVICES = ("cloudflare:baseUrl", "agentmail:mailjetApiUrl")
"""The keys of a stack's configuration that say where its services are; one that is missing means the real service."""

BACKENDS = ("file", "s3", "gs", "azblob", "postgres", "https", "http")
"""The kinds of URL that lead to a backend."""

_SERVICE = re.compile(r"(?:^|[:=.\[\"'])(?:baseUrl|mailjetApiUrl)\b")
_PROVIDER_KEYS = ("secretsprovider", "encryptedkey")


@dataclass(frozen=True, kw_only=True)
class StackFile:
    """`Pulumi.NAME.yaml` of one stack, which need not exist."""

    name: str
    path: Path

    @classmethod
    def of(cls, project: Path, name: str) -> StackFile:
        """The file of a stack of the project in a folder."""
        return cls(name=name, path=_stack_folder(project) / f"Pulumi.{name.rsplit('/', 1)[-1]}.yaml")

    @property
    def short_name(self) -> str:
        """Without organisation and project, as in the file's name."""
        return self.name.rsplit("/", 1)[-1]

    @property
    def backend_file(self) -> Path:
        """`Pulumi.NAME.backend` beside it: where the state lies, for whoever has the repository."""
        return self.path.with_name(f"Pulumi.{self.short_name}.backend")

    def document(self) -> dict[str, Any]:
        """What stands in it; empty for a file that is missing or that nobody can read as YAML."""
        # Only a command on a stack of this clone's own backend needs it.
        import yaml

        try:
            found = yaml.safe_load(self.path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError):
            return {}
        return found if isinstance(found, dict) else {}

    def broken(self) -> str:
        """What keeps it from being YAML, in words; empty if nothing does."""
        import yaml

        try:
            yaml.safe_load(self.path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return ""
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark
            where = f"line {mark.line + 1}: " if mark else ""
            return f"{where}{error.problem or 'it cannot be read'}"
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            return str(error)
        return ""

    def off_loopback(self) -> str:
        """What keeps the stack from being one that lives on loopback alone, in words; empty if nothing does."""
        if not self.path.is_file():
            return f"there is no {self.path.name} yet"
        config = self.document().get("config")
        if not isinstance(config, dict):
            return f"{self.path.name} has no configuration yet"
        for key in SERVICES:
            # `agentmail:config:KEY` is an older way to write the same key, and which of two wins is not for us to say.
            namespace, _, name = key.partition(":")
            value = config.get(key)
            if f"{namespace}:config:{name}" in config:
                return f"{self.path.name} has {namespace}:config:{name}"
            if not isinstance(value, str) or not is_loopback(value):
                found = f"has {key}: {value}" if isinstance(value, str) else f"leaves {key} at the real service"
                return f"{self.path.name} {found}"
        return ""

    @property
    def has_own_provider(self) -> bool:
        """Whether a key of some cloud encrypts its secrets, no passphrase."""
        found = self.document()
        return any(found.get(key) not in (None, "", "passphrase", "default") for key in _PROVIDER_KEYS)

    @property
    def salt(self) -> str:
        """What tells the passphrase that its secrets are encrypted with; empty without one."""
        found = self.document().get("encryptionsalt")
        return found if isinstance(found, str) else ""


@dataclass(frozen=True, kw_only=True)
class Meant:
    """The stacks that a command can touch: those it names, else the one that is selected."""

    project: Path
    stacks: tuple[StackFile, ...]
    overrides: tuple[str, ...]
    """Where the arguments themselves lead one of the services to."""

    def off_loopback(self) -> str:
        """Why the command must not have the public passphrase, in words; empty if it may."""
        if not self.stacks:
            return "it names no stack"
        for url in self.overrides:
            if not is_loopback(url):
                return f"the command leads to {url or 'no URL'}"
        return next((reason for stack in self.stacks if (reason := stack.off_loopback())), "")


def meant(layout: Layout, environment: Mapping[str, str], arguments: Sequence[str]) -> Meant:
    """Which stacks the command can touch. Where it can be read in two ways, both are among them."""
    start = _start(layout, arguments)
    project = _project(start)
    names = stacks_named(arguments) or _selected(layout, environment, project)
    named = [value for value in values(arguments, "--config-file") if value]
    return Meant(
        project=project,
        stacks=tuple(
            stack for name in names for stack in (_configured(name, named, start) or [StackFile.of(project, name)])
        ),
        overrides=tuple(_overrides(arguments)),
    )


def _start(layout: Layout, arguments: Sequence[str]) -> Path:
    """The folder in which Pulumi runs."""
    named = values(arguments, "--cwd", "C")
    return Path(named[-1] if named else layout.root).absolute()


def _project(start: Path) -> Path:
    """The folder of the project file that Pulumi finds from where it runs."""
    for folder in (start, *start.parents):
        if any((folder / name).is_file() for name in ("Pulumi.yaml", "Pulumi.yml", "Pulumi.json")):
            return folder
    return start


def _stack_folder(project: Path) -> Path:
    """Where the stacks' files are: beside the project's, unless `stackConfigDir` (once `config`) names another folder."""
    try:
        text = (project / "Pulumi.yaml").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return project
    named = re.search(r"^(?:stackConfigDir|config):[ \t]*['\"]?([^\s'\"#{\[]+)", text, re.MULTILINE)
    return project / named[1] if named else project


def _configured(name: str, named: Sequence[str], start: Path) -> list[StackFile]:
    """The files that `--config-file` names instead of the stack's own."""
    return [StackFile(name=name, path=start / value) for value in named]


def _selected(layout: Layout, environment: Mapping[str, str], project: Path) -> list[str]:
    """What PULUMI_STACK names, else every stack that was selected in this project, for whichever backend."""
    named = environment.get("PULUMI_STACK")
    if named is not None:
        return [named] if named else []
    digest = hashlib.sha1(str(project / "Pulumi.yaml").encode(), usedforsecurity=False).hexdigest()
    found: list[object] = []
    for file in (layout.home / "workspaces").glob(f"*-{digest}-workspace.json"):
        selected = json_file.read(file)
        by_backend = selected.get("stacks")
        found += [selected.get("stack"), *(by_backend.values() if isinstance(by_backend, dict) else ())]
    return [name for name in dict.fromkeys(found) if isinstance(name, str) and name]


def _overrides(arguments: Sequence[str]) -> list[str]:
    """The URLs that `--config KEY=URL`, `config set KEY URL` and `config set-all` give to one of the services."""
    spoken = words(arguments)
    writes = spoken[:1] == ["config"] and spoken[1:2] != ["get"]
    found = []
    for place, argument in enumerate(arguments):
        match = _SERVICE.search(argument)
        if match is None:
            continue
        rest = argument[match.end() :]
        if "=" in rest:
            found.append(rest.partition("=")[2])
        elif writes and spoken[1:2] == ["set"]:
            found += [word for word in arguments[place + 1 : place + 2] if not word.startswith("-")]
    return found


def remembered_backend(stacks: Sequence[StackFile]) -> tuple[str, Path] | None:
    """The backend in the first stack's `Pulumi.NAME.backend`, and that file. Raises BackendFileError.

    The file has one line that is no comment: the URL as PULUMI_BACKEND_URL takes it. It is committed, so it holds no
    credential.
    """
    for stack in stacks:
        try:
            text = stack.backend_file.read_text(encoding="utf-8")
        except FileNotFoundError:
            continue
        except (OSError, UnicodeDecodeError) as error:
            raise BackendFileError(stack.backend_file, f"cannot be read ({error})") from None
        lines = [line.strip() for line in text.splitlines() if line.strip() and not line.strip().startswith("#")]
        if len(lines) != 1:
            raise BackendFileError(stack.backend_file, f"has {len(lines)} lines that are no comment")
        check_backend(lines[0], stack.backend_file)
        return lines[0], stack.backend_file
    return None


def check_backend(url: str, file: Path) -> None:
    """Raises BackendFileError for what is no URL of a backend, or holds a password."""
    match = re.match(r"[a-z][a-z0-9+.-]*://(.*)", url)
    if match is None:
        raise BackendFileError(file, f"has {url!r}")
    if without_credentials(url) != url:
        raise BackendFileError(file, "holds a credential, and it is committed")
    scheme = url.partition("://")[0]
    if scheme not in BACKENDS:
        # The engine takes any other for a service of its own kind, and asks for an access token.
        raise BackendFileError(file, f"has {url!r}, and no backend is reached by {scheme}")


def without_credentials(url: str) -> str:
    """The URL as it may be shown: what may be a password or a key in it is `****`."""
    shown = re.sub(r"(?<=://)([^/?#]*?):[^/?#]*@", r"\1:****@", url)
    return re.sub(rf"([?&](?:{_HIDDEN})=)[^&#]+", r"\1****", shown, flags=re.IGNORECASE)


_HIDDEN = "sig|sas|secret|password|token|access_key|secret_key"


def backend_text(url: str, name: str) -> str:
    """The content of `Pulumi.NAME.backend`."""
    return (
        f"# Where the state of the stack {name} lies; PULUMI_BACKEND_URL in the environment goes before it.\n"
        f"# No credential stands here: this file is committed.\n{url}\n"
    )
