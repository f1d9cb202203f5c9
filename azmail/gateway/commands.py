"""`azmail gateway`: serve it, print an agent's password, revoke one at once, make a root secret."""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import socket
from collections.abc import Callable, Sequence
from pathlib import Path

from azmail.errors import AzmailError
from azmail.gateway.certificate import given_certificate, own_certificate
from azmail.gateway.config import GatewayConfig
from azmail.gateway.credentials import PLATFORM, Scope, new_root
from azmail.gateway.ledger import Ledger, LedgerError
from azmail.gateway.relay import Keep
from azmail.gateway.serving import Gateway, Lifetime, Listening, Port, serve

CONFIG_VARIABLE = "AZMAIL_GATEWAY_FILE"
DATABASE_VARIABLE = "AZMAIL_GATEWAY_DATABASE"
INBOX_VARIABLE = "AZMAIL_INBOX_DATABASE"
OPEN_FILES = 8192
"""Four doors of a thousand connections and what waits before them, Mailjet, the database."""
DEFAULT_DATABASE = "sqlite:///azmail-gateway.sqlite"


class NoSuchAgentError(AzmailError):
    """The directory has no such agent."""

    def __init__(self, who: str, count: int) -> None:
        super().__init__(
            f"no agent has the id or address {who!r}, the gateway's file names {count:,}: expected one of them; "
            "azmail mailboxes lists them"
        )


class DatabaseAwayError(AzmailError):
    """The gateway's database cannot be used."""

    def __init__(self, error: LedgerError) -> None:
        super().__init__(
            f"{error}: expected SQLite or PostgreSQL at the URL of {DATABASE_VARIABLE}, such as "
            "postgresql+psycopg://USER@HOST/DATABASE"
        )


def run(arguments: Sequence[str]) -> None:
    """Run one command. Raises AzmailError."""
    options = _parser().parse_args(arguments)
    chosen: Callable[[argparse.Namespace], None] = options.run
    chosen(options)


def config_option() -> argparse.ArgumentParser:
    """`--config`, for the commands that read the gateway's file: a parent of theirs."""
    parent = argparse.ArgumentParser(add_help=False)
    parent.add_argument(
        "--config",
        type=Path,
        default=os.environ.get(CONFIG_VARIABLE),
        help=f"the gateway's file (default: {CONFIG_VARIABLE})",
    )
    return parent


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("azmail gateway", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    shared = config_option()

    serving = commands.add_parser("serve", parents=[shared], help="run both doors")
    serving.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    serving.add_argument(
        "--starttls-port",
        type=port_option,
        default=587,
        metavar="PORT",
        help="0: a free one; none: not at all; fd:N: the bound socket that is descriptor N",
    )
    serving.add_argument("--tls-port", type=port_option, default=465, metavar="PORT")
    serving.add_argument("--http-port", type=port_option, default=8025, metavar="PORT")
    serving.add_argument(
        "--https-port",
        type=port_option,
        default=8443,
        metavar="PORT",
        help="the Send API with TLS, beside that without",
    )
    serving.add_argument("--name", action="append", default=[], help="host name in the greeting and in the certificate")
    serving.add_argument("--certificate", type=Path, help="PEM file; without it one is made below --tls-folder")
    serving.add_argument("--key", type=Path, help="PEM file, where --certificate has no key in it")
    serving.add_argument(
        "--tls-folder", type=Path, default=Path("azmail-gateway-tls"), help="its ca.pem is for clients"
    )
    serving.add_argument("--upstream-ca", type=Path, help="PEM file of the authorities to trust for Mailjet's SMTP")
    lifetime_option(serving)
    serving.set_defaults(run=_serve)

    password = commands.add_parser("password", parents=[shared], help="print an agent's password")
    password.add_argument("agent", nargs="?", help="its id or address; none for the scope platform")
    password.add_argument("--scope", choices=[scope.value for scope in Scope], default=Scope.SEND.value)
    password.set_defaults(run=_password)

    revoke = commands.add_parser("revoke", parents=[shared], help="refuse an agent's present password within seconds")
    revoke.add_argument("agent", help="its id or address")
    revoke.set_defaults(run=_revoke)

    root = commands.add_parser("root", help="print a new root secret")
    root.set_defaults(run=lambda _options: print(new_root()))
    return parser


def lifetime_option(serving: argparse.ArgumentParser) -> None:
    """`--end-with-stdin`, for what another process starts."""
    serving.add_argument(
        "--end-with-stdin", action="store_true", help="end when standard input closes: with the process that started it"
    )


def port_option(text: str) -> Port | None:
    """A number, None for `none`, or the bound socket of `fd:N`."""
    if text == "none":
        return None
    if text.startswith("fd:"):
        try:
            return socket.socket(fileno=int(text[3:]))
        except (OSError, ValueError):
            raise argparse.ArgumentTypeError(f"found {text}, expected fd: and the number of a bound socket") from None
    number = int(text)
    if not 0 <= number <= 65535:
        raise argparse.ArgumentTypeError(f"found {text}, expected 0 to 65535, or none")
    return number


def gateway_config(path: Path | None) -> GatewayConfig:
    """Raises GatewayConfigError, and AzmailError where no file is named."""
    if path is None:
        raise AzmailError(
            f"no file is named, expected the stack's output gatewayEnv in one: --config FILE, or {CONFIG_VARIABLE}=FILE"
        )
    return GatewayConfig.read(Path(path))


def gateway_ledger() -> Ledger:
    """Raises DatabaseAwayError."""
    ledger = Ledger(os.environ.get(DATABASE_VARIABLE) or DEFAULT_DATABASE)
    try:
        ledger.create()
    except LedgerError as error:
        raise DatabaseAwayError(error) from None
    return ledger


def _allow_open_files() -> None:
    """The doors' own bounds are to be met before the system's, at which nobody is told anything."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _serve(options: argparse.Namespace) -> None:
    gateway_config(options.config)
    _allow_open_files()
    names = options.name or ["localhost", "127.0.0.1"]
    if options.certificate is not None:
        tls = given_certificate(options.certificate, options.key)
    else:
        tls = own_certificate(options.tls_folder, names)
    listening = Listening(options.host, options.starttls_port, options.tls_port, options.http_port, options.https_port)
    ledger = gateway_ledger()
    gateway = Gateway(Path(options.config), ledger, upstream_ca=options.upstream_ca, keep=_keep())
    asyncio.run(
        serve(
            gateway,
            ledger,
            tls,
            listening.bound(),
            hostname=names[0],
            lifetime=Lifetime(with_stdin=options.end_with_stdin),
        )
    )


def _keep() -> Keep | None:
    """Puts what is sent into the inbox, where one is named. Raises AzmailError where it cannot be used."""
    url = os.environ.get(INBOX_VARIABLE)
    if not url:
        return None
    try:
        from azmail.inbox.serving import keeper_at
    except ModuleNotFoundError as error:
        raise AzmailError(
            f"found {INBOX_VARIABLE} and no {error.name} to keep what is sent with: pip install 'azmail[inbox]'"
        ) from None
    return keeper_at(url)


def _password(options: argparse.Namespace) -> None:
    config, scope = gateway_config(options.config), Scope(options.scope)
    if (scope is Scope.PLATFORM) == bool(options.agent):
        raise AzmailError(
            f"found {options.agent or 'no agent'} and the scope {scope}, expected an agent for send and inbox, and none for platform"
        )
    if scope is Scope.PLATFORM:
        print(config.keys().password(PLATFORM, scope=scope))
        return
    agent = config.directory().find(options.agent)
    if agent is None:
        raise NoSuchAgentError(options.agent, len(config.directory()))
    print(config.keys().password(agent.id, agent.epoch, scope))


def _revoke(options: argparse.Namespace) -> None:
    config = gateway_config(options.config)
    agent = config.directory().find(options.agent)
    if agent is None:
        raise NoSuchAgentError(options.agent, len(config.directory()))
    ledger = gateway_ledger()
    try:
        ledger.revoke(agent.id, agent.epoch + 1)
    except LedgerError as error:
        raise DatabaseAwayError(error) from None
    finally:
        ledger.close()
    print(
        f"{agent.id}: every password of an epoch below {agent.epoch + 1} is refused within five seconds; "
        f"for a new one set credential_epoch: {agent.epoch + 1} beside the agent and bring the stack up"
    )
