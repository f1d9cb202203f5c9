"""`./mail agents …`: who has which mailbox."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option, Typer

from commands.cli.options import ROOT, Json, Project, Stack

app = Typer(no_args_is_help=True, help="Agents and their addresses.")

FileNames = Annotated[list[Path], Argument(metavar="FILE…", help="Population files of one stack.")]
Seed = Annotated[str, Option(metavar="SEED", help="Instead of what the files say.")]
CreatedAt = Annotated[str, Option(metavar="STAMP", help="YYYYMMDDHHMMSS in UTC, instead of what the files say.")]


@app.command("list")
def list_(stack: Stack = "dev", project: Project = ROOT, json: Json = False) -> int:
    """Id, name and address of every agent of a stack."""
    from commands.roster import show_all

    return show_all(stack, project, json=json)


@app.command()
def show(
    who: Annotated[str, Argument(metavar="WHO", help="An id, a name or an address.")],
    stack: Stack = "dev",
    project: Project = ROOT,
    json: Json = False,
    show_secrets: Annotated[bool, Option("--show-secrets", help="Its login too, as the outputs have it.")] = False,
) -> int:
    """One agent of a stack: id, name, address, how it sends and receives; without --show-secrets no password."""
    from commands.roster import show_one

    return show_one(who, stack, project, json=json, show_secrets=show_secrets)


@app.command()
def addresses(
    files: FileNames,
    domain: Annotated[str, Option(metavar="DOMAIN", help="The mail domain, for example agents.example.")],
    single: Annotated[
        list[str] | None, Option(metavar="ID", help="An agent outside the files: PREFIX + ID @ domain.")
    ] = None,
    prefix: Annotated[str, Option(metavar="PREFIX", help="Of the agents named by --single.")] = "agent_",
    seed: Seed = "",
    created_at: CreatedAt = "",
) -> int:
    """{agent id: address} of all agents in population files, as JSON: what an up would give them."""
    from commands.agents import Files, show_addresses

    read = Files(paths=files, seed=seed or None, created_at=created_at or None)
    return show_addresses(read, domain, single=single or [], prefix=prefix)


@app.command("import")
def import_(
    export: Annotated[Path, Argument(metavar="EXPORT", help="What the platform printed (JSON).")],
    file: Annotated[Path, Argument(metavar="FILE", help="The population file, for example populations/prod.yaml.")],
    seed: Annotated[str, Option(metavar="SEED", help="Where neither FILE nor a first EXPORT names one.")] = "",
    created_at: Annotated[
        str, Option(metavar="STAMP", help="Of the new agents, YYYYMMDDHHMMSS in UTC (default: now).")
    ] = "",
    prune: Annotated[bool, Option("--prune", help="Remove agents who are not in EXPORT any more.")] = False,
    dry_run: Annotated[bool, Option("--dry-run", help="Say what would change; write nothing.")] = False,
    beside: Annotated[
        list[Path] | None,
        Option(metavar="FILE", help="Another population file of the same stack, whose addresses are taken."),
    ] = None,
    project: Project = ROOT,
) -> int:
    """Merge a platform export into a population file, so that nobody who is in the file moves.

    New agents are appended, stamped with the current UTC second, and given what those already there leave. An agent
    who did not get the first choice, or whose name has changed, gets the local_part written down. Order, stamps, pins
    and comments stay; agents who have left the export stay until --prune. A second run changes nothing.
    """
    from commands.agents import import_export

    return import_export(
        export,
        file,
        seed=seed or None,
        created_at=created_at or None,
        prune=prune,
        dry_run=dry_run,
        beside=beside or [],
        project=project,
    )


@app.command()
def check(
    files: FileNames,
    strict: Annotated[bool, Option("--strict", help="Exit with 1 for warnings too.")] = False,
    seed: Seed = "",
    created_at: CreatedAt = "",
) -> int:
    """Validate population files together, as one stack has them: every problem, or a summary.

    Warns of agents whom only a pin would keep in place: they share name and second with others, did not get their first
    choice, and may move when somebody joins or leaves.
    """
    from commands.agents import Files
    from commands.agents import check as run

    return run(Files(paths=files, seed=seed or None, created_at=created_at or None), strict=strict)


@app.command()
def pin(
    pins: Annotated[list[str], Argument(metavar="ID=LOCAL_PART…", help="As a refused preview prints them.")],
    stack: Annotated[str, Option("--stack", "-s", metavar="STACK", help="Only in this stack's files.")] = "",
    file: Annotated[list[Path] | None, Option(metavar="FILE", help="Only in this population file.")] = None,
    project: Project = ROOT,
) -> int:
    """Write down where agents are, so that they stay there: a local_part in whichever population file has them."""
    from commands.pins import pin as run

    return run(pins, files=file or [], stack=stack, project=project)


@app.command()
def split(
    stack: Annotated[str, Argument(metavar="STACK", help="The stack that owns the domain.")],
    size: Annotated[int, Option(metavar="N", min=1, help="Most agents of a part.")] = 10_000,
    keep: Annotated[
        int | None, Option(metavar="N", min=0, help="Agents who stay in STACK itself (default: --size).")
    ] = None,
    yes: Annotated[bool, Option("--yes", "-y", help="Write without a question.")] = False,
    dry_run: Annotated[bool, Option("--dry-run", help="Say what would be written; write nothing.")] = False,
    project: Project = ROOT,
) -> int:
    """Lay the agents of a stack out over several, so that everybody keeps the address.

    Writes a population file and a Pulumi.STACK-NN.yaml for each part, and lists the commands that bring them up. Agents who
    have a mailbox already leave STACK's file with a second run, after the part's up has taken their routes over. Newcomers
    go into parts with room, then into new ones.
    """
    from commands.split import split as run

    return run(stack, project, size=size, keep=keep, yes=yes, dry_run=dry_run)
