"""Makes CLI and plugins ready, and remembers in PULUMI_HOME that they are."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path

from engine import cloudflare_plugin, json_file
from engine.cli import Cli, find_cli
from engine.cloudflare_plugin import CloudflarePlugin, Source
from engine.errors import PackageMissingError
from engine.layout import Layout
from engine.plugins import DYNAMIC_HOST, LANGUAGE_HOST, Installer, Plugin, official_host, scripts_fingerprint

OWN = "engine"
_RECORD_FORMAT = "3"
_NO_LOGS = """Pulumi writes a log of every property of every run into a folder of this name, encrypted: 9 MB and half a second of CPU for
an up of 10,000 mailboxes that changes nothing. While this file stands here it cannot, and goes on without. Delete it to have the
logs, until the next ./mail setup. Decision record 104 says more.
"""


@dataclass(frozen=True, kw_only=True)
class Engine:
    """Everything `pulumi up` needs. The hosts are paths of official ones, or `engine` for those of this package."""

    cli: Cli
    language_host: str
    dynamic_host: str
    cloudflare: CloudflarePlugin


def ensure_engine(
    layout: Layout, environment: Mapping[str, str], *, look_again: bool = False, on_loopback: bool = True
) -> Engine:
    """The engine, made ready where it is not; quick when nothing has changed since the last time.

    `look_again` asks anew which plugins this machine has and can get. A stack that is not `on_loopback` is refused the
    stand-in, so for it a failed download is tried again. Raises EngineError.
    """
    if find_spec("pulumi") is None:
        raise PackageMissingError("pulumi", layout.venv)
    cli = find_cli(layout, environment)
    version = cloudflare_plugin.wanted_version(layout)
    fingerprint = _fingerprint(layout, cli, environment, version)
    file = layout.home / "agentmail-engine.json"

    def known() -> Engine | None:
        found = None if look_again else _Record(file).read(fingerprint, cli)
        return found if found and _still_true(layout, environment, found, on_loopback=on_loopback) else None

    found = known()
    if found is not None:
        return found
    layout.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _locked(layout.home / ".agentmail-engine.lock"):
        # Another command may have made it ready in the meantime.
        return known() or _make_ready(
            layout, environment, file, fingerprint, cli, version, may_download=look_again or not on_loopback
        )


def _still_true(layout: Layout, environment: Mapping[str, str], engine: Engine, *, on_loopback: bool) -> bool:
    """Whether everything that was found is still there, and nothing better has come since."""
    if not _complete(layout, engine):
        return False
    if not engine.cloudflare.is_provisional:
        return True
    if not on_loopback or cloudflare_plugin.official_is_there(layout, environment, engine.cloudflare.version):
        return False
    return not _due(engine.cloudflare.failed_at)


def _due(failed_at: float | None) -> bool:
    """Whether a download that failed then is worth another attempt; a clock that went back makes it so, too."""
    return failed_at is None or not 0 <= time.time() - failed_at < cloudflare_plugin.RETRY_SECONDS


def _make_ready(
    layout: Layout,
    environment: Mapping[str, str],
    file: Path,
    fingerprint: str,
    cli: Cli,
    version: str,
    *,
    may_download: bool,
) -> Engine:
    record = _Record(file)
    failed_at = record.failed_at(version)
    if layout.private_home:
        _keep_no_logs(layout.home / "logs")
    installer = Installer(layout, cli, environment)
    engine = Engine(
        cli=cli,
        language_host=_ensure_host(LANGUAGE_HOST, cli, environment, installer),
        dynamic_host=_ensure_host(DYNAMIC_HOST, cli, environment, installer),
        cloudflare=cloudflare_plugin.ensure(
            layout,
            installer,
            environment,
            version=version,
            may_download=may_download or _due(failed_at),
            failed_at=failed_at,
        ),
    )
    record.write(fingerprint, engine)
    return engine


def _keep_no_logs(folder: Path) -> None:
    """No switch turns them off (CLI 3.259); a user's own PULUMI_HOME is left alone."""
    if folder.is_dir():
        shutil.rmtree(folder, ignore_errors=True)  # another run may be writing into it
    if not folder.exists():
        folder.write_text(_NO_LOGS, encoding="utf-8")


def _ensure_host(plugin: Plugin, cli: Cli, environment: Mapping[str, str], installer: Installer) -> str:
    official = official_host(plugin, cli, environment)
    if official is not None:
        return str(official)
    installer.install_script(plugin)
    return OWN


def _complete(layout: Layout, engine: Engine) -> bool:
    """Whether everything that was found or installed is still there."""
    expected = [cloudflare_plugin.plugin(engine.cloudflare.version).executable_in(layout.home)]
    for plugin, host in ((LANGUAGE_HOST, engine.language_host), (DYNAMIC_HOST, engine.dynamic_host)):
        expected.append(plugin.executable_in(layout.home) if host == OWN else Path(host))
    return all(path.exists() for path in expected)


def _fingerprint(layout: Layout, cli: Cli, environment: Mapping[str, str], version: str) -> str:
    """Changes whenever the plugins must be looked at again."""
    plugins = [LANGUAGE_HOST, DYNAMIC_HOST, cloudflare_plugin.plugin(version)]
    parts = [
        _RECORD_FORMAT,
        str(cli.path),
        cli.version,
        environment.get("PATH", ""),
        str(cloudflare_plugin.forced_source(environment)),
        scripts_fingerprint(layout, plugins),
    ]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    with file.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


class _Record:
    """What was found the last time."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._remembered = json_file.read(file)

    def failed_at(self, version: str) -> float | None:
        """When this version of the official Cloudflare plugin could last not be downloaded."""
        cloudflare = self._remembered.get("cloudflare")
        if not isinstance(cloudflare, dict) or cloudflare.get("version") != version:
            return None
        moment = cloudflare.get("failed_at")
        return moment if isinstance(moment, float) else None

    def read(self, fingerprint: str, cli: Cli) -> Engine | None:
        if self._remembered.get("fingerprint") != fingerprint:
            return None
        cloudflare = self._remembered["cloudflare"]
        return Engine(
            cli=cli,
            language_host=self._remembered["language_host"],
            dynamic_host=self._remembered["dynamic_host"],
            cloudflare=CloudflarePlugin(**{**cloudflare, "source": Source(cloudflare["source"])}),
        )

    def write(self, fingerprint: str, engine: Engine) -> None:
        json_file.write(
            self._file,
            {
                "fingerprint": fingerprint,
                "language_host": engine.language_host,
                "dynamic_host": engine.dynamic_host,
                "cloudflare": asdict(engine.cloudflare),
            },
        )
