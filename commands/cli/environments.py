"""`./mail env …`: environments."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

from typer import Argument, BadParameter, Option, Typer

from commands.cli.options import ROOT, DevStack, Json, Project, StackName, Yes

app = Typer(no_args_is_help=True, help="Environments: make one, check one, list them, and the files that others read.")
TUNNEL_FILE = ROOT / "deploy" / "tunnel.env"
"""What deploy/docker-compose.yml reads."""
Name = Annotated[str, Argument(metavar="NAME", help="Of the environment, its stack and Pulumi.NAME.yaml.")]


class SecretsIn(StrEnum):
    """Where an environment's credentials are kept."""

    STACK = "stack"
    ENVIRONMENT = "environment"


@app.command()
def new(
    name: Name,
    project: Project = ROOT,
    from_env: Annotated[
        Path | None, Option(metavar="FILE", help="A .env of the platform; every variable is accounted for.")
    ] = None,
    domain: Annotated[str, Option(metavar="VALUE", help="agentmail:domain")] = "",
    zone_name: Annotated[str, Option(metavar="VALUE", help="agentmail:zoneName")] = "",
    zone_id: Annotated[str, Option(metavar="VALUE", help="agentmail:zoneId")] = "",
    account_id: Annotated[str, Option(metavar="VALUE", help="agentmail:accountId")] = "",
    tunnel_hostname: Annotated[str, Option(metavar="VALUE", help="agentmail:tunnelHostname")] = "",
    tunnel_service: Annotated[str, Option(metavar="VALUE", help="agentmail:tunnelService")] = "",
    tunnel_cname: Annotated[str, Option(metavar="VALUE", help="agentmail:tunnelCname")] = "",
    inbox_service: Annotated[str, Option(metavar="URL", help="agentmail:inboxService")] = "",
    inbox_url: Annotated[str, Option(metavar="URL", help="agentmail:inboxUrl")] = "",
    no_inbox: Annotated[
        bool, Option("--no-inbox", help="Mailjet delivers to the platform itself; nobody keeps the mail.")
    ] = False,
    webhook_url: Annotated[str, Option(metavar="VALUE", help="agentmail:webhookUrl")] = "",
    mailjet_api_url: Annotated[str, Option(metavar="VALUE", help="agentmail:mailjetApiUrl")] = "",
    dns: Annotated[str, Option(metavar="VALUE", help="agentmail:dns")] = "",
    cloudflare_api_url: Annotated[str, Option(metavar="URL", help="cloudflare:baseUrl")] = "",
    population: Annotated[list[str] | None, Option(metavar="FILE", help="Population file; may be repeated.")] = None,
    set_: Annotated[
        list[str] | None, Option("--set", metavar="KEY=VALUE", help="Any other key, its value as YAML.")
    ] = None,
    unprotected: Annotated[
        bool, Option("--unprotected", help="Let the engine delete domain, records and routes.")
    ] = False,
    secrets: Annotated[
        SecretsIn,
        Option(help="Credentials: encrypted in Pulumi.NAME.yaml, or only in the environment of who runs Pulumi."),
    ] = SecretsIn.STACK,
    secrets_provider: Annotated[str, Option(metavar="URL", help="A KMS key, such as awskms://alias/agentmail.")] = "",
    no_check: Annotated[bool, Option("--no-check", help="Do not try tokens and keys (offline).")] = False,
    yes: Yes = False,
) -> int:
    """Make an environment: asks, tries tokens and keys, then writes all of it or nothing.

    Secrets are never taken as arguments, which show in the list of processes: they are asked for, or come from
    MAILJET_API_KEY, MAILJET_API_SECRET, MAILJET_INBOUND_SECRET and CLOUDFLARE_API_TOKEN.
    """
    from commands.environments.command import new as run
    from commands.environments.options import NewOptions

    if no_inbox and (inbox_service or inbox_url):
        raise BadParameter("an inbox is named beside it", param_hint="--no-inbox")
    values = {
        "domain": domain,
        "zoneName": zone_name,
        "zoneId": zone_id,
        "accountId": account_id,
        "tunnelHostname": tunnel_hostname,
        "tunnelService": tunnel_service,
        "tunnelCname": tunnel_cname,
        "inboxService": inbox_service,
        "inboxUrl": inbox_url,
        "webhookUrl": webhook_url,
        "mailjetApiUrl": mailjet_api_url,
        "dns": dns,
    }
    return run(
        NewOptions(
            name=name,
            cwd=project,
            from_env=from_env,
            values=values,
            cloudflare_api_url=cloudflare_api_url,
            population=population or [],
            set=set_ or [],
            unprotected=unprotected,
            without_inbox=no_inbox,
            keeps_secrets=secrets is SecretsIn.STACK,
            secrets_provider=secrets_provider,
            no_check=no_check,
            yes=yes,
        )
    )


@app.command()
def check(
    name: StackName,
    project: Project = ROOT,
    try_writes: Annotated[
        bool, Option("--try-writes", help="Write a TXT record into the zone and remove it: may the token write?")
    ] = False,
    json: Json = False,
) -> int:
    """Look at an environment: configuration, populations, tokens, keys."""
    from commands.environments.command import check as run

    return run(name, project, try_writes=try_writes, json=json)


@app.command("list")
def list_(project: Project = ROOT, json: Json = False) -> int:
    """The environments that have a file here."""
    from commands.environments.listing import show

    return show(project, json=json)


@app.command()
def tunnel(
    stack: DevStack = "dev",
    project: Project = ROOT,
    file: Annotated[Path, Option(metavar="FILE", help="The file to write.", show_default=False)] = TUNNEL_FILE,
) -> int:
    """The tunnel's token for deploy/docker-compose.yml, into a file that only its owner may read."""
    from commands.environments.files import tunnel as run

    return run(stack, project, file)


@app.command()
def platform(
    stack: DevStack = "dev",
    project: Project = ROOT,
    file: Annotated[Path, Option(metavar="FILE", help="The file to write.")] = Path("platform.env"),
) -> int:
    """The agent platform's variables, credentials included, into a file that only its owner may read."""
    from commands.environments.files import platform as run

    return run(stack, project, file)
