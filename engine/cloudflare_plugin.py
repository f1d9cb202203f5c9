"""Which Cloudflare plugin the CLI gets.

1. The official one of the version that the installed `pulumi_cloudflare` wants, if PULUMI_HOME or `~/.pulumi` has it.
2. Else the official one, downloaded. An attempt is soon given up: many machines that run the loopback stack have no
   internet. The next comes after RETRY_SECONDS, with `engine setup`, or at once for a stack that leaves this machine.
3. Else the stand-in of `engine/cloudflare/`, under the official one's name and version. A PULUMI_HOME that the user
   has chosen may serve other projects, so there the stand-in must be asked for. It talks to loopback alone, so a stack
   that leaves this machine is refused instead.

AGENTMAIL_CLOUDFLARE_PLUGIN=official or =stand-in decides without asking.
"""

from __future__ import annotations

import shutil
import socket
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from engine.errors import CloudflarePluginError, ForcedChoiceError, PackageMissingError, PluginInstallError
from engine.layout import Layout
from engine.plugins import Installer, Plugin
from engine.progress import say

CHOICE = "AGENTMAIL_CLOUDFLARE_PLUGIN"

_DOWNLOAD_HOST = "get.pulumi.com"
_CONNECT_SECONDS = 3.0
_DOWNLOAD_SECONDS = 180.0

RETRY_SECONDS = 3600.0
"""How long a failed download keeps a command on loopback from trying again."""

_NOTE = "stand-in.txt"
_NOTE_TEXT = (
    "This is no official plugin: it leads to engine/cloudflare of a clone of agent-mail, which knows the resources\n"
    "that program declares. `./mail pulumi plugin install resource cloudflare --reinstall` puts the official one here.\n"
)


class Source(StrEnum):
    OFFICIAL = "official"
    STAND_IN = "stand-in"


@dataclass(frozen=True, kw_only=True)
class CloudflarePlugin:
    """The plugin in use; `because` completes the sentence "it is used because ...".

    `failed_at` is when the official one could last not be downloaded, in seconds since 1970.
    """

    version: str
    source: Source
    because: str
    failed_at: float | None = None

    @property
    def is_provisional(self) -> bool:
        """Whether it is the stand-in only because the official one was not to be had."""
        return self.source is Source.STAND_IN and self.failed_at is not None


def wanted_version(layout: Layout) -> str:
    """The plugin version that the SDK in the virtualenv asks for. Raises PackageMissingError."""
    # By the name of its folder (PEP 376): every command asks, and importlib.metadata alone takes 0.04 s of CPU.
    for folder in sys.path:
        for described in Path(folder).glob("pulumi_cloudflare-*.dist-info"):
            return described.name.removeprefix("pulumi_cloudflare-").removesuffix(".dist-info")
    raise PackageMissingError("pulumi-cloudflare", layout.venv)


def forced_source(environment: Mapping[str, str]) -> Source | None:
    """Raises ForcedChoiceError."""
    named = environment.get(CHOICE)
    if not named:
        return None
    try:
        return Source(named)
    except ValueError:
        raise ForcedChoiceError(named) from None


def plugin(version: str) -> Plugin:
    return Plugin(kind="resource", name="cloudflare", version=version)


def ensure(
    layout: Layout,
    installer: Installer,
    environment: Mapping[str, str],
    *,
    version: str,
    may_download: bool,
    failed_at: float | None = None,
) -> CloudflarePlugin:
    """Put the right plugin into PULUMI_HOME; `failed_at` is when a download failed before, if one did.

    Raises EngineError.
    """
    forced = forced_source(environment)
    if forced is Source.STAND_IN:
        installer.install_script(plugin(version), {_NOTE: _NOTE_TEXT})
        return CloudflarePlugin(version=version, source=Source.STAND_IN, because=f"{CHOICE} says so")
    found = _installed(layout, environment, version)
    if found is not None:
        return found
    if not may_download and forced is None and failed_at is not None:
        reason = "the official one could not be downloaded before (`./mail setup` tries again)"
    else:
        reason, failed_at = _download(installer, environment, version), time.time()
    if not reason:
        return CloudflarePlugin(version=version, source=Source.OFFICIAL, because="it could be downloaded")
    if forced is Source.OFFICIAL:
        raise CloudflarePluginError(version, f"{reason}, and {CHOICE} forbids the stand-in")
    if not layout.private_home:
        raise CloudflarePluginError(
            version,
            f"{reason}; set {CHOICE}=stand-in to put this project's stand-in into PULUMI_HOME ({layout.home}), or unset "
            f"PULUMI_HOME",
        )
    installer.install_script(plugin(version), {_NOTE: _NOTE_TEXT})
    return CloudflarePlugin(version=version, source=Source.STAND_IN, because=reason, failed_at=failed_at)


def official_is_there(layout: Layout, environment: Mapping[str, str], version: str) -> bool:
    """Whether the official plugin is installed where it would be found."""
    wanted = plugin(version)
    return any(_is_official(wanted.directory(home)) for home in (layout.home, _users_home(environment)))


def _users_home(environment: Mapping[str, str]) -> Path:
    return Path(environment.get("HOME") or Path.home()) / ".pulumi"


def _installed(layout: Layout, environment: Mapping[str, str], version: str) -> CloudflarePlugin | None:
    wanted = plugin(version)
    if _is_official(wanted.directory(layout.home)):
        return CloudflarePlugin(version=version, source=Source.OFFICIAL, because="it is installed in PULUMI_HOME")
    users_home = _users_home(environment)
    users = wanted.directory(users_home)
    if users_home != layout.home and _is_official(users):
        _link(users, wanted.directory(layout.home))
        return CloudflarePlugin(version=version, source=Source.OFFICIAL, because=f"it is installed in {users_home}")
    return None


def _download(installer: Installer, environment: Mapping[str, str], version: str) -> str:
    """Install the official plugin; returns why it cannot be had, nothing where it could."""
    if not _reachable(environment):
        return f"the official one cannot be downloaded ({_DOWNLOAD_HOST} does not answer)"
    say(f"downloading the Cloudflare plugin v{version}")
    try:
        installer.run(plugin(version), ["--exact", "--reinstall"], _DOWNLOAD_SECONDS)
    except PluginInstallError as error:
        return f"the official one cannot be downloaded ({error})"
    return ""


def _is_official(directory: Path) -> bool:
    partial = directory.with_name(f"{directory.name}.partial")
    return (directory / "pulumi-resource-cloudflare").is_file() and not (
        (directory / _NOTE).exists() or partial.exists()
    )


def _link(source: Path, target: Path) -> None:
    """Make `target` a plugin directory whose files are those of `source`; the engine skips a linked directory."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for file in source.iterdir():
        (target / file.name).symlink_to(file)


def _reachable(environment: Mapping[str, str]) -> bool:
    """Whether the download host answers; behind a proxy only the download itself can tell."""
    if any(environment.get(name) for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")):
        return True
    answered = threading.Event()

    def connect() -> None:
        with suppress(OSError), socket.create_connection((_DOWNLOAD_HOST, 443), timeout=_CONNECT_SECONDS):
            answered.set()

    # In a thread, because asking DNS for the address has no time limit of its own.
    attempt = threading.Thread(target=connect, daemon=True)
    attempt.start()
    attempt.join(_CONNECT_SECONDS)
    return answered.is_set()
