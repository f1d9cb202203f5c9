"""The SMTP door over real sockets and TLS, judged by what the upstream got."""

from __future__ import annotations

import base64
import contextlib
import logging
import re
import smtplib
import socket
import ssl
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from aiosmtpd.smtp import SMTP

from azmail.errors import (
    AccountBlockedError,
    CredentialsRefusedError,
    DeliveryUncertainError,
    MessageRefusedError,
    RecipientsRefusedError,
    SenderRefusedError,
    SendError,
    TlsError,
    UnreachableError,
)
from azmail.gateway import submission
from azmail.gateway.credentials import Directory
from azmail.gateway.ledger import Ledger, LedgerError, SendingLimits
from azmail.gateway.relay import HANDLED_PER_AGENT, Policy, Relay
from azmail.gateway.serving import Listening
from azmail.gateway.submission import _USUAL_PATH, Sources, SubmissionServer
from tests.unit.azmail.gateway.conftest import ME, REFUSED_LOGINS, ROOTS, YOU, EndlessSources, Loop, Recorder
from tests.unit.azmail.gateway.parsers import senders_of
from tests.unit.azmail.gateway.test_identity import ACCEPTED, ATTACKS
from tests.waiting import wait_until

PASSWORD = ROOTS.password("bot-1")
MAIL = b"From: me@d.example\r\nMessage-ID: <1@d.example>\r\nSubject: x\r\n\r\nhello\r\n"
TO = ["x@y.example"]

Serve = Callable[..., int]


@pytest.fixture
def port(serve: Serve, make_relay: Callable[..., Relay]) -> int:
    return serve(make_relay())


@pytest.fixture
def connect(client_tls: ssl.SSLContext) -> Iterator[Callable[..., smtplib.SMTP]]:
    open_ones: list[smtplib.SMTP] = []

    def made(port: int, user: str | None = "bot-1", password: str = PASSWORD, *, tls: bool = True) -> smtplib.SMTP:
        client = smtplib.SMTP("localhost", port, timeout=20, local_hostname="test")
        open_ones.append(client)
        client.ehlo()
        if tls:
            client.starttls(context=client_tls)
            client.ehlo()
        if tls and user is not None:
            assert client.login(user, password)[0] == 235
        return client

    yield made
    for client in open_ones:
        client.close()


def plain(user: str, password: str, identity: str = "") -> str:
    return "PLAIN " + base64.b64encode(f"{identity}\0{user}\0{password}".encode()).decode()


def sent(client: smtplib.SMTP, octets: bytes = MAIL, sender: str = ME.address, to: list[str] = TO) -> tuple[int, bytes]:
    """The answer to the step that was refused, or to the final dot."""
    code, answer = client.mail(sender)
    for recipient in to:
        if code == 250:
            code, answer = client.rcpt(recipient)
    return client.data(octets) if code == 250 else (code, answer)


def flood(client: smtplib.SMTP) -> None:
    """20 MB in one line, and then both answers that may come."""
    for _ in range(2000):
        client.send(b"x" * 10_000)
    client.getreply()
    client.getreply()


class TestLogin:
    @pytest.mark.parametrize("user", ["bot-1", "me@d.example", "ME@D.example"])
    def test_by_id_or_address(self, port: int, connect: Callable[..., smtplib.SMTP], user: str) -> None:
        assert sent(connect(port, user))[0] == 250

    def test_not_before_tls_and_not_offered(self, port: int, connect: Callable[..., smtplib.SMTP]) -> None:
        client = connect(port, tls=False)
        assert "auth" not in client.esmtp_features
        assert client.docmd("AUTH", plain("bot-1", PASSWORD)) == (530, b"5.7.0 Must issue a STARTTLS command first")
        assert client.mail(ME.address)[0] == 530

    @pytest.mark.parametrize("login", REFUSED_LOGINS.values(), ids=REFUSED_LOGINS)
    def test_one_text_for_every_reason(
        self, port: int, connect: Callable[..., smtplib.SMTP], login: tuple[str, str]
    ) -> None:
        answer = connect(port, None).docmd("AUTH", plain(*login))
        assert answer == (535, b"5.7.8 the user or the password is wrong")

    def test_a_wrong_password_waits_and_nobody_beside_it(
        self, serve: Serve, make_relay: Callable[..., Relay], connect: Callable[..., smtplib.SMTP]
    ) -> None:
        port = serve(make_relay(), sources=EndlessSources())
        guesser = connect(port, None)
        guesser.putcmd("AUTH", plain("bot-1", "wrong"))
        assert sent(connect(port))[0] == 250
        assert guesser.sock is not None
        guesser.sock.setblocking(False)
        with pytest.raises(ssl.SSLWantReadError):
            guesser.sock.recv(1)

    def test_a_foreign_authorization_identity(self, port: int, connect: Callable[..., smtplib.SMTP]) -> None:
        assert connect(port, None).docmd("AUTH", plain("bot-1", PASSWORD, YOU.address))[0] == 535
        assert connect(port, None).docmd("AUTH", plain("bot-1", PASSWORD, ME.address))[0] == 235

    def test_the_third_failure_ends_the_connection_and_locks_nobody_out(
        self, port: int, connect: Callable[..., smtplib.SMTP]
    ) -> None:
        client = connect(port, None)
        codes = [client.docmd("AUTH", plain("bot-1", "wrong"))[0] for _ in range(3)]
        assert codes == [535, 535, 421]
        with pytest.raises(smtplib.SMTPServerDisconnected):
            client.noop()
        assert sent(connect(port))[0] == 250

    @pytest.mark.parametrize(
        ("argument", "code"),
        [
            ("", 504), ("CRAM-MD5", 504), ("PLAIN a b", 504), ("PLAIN ====", 501), ("PLAIN " + "A" * 400, 501), ("PLAIN AAAA", 501),
            ("PLAIN =", 501),
        ],
    )  # fmt: skip
    def test_odd_arguments(self, port: int, connect: Callable[..., smtplib.SMTP], argument: str, code: int) -> None:
        client = connect(port, None)
        assert client.docmd("AUTH", argument)[0] == code
        assert client.docmd("AUTH", plain("bot-1", PASSWORD))[0] == 235

    def test_in_two_steps_and_cancelled(self, port: int, connect: Callable[..., smtplib.SMTP]) -> None:
        client = connect(port, None)
        assert client.docmd("AUTH", "PLAIN")[0] == 334
        assert client.docmd("*") == (501, b"5.7.0 AUTH was cancelled")
        assert client.docmd("AUTH", "LOGIN")[0] == 334
        assert client.docmd(base64.b64encode(b"bot-1").decode())[0] == 334
        assert client.docmd(base64.b64encode(PASSWORD.encode()).decode())[0] == 235
        assert client.docmd("AUTH", plain("bot-1", PASSWORD))[0] == 503

    def test_commands_behind_starttls_are_not_those_of_the_session(self, port: int, client_tls: ssl.SSLContext) -> None:
        with socket.create_connection(("127.0.0.1", port), timeout=20) as raw:
            reader = raw.makefile("rb")
            reader.readline()
            raw.sendall(b"EHLO x\r\n")
            while not reader.readline().startswith(b"250 "):
                pass
            raw.sendall(b"STARTTLS\r\nEHLO injected\r\nMAIL FROM:<boss@d.example>\r\n")
            assert reader.readline().startswith(b"220")
            with client_tls.wrap_socket(raw, server_hostname="localhost") as tls:
                tls.sendall(b"NOOP\r\nQUIT\r\n")
                answers = tls.makefile("rb").read().splitlines()
            # Greeting and EHLO are those of the TLS session alone: what came in the clear is neither known nor answered.
            assert [answer[:3] for answer in answers] == [b"250", b"221"]
            reader.close()

    def test_the_pause_grows_with_the_failures_of_a_source_and_ends(self) -> None:
        now = [0.0]
        sources = Sources(clock=lambda: now[0])
        assert [sources.failed("a") for _ in range(8)] == [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0]
        assert sources.failed("b") == 0.25
        now[0] = 1000.0
        assert sources.failed("a") == 0.25

    def test_an_epoch_that_has_passed_and_one_that_is_to_come(
        self, serve: Serve, make_relay: Callable[..., Relay], connect: Callable[..., smtplib.SMTP]
    ) -> None:
        port = serve(make_relay(directory=Directory([replace(ME, epoch=2)])))
        codes = [connect(port, None).docmd("AUTH", plain("bot-1", ROOTS.password("bot-1", n)))[0] for n in range(4)]
        assert codes == [535, 535, 235, 235]

    def test_an_answer_to_a_challenge_that_is_too_long(self, port: int, connect: Callable[..., smtplib.SMTP]) -> None:
        client = connect(port, None)
        assert client.docmd("AUTH", "PLAIN")[0] == 334
        client.send(b"A" * 5000 + b"\r\n")
        assert client.getreply()[0] in (500, 501)

    def test_a_base64_line_that_comes_as_a_command_is_in_no_log(
        self, port: int, connect: Callable[..., smtplib.SMTP], caplog: pytest.LogCaptureFixture
    ) -> None:
        """From a client that does not wait for the answers of AUTH LOGIN."""
        caplog.set_level(logging.DEBUG)
        line = base64.b64encode(PASSWORD.encode()).decode()
        client = connect(port, None)
        assert client.docmd(line)[0] == 500
        assert client.docmd("AUTH", f"PLAIN {line} {line}")[0] == 504
        assert line.lower() not in caplog.text.lower()

    def test_no_tls_within_tls(self, port: int, connect: Callable[..., smtplib.SMTP]) -> None:
        assert connect(port, None).docmd("STARTTLS") == (503, b"5.5.1 TLS is there already")


def last_words(client: socket.socket) -> bytes:
    """The last line before the connection ended."""
    said = b""
    with contextlib.suppress(ConnectionResetError):
        while octets := client.recv(4096):
            said += octets
    return said.removesuffix(b"\r\n").rpartition(b"\r\n")[2]


STAGES = ("silent", "in the clear", "within the handshake", "behind STARTTLS", "before implicit TLS")


class TestStrangers:
    """Who does not log in has a minute, whatever it says, and takes no place from who does."""

    @pytest.mark.parametrize("stage", STAGES)
    def test_a_minute_to_log_in(
        self,
        serve: Serve,
        make_relay: Callable[..., Relay],
        servers: list[SubmissionServer],
        connect: Callable[..., smtplib.SMTP],
        loop: Loop,
        stage: str,
    ) -> None:
        port = serve(make_relay(), implicit_tls=stage == "before implicit TLS")
        with socket.create_connection(("127.0.0.1", port), timeout=20) as raw:
            client = raw
            if stage == "behind STARTTLS":
                secured = connect(port, None).sock
                assert secured is not None
                client = secured
            if stage in ("in the clear", "within the handshake"):
                command, answer = (
                    (b"EHLO x\r\n", b"250 ") if stage == "in the clear" else (b"STARTTLS\r\n", b"220 Ready")
                )
                raw.sendall(command)
                wait_until(lambda: answer in raw.recv(4096))
            wait_until(lambda: len(servers[0].doorstep) >= 1)
            loop.advance(59)
            if stage in ("in the clear", "behind STARTTLS"):
                client.sendall(b"NOOP\r\n")
                assert client.recv(4096).startswith(b"250")
            loop.advance(2)
            loop.advance(2)
            handshake = stage in ("within the handshake", "before implicit TLS")
            assert last_words(client) == (b"" if handshake else b"421 4.7.0 no login came in time; goodbye")
        wait_until(lambda: not servers[0].connections and not len(servers[0].doorstep))

    def test_who_has_logged_in_stays(
        self, port: int, connect: Callable[..., smtplib.SMTP], loop: Loop, servers: list[SubmissionServer]
    ) -> None:
        client = connect(port)
        loop.advance(61)
        assert sent(client)[0] == 250
        loop.advance(121)
        loop.advance(2)
        assert client.sock is not None
        assert last_words(client.sock) == b"421 4.4.2 no command came in time; goodbye"

    def test_a_gateway_that_ends_says_so(
        self, port: int, connect: Callable[..., smtplib.SMTP], servers: list[SubmissionServer], loop: Loop
    ) -> None:
        client = connect(port)
        loop.run(servers.pop().stop())
        assert client.sock is not None
        assert last_words(client.sock) == b"421 4.3.2 the gateway ends; try again later"

    def test_who_reads_nothing_is_cut(self, port: int, servers: list[SubmissionServer], loop: Loop) -> None:
        assert servers[0]._server is not None
        # Otherwise the system takes megabytes of answers before anybody waits for the reader.
        servers[0]._server.sockets[0].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(("127.0.0.1", port))
            client.settimeout(20)
            talking = threading.Thread(target=_talk_without_end, args=(client,))
            talking.start()
            wait_until(
                lambda: any(one._writer.transport.get_write_buffer_size() for one in list(servers[0].connections))
            )
            loop.advance(61)
            loop.advance(2)
            wait_until(lambda: not servers[0].connections)
            talking.join(20)
            assert not talking.is_alive()

    @pytest.mark.parametrize("bound", ["most_strangers", "most_connections"])
    def test_the_one_that_waits_longest_makes_room(
        self, serve: Serve, make_relay: Callable[..., Relay], connect: Callable[..., smtplib.SMTP], bound: str
    ) -> None:
        port = serve(make_relay(), **{bound: 2 if bound == "most_strangers" else 3})
        agent = connect(port)
        first, second, third = (connect(port, tls=False) for _ in range(3))
        assert first.sock is not None
        assert last_words(first.sock).startswith(b"421 ")
        assert [client.noop()[0] for client in (agent, second, third)] == [250] * 3

    def test_places_of_agents_are_left_to_them(
        self, serve: Serve, make_relay: Callable[..., Relay], connect: Callable[..., smtplib.SMTP]
    ) -> None:
        port = serve(make_relay(), most_connections=2)
        held = [connect(port), connect(port)]
        with pytest.raises(smtplib.SMTPConnectError, match="421"):
            connect(port)
        held.pop().quit()

    def test_one_agent_does_not_take_every_place(
        self, serve: Serve, make_relay: Callable[..., Relay], connect: Callable[..., smtplib.SMTP]
    ) -> None:
        port = serve(make_relay())
        with pytest.MonkeyPatch.context() as smaller:
            smaller.setattr(submission, "SESSIONS_PER_AGENT", 2)
            held = [connect(port), connect(port)]
            assert connect(port, None).docmd("AUTH", plain("bot-1", PASSWORD))[0] == 421
            assert connect(port, "bot-2", ROOTS.password("bot-2")).noop()[0] == 250
            held.pop().quit()
            wait_until(lambda: connect(port, None).docmd("AUTH", plain("bot-1", PASSWORD))[0] == 235)


def _talk_without_end(client: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while True:
            client.sendall(b"EHLO x\r\n" * 100)


class TestEnvelope:
    @pytest.mark.parametrize(
        "path", ["<me@d.example>", "<me@d.example> SIZE=1", "<ME@D.EXAMPLE>  SIZE=1", "<a.b+c@d-e.example> A B=C"]
    )
    def test_the_short_way_reads_a_path_as_aiosmtpd_does(self, path: str) -> None:
        usual = _USUAL_PATH.fullmatch(path)
        assert usual is not None
        assert (usual[1], usual[2] or "") == SMTP._getaddr(SMTP.__new__(SMTP), path)

    @pytest.mark.parametrize(
        "path",
        ["<@a.example:me@d.example>", '<"me"@d.example>', "<me@d.example>x", "me@d.example", "<me@d.example", "<>", "<a@b@c>", "<a..b@c>"],
    )  # fmt: skip
    def test_every_other_path_goes_the_long_way(self, path: str) -> None:
        assert _USUAL_PATH.fullmatch(path) is None

    def test_no_address_beyond_ascii(self, port: int, connect: Callable[..., smtplib.SMTP], upstream: Recorder) -> None:
        client = connect(port)
        assert "smtputf8" not in client.esmtp_features
        assert client.docmd("MAIL", f"FROM:<{ME.address}> SMTPUTF8")[0] in (501, 555)
        client.mail(ME.address)
        client.send("RCPT TO:<jörg@y.example>\r\n".encode())
        assert client.getreply()[0] in (500, 501, 553)
        assert upstream.got == []

    @pytest.mark.parametrize("sender", [YOU.address, "me@other.example", "boss@d.example", "me@d.example.evil.example"])
    def test_a_foreign_sender(
        self, port: int, connect: Callable[..., smtplib.SMTP], upstream: Recorder, sender: str
    ) -> None:
        assert sent(connect(port), sender=sender)[0] == 553
        assert upstream.got == []

    @pytest.mark.parametrize("parameter", ["AUTH=<>", "auth=me@d.example", "AUTH=boss+40d.example", "SIZE=300 AUTH=<>"])
    def test_whom_a_relay_says_it_has_the_message_from(
        self, port: int, connect: Callable[..., smtplib.SMTP], upstream: Recorder, parameter: str
    ) -> None:
        client = connect(port)
        assert client.mail(ME.address, parameter.split())[0] == 250
        client.rcpt(TO[0])
        assert client.data(MAIL)[0] == 250
        assert [sender for _, sender, _ in upstream.got] == [ME.address]

    def test_the_null_sender(self, port: int, connect: Callable[..., smtplib.SMTP]) -> None:
        client = connect(port)
        client.putcmd("MAIL", "FROM:<>")
        assert client.getreply()[0] in (501, 553)

    @pytest.mark.parametrize(
        "to",
        ['"x y"@y.example', "x", "x@", "@y.example", "x..z@y.example", "x@y.example\u0000"],
    )
    def test_odd_recipients(self, port: int, connect: Callable[..., smtplib.SMTP], to: str) -> None:
        client = connect(port)
        client.mail(ME.address)
        client.putcmd("RCPT", f"TO:<{to}>".replace("\0", "\\0"))
        assert client.getreply()[0] in (501, 553)

    def test_a_source_route_is_ignored_as_rfc_5321_says(
        self, port: int, connect: Callable[..., smtplib.SMTP], upstream: Recorder
    ) -> None:
        client = connect(port)
        client.mail(ME.address)
        assert client.docmd("RCPT", "TO:<@a.example:x@y.example>")[0] == 250
        assert client.data(MAIL)[0] == 250
        assert upstream.got[0][2] == ("x@y.example",)

    def test_fifty_recipients_and_no_more(
        self, port: int, connect: Callable[..., smtplib.SMTP], upstream: Recorder
    ) -> None:
        client = connect(port)
        client.mail(ME.address)
        codes = [client.rcpt(f"x{number}@y.example")[0] for number in range(52)]
        assert codes == [250] * 50 + [452, 452]
        assert client.data(MAIL)[0] == 250
        assert len(upstream.got[0][2]) == 50

    def test_an_allow_list(
        self,
        serve: Callable[..., int],
        make_relay: Callable[..., Relay],
        connect: Callable[..., smtplib.SMTP],
        upstream: Recorder,
    ) -> None:
        policy = Policy(recipients=frozenset({"y.example", "one@z.example"}))
        client = connect(serve(make_relay(policies={"bot-1": policy})))
        client.mail(ME.address)
        assert [client.rcpt(to)[0] for to in ("x@Y.example", "One@z.example", "two@z.example")] == [250, 250, 550]


class TestMessage:
    def test_it_arrives_as_it_was_with_dots_and_the_agents_from(
        self, port: int, connect: Callable[..., smtplib.SMTP], upstream: Recorder
    ) -> None:
        body = b".\r\n..\r\n.x\r\n\xc3\xbc\r\n"
        assert sent(connect(port), MAIL + body)[0] == 250
        ((wire, sender, recipients),) = upstream.got
        assert wire.endswith(b"\r\n\r\nhello\r\n" + body)
        assert wire.startswith(b"From: me@d.example\r\n")
        assert (sender, recipients) == (ME.address, tuple(TO))

    @pytest.mark.parametrize(
        ("octets", "code", "field"),
        [
            (b"From: boss@d.example\r\n\r\nx\r\n", 550, b"5.7.1 From"),
            (b"From: me@d.example\r\nFrom: boss@d.example\r\n\r\nx\r\n", 550, b"5.7.1 From"),
            (b"Subject: x\r\n\r\nx\r\n", 550, b"5.7.1 From"),
            (b"From : me@d.example\r\n\r\nx\r\n", 550, b"5.6.0 header"),
            (b"From: me@d.example\r\n\r\na\0b\r\n", 550, b"5.6.11"),
            (b"From: me@d.example\r\n\r\na\rb\r\n", 550, b"5.6.11"),
            (b"From: me@d.example\r\n\r\na\nb\r\n", 550, b"5.6.11"),
            (b"From: me@d.example\r\n\r\n" + b"x" * 999 + b"\r\n", 550, b"5.6.0 line"),
            (b"From: me@d.example\r\n\r\n" + b"x" * 2000 + b"\r\n", 550, b"5.6.0 line"),
        ],
    )
    def test_an_offence_is_named(
        self,
        port: int,
        connect: Callable[..., smtplib.SMTP],
        upstream: Recorder,
        octets: bytes,
        code: int,
        field: bytes,
    ) -> None:
        answer = sent(connect(port), octets)
        assert answer[0] == code
        assert field in answer[1]
        assert upstream.got == []

    @pytest.mark.parametrize(
        ("before", "after"),
        [
            (before, after)
            for before in (b"\n", b"\r", b"\r\n", b"\r\n\0", b"\0\r\n")
            for after in (b"\r\n", b"\n", b"\r", b"\n\r\n")
            if not (before.endswith(b"\r\n") and after == b"\r\n")
        ],
    )
    def test_smuggling_never_reaches_mailjet(
        self, port: int, connect: Callable[..., smtplib.SMTP], upstream: Recorder, before: bytes, after: bytes
    ) -> None:
        client = connect(port)
        client.mail(ME.address)
        client.rcpt(TO[0])
        client.docmd("DATA")
        second = b"MAIL FROM:<boss@d.example>\r\nRCPT TO:<v@y.example>\r\nDATA\r\nFrom: boss@d.example\r\n\r\nx\r\n"
        client.send(MAIL + b"first" + before + b"." + after + second + b".\r\n")
        client.getreply()
        assert all(b"boss@d.example" not in wire for wire, _, _ in upstream.got)

    def test_a_line_without_end(self, port: int, connect: Callable[..., smtplib.SMTP], upstream: Recorder) -> None:
        client = connect(port)
        client.mail(ME.address)
        client.rcpt(TO[0])
        client.docmd("DATA")
        tracemalloc.start()
        with pytest.raises((smtplib.SMTPException, OSError)):
            flood(client)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 1_000_000
        assert upstream.got == []

    def test_a_message_without_end(
        self,
        port: int,
        connect: Callable[..., smtplib.SMTP],
        upstream: Recorder,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(submission, "MAX_MESSAGE_OCTETS", 10_000)
        client = connect(port)
        client.mail(ME.address)
        client.rcpt(TO[0])
        client.docmd("DATA")
        client.send(b"From: me@d.example\r\n\r\n" + b"x\r\n" * 15_000)
        assert client.getreply() == (421, b"4.7.0 the message has no end; goodbye")
        assert upstream.got == []

    @pytest.mark.slow
    def test_more_octets_than_mailjet_takes_and_a_size_that_lies(
        self, port: int, connect: Callable[..., smtplib.SMTP], upstream: Recorder
    ) -> None:
        client = connect(port)
        assert client.esmtp_features["size"] == "15728640"
        assert client.mail(ME.address, ["SIZE=99999999"])[0] == 552
        for octets, code in ((MAIL + (b"x" * 996 + b"\r\n") * 15_800, 552), (MAIL, 250)):
            assert client.mail(ME.address, ["SIZE=1"])[0] == 250
            client.rcpt(TO[0])
            assert client.data(octets)[0] == code
        assert [wire.endswith(b"\r\n\r\nhello\r\n") for wire, _, _ in upstream.got] == [True]

    def test_a_large_message_over_a_slow_line_takes_what_it_takes_up_to_ten_minutes(
        self, port: int, connect: Callable[..., smtplib.SMTP], upstream: Recorder, loop: Loop
    ) -> None:
        client = connect(port)
        for seconds, answer in ((590, 250), (601, None)):
            client.mail(ME.address)
            client.rcpt(TO[0])
            client.docmd("DATA")
            client.send(b"From: me@d.example\r\n")
            loop.advance(seconds)
            if answer is None:
                loop.advance(2)
                assert client.sock is not None
                assert last_words(client.sock) == b"421 4.4.2 the message did not come to its end in time; goodbye"
            else:
                client.send(b"\r\nx\r\n.\r\n")
                assert client.getreply()[0] == answer
        assert len(upstream.got) == 1


def test_the_list_of_attacks(port: int, connect: Callable[..., smtplib.SMTP], upstream: Recorder) -> None:
    """One after the other in one session; generated ones are in `test_impostors`."""
    client = connect(port)
    for attack in ATTACKS:
        sent(client, attack["header"].encode("latin-1") + b"To: x@y.example\r\n\r\nbody\r\n")
    assert len(upstream.got) == len(ACCEPTED)
    assert all(senders_of(wire) == [[ME.address]] * 4 for wire, _, _ in upstream.got)


class TestOnce:
    def test_a_repetition_gets_the_first_answer(
        self, port: int, connect: Callable[..., smtplib.SMTP], upstream: Recorder
    ) -> None:
        first, second = sent(connect(port)), sent(connect(port))
        assert first == second == (250, b"2.0.0 queued as 1")
        assert len(upstream.got) == 1

    def test_one_message_to_more_people_than_one_transaction_takes(
        self, port: int, connect: Callable[..., smtplib.SMTP], upstream: Recorder
    ) -> None:
        """As RFC 5321, 4.5.3.1.10 has a client do it: the rest in another transaction, with the Message-ID that it has."""
        client = connect(port)
        people = [f"x{number}@y.example" for number in range(60)]
        client.mail(ME.address)
        taken = [one for one in people if client.rcpt(one)[0] == 250]
        assert client.data(MAIL)[0] == 250
        rest = [one for one in people if one not in taken]
        assert sent(client, to=rest)[0] == 250
        assert sent(client, to=rest)[0] == 250
        assert [recipients for _, _, recipients in upstream.got] == [tuple(taken), tuple(rest)]

    def test_another_message_with_the_same_id_is_another_message(
        self, port: int, connect: Callable[..., smtplib.SMTP], upstream: Recorder
    ) -> None:
        client = connect(port)
        assert [sent(client)[0], sent(client, MAIL + b"more\r\n")[0]] == [250, 250]
        assert len(upstream.got) == 2

    def test_without_a_message_id_the_octets_are_its_name(
        self, port: int, connect: Callable[..., smtplib.SMTP], upstream: Recorder
    ) -> None:
        anonymous = MAIL.replace(b"Message-ID: <1@d.example>\r\n", b"")
        client = connect(port)
        sent(client, anonymous)
        sent(client, anonymous)
        assert len(upstream.got) == 1

    def test_a_client_that_leaves_after_the_dot(
        self, port: int, connect: Callable[..., smtplib.SMTP], upstream: Recorder
    ) -> None:
        upstream.gate = threading.Event()
        client = connect(port)
        client.mail(ME.address)
        client.rcpt(TO[0])
        client.docmd("DATA")
        client.send(MAIL + b".\r\n")
        assert upstream.waiting.acquire(timeout=20)
        client.close()
        again = connect(port)
        assert sent(again)[0] == 451
        upstream.gate.set()
        code = 451
        while code == 451:
            code, answer = sent(again)
        assert (code, answer) == (250, b"2.0.0 queued as 1")
        assert len(upstream.got) == 1

    def test_a_lost_answer_is_told_and_nothing_is_sent_again(
        self, port: int, connect: Callable[..., smtplib.SMTP], upstream: Recorder
    ) -> None:
        upstream.error = DeliveryUncertainError("mailjet", "reset")
        client = connect(port)
        assert sent(client)[0] == 554
        upstream.error = None
        assert sent(client)[0] == 554
        assert upstream.got == []

    @pytest.mark.parametrize(
        ("error", "code"),
        [
            (UnreachableError("mailjet", "refused"), 451),
            (TlsError("mailjet", "self-signed"), 451),
            (AccountBlockedError("blocked"), 451),
            (CredentialsRefusedError("mailjet"), 451),
            (SenderRefusedError(ME.address, "550 no"), 550),
            (RecipientsRefusedError({"x@y.example": "550 no"}), 550),
            (MessageRefusedError("554 no\r\n250 injected", "554"), 554),
        ],
    )
    def test_what_mailjet_says_is_told_in_one_line(
        self, port: int, connect: Callable[..., smtplib.SMTP], upstream: Recorder, error: SendError, code: int
    ) -> None:
        upstream.error = error
        client = connect(port)
        found, answer = sent(client)
        assert found == code
        assert b"\n" not in answer
        upstream.error = None
        again = sent(client)[0]
        # What certainly was not sent may be tried again; what was refused for good stays refused.
        assert again == (250 if code == 451 else code)

    def test_an_account_that_is_blocked_shows_in_the_health(
        self,
        serve: Callable[..., int],
        make_relay: Callable[..., Relay],
        connect: Callable[..., smtplib.SMTP],
        upstream: Recorder,
    ) -> None:
        relay = make_relay()
        client = connect(serve(relay))
        upstream.error = AccountBlockedError("blocked")
        sent(client)
        assert relay.health() == "Mailjet refuses the account"
        upstream.error = None
        sent(client)
        assert relay.health() == ""


class Arrivals:
    """A lock that counts who has come to it."""

    def __init__(self) -> None:
        self.count = 0
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        self.count += 1
        self._lock.acquire()

    def __exit__(self, *_error: object) -> None:
        self._lock.release()


class TestShared:
    def test_a_limit_over_two_replicas(
        self,
        serve: Callable[..., int],
        make_relay: Callable[..., Relay],
        connect: Callable[..., smtplib.SMTP],
        upstream: Recorder,
    ) -> None:
        policy = Policy(limits=SendingLimits(messages_an_hour=3))
        clients = [connect(serve(make_relay(default=policy))) for _ in range(2)]
        answers = [sent(clients[number % 2], MAIL.replace(b"<1@", b"<%d@" % number)) for number in range(5)]
        assert [code for code, _ in answers] == [250, 250, 250, 450, 450]
        assert re.search(rb"4\.7\.1 this agent may send 3 messages per hour; again in [0-9,]+ seconds", answers[4][1])
        assert len(upstream.got) == 3

    def test_a_revocation_ends_an_open_session_on_another_replica(
        self,
        serve: Callable[..., int],
        make_relay: Callable[..., Relay],
        connect: Callable[..., smtplib.SMTP],
        sqlite_ledger: Ledger,
    ) -> None:
        now = [0.0]
        client = connect(serve(make_relay(clock=lambda: now[0])))
        assert sent(client)[0] == 250
        sqlite_ledger.revoke("bot-1", 1)
        now[0] += 5.0
        assert client.mail(ME.address) == (421, b"4.7.0 this credential is not good any more; goodbye")
        assert client.sock is not None
        assert last_words(client.sock) == b""
        fresh = connect(serve(make_relay()), "bot-1", ROOTS.password("bot-1", 1))
        assert sent(fresh, MAIL.replace(b"<1@", b"<2@"))[0] == 250

    def test_a_revocation_counts_at_the_final_dot(
        self,
        serve: Callable[..., int],
        make_relay: Callable[..., Relay],
        connect: Callable[..., smtplib.SMTP],
        sqlite_ledger: Ledger,
        upstream: Recorder,
    ) -> None:
        now = [0.0]
        client = connect(serve(make_relay(clock=lambda: now[0])))
        client.mail(ME.address)
        client.rcpt(TO[0])
        client.docmd("DATA")
        sqlite_ledger.revoke("bot-1", 1)
        now[0] += 5.0
        client.send(MAIL + b".\r\n")
        assert client.getreply()[0] == 421
        assert upstream.got == []

    def test_an_agent_whose_address_has_moved_does_not_go_on_as_who_it_was(
        self,
        serve: Callable[..., int],
        make_relay: Callable[..., Relay],
        connect: Callable[..., smtplib.SMTP],
        upstream: Recorder,
    ) -> None:
        relay = make_relay()
        client = connect(serve(relay))
        moved, heir = replace(ME, address="new@d.example"), replace(YOU, address=ME.address)
        relay.renew(directory=Directory([moved, heir]), roots=ROOTS)
        assert sent(client)[0] == 553
        assert sent(client, MAIL.replace(b"me@", b"new@"), moved.address)[0] == 250
        relay.renew(directory=Directory([heir]), roots=ROOTS)
        assert sent(client, sender=moved.address)[0] == 421
        assert [sender for _, sender, _ in upstream.got] == [moved.address]

    def test_without_a_database_nothing_is_sent(
        self,
        serve: Callable[..., int],
        make_relay: Callable[..., Relay],
        connect: Callable[..., smtplib.SMTP],
        upstream: Recorder,
        tmp_path: Path,
        sqlite_ledger: Ledger,
    ) -> None:
        now = [0.0]
        relay = make_relay(clock=lambda: now[0])
        client = connect(serve(relay))
        client.mail(ME.address)
        client.rcpt(TO[0])
        database = tmp_path / "ledger.sqlite"
        sqlite_ledger.close()
        database.rename(tmp_path / "away")
        database.mkdir()
        assert client.data(MAIL)[0] == 451
        now[0] += 5.0
        assert client.mail(ME.address)[0] == 451
        assert relay.health() != ""
        database.rmdir()
        (tmp_path / "away").rename(database)
        assert sent(client)[0] == 250
        assert len(upstream.got) == 1

    def test_a_slow_mailjet_starves_no_other_agent(
        self,
        serve: Callable[..., int],
        make_relay: Callable[..., Relay],
        connect: Callable[..., smtplib.SMTP],
        upstream: Recorder,
    ) -> None:
        upstream.gate = threading.Event()
        port = serve(make_relay())
        answers: list[int] = []
        threads = [
            threading.Thread(
                target=lambda number=number: answers.append(
                    sent(connect(port), MAIL.replace(b"<1@", b"<%d@" % number))[0]
                )
            )
            for number in range(4)
        ]
        for thread in threads:
            thread.start()
            assert upstream.waiting.acquire(timeout=20)
        assert sent(connect(port), MAIL.replace(b"<1@", b"<5@"))[0] == 451
        other = connect(port, "bot-2", ROOTS.password("bot-2"))
        assert sent(other, b"From: boss@d.example\r\n\r\nx", YOU.address)[0] == 550
        upstream.gate.set()
        for thread in threads:
            thread.join(20)
        assert answers == [250] * 4

    def test_logins_that_wait_for_a_silent_database_share_its_failure(
        self, make_relay: Callable[..., Relay], sqlite_ledger: Ledger, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        arrivals, silent, asked = Arrivals(), threading.Event(), []

        def fail() -> dict[str, int]:
            asked.append(1)
            assert silent.wait(20)
            raise LedgerError(TimeoutError())

        monkeypatch.setattr(sqlite_ledger, "revocations", fail)
        relay, outcomes = make_relay(), []
        monkeypatch.setattr(relay, "_looking", arrivals)

        def login() -> None:
            try:
                relay.login("bot-1", PASSWORD)
            except LedgerError as error:
                outcomes.append(error)

        threads = [threading.Thread(target=login) for _ in range(5)]
        for thread in threads:
            thread.start()
        wait_until(lambda: arrivals.count == 5)
        silent.set()
        for thread in threads:
            thread.join(20)
        assert (len(outcomes), len(asked)) == (5, 1)

    def test_one_agent_does_not_take_all_memory(
        self, port: int, connect: Callable[..., smtplib.SMTP], upstream: Recorder
    ) -> None:
        def at_data(client: smtplib.SMTP) -> int:
            client.mail(ME.address)
            client.rcpt(TO[0])
            return client.docmd("DATA")[0]

        clients = [connect(port) for _ in range(HANDLED_PER_AGENT + 1)]
        assert [at_data(client) for client in clients] == [354] * HANDLED_PER_AGENT + [451]
        other = connect(port, "bot-2", ROOTS.password("bot-2"))
        assert sent(other, MAIL.replace(b"me@", b"you@"), YOU.address)[0] == 250
        clients[0].send(MAIL + b".\r\n")
        assert clients[0].getreply()[0] == 250
        assert at_data(clients[-1]) == 354


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_no_answer_waits_for_an_acknowledgement(host: str) -> None:
    """asyncio turns Nagle's algorithm off for sockets that say what they are."""
    with contextlib.ExitStack() as opened:
        listening = Listening(host, starttls=0, implicit_tls=None, http=0, https=None).bound()
        for door in (listening.starttls, listening.http):
            assert isinstance(door, socket.socket)
            assert opened.enter_context(door).proto == socket.IPPROTO_TCP


class TestImplicitTls:
    def test_tls_from_the_first_octet(
        self,
        loop: Loop,
        server_tls: ssl.SSLContext,
        client_tls: ssl.SSLContext,
        make_relay: Callable[..., Relay],
        upstream: Recorder,
    ) -> None:
        server = SubmissionServer(make_relay(), server_tls, hostname="gw.example", implicit_tls=True)
        port = loop.run(server.start())
        with smtplib.SMTP_SSL("localhost", port, context=client_tls, timeout=20) as client:
            client.login("bot-1", PASSWORD)
            assert sent(client)[0] == 250
        loop.run(server.stop())
        assert len(upstream.got) == 1


def test_no_secret_in_any_log(
    port: int, connect: Callable[..., smtplib.SMTP], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    sent(connect(port))
    connect(port, None).docmd("AUTH", plain("bot-1", PASSWORD + "x"))
    client = connect(port, None)
    client.docmd("AUTH", "LOGIN")
    client.docmd(base64.b64encode(b"bot-1").decode())
    client.docmd(base64.b64encode(PASSWORD.encode()).decode())
    tag = PASSWORD.rpartition(".")[2]
    encoded = [
        base64.b64encode(f"\0bot-1\0{PASSWORD}".encode()).decode()[:40],
        base64.b64encode(PASSWORD.encode()).decode(),
    ]
    assert all(text not in caplog.text for text in (tag, *encoded))


def test_a_fault_of_the_gateways_own_shows_no_secret(
    port: int,
    connect: Callable[..., smtplib.SMTP],
    upstream: Recorder,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(*_arguments: object, **_options: object) -> None:
        raise RuntimeError("planted")

    client = connect(port)
    with monkeypatch.context() as broken:
        broken.setattr(upstream, "hand_over", fail)
        # Nobody can say whether it has left: it is not sent again.
        assert sent(client)[0] == 554
    assert sent(client)[0] == 554
    with monkeypatch.context() as broken:
        broken.setattr(Relay, "login", fail)
        assert connect(port, None).docmd("AUTH", plain("bot-1", PASSWORD))[0] == 451
    assert "planted" in caplog.text
    assert PASSWORD.rpartition(".")[2] not in caplog.text
    assert upstream.got == []


def test_ledgers_on_both_databases_serve_the_door(
    serve: Callable[..., int],
    make_relay: Callable[..., Relay],
    connect: Callable[..., smtplib.SMTP],
    ledger: Ledger,
    upstream: Recorder,
) -> None:
    client = connect(serve(make_relay(ledger=ledger)))
    assert [sent(client)[0], sent(client)[0]] == [250, 250]
    assert len(upstream.got) == 1
