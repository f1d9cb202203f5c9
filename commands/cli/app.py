"""Every command of `./mail`, with its options and help; each imports what it does when it is run."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from pathlib import Path
from typing import Annotated

from typer import Argument, BadParameter, Context, Exit, Option, Typer
from typer.core import TyperCommand, TyperGroup, TyperOption
from typer.main import get_command, get_command_name

from commands.cli.agents import app as agents
from commands.cli.emulators import app as emulators
from commands.cli.environments import app as environments
from commands.cli.gateway import app as gateway
from commands.cli.options import EMULATORS, ROOT, DevStack, Json, Project, Stack, StackName, StateFolder, Yes
from commands.cli.state import app as state

HELP = "Mailboxes for agents at Mailjet and Cloudflare: bring them up, look at them, send and read."
EPILOG = (
    "Exit status: 0 fine, 1 refused or failed, 2 no such command or option, 130 interrupted, 141 nobody reads the pipe. "
    "docs/commands.md"
)
HELP_OPTIONS = ["-h", "--help"]

PASSED_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
"""Settings of a command whose arguments, `--help` among them, are those of another program."""

app = Typer(
    name="mail",
    help=HELP,
    epilog=EPILOG,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": HELP_OPTIONS},
)

EMBEDDED, REAL, MAIL, REST = "The embedded default", "Any stack", "Agents and their mail", "Underneath"

app.add_typer(environments, name="env", rich_help_panel=REAL)
app.add_typer(agents, name="agents", rich_help_panel=MAIL)
app.add_typer(gateway, name="gateway", rich_help_panel=REAL)
app.add_typer(emulators, name="emulators", rich_help_panel=REST)
app.add_typer(state, name="state", rich_help_panel=REST)


def _version(wanted: bool) -> None:
    if wanted:
        from commands.about import version_text

        print(version_text())
        raise Exit


@app.callback()
def _root(
    version: Annotated[
        bool, Option("--version", callback=_version, is_eager=True, help="Versions of this program and its parts.")
    ] = False,
) -> None:
    pass


# -- the embedded default ----------------------------------------------------------------------------------------------


@app.command(rich_help_panel=EMBEDDED)
def up(stack: DevStack = "dev", project: Project = ROOT) -> int:
    """Emulators, stack, a summary: working agent mail without any account.

    Asks nobody, so it refuses a stack that reaches real services.
    """
    from commands.embedded import up as run

    return run(stack, project)


@app.command(rich_help_panel=EMBEDDED)
def down(stack: DevStack = "dev", project: Project = ROOT) -> int:
    """Take everything away again and stop the emulators."""
    from commands.embedded import down as run

    return run(stack, project)


@app.command(rich_help_panel=EMBEDDED)
def demo(
    stack: DevStack = "dev",
    project: Project = ROOT,
    state_dir: StateFolder = EMULATORS,
    patience: Annotated[float, Option(metavar="SECONDS", help="How long to wait for each mail.")] = 30.0,
) -> int:
    """One agent mails another, through the whole loop; shows what was written and what arrived."""
    from commands.embedded import demo as run

    return run(stack, project, state_dir=state_dir, patience=patience)


# -- any stack ---------------------------------------------------------------------------------------------------------

Allowed = Annotated[int, Option("--allow-record-removals", metavar="N", help="Exactly so many DNS records may go.")]


@app.command(rich_help_panel=REAL)
def preview(
    stack: DevStack = "dev",
    project: Project = ROOT,
    json: Json = False,
    markdown: Annotated[bool, Option(help="For a pull request's comment.")] = False,
    drift: Annotated[bool, Option(help="What has drifted at the services; exit status 2 if anything has.")] = False,
    note: Annotated[str, Option(metavar="TEXT", help="A line below the Markdown, such as the commit.")] = "",
    labels: Annotated[
        str, Option(metavar="JSON", help="A pull request's labels: 'allow-record-removals: N' allows the same.")
    ] = "",
    allow_record_removals: Allowed = 0,
    read: Annotated[
        str, Option("--from", metavar="FILE", help="Instead, the output of the Pulumi CLI with --json; - for stdin.")
    ] = "",
    save: Annotated[
        Path | None, Option(metavar="FILE", help="Keep it as a plan, so that `apply --plan` does exactly this.")
    ] = None,
) -> int:
    """What an up would change, by name."""
    from commands.deployment import Wanted
    from commands.deployment import preview as run

    return run(
        Wanted(stack, project, allowed=allow_record_removals, labels=labels),
        json=json,
        markdown=markdown,
        drift=drift,
        note=note,
        read=read,
        save=save,
    )


@app.command(rich_help_panel=REAL)
def apply(
    stack: StackName,
    project: Project = ROOT,
    yes: Yes = False,
    refresh: Annotated[bool, Option("--refresh", help="Look at what the services really have, first.")] = False,
    allow_record_removals: Allowed = 0,
    plan: Annotated[
        Path | None, Option(metavar="FILE", help="Only if it is still what `preview --save` has kept there.")
    ] = None,
) -> int:
    """Show what would change, ask, and do exactly that."""
    from commands.deployment import Wanted
    from commands.deployment import apply as run

    return run(Wanted(stack, project, allowed=allow_record_removals), yes=yes, refresh=refresh, plan=plan)


@app.command(rich_help_panel=REAL)
def destroy(
    stack: StackName,
    project: Project = ROOT,
    confirm: Annotated[str, Option(metavar="STACK", help="The stack's name, instead of typing it when asked.")] = "",
) -> int:
    """Show what goes, by name, and take it away; asks for the stack's name unless it is the embedded default."""
    from commands.deployment import destroy as run

    return run(stack, project, confirm=confirm)


@app.command(rich_help_panel=REAL)
def status(stack: DevStack = "dev", project: Project = ROOT, json: Json = False) -> int:
    """Domain, verification, records, tunnel, mailboxes, the last up, and where the state is."""
    from commands.status import status as run

    return run(stack, project, json=json)


InboxUrl = Annotated[
    str,
    Option("--inbox", metavar="URL", help="Where the stack's inbox is reached from here, such as a forwarded port."),
]


@app.command(rich_help_panel=REAL)
def doctor(
    stack: DevStack = "dev",
    project: Project = ROOT,
    json: Json = False,
    resolver: Annotated[
        list[str] | None,
        Option(metavar="ADDRESS[:PORT]", help="DNS resolver to ask; may be repeated.", show_default=False),
    ] = None,
    emulators: Annotated[Path | None, Option(metavar="DIR", help="State folder of the emulators.")] = None,
    every_route: Annotated[
        bool, Option("--every-route", help="List all routes of a large account, for those of no mailbox.")
    ] = False,
    round_trip: Annotated[bool, Option("--round-trip", help="Also send one mail from an agent to an agent.")] = False,
    listen: Annotated[
        str, Option(metavar="HOST:PORT", help="With --round-trip: receive it here, where tunnelService leads.")
    ] = "",
    timeout: Annotated[float, Option(metavar="SECONDS", help="How long to wait for its arrival.")] = 180.0,
    ca_file: Annotated[str, Option(metavar="FILE", help="Authorities to trust for SMTP.")] = "",
    inbox: InboxUrl = "",
) -> int:
    """Look at everything from outside; each finding with what mends it."""
    from clients.dns import ResolverError
    from commands.doctor.examination import DoctorOptions
    from commands.doctor.examination import doctor as run

    if listen and not round_trip:
        raise BadParameter("it is for --round-trip", param_hint="--listen")
    try:
        return run(
            DoctorOptions(
                stack=stack,
                cwd=project,
                json=json,
                resolvers=resolver or [],
                emulators=emulators,
                every_route=every_route,
                round_trip=round_trip,
                listen=listen,
                timeout=timeout,
                ca_file=ca_file,
                inbox=inbox,
            )
        )
    except ResolverError as error:
        raise BadParameter(str(error), param_hint="--resolver") from None


@app.command(rich_help_panel=REAL)
def adopt(
    stack: StackName,
    project: Project = ROOT,
    config_file: Annotated[
        Path | None, Option(metavar="FILE", help="The stack's configuration, of another name.")
    ] = None,
    backup_dir: Annotated[Path | None, Option(metavar="DIR", help="Where backups go (default: zone-backups).")] = None,
    dry_run: Annotated[bool, Option("--dry-run", help="Show the plan and stop.")] = False,
    yes: Yes = False,
    confirm: Annotated[str, Option(metavar="ZONE", help="The zone's name, instead of typing it when asked.")] = "",
    everything: Annotated[bool, Option("--everything", help="With --restore: unrelated records as well.")] = False,
    replace_mx: Annotated[
        bool, Option("--replace-mx", help="Agree that the next up deletes superseded records.")
    ] = False,
    discard: Annotated[bool, Option("--discard", help="Delete our records that the state does not know.")] = False,
    forget: Annotated[bool, Option("--forget", help="Undo an adoption that no up has followed yet.")] = False,
    restore: Annotated[Path | None, Option(metavar="BACKUP", help="Bring the zone back to a backup.")] = None,
) -> int:
    """Take existing DNS records into the stack's state, with a backup and a way back."""
    from commands.adopt.command import AdoptOptions
    from commands.adopt.command import adopt as run

    if sum(map(bool, (replace_mx, discard, forget, restore))) > 1:
        raise BadParameter("only one of them", param_hint="--replace-mx, --discard, --forget, --restore")
    return run(
        AdoptOptions(
            stack=stack,
            cwd=project,
            config_file=config_file,
            backup_dir=backup_dir,
            dry_run=dry_run,
            yes=yes,
            confirm=confirm,
            everything=everything,
            replace_mx=replace_mx,
            discard=discard,
            forget=forget,
            restore=restore,
        )
    )


# -- mail --------------------------------------------------------------------------------------------------------------


Watch = Annotated[bool, Option("--watch", "-w", help="Go on showing what comes, until Ctrl-C.")]


@app.command(rich_help_panel=MAIL)
def messages(
    agent: Annotated[str, Option(metavar="WHO", help="Only of this agent: id, name or address.")] = "",
    stack: Stack = "dev",
    project: Project = ROOT,
    watch: Watch = False,
    json: Json = False,
    inbox: InboxUrl = "",
    state_dir: StateFolder = EMULATORS,
) -> int:
    """The mails of the embedded default, or of a real stack's inbox; the newest last."""
    from commands.mails import messages as run

    return run(stack, project, agent=agent, watch=watch, json=json, state_dir=state_dir, inbox=inbox)


@app.command(rich_help_panel=MAIL)
def send(
    sender: Annotated[str, Option("--from", metavar="WHO", help="The agent who writes: id, name or address.")] = "",
    to: Annotated[
        list[str] | None, Option("--to", metavar="WHO", help="An agent or an address; may be repeated.")
    ] = None,
    subject: Annotated[str, Option(metavar="TEXT")] = "Hello",
    text: Annotated[str, Option(metavar="TEXT", help="- reads standard input.")] = "Hello from an agent.",
    stack: Stack = "dev",
    project: Project = ROOT,
    watch: Watch = False,
    inbox: InboxUrl = "",
    state_dir: StateFolder = EMULATORS,
) -> int:
    """Send a mail as an agent: through the embedded default's Mailjet, or by a real stack's inbox."""
    from commands.mails import send as run

    return run(
        stack,
        project,
        sender=sender,
        to=to or [],
        subject=subject,
        text=text,
        watch=watch,
        state_dir=state_dir,
        inbox=inbox,
    )


@app.command(
    "inbox",
    rich_help_panel=MAIL,
    add_help_option=False,
    help="The inbox's own commands on the embedded default: dead, export, erase, retention; beside another, `azmail inbox`.",
    context_settings=PASSED_ON,
)
def inbox(context: Context, arguments: Annotated[list[str] | None, Argument(metavar="ARGS…")] = None) -> int:
    from commands.mails import inbox as run

    return run([*(arguments or []), *context.args], EMULATORS)


# -- underneath --------------------------------------------------------------------------------------------------------


@app.command(
    "pulumi",
    rich_help_panel=REST,
    add_help_option=False,
    help="The Pulumi CLI of this clone; every argument goes to it.",
    context_settings=PASSED_ON,
)
def pulumi(context: Context, arguments: Annotated[list[str] | None, Argument(metavar="ARGS…")] = None) -> int:
    import os

    program = str(ROOT / "engine" / "pulumi")
    os.execv(program, [program, *(arguments or []), *context.args])  # noqa: S606


@app.command(rich_help_panel=REST)
def setup() -> int:
    """Make engine and plugins ready, and say which ones are used."""
    from engine.__main__ import main

    return main(["setup"])


@app.command(rich_help_panel=REST)
def about() -> int:
    """Which engine and plugins are used, and why."""
    from engine.__main__ import main

    return main(["about"])


@app.command(rich_help_panel=REST)
def completion(shell: Annotated[str, Argument(metavar="SHELL", help="bash, zsh or fish.")]) -> int:
    """Completion for your shell: `source <(./mail completion bash)`."""
    from commands.cli.completion import script

    print(script(shell, str(ROOT)))
    return 0


def command_line(word: str = "") -> TyperGroup:
    """All of it, its help without Typer's `<bool>` beside options that take no value.

    Where `word` is one of the first level's, only that: most of what a short command costs was to make the others.
    """
    made = get_command(_only(word) or app)
    assert isinstance(made, TyperGroup), "there are several commands"  # noqa: S101
    _without_types_of_flags(made)
    return made


def _only(word: str) -> Typer | None:
    commands = [one for one in app.registered_commands if word == (one.name or _named_after(one.callback))]
    groups = [one for one in app.registered_groups if word == one.name]
    if not commands and not groups:
        return None
    part = copy(app)
    part.registered_commands, part.registered_groups = commands, groups
    return part


def _named_after(callback: Callable[..., object] | None) -> str:
    return get_command_name(callback.__name__) if callback else ""


def _without_types_of_flags(command: TyperGroup | TyperCommand) -> None:
    help_option = command.get_help_option(Context(command, help_option_names=HELP_OPTIONS))
    for option in (*command.params, help_option):
        if isinstance(option, TyperOption) and option.is_flag:
            option.metavar = ""
    if isinstance(command, TyperGroup):
        for below in command.commands.values():
            if isinstance(below, (TyperGroup, TyperCommand)):
                _without_types_of_flags(below)
