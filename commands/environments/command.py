"""`./mail env new NAME | check NAME`: make an environment, or look whether one can be brought up.

`new` takes what it needs from flags, from a `.env` of the platform (--from-env), from the environment (secrets), and asks
for the rest where there is a terminal. Tokens and keys are tried before anything is written; --no-check works offline.
Secrets are never taken as arguments: they would show in the list of processes.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path

from commands.cli.console import columns, wants_colour, working
from commands.doctor.finding import Finding, Status, worst
from commands.doctor.passphrase import passphrase_findings
from commands.doctor.table import as_json, as_table
from commands.environments.asking import person
from commands.environments.creation import create, require_backend
from commands.environments.draft import Draft
from commands.environments.errors import EnvironmentDeclinedError, InputProblemsError, InvalidNameError
from commands.environments.gathering import fill, gather
from commands.environments.options import NewOptions
from commands.environments.stack_file import EditedStackFile
from commands.environments.validation import live_findings, population_problems, validated
from commands.environments.wording import next_text, notes_text, plan_text
from commands.stack_commands import ROOT, Pulumi
from commands.stack_settings import read_settings
from settings.loading import SettingsError
from settings.model import Settings

# -- new -------------------------------------------------------------------------------------------------------------


def new(given: NewOptions) -> int:
    """Raises EnvironmentRefusedError and PulumiFailedError, with nothing written."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,49}", given.name):
        raise InvalidNameError(given.name)
    pulumi = Pulumi(given.name, project=given.cwd)
    file = EditedStackFile.of(pulumi.project, given.name)
    draft = gather(given, file, pulumi.given)
    if draft.notes:
        print(notes_text(draft))
    fill(draft, given, person())
    settings = validated(draft, stack=given.name, project=pulumi.project, keep_secrets=given.keeps_secrets)
    require_backend(pulumi, draft, secrets_provider=given.secrets_provider, mailjet_url=settings.mailjet_api_url)
    if not given.no_check:
        _try_out(settings, draft.cloudflare_url)
    _confirm(given, file, draft)
    create(pulumi, file, draft, secrets_provider=given.secrets_provider, keep_secrets=given.keeps_secrets)
    print(next_text(draft, stack=given.name))
    return 0


def _try_out(settings: Settings, cloudflare_url: str) -> None:
    """Raises ProblemsError where a token or key will not do."""
    with working("Trying the token and the keys"):
        findings = list(live_findings(settings, cloudflare_url))
    _show(findings)
    wrong = [f"{item.subject}: {item.sentence}" for item in findings if item.status is Status.ERROR]
    if wrong:
        raise InputProblemsError(wrong)


def _confirm(given: NewOptions, file: EditedStackFile, draft: Draft) -> None:
    """Raises DeclinedError."""
    keep = given.keeps_secrets
    print(plan_text(draft, file=file.path.name, stack=given.name, keep_secrets=keep))
    if given.yes:
        return
    if not sys.stdin.isatty():
        raise EnvironmentDeclinedError(asked=False)
    if input("Write this? [y/N] ").strip().lower() not in {"y", "yes"}:
        raise EnvironmentDeclinedError(asked=True)


# -- check -----------------------------------------------------------------------------------------------------------


def check(name: str, project: Path = ROOT, *, try_writes: bool = False, json: bool = False) -> int:
    """Exit status: 1 for an error. Raises ProblemsError for what keeps it from being brought up."""
    if public := list(passphrase_findings(name, project)):
        _show(public)
        return 1
    pulumi = Pulumi(name, project=project)
    try:
        settings, cloudflare_url = read_settings(pulumi, for_up=True)
        problems = population_problems(settings, pulumi.project)
    except SettingsError as error:
        problems = error.problems
    if problems:
        raise InputProblemsError(problems, lead=f"The environment {name!r} cannot be brought up")
    with working("Asking Cloudflare and Mailjet"):
        findings = list(live_findings(settings, cloudflare_url, try_writes=try_writes))
    if json:
        print(as_json(name, findings))
    else:
        _show(findings)
    return 1 if worst(findings) is Status.ERROR else 0


def _show(findings: Sequence[Finding]) -> None:
    print(as_table(findings, columns=columns(), colour=wants_colour()), end="")
