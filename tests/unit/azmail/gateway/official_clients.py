"""Mailjet's own clients for other languages: fetched once, by their lock files, into the cache beside the engine's.

Nothing of them is in the repository. npm checks what it fetches against package-lock.json, Go against go.sum.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).with_name("clients")
SECONDS = 600
_LANGUAGES = {"node": ("node", "npm"), "go": ("go",)}
_INSTALL = {"node": "apt-get install nodejs npm", "go": "https://go.dev/dl"}


class NoClientError(Exception):
    """It could not be fetched."""

    def __init__(self, language: str, said: str) -> None:
        last = (said.strip().splitlines() or ["it said nothing"])[-1]
        super().__init__(
            f"Mailjet's client for {language} could not be fetched ({last}); the first run needs the package registry, every "
            "later one the cache alone."
        )


def missing(language: str) -> str:
    """Why the gateway is not tested with the client of a language here, as one sentence; empty where it is."""
    absent = [name for name in _LANGUAGES[language] if shutil.which(name) is None]
    if not absent:
        return ""
    return (
        f"There is no {absent[0]} on this machine: the gateway is tested without Mailjet's client for {language}; get it with: "
        f"{_INSTALL[language]}"
    )


def languages() -> list[str]:
    """Those whose tools are here."""
    return [language for language in _LANGUAGES if not missing(language)]


@dataclass(frozen=True)
class OfficialClient:
    """One of them, ready to run."""

    command: tuple[str, ...]
    environment: Mapping[str, str]

    def send(self, call: Mapping[str, Any], *, host: str, user: str, password: str) -> tuple[int, Any]:
        """Status and body of the answer, as the client tells them; 0 and its words where there was none."""
        done = subprocess.run(
            self.command,
            input=json.dumps(call),
            env={**os.environ, **self.environment, "HOST": host, "USER_NAME": user, "PASSWORD": password},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)
        return found["status"], found["body"]


def fetched(language: str, *, ca_file: Path) -> OfficialClient:
    """The client, trusting one authority. Raises NoClientError."""
    folder = _cached(language, _install_node if language == "node" else _build_go)
    if language == "node":
        environment = {"NODE_PATH": str(folder / "node_modules"), "NODE_EXTRA_CA_CERTS": str(ca_file)}
        return OfficialClient(("node", str(FOLDER / "node" / "send.cjs")), environment)
    return OfficialClient((str(folder / "send"),), {"SSL_CERT_FILE": str(ca_file)})


def _cached(language: str, make: Callable[[Path, Path], None]) -> Path:
    """Several test processes may make it at once: the first rename wins, and all are the same."""
    source = FOLDER / language
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in sorted(source.iterdir()))).hexdigest()[:16]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()) / "azmail"
    target = cache / f"mailjet-{language}-{digest}"
    if not target.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as scratch:
            made = Path(scratch) / "made"
            made.mkdir()
            make(source, made)
            try:
                made.rename(target)
            except OSError:
                assert target.exists()
    return target


def _install_node(source: Path, target: Path) -> None:
    for name in ("package.json", "package-lock.json"):
        shutil.copy(source / name, target)
    _run("node", ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], target)


def _build_go(source: Path, target: Path) -> None:
    _run("go", ["go", "build", "-mod=readonly", "-o", str(target / "send"), "."], source)


def _run(language: str, command: Sequence[str], folder: Path) -> None:
    environment = {**os.environ, "GOFLAGS": "", "GOWORK": "off", "CGO_ENABLED": "0"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=SECONDS)
    if done.returncode != 0:
        raise NoClientError(language, done.stderr)
