"""The emulated Mailjet: REST API, mail in and out, and what its control plane adds."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import sqlite3
from collections.abc import Mapping
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp

from emulators.control import controlled
from emulators.mailjet.api import MailjetEndpoints, fold
from emulators.mailjet.certificate import Certificates
from emulators.mailjet.deliveries import Deliveries, DeliveryKind, EdgeLookup
from emulators.mailjet.domains import Domains
from emulators.mailjet.eventcallbacks import EVENT_TYPES, EventCallbacks
from emulators.mailjet.events import Events
from emulators.mailjet.letters import Letters
from emulators.mailjet.messages import Messages
from emulators.mailjet.parseroutes import ParseRoutes
from emulators.mailjet.post_office import PostOffice
from emulators.mailjet.resolver import ZoneResolver
from emulators.mailjet.send_api import SendApi
from emulators.mailjet.senders import Senders
from emulators.mailjet.smtp import Inbound, Interruptions, SmtpServer, SubmissionRules
from emulators.mailjet.state import ApiKey, MailjetState
from emulators.mailjet.switches import Switches
from emulators.serving import RunningServer
from emulators.sockets import LOOPBACK


class MailjetEmulator:
    """One Mailjet for the account `api_key`.

    `dns` is the name server (host, port) that its checks and its mail ask; without one, checks see empty
    zones and routed addresses get their mail whatever the DNS says. `edge` reaches webhooks behind a tunnel.
    """

    def __init__(
        self,
        database: sqlite3.Connection | Path | str,
        *,
        api_key: str,
        api_secret: str,
        dns: tuple[str, int] | None = None,
        edge: EdgeLookup | None = None,
    ) -> None:
        self.mailjet = MailjetState(database, api_key=api_key, api_secret=api_secret)
        self.zone = ZoneResolver(dns)
        self.domains = Domains(self.mailjet, self.zone)
        self.senders = Senders(self.mailjet, self.domains, self._send_activation)
        self.routes = ParseRoutes(self.mailjet, self.senders)
        self.callbacks = EventCallbacks(self.mailjet)
        self.messages = Messages(self.mailjet)
        self.letters = Letters(self.mailjet)
        self.deliveries = Deliveries(self.mailjet, urls=self._url, gave_up=self._gave_up, edge=edge)
        self.events = Events(self.callbacks, self.deliveries)
        self.office = PostOffice(
            self.mailjet,
            zone=self.zone,
            domains=self.domains,
            routes=self.routes,
            messages=self.messages,
            letters=self.letters,
            deliveries=self.deliveries,
            events=self.events,
        )
        self.app: ASGIApp = MailjetEndpoints(
            self.mailjet,
            domains=self.domains,
            senders=self.senders,
            routes=self.routes,
            callbacks=self.callbacks,
            messages=self.messages,
            send=SendApi(self.mailjet, self.senders, self.office).answer,
            extra=self._control,
        )
        self.controlled_app = controlled(self.app, name="mailjet", state=self.state, reset=self.reset, fold=fold)
        self.interruptions = Interruptions(self.mailjet)
        self._activation_url = "https://app.mailjet.com/activate?token="

    def close(self) -> None:
        """Close the database."""
        self.mailjet.db.close()

    def state(self) -> dict[str, Any]:
        """The dump behind `GET /_emulator/state`."""
        return {
            **self.mailjet.dump(),
            "outbox": self.messages.count(),
            "deliveries": self.deliveries.counts(),
        }

    def play(self, switches: Switches) -> None:
        """Behave so from now on; what counts how often something happened begins anew."""
        self.mailjet.change_switches(switches)
        self.domains.count_looks_anew()
        self.interruptions.count_anew()

    def reset(self) -> None:
        """Back to an account without senders, routes and mail."""
        self.mailjet.reset()
        self.domains.count_looks_anew()

    def activation_links_at(self, url: str) -> None:
        """Let the links in activation mails lead to the control plane at `url`."""
        self._activation_url = f"{url}/_emulator/activate?token="

    def _send_activation(self, key: ApiKey, email: str, token: str) -> None:
        message = EmailMessage(policy=SMTP_POLICY)
        message["From"] = "Mailjet <account-operations@mailjet.com>"
        message["To"] = email
        message["Subject"] = "Validate your sender address"
        message.set_content(f"To send from {email}, follow this link:\n{self._activation_url}{token}\n")
        self.office.submit_own(key, message.as_bytes(), email, str(message["Subject"]))

    def _url(self, kind: DeliveryKind, target_id: int) -> str | None:
        table = "parseroute" if kind is DeliveryKind.PARSE else "eventcallback"
        row = self.mailjet.db.execute(
            f"SELECT url FROM {table} WHERE id = ?",  # noqa: S608 - one of two names
            (target_id,),
        ).fetchone()
        return None if row is None else str(row["url"])

    def _gave_up(self, kind: DeliveryKind, target_id: int) -> None:
        if kind is DeliveryKind.EVENT:
            self.callbacks.suspend(target_id)

    async def _control(self, request: Request) -> Response | None:
        name = request.url.path.removeprefix("/_emulator/")
        match request.method, name.split("/"):
            case "GET", ["switches"]:
                return JSONResponse(self.mailjet.switches.model_dump())
            case "PUT", ["switches"]:
                return self._put_switches(await request.body())
            case "DELETE", ["switches"]:
                self.play(Switches())
                return Response(status_code=204)
            case "PUT", ["apikeys"]:
                return self._put_api_key(await request.body())
            case "GET", ["activate"]:
                return self._activate(request.query_params)
            case "GET", ["outbox"]:
                return JSONResponse({"messages": self.messages.listed(_since(request.query_params))})
            case "GET", ["outbox", key] if key.isdecimal():
                octets = self.messages.octets(int(key))
                return None if octets is None else Response(octets, media_type="message/rfc822")
            case "GET", ["deliveries"]:
                return JSONResponse({"deliveries": self.deliveries.listed(_since(request.query_params))})
            case "POST", ["deliveries", "retry"]:
                return JSONResponse({"retried": self.deliveries.retry_now()})
            case "POST", ["events"]:
                return self._post_events(await request.body())
        return None

    def _put_switches(self, body: bytes) -> Response:
        try:
            given = json.loads(body or b"{}")
            switches = Switches.model_validate({**self.mailjet.switches.model_dump(), **given})
        except (ValueError, TypeError, ValidationError) as error:
            return JSONResponse({"error": str(error)}, 400)
        self.play(switches)
        return JSONResponse(switches.model_dump())

    def _put_api_key(self, body: bytes) -> Response:
        try:
            given = json.loads(body)
            key = self.mailjet.put_api_key(
                str(given["api_key"]), str(given["api_secret"]), name=str(given.get("name", "Subaccount"))
            )
        except (ValueError, TypeError, KeyError):
            return JSONResponse({"error": 'expected {"api_key": "…", "api_secret": "…", "name": "…"}'}, 400)
        return JSONResponse({"ID": key.id, "Name": key.name, "IsMaster": key.is_master})

    def _activate(self, query: Mapping[str, str]) -> Response:
        address = self.senders.follow_activation_link(query.get("token", ""))
        if address is None:
            return PlainTextResponse("This link is not known.", 404)
        return PlainTextResponse(f"{address} is now an active sender.")

    def _post_events(self, body: bytes) -> Response:
        """Pretend that something happened to a sent message, or to several."""
        try:
            given = json.loads(body)
            kind, ids = str(given["event"]), [int(key) for key in given["messages"]]
        except (ValueError, TypeError, KeyError):
            return JSONResponse({"error": 'expected {"event": "spam", "messages": [MessageID, …]}'}, 400)
        messages = [message for key in ids if (message := self.messages.get(key)) is not None]
        if kind not in EVENT_TYPES or len(messages) != len(ids) or not ids:
            known = ", ".join(EVENT_TYPES)
            return JSONResponse({"error": f"expected one of {known}, and ids of messages in the outbox"}, 400)
        if kind == "unsub":
            for message in messages:
                self.messages.unsubscribe(message)
        return JSONResponse({"posted": self.events.report_all(messages, kind)})


def _since(query: Mapping[str, str]) -> int:
    text = query.get("since", "0")
    return int(text) if text.isdecimal() else 0


class MailjetService:
    """The servers of an emulator on sockets that are bound already: REST, submission, inbound."""

    def __init__(
        self,
        emulator: MailjetEmulator,
        *,
        rest: socket.socket,
        submission: socket.socket,
        submission_tls: socket.socket,
        inbound: socket.socket,
        certificates: Certificates,
    ) -> None:
        self._emulator = emulator
        self.certificates = certificates
        context = certificates.context()
        interruptions = emulator.interruptions
        rules = SubmissionRules(emulator.mailjet, emulator.senders, emulator.office, interruptions)
        self._rest = RunningServer(emulator.controlled_app, rest)
        self._smtp = [
            SmtpServer(rules, submission, context),
            SmtpServer(rules, submission_tls, context, implicit_tls=True),
            SmtpServer(Inbound(emulator.office, interruptions), inbound, context),
        ]
        self.rest_port = self._rest.port
        self.submission_port, self.submission_tls_port, self.inbound_port = (one.port for one in self._smtp)
        self.url = f"http://{LOOPBACK}:{self.rest_port}"
        emulator.activation_links_at(self.url)
        self._workers: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Serve; returns when everything accepts connections."""
        for server in self._smtp:
            await server.start()
        self._workers = [
            asyncio.create_task(self._emulator.office.run()),
            asyncio.create_task(self._emulator.deliveries.run()),
        ]
        await self._rest.start()

    async def stop(self) -> None:
        """Close all ports; what is queued stays queued."""
        await asyncio.gather(self._rest.stop(), *(server.stop() for server in self._smtp))
        for worker in self._workers:
            worker.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await worker
