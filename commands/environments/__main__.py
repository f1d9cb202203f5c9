"""`python -m commands.environments new NAME | check NAME`: make an environment, or look whether one can be brought up.

`new` takes what it needs from flags, from a `.env` of the platform (--from-env), from the environment (secrets), and asks
for the rest where there is a terminal. Tokens and keys are tried before anything is written; --no-check works offline.
Secrets are never taken as arguments: they would show in the list of processes.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from commands.doctor.finding import Finding, Status, worst
from commands.doctor.passphrase import passphrase_findings
from commands.doctor.table import as_table
from commands.environments.creation import create, require_backend
from commands.environments.draft import API_TOKEN, Draft
from commands.environments.errors import (
    EnvironmentDeclinedError,
    EnvironmentRefusedError,
    InputProblemsError,
    InvalidNameError,
)
from commands.environments.gathering import FLAGS, fill, gather
from commands.environments.questions import Terminal
from commands.environments.stack_file import EditedStackFile
from commands.environments.validation import live_findings, population_problems, validated
from commands.environments.wording import next_text, notes_text, plan_text
from commands.stack_commands import ROOT, Pulumi, PulumiFailedError
from settings.loading import SettingsError, from_config, stored_in_plain_text
from settings.model import Settings
from settings.values import PROJECT


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    given = _parser().parse_args(arguments)
    try:
        return _new(given) if given.command == "new" else _check(given)
    except (EnvironmentRefusedError, PulumiFailedError) as error:
        print(error, file=sys.stderr)
        return 1
    except (KeyboardInterrupt, EOFError):
        print("Interrupted; nothing was written.", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m commands.environments",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("name", metavar="NAME", help="of the environment, its stack and Pulumi.NAME.yaml")
    shared.add_argument("-C", "--cwd", type=Path, default=ROOT, metavar="DIR", help="the Pulumi project's folder")
    new = commands.add_parser("new", parents=[shared], help="make an environment")
    new.add_argument(
        "--from-env", type=Path, metavar="FILE", help="a .env of the platform; each of its variables is accounted for"
    )
    for option, key in FLAGS.items():
        new.add_argument(f"--{option.replace('_', '-')}", metavar="VALUE", help=f"{PROJECT}:{key}")
    new.add_argument("--cloudflare-api-url", metavar="URL", default="", help="cloudflare:baseUrl")
    new.add_argument(
        "--population", action="append", default=[], metavar="FILE", help="population file; may be repeated"
    )
    new.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="any other key, its value as YAML")
    new.add_argument("--unprotected", action="store_true", help="let the engine delete domain, records and routes")
    new.add_argument(
        "--secrets",
        choices=("stack", "environment"),
        default="stack",
        help="where credentials live: encrypted in Pulumi.NAME.yaml, or only in the environment of whoever runs Pulumi",
    )
    new.add_argument(
        "--secrets-provider", default="", metavar="URL", help="a KMS key, such as awskms://alias/agentmail"
    )
    new.add_argument("--no-check", action="store_true", help="do not try tokens and keys (offline)")
    new.add_argument("--yes", action="store_true", help="do not ask for confirmation")
    check = commands.add_parser(
        "check", parents=[shared], help="look at an environment: configuration, populations, tokens, keys"
    )
    check.add_argument(
        "--try-writes", action="store_true", help="write a TXT record into the zone and remove it: may the token write?"
    )
    return parser


# -- new -------------------------------------------------------------------------------------------------------------


def _new(given: argparse.Namespace) -> int:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,49}", given.name):
        raise InvalidNameError(given.name)
    pulumi = Pulumi(given.name, project=given.cwd)
    file = EditedStackFile.of(pulumi.project, given.name)
    draft = gather(given, file, pulumi.given)
    if draft.notes:
        print(notes_text(draft))
    fill(draft, given, Terminal() if sys.stdin.isatty() else None)
    settings = validated(draft, stack=given.name, project=pulumi.project, keep_secrets=given.secrets == "stack")
    require_backend(pulumi, draft, secrets_provider=given.secrets_provider, mailjet_url=settings.mailjet_api_url)
    if not given.no_check:
        _try_out(settings, draft.cloudflare_url)
    _confirm(given, file, draft)
    create(pulumi, file, draft, secrets_provider=given.secrets_provider, keep_secrets=given.secrets == "stack")
    print(next_text(draft, stack=given.name))
    return 0


def _try_out(settings: Settings, cloudflare_url: str) -> None:
    """Raises ProblemsError where a token or key will not do."""
    findings = list(live_findings(settings, cloudflare_url))
    _show(findings)
    wrong = [f"{item.subject}: {item.sentence}" for item in findings if item.status is Status.ERROR]
    if wrong:
        raise InputProblemsError(wrong)


def _confirm(given: argparse.Namespace, file: EditedStackFile, draft: Draft) -> None:
    """Raises DeclinedError."""
    keep = given.secrets == "stack"
    print(plan_text(draft, file=file.path.name, stack=given.name, keep_secrets=keep))
    if given.yes:
        return
    if not sys.stdin.isatty():
        raise EnvironmentDeclinedError(asked=False)
    if input("Write this? [y/N] ").strip().lower() not in {"y", "yes"}:
        raise EnvironmentDeclinedError(asked=True)


# -- check -----------------------------------------------------------------------------------------------------------


def _check(given: argparse.Namespace) -> int:
    if public := list(passphrase_findings(given.name, given.cwd)):
        _show(public)
        return 1
    pulumi = Pulumi(given.name, project=given.cwd)
    config = pulumi.entries()
    values = {key: str(entry.get("value") or "") for key, entry in config.items()}
    hidden = {key for key, entry in config.items() if entry.get("secret")}
    project = {key.removeprefix(f"{PROJECT}:"): value for key, value in values.items() if key.startswith(f"{PROJECT}:")}
    try:
        settings = from_config(
            project,
            stack=given.name.rsplit("/", 1)[-1],
            preview=False,
            cloudflare_api_token=values.get(API_TOKEN, ""),
            in_plain_text=stored_in_plain_text(values, hidden.__contains__),
            environment=pulumi.environment,
        )
        problems = population_problems(settings, pulumi.project)
    except SettingsError as error:
        problems = error.problems
    if problems:
        raise InputProblemsError(problems, lead=f"The environment {given.name!r} cannot be brought up")
    findings = list(live_findings(settings, values.get("cloudflare:baseUrl", ""), try_writes=given.try_writes))
    _show(findings)
    return 1 if worst(findings) is Status.ERROR else 0


def _show(findings: Sequence[Finding]) -> None:
    columns = shutil.get_terminal_size((120, 24)).columns
    print(as_table(findings, columns=columns, colour=sys.stdout.isatty()), end="")


if __name__ == "__main__":
    sys.exit(main())
