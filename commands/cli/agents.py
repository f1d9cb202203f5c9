"""`./mail agents …`: who has which mailbox."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option, Typer

from commands.cli.options import ROOT, Json, Project, Stack

app = Typer(no_args_is_help=True, help="Agents and their addresses.")

Files = Annotated[list[Path], Argument(metavar="FILE…", help="Population files of one stack.")]
Seed = Annotated[str, Option(metavar="SEED", help="Instead of what the files say.")]
CreatedAt = Annotated[str, Option(metavar="STAMP", help="YYYYMMDDHHMMSS in UTC, instead of what the files say.")]


def _run(*words: object) -> int:
    from commands.agents import main

    return main([str(word) for word in words])


def _named(option: str, value: object) -> list[object]:
    return [option, value] if value else []


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
) -> int:
    """One agent of a stack: id, name, address, how it sends and receives. No secret is shown."""
    from commands.roster import show_one

    return show_one(who, stack, project, json=json)


@app.command()
def addresses(
    files: Files,
    domain: Annotated[str, Option(metavar="DOMAIN", help="The mail domain, for example agents.example.")],
    single: Annotated[
        list[str] | None, Option(metavar="ID", help="An agent outside the files: PREFIX + ID @ domain.")
    ] = None,
    prefix: Annotated[str, Option(metavar="PREFIX", help="Of the agents named by --single.", show_default=False)] = "",
    seed: Seed = "",
    created_at: CreatedAt = "",
) -> int:
    """{agent id: address} of all agents in population files, as JSON: what an up would give them."""
    words: list[object] = ["addresses", *files, "--domain", domain, *_named("--prefix", prefix)]
    for one in single or []:
        words += ["--single", one]
    return _run(*words, *_named("--seed", seed), *_named("--created-at", created_at))


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
) -> int:
    """Merge a platform export into a population file, so that nobody who is in the file moves.

    New agents are appended, stamped with the current UTC second, and given what those already there leave. An agent
    who did not get her first choice, or whose name has changed, gets her local_part written down. Order, stamps, pins
    and comments stay; agents who have left the export stay until --prune. A second run changes nothing.
    """
    words: list[object] = ["import", export, file, *_named("--seed", seed), *_named("--created-at", created_at)]
    for other in beside or []:
        words += ["--beside", other]
    return _run(*words, *(["--prune"] if prune else []), *(["--dry-run"] if dry_run else []))


@app.command()
def check(
    files: Files,
    strict: Annotated[bool, Option("--strict", help="Exit with 1 for warnings too.")] = False,
    seed: Seed = "",
    created_at: CreatedAt = "",
) -> int:
    """Validate population files together, as one stack has them: every problem, or a summary.

    Warns of agents whom only a pin would keep in place: they share name and second with others, did not get their first
    choice, and may move when somebody joins or leaves.
    """
    words = ["check", *files, *_named("--seed", seed), *_named("--created-at", created_at)]
    return _run(*words, *(["--strict"] if strict else []))


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
