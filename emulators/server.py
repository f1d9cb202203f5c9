"""The one process that is Mailjet, Cloudflare, its DNS and its edge on loopback; gateway and inbox are its children."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emulators.ports import DEFAULT_PORTS, Choice, Opening, PortRole
from emulators.sockets import LOOPBACK, listen
from emulators.state_folder import Process, StateFolder

if TYPE_CHECKING:
    from emulators.azmail_process import AzmailProcess

LOOK_SECONDS = 1.0

Address = dict[str, Any]


async def serve(folder: StateFolder, *, choice: Choice, ready: Callable[[], None]) -> None:
    """Serve until SIGTERM or SIGINT; `ready` is called once everything answers.

    Raises PortError before anything was opened to the outside when a port is taken.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    opening = Opening(choice, folder.ports())
    sockets: dict[PortRole, socket.socket] = {}
    try:
        for role in PortRole:
            if role not in (PortRole.DNS, PortRole.PLATFORM):
                sockets[role] = opening.open(role, listen)
        await _serve(folder, sockets, opening, ready, stop)
    finally:
        for bound in sockets.values():
            bound.close()


async def _serve(
    folder: StateFolder,
    sockets: dict[PortRole, socket.socket],
    opening: Opening,
    ready: Callable[[], None],
    stop: asyncio.Event,
) -> None:
    # Imported after the ports are ours: a port in use is told at once.
    from emulators.cloudflare import CloudflareEmulator, fold_path, serve_dns
    from emulators.control import controlled
    from emulators.gateway import GatewayFolder, gateway_process
    from emulators.inbox import InboxFolder, inbox_process
    from emulators.mailjet import Certificates, EdgeLookup, MailjetEmulator, MailjetService
    from emulators.page.app import EmulatorPage
    from emulators.serving import RunningServer

    credentials = folder.credentials()
    cloudflare = CloudflareEmulator(folder.cloudflare_database, token=credentials["CLOUDFLARE_API_TOKEN"])
    name_server = opening.open(PortRole.DNS, lambda port: serve_dns(cloudflare, LOOPBACK, port))
    ports = {role: int(bound.getsockname()[1]) for role, bound in sockets.items()} | {PortRole.DNS: name_server.port}
    ports[PortRole.PLATFORM] = opening.set_aside(PortRole.PLATFORM)
    mailjet = MailjetEmulator(
        folder.mailjet_database,
        api_key=credentials["MAILJET_API_KEY"],
        api_secret=credentials["MAILJET_API_SECRET"],
        dns=(LOOPBACK, name_server.port),
        edge=EdgeLookup(LOOPBACK, ports[PortRole.EDGE], cloudflare.tunnel_for),
    )
    certificates = Certificates(folder.certificates)
    cloudflare_app = controlled(
        cloudflare.app, name="cloudflare", state=cloudflare.state, reset=cloudflare.reset, fold=fold_path
    )
    gateway, inbox = GatewayFolder(folder), InboxFolder(folder)
    page = EmulatorPage(mailjet=mailjet, cloudflare=cloudflare, cloudflare_app=cloudflare_app, inbox=inbox)
    servers = (
        RunningServer(page.app, sockets[PortRole.PAGE]),
        RunningServer(cloudflare_app, sockets[PortRole.CLOUDFLARE]),
        RunningServer(cloudflare.edge_app, sockets[PortRole.EDGE]),
        MailjetService(
            mailjet,
            rest=sockets[PortRole.MAILJET],
            submission=sockets[PortRole.SUBMISSION],
            submission_tls=sockets[PortRole.SUBMISSION_TLS],
            inbound=sockets[PortRole.INBOUND],
            certificates=certificates,
        ),
    )
    children = (
        inbox_process(
            inbox,
            gateway,
            http=sockets[PortRole.INBOX],
            platform_port=ports[PortRole.PLATFORM],
            upstream_ca=certificates.ca_file,
        ),
        gateway_process(
            gateway,
            smtp=sockets[PortRole.GATEWAY],
            api=sockets[PortRole.GATEWAY_API],
            api_tls=sockets[PortRole.GATEWAY_API_TLS],
            upstream_ca=certificates.ca_file,
            inbox_url=lambda: inbox.database_url if gateway.names_inbox() else "",
        ),
    )
    for server in servers:
        await server.start()
    folder.remember_ports(
        {role.value: port for role, port in ports.items() if port != DEFAULT_PORTS[role] or role is PortRole.PLATFORM}
    )
    me = Process.of(os.getpid())
    assert me is not None, "this process runs"  # noqa: S101
    moved = {"moved": opening.moved} if opening.moved else {}
    folder.record({"pid": me.pid, "started": me.started, **addresses(ports, folder, certificates.ca_file), **moved})
    ready()
    await _until_stopped(stop, folder, me, children)
    if folder.serves(me):
        folder.forget()
    await asyncio.gather(*(asyncio.to_thread(child.stop) for child in children))
    page.close()
    await asyncio.gather(*(server.stop() for server in servers))
    name_server.close()
    mailjet.close()
    cloudflare.close()


async def _until_stopped(
    stop: asyncio.Event, folder: StateFolder, me: Process, children: Sequence[AzmailProcess]
) -> None:
    """Also ends when the state folder is deleted or taken over: nobody could find this process any more."""
    while not stop.is_set() and folder.serves(me):
        for child in children:
            await asyncio.to_thread(child.look)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), LOOK_SECONDS)


def addresses(ports: dict[PortRole, int], folder: StateFolder, ca_file: Path) -> dict[str, Any]:
    """Where everything is, as `./mail emulators status --json` shows it."""
    from emulators.cloudflare import ACCOUNT_ID, ZONE_ID, ZONE_NAME
    from emulators.gateway import GatewayFolder
    from emulators.inbox import InboxFolder

    def at(role: PortRole) -> Address:
        return {"host": LOOPBACK, "port": ports[role]}

    return {
        "state_dir": str(folder.path),
        "env_file": str(folder.env_file),
        "page": f"http://{LOOPBACK}:{ports[PortRole.PAGE]}/",
        "mailjet": {
            "url": f"http://{LOOPBACK}:{ports[PortRole.MAILJET]}",
            "smtp": {**at(PortRole.SUBMISSION), "tls_port": ports[PortRole.SUBMISSION_TLS], "ca_file": str(ca_file)},
            "inbound": at(PortRole.INBOUND),
        },
        "cloudflare": {
            "url": f"http://{LOOPBACK}:{ports[PortRole.CLOUDFLARE]}/client/v4",
            "edge": at(PortRole.EDGE),
            "dns": at(PortRole.DNS),
            "zone_id": ZONE_ID,
            "zone_name": ZONE_NAME,
            "account_id": ACCOUNT_ID,
        },
        "platform": at(PortRole.PLATFORM),
        "inbox": InboxFolder(folder).described(port=ports[PortRole.INBOX]),
        "gateway": GatewayFolder(folder).described(
            port=ports[PortRole.GATEWAY],
            api_port=ports[PortRole.GATEWAY_API],
            api_tls_port=ports[PortRole.GATEWAY_API_TLS],
        ),
    }
