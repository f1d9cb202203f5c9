"""A clone of this project with emulators of its own, in which shell commands run as in a terminal."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.e2e.stack import DEADLINE, ROOT, Emulators, Finished, clean_environment

# Byte code comes along, which each clone would make anew, but for files that are being written just now.
LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv", ".state", "*.pyc.*", ".*_cache", ".hypothesis", "*.egg-info", "build", "zone-backups"
)


@dataclass
class Clone:
    """A copy of the working tree that shares the virtualenv, with the emulators on ports that are free."""

    folder: Path
    emulators: Emulators
    environment: dict[str, str] = field(default_factory=dict, repr=False)

    def sh(self, script: str, *, check: bool = True, **variables: str) -> Finished:
        """Run a script as `bash -e` in the clone's root."""
        done = subprocess.run(
            ["bash", "-e", "-c", script],
            cwd=self.folder,
            env=self.environment | variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=DEADLINE,
        )
        finished = Finished(done.returncode, done.stdout, done.stderr)
        if check and finished.code != 0:
            raise AssertionError(f"{script}\nended with {finished.code}:\n{finished.text}")
        return finished


@contextmanager
def clone(
    folder: Path, *, replacing: Mapping[str, str] | None = None, committed_ports: bool = False
) -> Iterator[Clone]:
    """`replacing`: file of the clone -> its content instead of the committed one.

    `committed_ports`: leave Pulumi.dev.yaml as it is, although the emulators listen elsewhere.
    """
    shutil.copytree(ROOT, folder, ignore=LEFT_OUT, symlinks=True)
    (folder / ".venv").symlink_to(ROOT / ".venv")
    for name, text in (replacing or {}).items():
        (folder / name).write_text(text)
    emulators = Emulators.start(folder / ".state" / "emulators")
    if not committed_ports:
        _lead_to(emulators, folder / "Pulumi.dev.yaml")
    environment = {"AGENTMAIL_CLOUDFLARE_PLUGIN": "stand-in"} | clean_environment()
    try:
        yield Clone(folder, emulators, environment)
    finally:
        emulators.stop()


def _lead_to(emulators: Emulators, stack_file: Path) -> None:
    """The embedded default's configuration with the emulators' real ports."""
    status = emulators.status
    text = stack_file.read_text()
    for fixed, real in (
        ("http://127.0.0.1:8811/client/v4", status["cloudflare"]["url"]),
        ("http://127.0.0.1:8810", status["mailjet"]["url"]),
        ("mailjetSmtpPort: 8587", f"mailjetSmtpPort: {status['mailjet']['smtp']['port']}"),
        ("gatewayPort: 8588", f"gatewayPort: {status['gateway']['port']}"),
        ("http://127.0.0.1:8589", status["gateway"]["api_url"]),
        ("http://127.0.0.1:8826", status["inbox"]["url"]),
    ):
        assert fixed in text, f"{stack_file.name} no longer has {fixed}"
        text = text.replace(fixed, str(real))
    stack_file.write_text(text)
