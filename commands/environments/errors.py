"""What can keep an environment from being made, each as one sentence."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from engine.stacks import without_credentials
from mailboxes import remedies
from mailboxes.wording import one_or_list


class EnvironmentRefusedError(Exception):
    """Base of everything that this command says before it gives up."""


class InvalidNameError(EnvironmentRefusedError):
    """No name for a stack."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"{name!r} is no name for an environment; expected 1 to 50 of a-z A-Z 0-9 . _ -, such as 'prod' or "
            "'staging'; choose another"
        )


class AlreadyMadeError(EnvironmentRefusedError):
    """The stack's file has been initialised."""

    def __init__(self, path: Path, name: str) -> None:
        super().__init__(
            f"The environment {name!r} exists already ({path.name} has been initialised); nothing was changed; "
            f"change it with: {remedies.set_value(remedies.KEY, stack=name)}, look at it with: "
            f"{remedies.check_environment(name)}, or choose another name"
        )


class InputProblemsError(EnvironmentRefusedError):
    """Everything that is wrong or missing, at once."""

    def __init__(self, problems: Sequence[str], *, lead: str = "Nothing was written") -> None:
        self.problems = tuple(problems)
        heading = f"{lead}, since {len(problems)} things must be settled first"
        super().__init__(one_or_list(problems, heading=heading, lead=f"{lead}: "))


class DotenvError(EnvironmentRefusedError):
    """The file after --from-env cannot be read as one."""

    def __init__(self, path: Path, problems: Sequence[str]) -> None:
        lines = "; ".join(problems)
        super().__init__(
            f"Nothing was written: {path} {lines}; expected lines NAME=value, as docker compose reads them"
        )


class PublicPassphraseError(EnvironmentRefusedError):
    """Real credentials, and the backend of the embedded default."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"No backend is named for {name!r}; expected one of yours, since the clone's own backend encrypts with a "
            "public passphrase and is for emulators only; name one with: export PULUMI_BACKEND_URL=s3://BUCKET (or "
            "file:///FOLDER, https://api.pulumi.com), docs/environments.md says how"
        )


class NoPassphraseError(EnvironmentRefusedError):
    """A backend without secrets of its own."""

    def __init__(self, backend: str) -> None:
        super().__init__(
            f"No passphrase is set for the backend {without_credentials(backend)}; expected PULUMI_CONFIG_PASSPHRASE or "
            "PULUMI_CONFIG_PASSPHRASE_FILE in the environment, or --secrets-provider with a key of your cloud, "
            "since secrets are encrypted with it; make one with: openssl rand -base64 32"
        )


class EnvironmentDeclinedError(EnvironmentRefusedError):
    """The person said no, or there was nobody to ask."""

    def __init__(self, *, asked: bool) -> None:
        found = "was not confirmed" if asked else "cannot be confirmed, since there is nobody to ask"
        super().__init__(f"The environment {found}; nothing was written; say --yes to go on without a question")


class StackWriteError(EnvironmentRefusedError):
    """Pulumi refused a step; what had been written is gone again."""

    def __init__(self, step: str, reason: str, *, left: Sequence[str] = ()) -> None:
        rest = f"; left behind: {', '.join(left)}" if left else "; everything was taken back"
        super().__init__(f"The environment could not be written, {step}: {reason}{rest}")
