"""`azmail inbox`: serve it, run workers, bring the database up to date, look at dead jobs, export, erase, retention."""

from __future__ import annotations

import argparse
import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path

from azmail.errors import AzmailError, WebhookConfigError
from azmail.forward import Forwarder
from azmail.functions import named_function
from azmail.gateway.commands import (
    INBOX_VARIABLE,
    config_option,
    gateway_config,
    gateway_ledger,
    lifetime_option,
    port_option,
)
from azmail.gateway.config import FollowedConfig, GatewayConfig
from azmail.gateway.serving import Gateway
from azmail.inbox.database import Database
from azmail.inbox.exporting import export
from azmail.inbox.queue import LEASE_SECONDS, MOST_ATTEMPTS, HookQueue
from azmail.inbox.removal import erase, expire, sweep
from azmail.inbox.serving import Serving, keeper, serve, until_told
from azmail.inbox.store import MailStore
from azmail.inbox.worker import Hook, HookWorker, hook_of
from azmail.webhook import EVENTS_PATH, INBOUND_PATH, BasicAuth, Unauthenticated, WebhookAuth

DEFAULT_DATABASE = "sqlite:///azmail-inbox.sqlite"
SECRET_VARIABLE = "MAILJET_INBOUND_SECRET"  # noqa: S105 -- the name of a variable
FORWARD_VARIABLE = "AGENTMAIL_FORWARD_TOKEN"


def run(arguments: Sequence[str]) -> None:
    """Run one command. Raises AzmailError."""
    options = _parser().parse_args(arguments)
    chosen: Callable[[argparse.Namespace], None] = options.run
    chosen(options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "azmail inbox",
        description=f"{__doc__} The database is at {INBOX_VARIABLE} (default: {DEFAULT_DATABASE}).",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    config = config_option()
    hooks = argparse.ArgumentParser(add_help=False)
    hooks.add_argument(
        "--hook",
        action="append",
        default=[],
        metavar="NAME=TARGET",
        help="hand each mail to MODULE:FUNCTION as function(mail, agent_id), or post it to an http(s) URL; again for more",
    )
    hooks.add_argument(
        "--event-hook",
        action="append",
        default=[],
        metavar="NAME=MODULE:FUNCTION",
        help="each event, under the same names",
    )
    hooks.add_argument(
        "--ordered", action="append", default=[], metavar="NAME", help="an agent's mails one after the other"
    )
    hooks.add_argument(
        "--lease", type=float, default=LEASE_SECONDS, metavar="SECONDS",
        help="after so long a dead worker's jobs are taken over (default: %(default)s)",
    )  # fmt: skip
    hooks.add_argument(
        "--attempts", type=int, default=MOST_ATTEMPTS, metavar="N",
        help="a hook call that failed so often is dead (default: %(default)s)",
    )  # fmt: skip
    hooks.add_argument("--threads", type=int, default=8, help="hooks at once in this process (default: %(default)s)")

    serving = commands.add_parser("serve", parents=[config, hooks], help="run webhook, API and, with --hook, workers")
    serving.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    serving.add_argument(
        "--port",
        type=port_option,
        default=8026,
        help="port to listen on, or fd:N, a bound socket (default: %(default)s)",
    )
    serving.add_argument("--path", help=f"path of deliveries (default: that of the file, else {INBOUND_PATH})")
    serving.add_argument("--events-path", help=f"path of events (default: that of the file, else {EVENTS_PATH})")
    serving.add_argument(
        "--auth", choices=("basic", "none"), default="basic",
        help=f"how Mailjet proves itself; the secret is that of {SECRET_VARIABLE}, else of the file (default: basic)",
    )  # fmt: skip
    serving.add_argument("--upstream-ca", type=Path, help="PEM file of the authorities to trust for Mailjet's SMTP")
    serving.add_argument(
        "--no-workers", action="store_true", help="only store for the hooks; `work` runs them elsewhere"
    )
    lifetime_option(serving)
    serving.set_defaults(run=_serve)

    work = commands.add_parser("work", parents=[config, hooks], help="run hooks over what is stored")
    work.set_defaults(run=_work)

    migrate = commands.add_parser("migrate", help="make the database's tables, or bring them up to date")
    migrate.set_defaults(run=_migrate)

    dead = commands.add_parser("dead", help="list hook calls that failed for good; retry or drop them")
    dead.add_argument("--retry", metavar="NUMBER", help="try this one again, or `all`")
    dead.add_argument("--drop", type=int, metavar="NUMBER", help="the hook never gets this one")
    dead.set_defaults(run=_dead)

    exporting = commands.add_parser("export", parents=[config], help="write an agent's mail as mbox or Maildir")
    exporting.add_argument("agent", help="its id or address")
    exporting.add_argument("target", type=Path)
    exporting.add_argument("--maildir", action="store_true", help="a folder with a file for each message")
    exporting.set_defaults(run=_export)

    erasing = commands.add_parser("erase", help="remove everything that there is of an agent")
    erasing.add_argument("agent", help="its id, as the database has it")
    erasing.add_argument("--yes", action="store_true", required=True, help="there is no way back")
    erasing.set_defaults(run=_erase)

    retention = commands.add_parser("retention", help="remove mail and events that were stored long ago; for cron")
    retention.add_argument("--days", type=int, required=True)
    retention.set_defaults(run=_retention)
    return parser


def _database() -> Database:
    return Database(os.environ.get(INBOX_VARIABLE) or DEFAULT_DATABASE)


def _checked_database() -> Database:
    database = _database()
    database.check()
    return database


def _serve(options: argparse.Namespace) -> None:
    config = gateway_config(options.config)
    auth = _auth(options, config)
    database = _database()
    if database.is_sqlite:
        database.migrate()  # of one machine: nobody else waits for another version's tables
    ledger = gateway_ledger()
    store = MailStore(database, hooks=tuple(_hook_names(options)))
    gateway = Gateway(Path(options.config), ledger, upstream_ca=options.upstream_ca, keep=keeper(store))
    serving = Serving(
        host=options.host,
        port=options.port,
        auth=auth,
        hooks=_hooks(options, lambda: gateway.config.webhook.forward_token),
        threads=0 if options.no_workers else options.threads,
        lease_seconds=options.lease,
        most_attempts=options.attempts,
        path=options.path or config.webhook.path,
        events_path=options.events_path or config.webhook.events_path,
        with_stdin=options.end_with_stdin,
    )
    if not serve(gateway, database, ledger, store, serving):
        raise WebhookConfigError(
            f"cannot listen on {options.host} port {options.port}, expected a free one: name another with --port"
        )


def _auth(options: argparse.Namespace, config: GatewayConfig) -> WebhookAuth | None:
    """None: the secret of the file. Raises WebhookConfigError."""
    if options.auth == "none":
        return Unauthenticated()
    if secret := os.environ.get(SECRET_VARIABLE):
        return BasicAuth(secret)
    if not config.webhook.secret:
        raise WebhookConfigError(
            f"found no webhook secret in {SECRET_VARIABLE} or in the gateway's file, expected the stack's webhookSecret there: "
            "set it, or say --auth none where something else checks"
        )
    return None


def _work(options: argparse.Namespace) -> None:
    hooks = _hooks(options, _forward_token(options.config))
    if not hooks:
        raise WebhookConfigError("found no hook to run, expected at least one: --hook NAME=MODULE:FUNCTION")
    database = _checked_database()

    # A handler in Python may come in the middle of anything, or just before the wait that it is to end: what this is told
    # through is neither.
    told, tell = os.pipe()
    os.set_blocking(tell, False)
    signal.set_wakeup_fd(tell, warn_on_full_buffer=False)

    def wait() -> None:
        print(f"working for {', '.join(hooks)}", flush=True)
        os.read(told, 1)

    worker = HookWorker(
        database, hooks, threads=options.threads, lease_seconds=options.lease, most_attempts=options.attempts
    )
    until_told(wait, [worker])
    database.close()


def _forward_token(file: str | Path | None) -> Callable[[], str]:
    """As the file has it at each mail: a new webhook password needs no restart. Raises GatewayConfigError."""
    if file is None:
        return lambda: ""
    followed = FollowedConfig(Path(file))

    def token() -> str:
        followed.look()
        return followed.config.webhook.forward_token

    return token


def _migrate(_options: argparse.Namespace) -> None:
    database = _database()
    database.migrate()
    database.check()
    database.close()
    print("the database is up to date")


def _dead(options: argparse.Namespace) -> None:
    queue = HookQueue(_checked_database())
    if options.retry is not None:
        if options.retry != "all" and not options.retry.isdigit():
            raise AzmailError(f"found {options.retry!r}, expected a number of `azmail inbox dead`, or all")
        count = queue.retry(None if options.retry == "all" else int(options.retry))
        print(f"{count} will be tried again")
    elif options.drop is not None:
        print("dropped" if queue.drop(options.drop) else "there is no dead job of that number")
    else:
        for job in queue.dead():
            print(
                f"{job.position}  {job.hook}  {job.kind} {job.subject} of {job.agent or 'nobody'}  {ascii(job.about)[1:-1][:80]}"
            )
            print(f"    {job.attempts} attempts, the last: {' '.join(job.error.split())}")


def _export(options: argparse.Namespace) -> None:
    agent = options.agent
    if options.config is not None:
        known = gateway_config(options.config).directory().find(agent)
        agent = known.id if known is not None else agent
    count = export(_checked_database(), agent, options.target, maildir=options.maildir)
    print(f"{count} messages of {agent} in {options.target}")


def _erase(options: argparse.Namespace) -> None:
    count = erase(_checked_database(), options.agent)
    print(f"{count} messages and events of {options.agent} are gone; backups of the database still have them")


def _retention(options: argparse.Namespace) -> None:
    if options.days < 1:
        raise AzmailError(f"found {options.days} days, expected at least 1: --days 30")
    database = _checked_database()
    count = expire(database, options.days)
    sweep(database)
    print(f"{count} messages and events of more than {options.days} days ago are gone")


def _hook_names(options: argparse.Namespace) -> list[str]:
    return list({**_named(options.hook), **_named(options.event_hook)})


def _hooks(options: argparse.Namespace, token: Callable[[], str]) -> dict[str, Hook]:
    """`token`: what a URL's platform looks for in a delivery, where no variable says so."""
    mails, events = _named(options.hook), _named(options.event_hook)
    if unknown := sorted(set(options.ordered) - {*mails, *events}):
        raise WebhookConfigError(f"found --ordered {unknown[0]}, expected the name of a --hook")
    return {
        name: hook_of(
            None if name not in mails else _target(mails[name], token),
            None if name not in events else named_function(events[name]),
            ordered=name in options.ordered,
        )
        for name in _hook_names(options)
    }


def _named(given: Sequence[str]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for one in given:
        name, equals, target = one.partition("=")
        if not (equals and target and name.isidentifier() and len(name) <= 64) or name in pairs:
            raise WebhookConfigError(
                f"found the hook {one!r}, expected NAME=TARGET with a name of its own, such as work=app:on_mail"
            )
        pairs[name] = target
    return pairs


def _target(target: str, token: Callable[[], str]) -> Callable[..., object]:
    if target.startswith(("http://", "https://")):
        return Forwarder(target, os.environ.get(FORWARD_VARIABLE) or token)
    return named_function(target)
