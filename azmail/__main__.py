"""`azmail`: the stack outputs for people and containers, and the services that agents send and read through.

env        the platform's .env, safe to source and for docker compose
mailboxes  who has which address
schema     the JSON Schema of the stack outputs
send       one mail from an agent, to try the credentials
gateway    the submission gateway: an agent sends with a credential of its own, and as nobody else
inbox      the webhook, which keeps mail: hooks and the platform get it, the agent reads it with a credential of its own
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from importlib import metadata
from importlib.resources import files
from pathlib import Path

from azmail.atomic import replace_file, write_private
from azmail.contract import schema_text
from azmail.dotenv import render_env
from azmail.errors import AzmailError
from azmail.mail import OutgoingMail
from azmail.sendapi import SendApiTransport
from azmail.service import MailService
from azmail.smtp import SmtpTransport
from azmail.stack import STACK_VARIABLE, MailStack
from azmail.transport import Transport


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 0, or 1 with one sentence on standard error."""
    options = _parser().parse_args(arguments)
    try:
        run: Callable[[argparse.Namespace], None] = options.run
        run(options)
    except AzmailError as error:
        print(f"azmail: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader of a pipe has seen enough
    except OSError as error:
        print(f"azmail: cannot write {error.filename} ({error.strerror})", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="azmail", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--version", action="version", version=f"azmail {_version()}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    outputs = argparse.ArgumentParser(add_help=False)
    outputs.add_argument(
        "outputs",
        nargs="?",
        help="file with what `./mail pulumi stack output --json --show-secrets --stack STACK` prints in the "
        "infrastructure's clone, or - for standard input; without it the variables "
        "AGENTMAIL_OUTPUTS, AGENTMAIL_OUTPUTS_FILE, then the Pulumi CLI",
    )
    outputs.add_argument("--stack", default=os.environ.get(STACK_VARIABLE), help="stack to ask the Pulumi CLI for")
    outputs.add_argument("--pulumi", default="pulumi", help="the Pulumi CLI (default: %(default)s)")

    env = commands.add_parser("env", parents=[outputs], help="print the platform's .env")
    env.add_argument("-o", "--output", type=Path, help="write this file, readable by its owner only")
    env.set_defaults(run=_env)

    mailboxes = commands.add_parser("mailboxes", parents=[outputs], help="print the mailboxes")
    mailboxes.add_argument("--json", action="store_true", help="as JSON")
    mailboxes.add_argument("--show-secrets", action="store_true", help="all eight keys, with the credentials")
    mailboxes.set_defaults(run=_mailboxes)

    schema = commands.add_parser("schema", help="print the JSON Schema of the stack outputs")
    schema.add_argument("-o", "--output", type=Path, help="write this file")
    schema.add_argument("--check", action="store_true", help="compare with the packaged file instead")
    schema.set_defaults(run=_schema)

    send = commands.add_parser("send", parents=[outputs], help="send one mail")
    send.add_argument("--agent", required=True, help="id of the agent who sends")
    send.add_argument("--to", required=True, action="append")
    send.add_argument("--subject", default="Hello")
    send.add_argument("--text", default="Hello from an agent.")
    send.add_argument("--api", metavar="URL", help="by Send API at this base URL instead of SMTP")
    send.add_argument("--ca-file", help="PEM file of the authorities to trust instead of the system's")
    send.set_defaults(run=_send)

    gateway = commands.add_parser("gateway", help="the submission gateway: serve, password, revoke, root")
    gateway.add_argument("words", nargs=argparse.REMAINDER, help="`azmail gateway --help` lists its commands")
    gateway.set_defaults(run=_gateway)

    inbox = commands.add_parser("inbox", help="the inbox: serve, work, migrate, dead, export, erase, retention")
    inbox.add_argument("words", nargs=argparse.REMAINDER, help="`azmail inbox --help` lists its commands")
    inbox.set_defaults(run=_inbox)
    return parser


def _gateway(options: argparse.Namespace) -> None:
    try:
        from azmail.gateway.commands import run
    except ModuleNotFoundError as error:
        raise AzmailError(f"found no {error.name} to run the gateway with: pip install 'azmail[gateway]'") from None
    run(options.words)


def _inbox(options: argparse.Namespace) -> None:
    try:
        from azmail.inbox.commands import run
    except ModuleNotFoundError as error:
        raise AzmailError(f"found no {error.name} to run the inbox with: pip install 'azmail[inbox,gateway]'") from None
    run(options.words)


def _version() -> str:
    """Of the installed distribution; a checkout that is not installed has none."""
    try:
        return metadata.version("azmail")
    except metadata.PackageNotFoundError:
        return "(a checkout)"


def _load(options: argparse.Namespace) -> MailStack:
    return MailStack.load(options.outputs, stack=options.stack, pulumi=options.pulumi)


def _env(options: argparse.Namespace) -> None:
    text = render_env(_load(options).platform_env)
    if options.output is None:
        sys.stdout.write(text)
    else:
        write_private(options.output, text)


def _mailboxes(options: argparse.Namespace) -> None:
    stack = _load(options)
    if options.show_secrets:
        print(json.dumps([mailbox.model_dump() for mailbox in stack], indent=2))
    elif options.json:
        print(json.dumps([{"agent_id": m.agent_id, "address": m.address} for m in stack], indent=2))
    else:
        for mailbox in stack:
            print(f"{mailbox.agent_id}  {mailbox.address}")


def _schema(options: argparse.Namespace) -> None:
    text = schema_text()
    if options.check:
        if files("azmail").joinpath("outputs.schema.json").read_text(encoding="utf-8") != text:
            raise AzmailError(
                "outputs.schema.json is not what the models say: `azmail schema --output azmail/outputs.schema.json` "
                "writes it"
            )
    elif options.output is not None:
        replace_file(options.output, text)
    else:
        sys.stdout.write(text)


def _send(options: argparse.Namespace) -> None:
    mailbox = _load(options).mailbox(options.agent)
    transport: Transport = (
        SendApiTransport.of(mailbox, base_url=options.api, ca_file=options.ca_file)
        if options.api
        else SmtpTransport.of(mailbox, ca_file=options.ca_file)
    )
    with transport:
        mail = OutgoingMail(to=options.to, subject=options.subject, text=options.text)
        receipt = MailService(mailbox, transport).send(mail)
    shown = {
        "from": mailbox.address,
        "to": receipt.recipients,
        "custom_id": receipt.custom_id,
        "mailjet_ids": receipt.mailjet_ids,
        "answer": receipt.answer,
    }
    print(json.dumps(shown))


if __name__ == "__main__":
    sys.exit(main())
