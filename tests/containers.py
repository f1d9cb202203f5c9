"""`python -m tests.containers`: the image and the services of deploy/docker-compose.yml as containers are made of them.

Without a container engine: the Dockerfile's instructions run in a file system of their own, and the services' commands,
users, environments, volumes and health checks in Linux namespaces. The file system is read-only, /state and /tmp excepted;
no service has a capability; their network leads nowhere. Needs root on Linux, and packages from the index that pip uses.
What stands in for an engine's: the base image is the Python that runs this, without its packages, on this machine's /usr; all
services share one network stack.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import re
import shlex
import shutil
import smtplib
import ssl
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import requests
import yaml

from azmail.gateway.credentials import Roots, Scope
from azmail.inbox.client import InboxClient
from tests.chaos.inbox import SECRET, write_config
from tests.waiting import wait_until

ROOT = Path(__file__).parents[1]
COMPOSE, DOCKERFILE = ROOT / "deploy" / "docker-compose.yml", ROOT / "deploy" / "gateway.Dockerfile"
SERVICES = ("mail-gateway", "mail-inbox", "mail-inbox-worker")
MIGRATE = "mail-inbox-migrate"
PATH = "/usr/local/bin:/usr/bin:/bin"
HOSTS = "127.0.0.1 localhost mail-gateway mail-inbox api\n"
PIP_VARIABLES = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_CERT", "SSL_CERT_FILE")
"""Where pip finds packages, beside /etc/pip.conf."""
AGENT = "bot-1"
WAIT_SECONDS = 90


@dataclass(frozen=True)
class Instruction:
    """One of a Dockerfile, such as RUN with its words."""

    name: str
    text: str


def instructions(text: str) -> list[Instruction]:
    """Those of a Dockerfile that has no heredoc."""
    lines = re.sub(r"\\\n", " ", text).splitlines()
    found = (re.fullmatch(r"([A-Z]+)\s+(.+)", line) for line in lines if line.strip() and not line.startswith("#"))
    return [Instruction(one[1], one[2]) for one in found if one is not None]


def interpolated(value: Any, environment: Mapping[str, str]) -> Any:
    """`${NAME:-default}` as compose reads it."""
    if isinstance(value, str):
        return re.sub(r"\$\{(\w+)(?::-([^}]*))?\}", lambda one: environment.get(one[1]) or one[2] or "", value)
    if isinstance(value, list):
        return [interpolated(one, environment) for one in value]
    if isinstance(value, dict):
        return {key: interpolated(one, environment) for key, one in value.items()}
    return value


class FileSystem:
    """An image's, assembled in a mount namespace of this process's own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.root = folder, folder / "root"

    def assemble(self) -> None:
        """This machine's programs and settings, and at /usr/local a Python whose changes are kept in the folder."""
        mount("--make-rprivate", "/")
        (self.folder / "hosts").write_text(HOSTS)
        mount("--bind", self.folder / "hosts", "/etc/hosts")
        self.root.mkdir(exist_ok=True)
        for name in ("usr", "etc", "bin", "sbin", "lib", "lib64", "dev", "proc"):
            place, target = Path("/") / name, self.root / name
            if place.is_symlink():
                if not target.is_symlink():
                    target.symlink_to(place.readlink())
            elif place.is_dir():
                target.mkdir(exist_ok=True)
                mount("--rbind", place, target)
        for name in ("changes", "work"):
            (self.folder / name).mkdir(exist_ok=True)
        layers = f"lowerdir={sys.base_prefix},upperdir={self.folder}/changes,workdir={self.folder}/work"
        mount("-t", "overlay", "-o", layers, "overlay", self.root / "usr" / "local")

    def without_packages(self) -> None:
        """As the base image has it: nothing is installed beside pip."""
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        packages = self.root / "usr" / "local" / "lib" / version / "site-packages"
        shutil.rmtree(packages)
        packages.mkdir()
        self.run(["python3", "-m", "ensurepip", "--upgrade", "--default-pip"], {})

    def run(self, words: Sequence[str], environment: Mapping[str, str], **options: Any) -> None:
        subprocess.run(self.command(words, environment), check=True, **options)

    def command(self, words: Sequence[str], environment: Mapping[str, str], *, within: str = "/") -> list[str]:
        """What runs the words in here. A Python that is linked to its library finds that at its new place."""
        given = {"PATH": PATH, "LD_LIBRARY_PATH": "/usr/local/lib", **environment}
        variables = [f"{name}={value}" for name, value in given.items()]
        return ["chroot", str(self.root), "env", "-i", f"--chdir={within}", *variables, *words]

    def seal(self, volume: Path, config: Path) -> None:
        """Read-only, but for the volume at /state and a /tmp of its own."""
        for name in ("tmp", "run/azmail"):
            (self.root / name).mkdir(parents=True, exist_ok=True)
        volume.mkdir()
        shutil.copystat(self.root / "state", volume)
        for place in ("usr", "etc", "usr/local"):
            mount("-o", "remount,bind,ro", self.root / place)
        mount("--rbind", self.root, self.root)
        mount("-o", "remount,bind,ro", self.root)
        mount("--bind", volume, self.root / "state")
        mount("--bind", config, self.root / "run" / "azmail")
        mount("-o", "remount,bind,ro", self.root / "run" / "azmail")
        mount("-t", "tmpfs", "tmpfs", self.root / "tmp")


def mount(*words: str | Path) -> None:
    subprocess.run(["mount", *map(str, words)], check=True)


def build(folder: Path) -> None:
    """The Dockerfile's COPY and RUN, one after the other."""
    system = FileSystem(folder)
    system.assemble()
    system.without_packages()
    (system.root / "tmp").mkdir(mode=0o1777, exist_ok=True)
    pip = {name: value for name, value in os.environ.items() if name in PIP_VARIABLES or "proxy" in name.lower()}
    pip["PIP_ROOT_USER_ACTION"] = "ignore"
    for one in instructions(DOCKERFILE.read_text()):
        if one.name == "COPY":
            *sources, target = one.text.split()
            for source in sources:
                _copy(ROOT / source, system.root / target.lstrip("/"), into=target.endswith("/"))
        elif one.name == "RUN":
            print(f"RUN {one.text}", flush=True)
            system.run(["sh", "-c", one.text], pip, stdout=subprocess.DEVNULL)


def _copy(source: Path, target: Path, *, into: bool) -> None:
    place = target / source.name if into else target
    place.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, place, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(source, place)


class Platform:
    """What listens at api:8000: takes each delivery, and keeps it."""

    def __init__(self) -> None:
        self.deliveries: list[dict[str, Any]] = []
        kept = self.deliveries

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                kept.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 8000), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


class Containers:
    """The services, as compose starts them."""

    def __init__(self, system: FileSystem) -> None:
        self._system = system
        described = yaml.safe_load(COMPOSE.read_text())["services"]
        self.services: dict[str, dict[str, Any]] = interpolated(
            {name: {**one.pop("<<", {}), **one} for name, one in described.items()}, {}
        )
        made = {one.name: one.text for one in instructions(DOCKERFILE.read_text())}
        self._entry, self._place = json.loads(made["ENTRYPOINT"]), made["WORKDIR"]
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def words(self, name: str, words: Sequence[str]) -> list[str]:
        """As the service's user, without a capability and without a way to one."""
        service = self.services[name]
        assert (service["read_only"], service["cap_drop"], service["tmpfs"]) == (True, ["ALL"], ["/tmp"])
        assert service["security_opt"] == ["no-new-privileges:true"]
        user = str(service["user"])
        dropped = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "--no-new-privs"]
        dropped += ["--inh-caps=-all", "--bounding-set=-all"]
        return self._system.command([*dropped, *words], service["environment"], within=self._place)

    def start(self, name: str) -> subprocess.Popen[bytes]:
        with (self._system.folder / f"{name}.log").open("wb") as log:
            command = self.words(name, [*self._entry, *self.services[name]["command"]])
            self.running[name] = subprocess.Popen(command, stdout=log, stderr=log)
        return self.running[name]

    def log(self, name: str) -> str:
        return (self._system.folder / f"{name}.log").read_text()

    def is_healthy(self, name: str) -> bool:
        """By its own health check."""
        assert self.running[name].poll() is None, f"{name} has ended:\n{self.log(name)}"
        kind, *words = self.services[name]["healthcheck"]["test"]
        assert kind == "CMD"
        return subprocess.run(self.words(name, words), capture_output=True, check=False).returncode == 0

    def stop(self) -> dict[str, int]:
        """SIGTERM to all; what each ended with within its grace."""
        for process in self.running.values():
            process.terminate()
        graces = {name: int(self.services[name]["stop_grace_period"].rstrip("s")) for name in self.running}
        return {name: process.wait(graces[name]) for name, process in self.running.items()}


@contextmanager
def _config(folder: Path, user: int) -> Iterator[dict[str, Any]]:
    """The gateway's file, its user's alone."""
    folder.mkdir()
    write_config(folder)
    file = folder / "gateway.json"
    config: dict[str, Any] = json.loads(file.read_text()) | {"webhook": {"secret": SECRET, "forwardToken": "t" * 40}}
    file.write_text(json.dumps(config))
    file.chmod(0o600)
    os.chown(file, user, user)
    yield config


def run(folder: Path) -> None:
    """Start all, look at their health, bring a mail, read it, log in; then end them."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    system = FileSystem(folder)
    system.assemble()
    containers = Containers(system)
    for name, value in containers.services["mail-gateway"]["sysctls"].items():
        (Path("/proc/sys") / name.replace(".", "/")).write_text(str(value))
    with _config(folder / "config", int(containers.services["mail-gateway"]["user"])) as config:
        system.seal(folder / "volume", folder / "config")
        refused = subprocess.run(
            containers.words("mail-inbox", ["touch", "/src", "/usr/local/x", "/run/azmail/x", "/etc/x"]),
            capture_output=True, text=True, check=False,
        ).stderr  # fmt: skip
        assert refused.count("Read-only file system") == 4, refused
        platform = Platform()
        assert containers.start(MIGRATE).wait(WAIT_SECONDS) == 0, containers.log(MIGRATE)
        del containers.running[MIGRATE]
        try:
            for name in SERVICES:
                containers.start(name)
            _used(containers, platform, config, folder / "volume")
        finally:
            ended = containers.stop()
    assert ended == dict.fromkeys(SERVICES, 0), {name: containers.log(name) for name in ended}
    print(
        f"all ended with 0; in the volume stand {', '.join(sorted(one.name for one in (folder / 'volume').iterdir()))}"
    )


def _used(containers: Containers, platform: Platform, config: Mapping[str, Any], volume: Path) -> None:
    for name in SERVICES:
        if "healthcheck" in containers.services[name]:
            wait_until(lambda name=name: containers.is_healthy(name), f"{name}'s health check", seconds=WAIT_SECONDS)  # type: ignore[misc]
            print(f"{name}: its health check says that it is well", flush=True)
    address = config["agents"][AGENT]
    mail = {"Sender": "ada@x.example", "Recipient": address, "Subject": "Hello", "Headers": {}, "Text-part": "Hello"}
    answer = requests.post(
        "http://mail-inbox:8026/api/webhooks/mailjet/inbound", json=mail, auth=("mailjet", SECRET), timeout=30
    )
    assert answer.status_code == 200, answer.text
    wait_until(lambda: platform.deliveries, "the platform to be handed the mail", seconds=WAIT_SECONDS)
    assert platform.deliveries == [mail | {"token": "t" * 40}]
    roots = Roots(config["roots"], domain=config["domain"])
    with InboxClient("http://mail-inbox:8026", AGENT, roots.password(AGENT, scope=Scope.INBOX)) as inbox:
        assert [one["subject"] for one in inbox.messages()] == ["Hello"]
    print("mail-inbox took a mail, mail-inbox-worker handed it on with the token, its agent read it", flush=True)
    with smtplib.SMTP("mail-gateway", 587, timeout=30) as smtp:
        smtp.starttls(context=ssl.create_default_context(cafile=str(volume / "tls" / "ca.pem")))
        smtp.login(AGENT, roots.password(AGENT, scope=Scope.SEND))
    login = base64.b64encode(f"{AGENT}:wrong".encode()).decode()
    refused = requests.post(
        "http://mail-gateway:8025/v3.1/send", json={}, headers={"Authorization": f"Basic {login}"}, timeout=30
    )
    assert refused.status_code == 401, refused.text
    print("mail-gateway's certificate is one to trust, an agent's login is taken and a wrong one refused", flush=True)


def main() -> int:
    """Build and run, each in namespaces of its own."""
    parser = argparse.ArgumentParser(prog="python -m tests.containers", description=__doc__)
    parser.add_argument("step", nargs="?", choices=("build", "run"), help=argparse.SUPPRESS)
    parser.add_argument("folder", nargs="?", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.step is not None:
        {"build": build, "run": run}[given.step](given.folder)
        return 0
    if sys.platform != "linux" or os.geteuid() != 0:
        print(
            f"found {shlex.quote(os.environ.get('USER', 'a user'))} on {sys.platform}, expected root on Linux",
            file=sys.stderr,
        )
        return 2
    with tempfile.TemporaryDirectory(prefix="azmail-containers-") as folder:
        Path(folder).chmod(0o755)
        me = [sys.executable, "-m", "tests.containers"]
        for namespaces, step in ((["--mount"], "build"), (["--mount", "--net"], "run")):
            done = subprocess.run(["unshare", *namespaces, *me, step, folder], cwd=ROOT, check=False)
            if done.returncode:
                return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
