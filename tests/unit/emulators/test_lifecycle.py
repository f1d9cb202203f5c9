"""`./mail emulators`: real processes that come up, are found again, survive and go."""

from __future__ import annotations

import errno
import io
import json
import os
import re
import shutil
import signal
import smtplib
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from commands.cli.running import main
from emulators.embedded import Control
from emulators.holders import holder
from emulators.ports import DEFAULT_PORTS, LASTING, Choice, Opening, PortError, PortRole
from emulators.sockets import listen
from emulators.state_folder import Process, StateFolder, StateFolderError
from tests import forks
from tests.processes import killed_at_the_end
from tests.waiting import wait_until

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
MAIL = str(forks.project() / "mail")


@dataclass(frozen=True)
class Output:
    """What a command did."""

    returncode: int
    stdout: str
    stderr: str


class Emulators:
    """The command line for one state folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, command: str, *options: str) -> Output:
        """The command in this process; what it starts is a process of its own all the same."""
        with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
            status = main(["emulators", command, "--state-dir", str(self.folder), *options])
        return Output(status, out.getvalue(), err.getvalue())

    def run_outside(self, command: str, *options: str) -> Output:
        """The command in a process of its own."""
        arguments = [MAIL, "emulators", command, "--state-dir", str(self.folder), *options]
        done = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
        return Output(done.returncode, done.stdout, done.stderr)

    def up(self) -> Output:
        return self.run("up", "--free-ports")

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.run("status", "--json").stdout)
        return found

    def credentials(self) -> dict[str, str]:
        lines = (self.folder / "credentials.env").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines)

    def add_sender(self, email: str) -> None:
        env = self.credentials()
        answer = requests.post(
            self.status()["mailjet"]["url"] + "/v3/REST/sender",
            json={"Email": email},
            auth=(env["MAILJET_API_KEY"], env["MAILJET_API_SECRET"]),
            timeout=10,
        )
        assert answer.status_code == 201

    def senders(self) -> list[str]:
        return [row["Email"] for row in Control(self.status()["mailjet"]["url"]).state()["senders"]]


@pytest.fixture
def emulators(tmp_path: Path) -> Iterator[Emulators]:
    made = Emulators(tmp_path / "state")
    yield made
    assert made.run("down").returncode == 0


def alive(pid: int) -> bool:
    return Process.of(pid) is not None


def test_from_up_to_down(emulators: Emulators) -> None:
    assert emulators.status() == {
        "running": False,
        "state_dir": str(emulators.folder),
        "env_file": str(emulators.folder / "credentials.env"),
    }
    first = emulators.up()
    assert (first.returncode, first.stderr) == (0, "")
    assert first.stdout.startswith("The emulators are up (")
    status = emulators.status()
    assert set(status) == {
        "running",
        "pid",
        "state_dir",
        "env_file",
        "page",
        "mailjet",
        "cloudflare",
        "platform",
        "gateway",
        "inbox",
    }
    assert status["running"] is True
    assert set(status["mailjet"]) == {"url", "smtp", "inbound"}
    assert set(status["mailjet"]["smtp"]) == {"host", "port", "tls_port", "ca_file"}
    assert Path(status["mailjet"]["smtp"]["ca_file"]).exists()
    assert status["cloudflare"]["zone_id"] == "0f1e2d3c4b5a69788796a5b4c3d2e1f0"
    assert status["cloudflare"]["zone_name"] == "agents.example"
    assert status["cloudflare"]["account_id"] == "00112233445566778899aabbccddeeff"
    for url in (status["mailjet"]["url"], status["cloudflare"]["url"].removesuffix("/client/v4")):
        assert requests.get(f"{url}/_emulator/health", timeout=10).status_code == 200

    assert "<h1>Mail</h1>" in requests.get(status["page"], timeout=10).text
    assert first.stdout.splitlines()[1].split() == ["Page", status["page"]]

    again = emulators.up()
    assert again.returncode == 0
    assert again.stdout.startswith("The emulators are already up.")
    assert emulators.status() == status
    assert status["mailjet"]["url"] in emulators.run("status").stdout

    down = emulators.run("down")
    assert (down.returncode, down.stdout) == (0, "The emulators are down.\n")
    assert not alive(status["pid"])
    assert emulators.run("down").stdout == "The emulators were not running.\n"
    assert "not running" in emulators.run_outside("status").stdout


def test_gateway_and_inbox_come_and_go_with_their_file_and_with_the_emulators(emulators: Emulators) -> None:
    emulators.up()
    status, credentials = emulators.status(), emulators.credentials()
    place, file = status["gateway"], Path(status["gateway"]["file"])
    kid, _, secret = credentials["AGENTMAIL_GATEWAY_ROOTS"].partition(":")
    config = {
        "domain": "dev.agents.example",
        "roots": {kid: secret},
        "upstream": {
            "apiKey": credentials["MAILJET_API_KEY"],
            "apiSecret": credentials["MAILJET_API_SECRET"],
            "smtpHost": status["mailjet"]["smtp"]["host"],
            "smtpPort": status["mailjet"]["smtp"]["port"],
            "apiUrl": status["mailjet"]["url"],
        },
        "webhook": {"secret": credentials["MAILJET_INBOUND_SECRET"]},
        "agents": {"a": "a@dev.agents.example"},
    }
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(config))
    # The port is held from the start: this waits until somebody answers there.
    with smtplib.SMTP(place["host"], place["port"], timeout=60) as client:
        client.ehlo()
        assert client.has_extn("starttls")
    assert requests.get(f"{place['api_url']}/healthz", timeout=60).json() == {"status": "ok"}
    with_tls = requests.get(f"{place['api_tls_url']}/healthz", timeout=60, verify=place["ca_file"])
    assert with_tls.json() == {"status": "ok"}
    assert requests.get(f"{status['inbox']['url']}/healthz", timeout=60).json() == {"status": "ok"}
    first = children(status["pid"])
    assert len(first) == 2
    for child in first:
        command = Path(f"/proc/{child}/cmdline").read_text()
        assert not any(value in command for value in credentials.values())
    database = Path(status["inbox"]["database"].removeprefix("sqlite:///"))
    assert database.exists()
    # What was kept is forgotten with what it belonged to.
    assert emulators.run("reset").returncode == 0
    assert not file.exists()
    assert not database.exists()
    assert not any(map(alive, first))

    # A stack that gets its inbox later: from then on the gateway keeps there what is sent.
    file.write_text(json.dumps({name: value for name, value in config.items() if name != "webhook"}))
    assert requests.get(f"{place['api_url']}/healthz", timeout=60).json() == {"status": "ok"}
    [alone] = children(status["pid"])
    assert inbox_of(alone) == ""
    file.write_text(json.dumps(config))
    assert requests.get(f"{status['inbox']['url']}/healthz", timeout=60).json() == {"status": "ok"}
    wait_until(lambda: [inbox_of(child) for child in children(status["pid"])] == [status["inbox"]["database"]] * 2)
    again = children(status["pid"])
    os.kill(status["pid"], signal.SIGKILL)
    wait_until(lambda: not any(map(alive, again)))


def inbox_of(pid: int) -> str | None:
    """The database that a process was told of."""
    words = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return dict(word.decode().partition("=")[::2] for word in words).get("AZMAIL_INBOX_DATABASE")


def children(pid: int) -> list[int]:
    """Whichever thread started them."""
    found = (path.read_text().split() for path in Path(f"/proc/{pid}/task").glob("*/children"))
    return [int(child) for children in found for child in children]


def test_a_folder_of_before_there_was_a_gateway_gets_its_root(emulators: Emulators) -> None:
    folder = StateFolder(emulators.folder)
    before = folder.credentials()
    lines = folder.env_file.read_text().splitlines()
    folder.env_file.write_text("\n".join(line for line in lines if "GATEWAY" not in line) + "\n")
    after = folder.credentials()
    assert {name for name in before if before[name] != after[name]} == {"AGENTMAIL_GATEWAY_ROOTS"}
    assert folder.credentials() == after


def test_state_ports_and_credentials_survive_a_kill(emulators: Emulators) -> None:
    emulators.up()
    credentials = emulators.credentials()
    emulators.add_sender("*@agents.example")
    for _ in range(3):
        before, after = killed_and_up(emulators)
        # Another test's may be given one of the ports while nobody listens there. That is told, and seldom happens twice.
        if "moved" not in after:
            break
    before.pop("moved", None)
    assert {**after, "pid": 0} == {**before, "pid": 0}
    assert emulators.credentials() == credentials
    assert emulators.senders() == ["*@agents.example"]


def killed_and_up(emulators: Emulators) -> tuple[dict[str, Any], dict[str, Any]]:
    """What was told of them before and afterwards."""
    before = emulators.status()
    os.kill(before["pid"], signal.SIGKILL)
    wait_until(lambda: not alive(before["pid"]))
    assert emulators.status()["running"] is False
    emulators.up()
    after = emulators.status()
    assert after["pid"] != before["pid"]
    return before, after


def test_reset_while_up_and_while_down(emulators: Emulators) -> None:
    emulators.up()
    cloudflare = Control(emulators.status()["cloudflare"]["url"].removesuffix("/client/v4"))
    seeded = cloudflare.state()
    emulators.add_sender("*@agents.example")
    assert emulators.run("reset").returncode == 0
    assert emulators.senders() == []
    assert cloudflare.state() == seeded
    emulators.add_sender("*@agents.example")
    emulators.run("down")
    assert emulators.run("reset").returncode == 0
    emulators.up()
    assert emulators.senders() == []


def test_several_ups_at_once_start_one(emulators: Emulators) -> None:
    with ThreadPoolExecutor(3) as pool:
        outputs = [
            future.result() for future in [pool.submit(emulators.run_outside, "up", "--free-ports") for _ in range(3)]
        ]
    assert [output.returncode for output in outputs] == [0, 0, 0]
    assert sum(output.stdout.startswith("The emulators are up (") for output in outputs) == 1


def test_down_does_not_wait_for_a_hanging_request(emulators: Emulators) -> None:
    emulators.up()
    status = emulators.status()
    control = Control(status["mailjet"]["url"])
    control.faults({"kind": "hang", "seconds": 3600})

    def hang() -> None:
        requests.get(status["mailjet"]["url"] + "/v3/REST/sender", timeout=60)

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(hang)
        wait_until(control.requests)
        assert emulators.run("down").stdout == "The emulators are down.\n"
        wait_until(waiting.done)


def test_a_server_ends_with_its_folder(emulators: Emulators) -> None:
    emulators.up()
    pid = emulators.status()["pid"]
    shutil.rmtree(emulators.folder)
    wait_until(lambda: not alive(pid))


@contextmanager
def listening(port: int = 0) -> Iterator[int]:
    """A port that this process holds."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        yield int(other.getsockname()[1])


def test_a_kept_port_in_use_is_one_sentence_that_names_its_holder(emulators: Emulators) -> None:
    with listening() as port:
        folder = StateFolder(emulators.folder)
        folder.remember_ports({role.value: 0 for role in PortRole} | {"smtp": port})
        failed = emulators.run("up")
        assert failed.returncode == 1
        assert failed.stdout == ""
        assert re.fullmatch(
            rf"The emulators did not start: Port {port} for Mailjet SMTP submission is held by pid {os.getpid()} \(.+\); "
            rf"end that, or take others with: ./mail emulators up --free-ports \(log: {folder.log}\)\n",
            failed.stderr,
        )
        assert emulators.status()["running"] is False
        # What the sentence says helps.
        assert emulators.up().returncode == 0
        assert emulators.status()["mailjet"]["smtp"]["port"] != port


def test_a_fixed_port_in_use_is_replaced_and_its_holder_named(monkeypatch: pytest.MonkeyPatch) -> None:
    opening = Opening(Choice.USUAL, {})
    with listening() as port:
        monkeypatch.setitem(DEFAULT_PORTS, PortRole.MAILJET, port)
        opening.open(PortRole.MAILJET, listen).close()
        assert len(opening.moved) == 1
        assert opening.moved[0].startswith(f"Port {port} (Mailjet REST) is held by pid {os.getpid()} (")
        assert opening.moved[0].endswith("); listening elsewhere instead.")
        # One holder of several is named once.
        monkeypatch.setitem(DEFAULT_PORTS, PortRole.EDGE, port)
        opening.open(PortRole.EDGE, listen).close()
    assert len(opening.moved) == 1
    assert opening.moved[0].startswith(f"Ports {port} (Mailjet REST), {port} (tunnel entrance) are held by pid ")


class TestFreePorts:
    """They are kept, and nobody listens there while the emulators are down."""

    def test_they_are_none_that_outgoing_connections_get(self) -> None:
        assert Opening(Choice.FREE, {}).set_aside(PortRole.PLATFORM) in LASTING
        with listening() as taken:
            assert Opening(Choice.FREE, {"platform": taken}).set_aside(PortRole.PLATFORM) in LASTING

    def test_where_none_of_those_is_free_the_system_chooses(self) -> None:
        def nothing_but_any(port: int) -> int:
            if port:
                raise OSError(errno.EADDRINUSE, "in use")
            return 49_152

        assert Opening(Choice.FREE, {}).open(PortRole.PAGE, nothing_but_any) == 49_152


class TestThePlatformsPort:
    """Nothing of the emulators listens there: it is chosen once, so that a running platform keeps what leads to it."""

    def test_it_is_the_fixed_one_where_that_is_free(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with listening() as port:
            pass
        monkeypatch.setitem(DEFAULT_PORTS, PortRole.PLATFORM, port)
        assert Opening(Choice.USUAL, {}).set_aside(PortRole.PLATFORM) == port

    def test_one_that_is_taken_is_replaced_and_its_holder_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        opening = Opening(Choice.USUAL, {})
        with listening() as port:
            monkeypatch.setitem(DEFAULT_PORTS, PortRole.PLATFORM, port)
            assert opening.set_aside(PortRole.PLATFORM) != port
        assert opening.moved[0].startswith(f"Port {port} (the platform's webhook) is held by pid {os.getpid()} (")

    def test_a_platform_that_listens_keeps_its_port(self) -> None:
        with listening() as port:
            assert Opening(Choice.USUAL, {"platform": port}).set_aside(PortRole.PLATFORM) == port
            assert Opening(Choice.FREE, {"platform": port}).set_aside(PortRole.PLATFORM) != port
            assert Opening(Choice.FIXED, {"platform": port}).set_aside(PortRole.PLATFORM) == 8800

    def test_it_is_remembered(self, emulators: Emulators) -> None:
        emulators.up()
        chosen = emulators.status()["platform"]
        emulators.run("down")
        with listening(chosen["port"]):
            assert emulators.run("up").returncode == 0
            assert emulators.status()["platform"] == chosen


def test_a_second_clone_finds_ports_of_its_own(emulators: Emulators, tmp_path: Path) -> None:
    """Both start as `make up` starts them, on the fixed ports; whichever is later moves and keeps what it got."""
    other = Emulators(tmp_path / "other")
    try:
        assert emulators.run("up").returncode == 0
        assert other.run("up").returncode == 0
        places = [place(emulators.status()), place(other.status())]
        assert not set(places[0]) & set(places[1])
        other.run("down")
        assert other.run("up").returncode == 0
        assert place(other.status()) == places[1]
    finally:
        other.run("down")


def place(status: dict[str, Any]) -> list[str]:
    cloudflare, mailjet = status["cloudflare"], status["mailjet"]
    return [cloudflare["url"], mailjet["url"], *(str(at["port"]) for at in (cloudflare["dns"], mailjet["smtp"]))]


def test_back_to_the_fixed_ports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with listening() as port:
        pass
    monkeypatch.setitem(DEFAULT_PORTS, PortRole.MAILJET, port)
    opening = Opening(Choice.FIXED, {"mailjet": port + 1 if port < 65535 else port - 1})
    bound = opening.open(PortRole.MAILJET, listen)
    assert bound.getsockname()[1] == port
    with pytest.raises(PortError, match=f"Port {port} for Mailjet REST is held by pid {os.getpid()}"):
        opening.open(PortRole.MAILJET, listen)
    bound.close()


class TestHolders:
    def test_nobody(self) -> None:
        with listening() as port:
            pass
        assert holder(port) == ""

    def test_whoever_it_is(self) -> None:
        with listening() as port:
            assert holder(port).startswith(f"pid {os.getpid()} (")

    def test_another_system(self, tmp_path: Path) -> None:
        assert holder(8810, proc=tmp_path) == ""

    def test_another_users_process(self, tmp_path: Path) -> None:
        (tmp_path / "net").mkdir()
        row = "0: 0100007F:226A 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 4711 1"
        (tmp_path / "net" / "tcp").write_text(f"heading\n{row}\n")
        assert holder(0x226A, proc=tmp_path) == "a process of another user"

    def test_a_long_command_is_cut(self, tmp_path: Path) -> None:
        (tmp_path / "net").mkdir()
        row = "0: 0100007F:226A 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 4711 1"
        (tmp_path / "net" / "tcp").write_text(f"heading\n{row}\n")
        (tmp_path / "12" / "fd").mkdir(parents=True)
        (tmp_path / "12" / "fd" / "3").symlink_to("socket:[4711]")
        (tmp_path / "12" / "cmdline").write_bytes(b"serve\0" + b"x\x1b" * 100)
        assert holder(0x226A, proc=tmp_path) == f"pid 12 (serve {'x?' * 57}…)"


def test_a_damaged_database_is_one_sentence(emulators: Emulators) -> None:
    emulators.folder.mkdir()
    (emulators.folder / "mailjet.sqlite").write_text("no database" * 1000)
    failed = emulators.up()
    assert failed.returncode == 1
    assert "mailjet.sqlite cannot be used" in failed.stderr
    assert failed.stderr.count("\n") == 1
    emulators.run("reset")
    assert emulators.up().returncode == 0


def test_a_recycled_pid_is_never_killed(emulators: Emulators) -> None:
    folder = StateFolder(emulators.folder)
    with killed_at_the_end(subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)) as stranger:
        folder.record({"pid": stranger.pid, "started": "long ago"})
        assert emulators.status()["running"] is False
        assert emulators.run("down").stdout == "The emulators were not running.\n"
        assert stranger.poll() is None


def test_a_zombie_is_not_alive() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    process = Process.of(child.pid)
    wait_until(lambda: Process.of(child.pid) is None)
    assert process is None or not process.alive()
    child.wait()


def test_when_it_began() -> None:
    process = Process.of(os.getpid())
    assert process is not None
    assert time.time() - 24 * 3600 < process.began() < time.time()
    listed = Process(os.getpid(), time.strftime("%a %b %e %H:%M:%S %Y"))  # as `ps` says it
    assert abs(listed.began() - time.time()) < 5


class TestFolder:
    def test_credentials_are_random_private_and_kept(self, tmp_path: Path) -> None:
        folder = StateFolder(tmp_path / "a")
        found = folder.credentials()
        shapes = {
            "MAILJET_API_KEY": "[0-9a-f]{32}",
            "MAILJET_API_SECRET": "[0-9a-f]{32}",
            "MAILJET_INBOUND_SECRET": "[0-9A-Za-z]{32}",
            "CLOUDFLARE_API_TOKEN": "[0-9A-Za-z_-]{40}",
            "AGENTMAIL_GATEWAY_ROOTS": "r1:[0-9A-Za-z_-]{43}",
        }
        assert set(found) == set(shapes)
        for name, shape in shapes.items():
            assert re.fullmatch(shape, found[name]), name
        assert stat.S_IMODE(folder.env_file.stat().st_mode) == 0o600
        assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
        assert StateFolder(tmp_path / "a").credentials() == found
        assert StateFolder(tmp_path / "b").credentials() != found

    def test_a_missing_credential_is_named(self, tmp_path: Path) -> None:
        folder = StateFolder(tmp_path)
        folder.env_file.write_text("MAILJET_API_KEY=a\n# a comment\n")
        with pytest.raises(StateFolderError, match="no MAILJET_API_SECRET, expected a line"):
            folder.credentials()

    @pytest.mark.parametrize(("name", "text"), [("ports.json", "[]"), ("ports.json", "{"), ("server.json", "{}")])
    def test_a_damaged_file_is_named(self, tmp_path: Path, name: str, text: str) -> None:
        (tmp_path / name).write_text(text)
        folder = StateFolder(tmp_path)
        with pytest.raises(StateFolderError, match=re.escape(name)):
            folder.ports() if name == "ports.json" else folder.server()

    def test_a_long_log_is_put_aside(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("emulators.state_folder.LOG_LIMIT", 10)
        folder = StateFolder(tmp_path)
        for text in ("first message\n", "second\n\n"):
            with folder.open_log() as log:
                log.write(text)
        assert folder.last_words() == "second"
        assert (tmp_path / "log.1").read_text() == "first message\n"

    def test_a_folder_that_cannot_be_made_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        failed = Emulators(tmp_path / "file" / "x").run("status")
        assert failed.returncode == 1
        assert failed.stderr == f"{tmp_path}/file/x cannot be used (Not a directory).\n"


def test_the_fixed_ports_are_the_documented_ones() -> None:
    assert {role.value: port for role, port in DEFAULT_PORTS.items()} == {
        "mailjet": 8810,
        "cloudflare": 8811,
        "edge": 8812,
        "dns": 8853,
        "smtp": 8587,
        "smtps": 8465,
        "inbound": 8825,
        "platform": 8800,
        "page": 8820,
        "gateway": 8588,
        "gateway_api": 8589,
        "gateway_api_tls": 8590,
        "inbox": 8826,
    }


def test_in_the_foreground(tmp_path: Path) -> None:
    """It says where everything is, and a Ctrl-C ends it without a word of Python."""
    command = [MAIL, "emulators", "serve", "--free-ports", "--state-dir", str(tmp_path / "state")]
    with killed_at_the_end(
        subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert "Page" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(30) in (0, 130)
        assert "Traceback" not in process.stderr.read()


def test_both_choices_of_ports_are_refused(emulators: Emulators) -> None:
    refused = emulators.run("up", "--free-ports", "--fixed-ports")
    assert refused.returncode == 2
    assert "only one of them" in refused.stderr
