"""Real servers on loopback, port 0: SMTP with TLS, HTTP with scripted answers, ASGI under uvicorn."""

import asyncio
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import uvicorn
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from starlette.types import ASGIApp, Receive, Scope, Send

USER = "0123456789abcdef0123456789abcdef"
PASSWORD = "fedcba9876543210fedcba9876543210"


@dataclass
class SmtpScript:
    """How the SMTP server behaves; each list is used up answer by answer, then everything is accepted.

    "abort" as an answer cuts the connection. `before_354`/`after_354`/`after_data` are the moments around DATA.
    """

    mail: list[str] = field(default_factory=list)
    rcpt: dict[str, list[str]] = field(default_factory=dict)
    before_354: list[str] = field(default_factory=list)
    after_354: list[str] = field(default_factory=list)
    after_data: list[str] = field(default_factory=list)
    auth: list[str] = field(default_factory=list)
    offer_starttls: bool = True
    size_limit: int = 40_000_000
    connections: int = 0
    open_connections: int = 0
    most_open: int = 0
    logins: int = 0
    accepted: list[Envelope] = field(default_factory=list)
    hold: threading.Event | None = None
    """If set, the server answers the end of a mail only once the event is set."""
    waiting: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    """Released once for every mail that waits for `hold`."""
    protocols: "set[_Protocol]" = field(default_factory=set)


class _Protocol(SMTP):
    def __init__(self, script: SmtpScript, **options: Any) -> None:
        self._script = script
        super().__init__(_Handler(script, self), **options)

    def connection_made(self, transport: Any) -> None:
        if not self._over_starttls(transport):
            self._script.connections += 1
            self._script.open_connections += 1
            self._script.most_open = max(self._script.most_open, self._script.open_connections)
            self._script.protocols.add(self)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        if self in self._script.protocols:
            self._script.protocols.discard(self)
            self._script.open_connections -= 1
        super().connection_lost(error)

    def _over_starttls(self, transport: Any) -> bool:
        return self in self._script.protocols and transport.get_extra_info("sslcontext") is not None

    def abort(self) -> None:
        assert isinstance(self.transport, asyncio.WriteTransport)
        self.transport.abort()

    def close(self) -> None:
        assert self.transport is not None
        self.transport.close()

    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802 -- aiosmtpd's name
        if self._script.before_354:
            await self._say(self._script.before_354.pop(0))
        elif self._script.after_354:
            await self.push("354 go on")
            await self._say(self._script.after_354.pop(0))
        else:
            await super().smtp_DATA(arg)

    async def _say(self, answer: str) -> None:
        if answer == "abort":
            self.abort()
        else:
            await self.push(answer)


class _Handler:
    def __init__(self, script: SmtpScript, protocol: _Protocol) -> None:
        self._script = script
        self._protocol = protocol

    async def handle_MAIL(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self._script.mail:
            return self._or_abort(self._script.mail.pop(0))
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_RCPT(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if answers := self._script.rcpt.get(address):
            return self._or_abort(answers.pop(0))
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        if self._script.hold is not None:
            self._script.waiting.release()
            await asyncio.get_running_loop().run_in_executor(None, self._script.hold.wait, 20)
        if self._script.after_data:
            answer = self._script.after_data.pop(0)
            if answer == "accept and abort":
                self._script.accepted.append(envelope)
                answer = "abort"
            return self._or_abort(answer)
        self._script.accepted.append(envelope)
        return f"250 OK queued as {len(self._script.accepted)}"

    def _or_abort(self, answer: str) -> str:
        if answer == "abort":
            self._protocol.abort()
            return "421 gone"
        return answer


@dataclass
class SmtpServer:
    host: str
    port: int
    script: SmtpScript
    loop: asyncio.AbstractEventLoop

    def drop_connections(self) -> None:
        """Close every connection from the server's side, as after an idle time-out."""

        async def drop() -> None:
            for protocol in list(self.script.protocols):
                protocol.close()

        asyncio.run_coroutine_threadsafe(drop(), self.loop).result(10)


@contextmanager
def smtp_server(tls: ssl.SSLContext, *, implicit: bool = False) -> Iterator[SmtpServer]:
    """A submission server that wants TLS and USER/PASSWORD."""
    script = SmtpScript()

    def authenticate(
        _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: object
    ) -> AuthResult:
        script.logins += 1
        if script.auth:
            return AuthResult(success=False, handled=False, message=script.auth.pop(0))
        right = isinstance(data, LoginPassword) and data == LoginPassword(USER.encode(), PASSWORD.encode())
        return AuthResult(success=right, handled=False)

    def protocol() -> _Protocol:
        made = _Protocol(
            script,
            hostname="localhost",
            authenticator=authenticate,
            auth_required=True,
            auth_require_tls=True,
            tls_context=tls if script.offer_starttls and not implicit else None,
            require_starttls=not implicit and script.offer_starttls,
            data_size_limit=script.size_limit,
            ident="test",
            loop=loop,
        )
        if implicit:
            made._auth_require_tls = False  # aiosmtpd looks for STARTTLS only
        return made

    loop = asyncio.new_event_loop()
    executor = ThreadPoolExecutor(20)
    loop.set_default_executor(executor)
    thread = threading.Thread(target=loop.run_forever, name="smtp-server")
    thread.start()
    try:
        server = asyncio.run_coroutine_threadsafe(
            loop.create_server(protocol, "127.0.0.1", 0, ssl=tls if implicit else None), loop
        ).result(10)
        yield SmtpServer("127.0.0.1", server.sockets[0].getsockname()[1], script, loop)
    finally:
        asyncio.run_coroutine_threadsafe(_stop(server, script), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        executor.shutdown()
        loop.close()


async def _stop(server: asyncio.Server, script: SmtpScript) -> None:
    server.close()
    for protocol in list(script.protocols):
        protocol.abort()
    everything_else = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in everything_else:
        task.cancel()
    await asyncio.gather(*everything_else, return_exceptions=True)


@dataclass
class Request:
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Answer:
    status: int = 200
    body: bytes | str | dict[str, Any] = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    reset: bool = False
    """Cut the connection instead of answering."""


@dataclass
class HttpServer:
    url: str
    requests: list[Request] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    """Used up one by one; then `answer`."""
    answer: Callable[[Request], Answer] = lambda request: Answer()


@contextmanager
def http_server(tls: ssl.SSLContext | None = None) -> Iterator[HttpServer]:
    """An HTTP/1.1 server with keep-alive that records requests and gives scripted answers."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            request = Request(self.command, self.path, dict(self.headers.items()), body)
            served.requests.append(request)
            answer = served.answers.pop(0) if served.answers else served.answer(request)
            if answer.reset:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            content = answer.body if isinstance(answer.body, bytes | str) else json.dumps(answer.body)
            raw = content.encode() if isinstance(content, str) else content
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        do_GET = do_POST  # noqa: N815

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, name="http-server")
    thread.start()
    served = HttpServer(f"{'https' if tls else 'http'}://127.0.0.1:{server.server_address[1]}")
    try:
        yield served
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()


class Switchboard:
    """One ASGI server for many apps: each has a path prefix of its own. Starting uvicorn for each test is slow."""

    def __init__(self) -> None:
        self.url = ""
        self._apps: dict[str, ASGIApp] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        prefix, _, rest = scope["path"].removeprefix("/").partition("/")
        path = "/" + rest
        await self._apps[prefix](dict(scope) | {"path": path, "raw_path": path.encode()}, receive, send)

    @contextmanager
    def running(self) -> Iterator[None]:
        # The socket listens already, so that nobody has to wait for the server's start.
        listening = socket.create_server(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(self, log_level="critical", lifespan="off", ws="none"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, name="asgi-server")
        thread.start()
        self.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        try:
            yield
        finally:
            server.should_exit = True
            thread.join(20)
            listening.close()

    @contextmanager
    def serving(self, app: ASGIApp) -> Iterator[str]:
        prefix = str(len(self._apps))
        self._apps[prefix] = app
        yield f"{self.url}/{prefix}"


SWITCHBOARD = Switchboard()


def asgi_server(app: ASGIApp) -> AbstractContextManager[str]:
    """The app under uvicorn; its URL."""
    return SWITCHBOARD.serving(app)
