"""What is known of a new environment: a committed example's values, under those of a `.env`, under the flags'."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from clients.cloudflare.client import CloudflareError
from clients.cloudflare.lookups import Cloudflare, Zone
from commands.environments.asking import Asker
from commands.environments.dotenv import read_dotenv
from commands.environments.draft import API_TOKEN, INBOX_SERVICE, VARIABLES, Draft
from commands.environments.errors import InputProblemsError
from commands.environments.options import NewOptions
from commands.environments.platform_variables import PREFIXES, import_variables
from commands.environments.questions import Interview
from commands.environments.stack_file import EditedStackFile
from commands.environments.trying import Trials
from mailboxes import remedies
from mailboxes.passwords import render_roots, with_new_root
from settings.values import PROJECT

_NOT_AN_ARGUMENT = (
    "--set has the secret key {key}, and arguments show in the list of processes; expected it on standard input; "
    "leave it out here, then store it with: {remedy}"
)


def gather(given: NewOptions, file: EditedStackFile, environment: Mapping[str, str]) -> Draft:
    """The example's values, under the .env's, under the flags'."""
    draft = Draft(plain={"protected": True, "submission": "gateway", **file.example()})
    if given.from_env:
        dotenv = read_dotenv(given.from_env, environment)
        if blank := [_blank(name, unset) for name, unset in dotenv.unset.items() if name.startswith(PREFIXES)]:
            raise InputProblemsError(blank)
        import_variables(dotenv.values, draft)
    draft.plain |= {key: value for key, value in given.values.items() if value}
    draft.plain |= dict(_assignment(text, stack=given.name) for text in given.set)
    draft.cloudflare_url = (
        given.cloudflare_api_url or draft.cloudflare_url or environment.get("CLOUDFLARE_BASE_URL", "")
    )
    if given.unprotected:
        draft.plain["protected"] = False
    if given.without_inbox:
        draft.plain |= {"inboxService": "", "inboxUrl": ""}
    if draft.plain.get("tunnelCname"):
        draft.plain.pop("accountId", None)
    default = Path("populations") / f"{given.name}.yaml"
    if given.population:
        draft.plain["populations"] = [{"file": name} for name in given.population]
    elif "populations" not in draft.plain and (given.cwd / default).is_file():
        draft.plain["populations"] = [{"file": str(default)}]
    for key, variable in VARIABLES.items():
        if environment.get(variable):
            draft.secrets.setdefault(key, environment[variable])
    return draft


def _blank(name: str, unset: Iterable[str]) -> str:
    """Compose would warn and put nothing there, and half a URL is no URL."""
    return (
        f"{name} names {' and '.join(sorted(unset))}, set neither above it in the file nor in the environment; expected a "
        "value, since docker compose would put nothing in that place; set it, write the value itself, or write $$ for a dollar"
    )


def _assignment(text: str, *, stack: str) -> tuple[str, Any]:
    """`KEY=VALUE`; a secret key is refused. Raises ProblemsError."""
    key, equals, value = text.partition("=")
    name = key.removeprefix(f"{PROJECT}:")
    if not equals or not name:
        raise InputProblemsError([f"--set has {text!r}; expected KEY=VALUE"])
    if name in VARIABLES or name == "platformCloudflareToken":
        raise InputProblemsError([_NOT_AN_ARGUMENT.format(key=name, remedy=remedies.set_secret(name, stack=stack))])
    try:
        return name, yaml.safe_load(value)
    except yaml.YAMLError:
        raise InputProblemsError([f"--set {name} has a value that is no YAML; put quotes around it"]) from None


def fill(draft: Draft, given: NewOptions, asker: Asker | None) -> None:
    """What can be looked up or made is not asked for. Raises InputProblemsError."""
    if asker is not None and not given.yes:
        trials = None
        if not given.no_check:
            trials = Trials(
                cloudflare_url=draft.cloudflare_url, mailjet_url=str(draft.plain.get("mailjetApiUrl") or "")
            )
        Interview(draft, asker, trials).run()
    elif draft.plain.get("dns", "cloudflare") == "cloudflare" and not draft.plain.get("zoneId"):
        zone = None if given.no_check else _find_zone(draft)
        if zone is not None:
            draft.plain["zoneId"] = zone.id
            print(f"The zone {zone.name} has the id {zone.id}.")
    _inbox(draft)
    if given.keeps_secrets and not draft.secrets.get("webhookSecret"):
        draft.secrets["webhookSecret"] = secrets.token_hex(24)
        draft.made.add("webhookSecret")
    if given.keeps_secrets and draft.plain["submission"] == "gateway" and not draft.secrets.get("gatewayRoots"):
        draft.secrets["gatewayRoots"] = render_roots(with_new_root({}))
        draft.made.add("gatewayRoots")


def _inbox(draft: Draft) -> None:
    """What is made with a gateway and a tunnel of its own keeps its mail, unless somebody says otherwise."""
    plain = draft.plain
    if plain["submission"] == "gateway" and plain.get("accountId"):
        if not plain.get("inboxUrl"):
            plain.setdefault("inboxService", INBOX_SERVICE)
        if plain.get("inboxService"):
            plain.setdefault("inboundAuth", "forwarder")
    for key in ("inboxService", "inboxUrl"):
        if not plain.get(key):
            plain.pop(key, None)


def _find_zone(draft: Draft) -> Zone | None:
    """The token's one zone of that name; None where there is none to see, since a token may lack the right to look.

    Raises InputProblemsError for a token that is none, and where nobody answers: what the zone's id is, is then no question yet.
    """
    name, token = draft.plain.get("zoneName"), draft.secrets.get(API_TOKEN)
    if not name or not token:
        return None
    cloudflare = Cloudflare(draft.cloudflare_url, token)
    try:
        zones = cloudflare.zones_named(str(name))
    except CloudflareError as error:
        if not error.refused and not error.token_unknown:
            raise InputProblemsError(
                [
                    f"{error}; expected its API there; check --cloudflare-api-url and the network, or go on without: --no-check"
                ]
            ) from None
        if not _is_valid(cloudflare, str(draft.plain.get("accountId") or "")):
            raise InputProblemsError(
                ["Cloudflare does not accept the token; expected a valid one; set it as CLOUDFLARE_API_TOKEN"]
            ) from None
        return None
    return zones[0] if len(zones) == 1 else None


def _is_valid(cloudflare: Cloudflare, account_id: str) -> bool:
    """Whether it is a token at all, whatever it may do: Cloudflare answers alike to both."""
    try:
        cloudflare.verify_token(account_id)
    except CloudflareError:
        return False
    return True
