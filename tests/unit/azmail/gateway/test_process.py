"""`azmail gateway` as processes in front of the emulated Mailjet: what its commands print, replicas, kills, signals."""

from __future__ import annotations

import json
import os
import resource
import shlex
import signal
import smtplib
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from azmail.__main__ import main
from azmail.contract import Mailbox
from azmail.errors import SenderRefusedError, SendError
from azmail.gateway.commands import OPEN_FILES
from azmail.gateway.credentials import new_root
from azmail.mail import MailAddress, OutgoingMail
from azmail.service import MailService
from emulators.embedded import EmbeddedMailjet
from tests.unit.azmail.gateway.running import ROOT, A, B, Running, activate, write_config
from tests.unit.docs.pages import read
from tests.waiting import wait_until

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def mailjet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedMailjet]:
    with EmbeddedMailjet(tmp_path_factory.mktemp("mailjet")) as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path, mailjet: EmbeddedMailjet) -> Path:
    """With a gateway's file in it; the account may send from the agents' addresses."""
    mailjet.control.reset()
    for address in (A, B):
        activate(mailjet, address)
    write_config(tmp_path, mailjet, {"bot-a": A, "bot-b": B}, {"r1": new_root()})
    return tmp_path


@pytest.fixture
def start(folder: Path, mailjet: EmbeddedMailjet) -> Iterator[Callable[[], Running]]:
    processes: list[Running] = []

    def begin(python: str | None = None) -> Running:
        processes.append(Running(folder, mailjet.ca_file, python=python))
        return processes[-1]

    yield begin
    for running in processes:
        if running.process.poll() is None:
            running.end(signal.SIGKILL)


def password(folder: Path, capsys: pytest.CaptureFixture[str], agent: str) -> str:
    capsys.readouterr()
    assert main(["gateway", "password", agent, "--config", str(folder / "gateway.json")]) == 0
    return capsys.readouterr().out.strip()


def mailbox(agent: str, address: str, secret: str) -> Mailbox:
    return Mailbox(
        agent_id=agent, address=address, smtp_host="127.0.0.1", smtp_port=587, smtp_username=agent, smtp_password=secret,
        inbound_url="", inbound_secret="",
    )  # fmt: skip


def send(running: Running, agent: str, address: str, secret: str, subject: str = "hello") -> None:
    with running.transport(agent, secret) as transport:
        MailService(mailbox(agent, address, secret), transport).send(
            OutgoingMail(to=["x@y.example"], subject=subject, text="t")
        )


def subjects(mailjet: EmbeddedMailjet) -> list[str]:
    return [message["subject"] for message in sent_by_agents(mailjet)]


def sent_by_agents(mailjet: EmbeddedMailjet) -> list[dict[str, Any]]:
    """The outbox without Mailjet's own mails about senders."""
    return [message for message in mailjet.control.outbox() if message["from"] in (A, B)]


class TestSending:
    def test_an_agent_sends_as_itself_and_not_as_another(
        self, start: Callable[[], Running], folder: Path, capsys: pytest.CaptureFixture[str], mailjet: EmbeddedMailjet
    ) -> None:
        running, secret = start(), password(folder, capsys, "bot-a")
        send(running, "bot-a", A, secret)
        with pytest.raises(SenderRefusedError), running.transport("bot-a", secret) as transport:
            transport.send(OutgoingMail(to=["x@y.example"], subject="spoof", text="t"), MailAddress(B))
        (sent,) = sent_by_agents(mailjet)
        assert (sent["subject"], sent["from"]) == ("hello", A)
        assert json.loads(sent["event_payload"]) == {"agent_id": "bot-a"}

    def test_by_send_api(
        self, start: Callable[[], Running], folder: Path, capsys: pytest.CaptureFixture[str], mailjet: EmbeddedMailjet
    ) -> None:
        running, secret = start(), password(folder, capsys, A)
        message = {"From": {"Email": A}, "To": [{"Email": "x@y.example"}], "Subject": "by api", "TextPart": "t"}
        url = f"http://127.0.0.1:{running.http}/v3.1/send"
        assert requests.post(url, json={"Messages": [message]}, auth=("bot-a", secret), timeout=20).status_code == 200
        spoof = message | {"From": {"Email": B}}
        assert requests.post(url, json={"Messages": [spoof]}, auth=("bot-a", secret), timeout=20).status_code == 403
        with_tls = f"https://127.0.0.1:{running.https}/v3.1/send"
        again = {"Messages": [message | {"Subject": "with TLS"}]}
        sent = requests.post(with_tls, json=again, auth=("bot-a", secret), timeout=20, verify=str(running.ca_file))
        assert sent.status_code == 200
        with pytest.raises(requests.exceptions.SSLError):
            requests.post(with_tls, json=again, auth=("bot-a", secret), timeout=20)
        assert subjects(mailjet) == ["by api", "with TLS"]

    def test_as_the_platform_sends_today(
        self, start: Callable[[], Running], folder: Path, capsys: pytest.CaptureFixture[str], mailjet: EmbeddedMailjet
    ) -> None:
        """A connection for each mail, and no certificate is checked."""
        running, secret = start(), password(folder, capsys, "bot-a")
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        for number in range(3):
            with smtplib.SMTP("127.0.0.1", running.port, timeout=20) as client:
                client.starttls(context=context)
                client.login("bot-a", secret)
                client.sendmail(
                    A, ["x@y.example"], f"From: {A}\r\nTo: x@y.example\r\nSubject: {number}\r\n\r\nt\r\n".encode()
                )
        assert sorted(subjects(mailjet)) == ["0", "1", "2"]


class TestRotation:
    def test_a_changed_file_counts_without_a_signal(
        self, start: Callable[[], Running], folder: Path, capsys: pytest.CaptureFixture[str], mailjet: EmbeddedMailjet
    ) -> None:
        running = start()
        write_config(folder, mailjet, {"bot-a": {"address": A, "epoch": 1}, "bot-b": B}, {"r1": new_root()})
        fresh = password(folder, capsys, "bot-a")
        accepted = False
        while not accepted:
            try:
                send(running, "bot-a", A, fresh, "followed")
                accepted = True
            except SendError:
                accepted = False
        assert subjects(mailjet) == ["followed"]

    def test_a_file_that_is_wrong_changes_nothing(
        self, start: Callable[[], Running], folder: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        running, secret = start(), password(folder, capsys, "bot-a")
        (folder / "gateway.json").write_text("{")
        running.process.send_signal(signal.SIGHUP)
        log = folder / "gateway.log"
        wait_until(
            lambda: "what it said before goes on counting" in log.read_text(), "the gateway to say so", seconds=30
        )
        send(running, "bot-a", A, secret)


class TestKills:
    def test_an_orderly_end_leaves_no_mail_in_doubt(
        self,
        start: Callable[[], Running],
        folder: Path,
        capsys: pytest.CaptureFixture[str],
        mailjet: EmbeddedMailjet,
    ) -> None:
        """Four clients repeat each message until it is answered for good, over a gateway that is ended under them."""
        secret = password(folder, capsys, "bot-a")
        running = [start()]
        accepted: list[str] = []
        told_unknown: list[str] = []

        def client(name: int) -> None:
            for count in range(15):
                subject = f"{name}-{count}"
                octets = (
                    f"From: {A}\r\nMessage-ID: <{subject}@agents.example>\r\nSubject: {subject}\r\n\r\nt\r\n".encode()
                )
                while True:
                    try:
                        with running[0].transport("bot-a", secret) as transport:
                            transport.hand_over(octets, A, ["x@y.example"])
                        accepted.append(subject)
                        break
                    except SendError as error:
                        if "it is not sent again" in str(error) or (
                            "on its way already" in str(error) and running[0] is not first
                        ):
                            told_unknown.append(subject)
                            break

        first = running[0]
        threads = [threading.Thread(target=client, args=(name,)) for name in range(4)]
        for thread in threads:
            thread.start()
        while len(subjects(mailjet)) < 15:
            assert any(thread.is_alive() for thread in threads)
        first.end()
        running[0] = start()
        for thread in threads:
            thread.join(60)
        sent = subjects(mailjet)
        assert len(sent) == len(set(sent))
        assert set(accepted) <= set(sent)
        assert len(accepted) == 60
        assert told_unknown == []

    def test_it_opens_as_many_files_as_its_doors_have_places_and_ends_in_peace(
        self, start: Callable[[str], Running]
    ) -> None:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))
        try:
            running = start(sys.executable)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert resource.prlimit(running.process.pid, resource.RLIMIT_NOFILE)[0] == min(OPEN_FILES, hard)
        assert running.end() == 0


class TestDocumentation:
    def test_the_commands_of_the_page_do_what_stands_behind_them(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """With its file as printed, but for the root secret and the ports."""
        monkeypatch.chdir(tmp_path)
        page = read(ROOT / "docs" / "gateway.md")
        [file] = [block.text for block in page.blocks if block.info == "json"]
        printed: dict[str, str] = {}
        commands = next(block.text for block in page.blocks if block.info == "sh live").splitlines()
        for words in (shlex.split(line, comments=True) for line in commands if line.startswith("azmail ")):
            if words[2] == "serve":
                command = [sys.executable, "-m", *words, *FREE_PORTS]
                environment = os.environ | {"PYTHONPATH": str(ROOT)}
                running = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
                assert running.stdout is not None
                said = [running.stdout.readline() for _ in range(5)]
                running.terminate()
                running.communicate(timeout=40)
                assert said[4] == "2 agents of agents.example\n", said
                continue
            assert main(words[1:]) == 0, words
            printed[words[2]] = capsys.readouterr().out.strip()
            if words[2] == "root":
                Path("gateway.json").write_text(file.replace("43 characters of base64url", printed["root"]))
        assert printed["password"].startswith("azm1.r1.0.")
        assert printed["revoke"].startswith("bot-1: every password of an epoch below 1 is refused within five seconds")


FREE_PORTS = ["--starttls-port", "0", "--tls-port", "0", "--http-port", "0", "--https-port", "0"]


class TestRefusals:
    @pytest.mark.parametrize(
        ("change", "said"),
        [
            ({"roots": {}}, "is wrong at roots"),
            ({"roots": {"r1": "c2hv"}}, "root secret r1 has 3 octets, expected at least 32; make one with:"),
            ({"roots": None}, "is wrong at roots"),
            (
                {"agents": {"a": "no address"}},
                "is wrong at agents.a.address: expected an address, such as ana@agents.example",
            ),
            (
                {"agents": {"a": {"address": "a@b", "epoch": -1}}},
                "is wrong at agents.a.epoch: Input should be greater than",
            ),
            (
                {"agents": {"a": "x@d.example", "b": "X@d.example"}},
                "gives X@d.example to a and to b, expected one agent for each",
            ),
            ({"upstream": {}}, "is wrong at upstream.apiKey: Field required"),
            ({"extra": 1}, "is wrong at extra"),
        ],
    )
    def test_a_file_that_cannot_be_used(
        self, folder: Path, capsys: pytest.CaptureFixture[str], change: dict[str, object], said: str
    ) -> None:
        config = json.loads((folder / "gateway.json").read_text()) | change
        (folder / "gateway.json").write_text(json.dumps(config))
        assert main(["gateway", "serve", "--config", str(folder / "gateway.json")]) == 1
        told = capsys.readouterr().err
        assert said in told
        assert config["upstream"].get("apiSecret", "planted") not in told

    def test_no_file(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("AZMAIL_GATEWAY_FILE", raising=False)
        assert main(["gateway", "serve"]) == 1
        assert "no file is named" in capsys.readouterr().err

    def test_an_agent_that_is_none(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["gateway", "password", "bot-z", "--config", str(folder / "gateway.json")]) == 1
        assert "no agent has the id or address 'bot-z'" in capsys.readouterr().err

    def test_a_port_that_is_taken(
        self,
        folder: Path,
        mailjet: EmbeddedMailjet,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.chdir(folder)
        taken = str(mailjet.submission_port)
        for door in ("--starttls-port", "--http-port", "--https-port"):
            free = ["--starttls-port", "0", "--tls-port", "none", "--http-port", "0", "--https-port", "0"]
            assert main(["gateway", "serve", "--config", "gateway.json", *free, door, taken]) == 1
            assert f"cannot listen on 127.0.0.1:{taken} (Address already in use)" in capsys.readouterr().err

    def test_a_database_that_is_away(
        self, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AZMAIL_GATEWAY_DATABASE", "postgresql+psycopg://u:planted-secret@127.0.0.1:1/x")
        assert main(["gateway", "revoke", "bot-a", "--config", str(folder / "gateway.json")]) == 1
        told = capsys.readouterr().err
        assert "did not answer" in told
        assert "planted-secret" not in told
