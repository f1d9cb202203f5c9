"""Writing an environment: its file, its stack, its secrets; all of it or nothing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from commands.doctor.emulators import is_loopback
from commands.environments.draft import BASE_URL, Draft, full
from commands.environments.errors import NoPassphraseError, PublicPassphraseError, WriteError
from commands.environments.stack_file import StackFile
from commands.stack_commands import Pulumi, PulumiFailedError
from engine import json_file

_PASSPHRASES = ("PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE")


def require_backend(pulumi: Pulumi, draft: Draft, *, secrets_provider: str, mailjet_url: str) -> str:
    """Where the stack will lie. Raises PublicPassphraseError and NoPassphraseError."""
    backend = pulumi.environment.get("PULUMI_BACKEND_URL") or _logged_in_at(pulumi.environment)
    own_passphrase = any(pulumi.given.get(name) for name in _PASSPHRASES)
    emulated = is_loopback(draft.cloudflare_url) and is_loopback(mailjet_url)
    if pulumi.embedded and not own_passphrase and not secrets_provider and not emulated:
        raise PublicPassphraseError(pulumi.stack)
    keeps_secrets = backend.startswith("https://")
    if not (pulumi.embedded or own_passphrase or secrets_provider or keeps_secrets):
        raise NoPassphraseError(backend)
    return backend


def _logged_in_at(environment: Mapping[str, str]) -> str:
    current = json_file.read(Path(environment.get("PULUMI_HOME", "")) / "credentials.json").get("current")
    return str(current or "")


def create(pulumi: Pulumi, file: StackFile, draft: Draft, *, secrets_provider: str, keep_secrets: bool) -> None:
    """Raises WriteError, after everything that had been written was taken back."""
    made = False
    step = "writing the configuration"
    try:
        file.write(draft.plain)
        step = "making the stack"
        provider = ["--secrets-provider", secrets_provider] if secrets_provider else []
        pulumi.run("stack", "init", pulumi.stack, "--no-select", *provider)
        made = True
        if draft.cloudflare_url:
            step = f"setting {BASE_URL}"
            pulumi.run("config", "set", BASE_URL, draft.cloudflare_url, "--stack", pulumi.stack)
        for key, value in draft.secrets.items() if keep_secrets else ():
            step = f"storing the secret {full(key)}"
            # On standard input: an argument would show in the list of processes.
            pulumi.run("config", "set", "--secret", key, "--stack", pulumi.stack, stdin=value)
    except (PulumiFailedError, OSError) as error:
        left = _take_back(pulumi, file, made=made)
        raise WriteError(
            step, error.reason if isinstance(error, PulumiFailedError) else str(error), left=left
        ) from None
    except KeyboardInterrupt:
        _take_back(pulumi, file, made=made)
        raise


def _take_back(pulumi: Pulumi, file: StackFile, *, made: bool) -> list[str]:
    """What could not be taken back."""
    left = []
    if made:
        try:
            pulumi.run("stack", "rm", pulumi.stack, "--yes", "--preserve-config")
        except PulumiFailedError:
            left.append(f"the empty stack {pulumi.stack!r} (remove it with: ./engine/pulumi stack rm {pulumi.stack})")
    file.restore()
    return left
