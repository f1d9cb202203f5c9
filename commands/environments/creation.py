"""Writing an environment: its file, its stack, its secrets; all of it or nothing."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from commands.environments.draft import BASE_URL, Draft, full
from commands.environments.errors import NoPassphraseError, PublicPassphraseError, StackWriteError
from commands.environments.stack_file import EditedStackFile, building_site
from commands.signals import terminable, uninterrupted
from commands.stack_commands import Pulumi, PulumiFailedError
from engine.errors import BackendFileError
from engine.loopback import is_loopback
from engine.stacks import backend_text, check_backend
from mailboxes import remedies
from mailboxes.merging import replace_file

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


def create(pulumi: Pulumi, file: EditedStackFile, draft: Draft, *, secrets_provider: str, keep_secrets: bool) -> None:
    """Make the environment in a folder of its own, then put it in place in one step.

    A run that is killed leaves that folder; the next one sees by it whose half-made stack it finds, and begins anew.

    Raises WriteError, after everything that had been written was taken back.
    """
    site = BuildingSite(pulumi, file)
    step = "clearing up after a run that was killed"
    begun = False
    try:
        with terminable():
            site.clear(stack=site.exists)
            step = "writing the configuration"
            site.open()
            # All of it before there is a stack: where the services are decides which passphrase the stack may have.
            site.file.write({**draft.plain, **({BASE_URL: draft.cloudflare_url} if draft.cloudflare_url else {})})
            step = "remembering the backend"
            site.remember_backend()
            step = "making the stack"
            provider = ["--secrets-provider", secrets_provider] if secrets_provider else []
            begun = True
            site.pulumi.run("stack", "init", pulumi.stack, "--no-select", *provider)
            for key, value in draft.secrets.items() if keep_secrets else ():
                step = f"storing the secret {full(key)}"
                # On standard input: an argument would show in the list of processes.
                site.pulumi.run("config", "set", "--secret", key, "--stack", pulumi.stack, stdin=value)
            step = "putting the files in place"
            site.finish()
    except (PulumiFailedError, BackendFileError, OSError) as error:
        left = _take_back(site, stack=begun and step != "making the stack")
        raise StackWriteError(
            step, error.reason if isinstance(error, PulumiFailedError) else str(error), left=left
        ) from None
    except KeyboardInterrupt:
        if site.exists:
            _take_back(site, stack=begun)
        raise


def _take_back(site: BuildingSite, *, stack: bool) -> list[str]:
    """What could not be taken back."""
    with uninterrupted():
        try:
            site.clear(stack=stack)
        except PulumiFailedError:
            name = site.pulumi.stack
            return [f"the empty stack {name!r} (remove it with: {remedies.remove_stack(name)})"]
    return []


class BuildingSite:
    """The folder `.Pulumi.NAME.new` beside the stack's file, a project of its own until the environment is whole."""

    def __init__(self, pulumi: Pulumi, file: EditedStackFile) -> None:
        self.folder = building_site(file.path)
        self.pulumi = pulumi.in_folder(self.folder)
        self.file = replace(file, path=self.folder / file.path.name)
        self._place = file.path.parent
        self._before = file.before

    @property
    def exists(self) -> bool:
        """Whether a run was killed before it ended."""
        return self.folder.exists()

    def open(self) -> None:
        """Raises OSError."""
        self.folder.mkdir()
        (self.folder / ".gitignore").write_text("*\n", encoding="utf-8")
        project = self._place / "Pulumi.yaml"
        if project.exists():
            (self.folder / project.name).write_text(project.read_text(encoding="utf-8"), encoding="utf-8")
        if self._before is not None:
            self.file.path.write_text(self._before, encoding="utf-8")

    def remember_backend(self) -> None:
        """`Pulumi.NAME.backend`: for every later command, here and in other clones.

        None for this clone's own backend, which every command finds. Raises BackendFileError.
        """
        url = self.pulumi.backend.url
        if self.pulumi.embedded or not url:
            return
        check_backend(url, self._backend_file)
        self._backend_file.write_text(backend_text(url, self.pulumi.stack), encoding="utf-8")

    @property
    def _backend_file(self) -> Path:
        return self.file.path.with_suffix(".backend")

    def finish(self) -> None:
        """The stack's file is the last to come: without it there is no environment."""
        for made in (self._backend_file, self.file.path):
            if made.exists():
                replace_file(self._place / made.name, made.read_text(encoding="utf-8"))
        shutil.rmtree(self.folder)

    def clear(self, *, stack: bool) -> None:
        """As it was before. A stack that holds anything stays. Raises PulumiFailedError."""
        if stack:
            try:
                self.pulumi.run("stack", "rm", self.pulumi.stack, "--yes", "--preserve-config")
            except PulumiFailedError as error:
                if "no stack named" not in error.reason:
                    raise
        if self.exists:
            shutil.rmtree(self.folder)
