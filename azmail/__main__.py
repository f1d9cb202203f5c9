"""`azmail`: the stack outputs for people and containers, and the webhook as a server.

env        the platform's .env, safe to source and for docker compose
mailboxes  who has which address
schema     the JSON Schema of the stack outputs
send       one mail from an agent, to try the credentials
serve      the webhook; prints each mail as a JSON line, or calls your function
forward    the webhook in front of the platform's endpoint, which adds the token it expects
gateway    the submission gateway: an agent sends with a credential of its own, and as nobody else
inbox      mail that is kept: the webhook stores it, hooks get it, the agent reads it with a credential of its own
"""

import argparse
import importlib
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from importlib import metadata
from importlib.resources import files
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

from starlette.types import ASGIApp

from azmail.atomic import replace_file, write_private
from azmail.contract import schema_text
from azmail.deliveries import DeliveryStore, MemoryDeliveries, SqliteDeliveries
from azmail.dotenv import render_env
from azmail.errors import AzmailError, WebhookConfigError
from azmail.events import MailEvent
from azmail.forward import Forwarder
from azmail.functions import named_function
from azmail.inbound import InboundMail
from azmail.mail import OutgoingMail
from azmail.sendapi import SendApiTransport
from azmail.service import MailService
from azmail.smtp import SmtpTransport
from azmail.stack import STACK_VARIABLE, MailStack
from azmail.transport import Transport
from azmail.webhook import (
    EVENTS_PATH,
    INBOUND_PATH,
    BasicAuth,
    OnEvent,
    OnMail,
    PathSecret,
    Unauthenticated,
    UnknownRecipients,
    WebhookAuth,
    create_app,
)

SECRET_VARIABLE = "MAILJET_INBOUND_SECRET"  # noqa: S105 -- the name of a variable
URL_VARIABLE = "MAILJET_INBOUND_URL"
TOKEN_VARIABLE = "AGENTMAIL_FORWARD_TOKEN"  # noqa: S105 -- the name of a variable


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

    server = argparse.ArgumentParser(add_help=False)
    server.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    server.add_argument("--port", type=int, default=8000, help="port to listen on (default: %(default)s)")
    server.add_argument("--connections", type=int, default=500, help="at once; beyond, closed (default: %(default)s)")
    server.add_argument("--path", help=f"path of deliveries (default: that of the webhook URL, or {INBOUND_PATH})")
    server.add_argument(
        "--auth",
        choices=("basic", "path", "none"),
        default="basic",
        help=f"how Mailjet proves itself; the secret is that of the outputs, else {SECRET_VARIABLE} (default: basic)",
    )
    server.add_argument("--user", help="expected basic-auth user (default: any, it is no secret)")
    server.add_argument("--deliveries", type=Path, help="SQLite file that remembers what was delivered")

    serve = commands.add_parser("serve", parents=[outputs, server], help="run the webhook")
    serve.add_argument("--on-mail", metavar="MODULE:FUNCTION", help="call function(mail, agent_id)")
    serve.add_argument("--on-event", metavar="MODULE:FUNCTION", help="call function(event, agent_id)")
    serve.add_argument("--events-path", default=EVENTS_PATH)
    serve.add_argument("--unknown", choices=[u.value for u in UnknownRecipients], default="refuse")
    serve.set_defaults(run=_serve)

    forward = commands.add_parser("forward", parents=[server], help="run the webhook in front of the platform")
    forward.add_argument("--to", required=True, metavar="URL", help="the platform's inbound endpoint")
    forward.set_defaults(run=_forward)

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


def _serve(options: argparse.Namespace) -> None:
    stack = _load(options)
    secret = next((mailbox.inbound_secret for mailbox in stack), "") or os.environ.get(SECRET_VARIABLE, "")
    app = create_app(
        stack,
        on_mail=cast(OnMail, named_function(options.on_mail)) if options.on_mail else _print_mail,
        on_event=cast(OnEvent, named_function(options.on_event)) if options.on_event else _print_event,
        auth=_auth(options, secret),
        store=_store(options),
        unknown_recipients=UnknownRecipients(options.unknown),
        path=options.path or urlsplit(stack.webhook_url).path or INBOUND_PATH,
        events_path=options.events_path,
    )
    _listen(app, options)


def _forward(options: argparse.Namespace) -> None:
    secret = os.environ.get(SECRET_VARIABLE, "")
    forwarder = Forwarder(options.to, os.environ.get(TOKEN_VARIABLE, secret))
    app = create_app(
        lambda address: address,  # the platform knows its agents
        on_mail=forwarder,
        auth=_auth(options, secret),
        store=_store(options),
        path=options.path or urlsplit(os.environ.get(URL_VARIABLE, "")).path or INBOUND_PATH,
    )
    _listen(app, options)


def _auth(options: argparse.Namespace, secret: str) -> WebhookAuth:
    if options.auth == "none":
        return Unauthenticated()
    if not secret:
        raise WebhookConfigError(
            f"found no webhook secret in the outputs or in {SECRET_VARIABLE}, expected one for --auth {options.auth}: "
            "set the stack's inboundAuth to basic or forwarder, or say --auth none where something else checks"
        )
    return PathSecret(secret) if options.auth == "path" else BasicAuth(secret, options.user)


def _store(options: argparse.Namespace) -> DeliveryStore:
    return SqliteDeliveries(options.deliveries) if options.deliveries else MemoryDeliveries()


def _print_mail(mail: InboundMail, agent_id: str) -> None:
    _print_line(
        {
            "mail_for": agent_id,
            "recipient": mail.envelope_recipient,
            "from": None if mail.from_address is None else mail.from_address.email,
            "subject": mail.subject,
            "message_id": mail.message_id,
            "in_reply_to": mail.in_reply_to,
            "text_characters": len(mail.text or ""),
            "html_characters": len(mail.html or ""),
            "attachments": [{"filename": a.filename, "bytes": len(a.content)} for a in mail.attachments],
        }
    )


def _print_event(event: MailEvent, agent_id: str | None) -> None:
    _print_line({"event": event.kind, "agent": agent_id, "email": event.email, "message_id": event.message_id})


def _print_line(line: Mapping[str, object]) -> None:
    print(json.dumps(line), flush=True)


def _listen(app: ASGIApp, options: argparse.Namespace) -> None:
    try:
        listening: Any = importlib.import_module("azmail.listening")
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "uvicorn":
            raise
        raise WebhookConfigError(
            "found no uvicorn to listen with: `pip install uvicorn`, or run azmail.create_app(...) under the ASGI "
            "server you have"
        ) from None
    server = listening.listener(
        app, host=options.host, port=options.port, limits=listening.Limits(connections=options.connections)
    )
    with suppress(KeyboardInterrupt):  # the listener has ended its work by then
        server.run()
    if not server.started:
        raise WebhookConfigError(
            f"cannot listen on {options.host} port {options.port}, expected a free one: name another with --port"
        )


if __name__ == "__main__":
    sys.exit(main())
