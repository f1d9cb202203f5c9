"""Is the draft a configuration that the program would take, and do Cloudflare and Mailjet take its credentials?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from clients.cloudflare.lookups import Cloudflare
from commands.doctor.credentials import ZoneWanted, cloudflare_findings, mailjet_api, mailjet_findings
from commands.doctor.finding import Finding
from commands.environments.draft import API_TOKEN, PLACEHOLDER, VARIABLES, Draft, full
from commands.environments.errors import InputProblemsError
from mailboxes.addresses import addresses
from mailboxes.errors import MailboxError
from mailboxes.population import PopulationSource, load_populations
from settings.loading import SettingsError, from_config
from settings.model import Settings
from settings.values import Dns


def validated(draft: Draft, *, stack: str, project: Path, keep_secrets: bool) -> Settings:
    """Raises ProblemsError with everything that is wrong or missing."""
    if missing := _missing(draft, keep_secrets=keep_secrets):
        raise InputProblemsError(missing)
    try:
        settings = from_config(
            draft.configuration(),
            stack=stack,
            preview=not keep_secrets,
            cloudflare_api_token=draft.secrets.get(API_TOKEN, ""),
            environment={},
        )
    except SettingsError as error:
        raise InputProblemsError(error.problems) from None
    problems = [
        f"agentmail:{key} is a placeholder; expected an id of yours; give it with --{option}"
        for key, option, value in (
            ("zoneId", "zone-id", settings.zone_id),
            ("accountId", "account-id", settings.account_id),
        )
        if value == PLACEHOLDER
    ]
    problems += population_problems(settings, project)
    if problems:
        raise InputProblemsError(problems)
    return settings


def _missing(draft: Draft, *, keep_secrets: bool) -> list[str]:
    """What nobody has given, with the way to give it."""
    shared = bool(draft.plain.get("domainStack"))
    wanted = [] if shared else [("domain", "the mail domain", "--domain NAME")]
    credentials = [("mailjetApiKey", "Mailjet's API key"), ("mailjetApiSecret", "Mailjet's API secret")]
    if draft.plain.get("dns", "cloudflare") == "cloudflare" and not shared:
        wanted += [
            ("zoneName", "the Cloudflare zone that holds the mail domain", "--zone-name NAME"),
            ("zoneId", "the id of that zone", "--zone-id ID (a token that may read the zone finds it by its name)"),
        ]
        credentials.append((API_TOKEN, "a Cloudflare API token"))
    found = [
        f"{full(key)} is not set; expected {what}; give it with {how}"
        for key, what, how in wanted
        if not draft.plain.get(key)
    ]
    if keep_secrets:
        found += [
            f"{full(key)} is not set; expected {what}; give it in the environment as {VARIABLES[key]}, in the file "
            "after --from-env, or at a terminal"
            for key, what in credentials
            if not draft.secrets.get(key)
        ]
    return found


def population_problems(settings: Settings, project: Path) -> list[str]:
    sources = [
        PopulationSource(path=project / entry.file, seed=entry.seed, created_at=entry.created_at)
        for entry in settings.populations
    ]
    try:
        addresses(
            load_populations(sources),
            # A stack on another's domain does not know it before it runs; only the agents are looked at here.
            settings.domain or "shared.invalid",
            single_mailboxes=settings.agent_mailboxes,
            legacy_prefix=settings.agent_mail_prefix,
        )
    except MailboxError as error:
        return [str(error)]
    return []


def live_findings(settings: Settings, cloudflare_url: str, *, try_writes: bool = False) -> Iterator[Finding]:
    """What Cloudflare and Mailjet say to the credentials."""
    if not settings.domain_stack and (settings.dns is Dns.CLOUDFLARE or settings.account_id):
        api = Cloudflare(cloudflare_url, settings.cloudflare_api_token)
        zone_id = settings.zone_id if settings.dns is Dns.CLOUDFLARE else ""
        wanted = ZoneWanted(
            zone_id=zone_id,
            zone_name=settings.zone_name,
            account_id=settings.account_id,
            # Beside the domain, not below it: a name below would end a wildcard's answers for it.
            write_test=f"_{settings.tag}-write-test.{settings.zone_name}".lower() if try_writes else "",
        )
        yield from cloudflare_findings(api, wanted)
    yield from mailjet_findings(
        mailjet_api(settings.mailjet_api_url, settings.mailjet_api_key, settings.mailjet_api_secret)
    )
