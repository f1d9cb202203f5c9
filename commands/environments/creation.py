"""Writing an environment: its file, its stack, its secrets; all of it or nothing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from commands.environments.draft import BASE_URL, Draft, full
from commands.environments.errors import NoPassphraseError, PublicPassphraseError, WriteError
from commands.environments.stack_file import StackFile
from commands.stack_commands import Pulumi, PulumiFailedError
from engine.errors import BackendFileError
from engine.loopback import is_loopback
from engine.stacks import backend_text, check_backend

_PASSPHRASES = ("PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE")


def require_backend(pulumi: Pulumi, draft: Draft, *, secrets_provider: str, mailjet_url: str) -> str:
    """Where the stack will lie. Raises PublicPassphraseError and NoPassphraseError."""
    backend = pulumi.backend.url
    own_passphrase = any(pulumi.given.get(name) for name in _PASSPHRASES)
    emulated = is_loopback(draft.cloudflare_url) and is_loopback(mailjet_url)
    if pulumi.embedded and not own_passphrase and not secrets_provider and not emulated:
        raise PublicPassphraseError(pulumi.stack)
    keeps_secrets = backend.startswith("https://")
    if not (pulumi.embedded or own_passphrase or secrets_provider or keeps_secrets):
        raise NoPassphraseError(backend)
    return backend


@dataclass(frozen=True)
class RememberedBackend:
    """`Pulumi.NAME.backend` beside the stack's file: the backend for every later command, here and in other clones."""

    path: Path
    before: str | None

    @classmethod
    def of(cls, file: StackFile) -> RememberedBackend:
        path = file.path.with_suffix(".backend")
        return cls(path, path.read_text(encoding="utf-8") if path.exists() else None)

    def write(self, pulumi: Pulumi) -> None:
        """Nothing for this clone's own backend, which every command finds. Raises BackendFileError."""
        if pulumi.embedded or not pulumi.backend.url:
            return
        check_backend(pulumi.backend.url, self.path)
        self.path.write_text(backend_text(pulumi.backend.url, pulumi.stack), encoding="utf-8")

    def restore(self) -> None:
        """As it was before."""
        if self.before is None:
            self.path.unlink(missing_ok=True)
        else:
            self.path.write_text(self.before, encoding="utf-8")


def create(pulumi: Pulumi, file: StackFile, draft: Draft, *, secrets_provider: str, keep_secrets: bool) -> None:
    """Raises WriteError, after everything that had been written was taken back."""
    made = False
    remembered = RememberedBackend.of(file)
    step = "writing the configuration"
    try:
        # All of it before there is a stack: where the services are decides which passphrase the stack may have.
        file.write({**draft.plain, **({BASE_URL: draft.cloudflare_url} if draft.cloudflare_url else {})})
        step = "remembering the backend"
        remembered.write(pulumi)
        step = "making the stack"
        provider = ["--secrets-provider", secrets_provider] if secrets_provider else []
        pulumi.run("stack", "init", pulumi.stack, "--no-select", *provider)
        made = True
        for key, value in draft.secrets.items() if keep_secrets else ():
            step = f"storing the secret {full(key)}"
            # On standard input: an argument would show in the list of processes.
            pulumi.run("config", "set", "--secret", key, "--stack", pulumi.stack, stdin=value)
    except (PulumiFailedError, BackendFileError, OSError) as error:
        left = _take_back(pulumi, file, remembered, made=made)
        raise WriteError(
            step, error.reason if isinstance(error, PulumiFailedError) else str(error), left=left
        ) from None
    except KeyboardInterrupt:
        _take_back(pulumi, file, remembered, made=made)
        raise


def _take_back(pulumi: Pulumi, file: StackFile, remembered: RememberedBackend, *, made: bool) -> list[str]:
    """What could not be taken back."""
    left = []
    if made:
        try:
            pulumi.run("stack", "rm", pulumi.stack, "--yes", "--preserve-config")
        except PulumiFailedError:
            left.append(f"the empty stack {pulumi.stack!r} (remove it with: ./engine/pulumi stack rm {pulumi.stack})")
    file.restore()
    remembered.restore()
    return left
