"""Gives the CLI the plugins it lacks, as ordinary plugins in its PULUMI_HOME.

Official ones win wherever they are: the language host and the host of dynamic providers beside the CLI or on PATH, the
Cloudflare plugin as `engine.cloudflare_plugin` says. What this module installs are scripts of three lines; they lead
to the clone whose launcher started the CLI, so clones may share a PULUMI_HOME.
"""

from __future__ import annotations

import hashlib
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from engine.cli import Cli
from engine.errors import PluginInstallError
from engine.layout import Layout

_INSTALL_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True)
class Plugin:
    """A plugin as the engine names it: `kind` is `language` or `resource`."""

    kind: str
    name: str
    version: str

    @property
    def executable(self) -> str:
        return f"pulumi-{self.kind}-{self.name}"

    def directory(self, home: Path) -> Path:
        return home / "plugins" / f"{self.kind}-{self.name}-v{self.version}"

    def executable_in(self, home: Path) -> Path:
        return self.directory(home) / self.executable

    def __str__(self) -> str:
        return f"{self.name} v{self.version} ({self.kind})"


LANGUAGE_HOST = Plugin(kind="language", name="python", version="1.0.0")
DYNAMIC_HOST = Plugin(kind="resource", name="pulumi-python", version="1.0.0")


def official_host(plugin: Plugin, cli: Cli, environment: Mapping[str, str]) -> Path | None:
    """Where the CLI finds the host that its distribution brings: beside itself, or on PATH."""
    beside = cli.path.resolve().parent / plugin.executable
    if beside.is_file():
        return beside
    found = shutil.which(plugin.executable, path=environment.get("PATH"))
    return Path(found) if found else None


def script(layout: Layout, plugin: Plugin) -> str:
    """The executable of a plugin that this package provides."""
    root = shlex.quote(str(layout.root))
    return (
        "#!/bin/sh\n"
        f"root=${{AGENTMAIL_ENGINE_ROOT:-{root}}}\n"
        f'exec "$root/.venv/bin/python" -u "$root/engine/__main__.py" plugin {plugin.name} "$@"\n'
    )


def scripts_fingerprint(layout: Layout, plugins: list[Plugin]) -> str:
    text = "\0".join(f"{plugin}\n{script(layout, plugin)}" for plugin in plugins)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _holds(directory: Path, files: Mapping[str, str]) -> bool:
    """Whether a plugin directory is complete and has exactly these files."""
    if directory.with_name(f"{directory.name}.partial").exists() or not directory.is_dir():
        return False
    found = {file.name: file.read_bytes() for file in directory.iterdir() if file.is_file()}
    return found == {name: text.encode() for name, text in files.items()}


class Installer:
    """`pulumi plugin install` into one PULUMI_HOME."""

    def __init__(self, layout: Layout, cli: Cli, environment: Mapping[str, str]) -> None:
        self._layout = layout
        self._cli = cli
        self._variables = {
            **environment,
            "PULUMI_HOME": str(layout.home),
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            # The CLI refuses to install the kinds that its distribution bundles, this variable aside.
            "PULUMI_DEV": "true",
        }

    def install_script(self, plugin: Plugin, notes: Mapping[str, str] | None = None) -> None:
        """Install this package's own plugin; `notes` are further files beside the executable."""
        files = {plugin.executable: script(self._layout, plugin), **(notes or {})}
        if _holds(plugin.directory(self._layout.home), files):
            return
        with tempfile.TemporaryDirectory(prefix="agentmail-plugin-") as scratch:
            for name, text in files.items():
                (Path(scratch) / name).write_text(text, encoding="utf-8")
            (Path(scratch) / plugin.executable).chmod(0o755)
            self.run(plugin, ["--file", scratch, "--reinstall"], _INSTALL_SECONDS)

    def run(self, plugin: Plugin, options: list[str], seconds: float) -> None:
        """Raises PluginInstallError, also if it takes longer than `seconds`."""
        command = [str(self._cli.path), "plugin", "install", plugin.kind, plugin.name, f"v{plugin.version}", *options]
        try:
            said = subprocess.run(  # noqa: S603
                command,
                cwd=self._layout.home,
                env=self._variables,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=seconds,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise PluginInstallError(str(plugin), f"it took longer than {seconds:.0f} s") from None
        if said.returncode:
            lines = (said.stdout + said.stderr).strip().splitlines()
            raise PluginInstallError(str(plugin), lines[-1] if lines else "")
