"""Builds the pinned Pulumi CLI from `engine/go.mod`, once for each version and machine."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import platform
import re
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from engine.errors import BuildError, CliBrokenError, DiskTooSmallError, GoMissingError, GoTooOldError
from engine.layout import Layout
from engine.progress import Counter, duration, say
from engine.versions import cli_version_of

_COMMAND = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
_VERSION_VARIABLE = "github.com/pulumi/pulumi/sdk/v3/go/common/version.Version"

_LAST_LINES = 4
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

# Measured with Pulumi 3.259.0 and Go 1.26 on linux-x86_64, nothing of it compiled before and the modules downloaded already: 304 s.
_CPU_MINUTES = 5
_GIGABYTES = 4
"""Modules (1.4), compiled packages (1.6) and the linker's work; removed after the build."""
_KEPT_MEGABYTES = 95
_INSTALL = "https://www.pulumi.com/docs/install/"


@dataclass(frozen=True)
class BuildLimits:
    """How long Go may take: a download that says nothing for `stall_seconds` has stalled."""

    stall_seconds: float = 120.0
    step_seconds: float = 3600.0


_PATIENT = BuildLimits()


@dataclass(frozen=True)
class Pin:
    """What `engine/go.mod` asks for."""

    pulumi: str
    go: str
    fingerprint: str


def pin(module: Path) -> Pin:
    """The pinned versions, and a fingerprint of everything that decides what the build gives."""
    text = (module / "go.mod").read_text(encoding="utf-8")
    pulumi = re.search(r"github\.com/pulumi/pulumi/pkg/v3 v(\S+)", text)
    go = re.search(r"^go (\S+)$", text, re.MULTILINE)
    if pulumi is None or go is None:
        raise BuildError("reading engine/go.mod", "it does not pin both Pulumi and Go", [])
    digest = hashlib.sha256()
    for part in (
        text.encode(),
        (module / "go.sum").read_bytes(),
        _machine().encode(),
        repr(_flags(pulumi[1])).encode(),
        *(file.read_bytes() for file in sorted((module / "stubs").rglob("*")) if file.is_file()),
    ):
        digest.update(hashlib.sha256(part).digest())
    return Pin(pulumi[1], go[1], digest.hexdigest()[:12])


def built_cli(layout: Layout) -> Path:
    """Where the built CLI is, or will be."""
    pinned = pin(layout.module)
    return layout.cache / f"pulumi-v{pinned.pulumi}" / pinned.fingerprint / "pulumi"


def ensure_built(layout: Layout, environment: Mapping[str, str], limits: BuildLimits = _PATIENT) -> Path:
    """The built CLI; builds it if the cache has none. Raises EngineError."""
    target = built_cli(layout)
    if target.is_file():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with _locked(target.parent / ".lock"):
        if not target.is_file():
            _build(layout, target, environment, limits)
    return target


def _machine() -> str:
    return f"{sys.platform}-{platform.machine()}"


def _flags(version: str) -> list[str]:
    return ["-trimpath", "-buildvcs=false", f"-ldflags=-s -w -X {_VERSION_VARIABLE}=v{version}"]


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    with file.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another process is building the Pulumi CLI; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _build(layout: Layout, target: Path, environment: Mapping[str, str], limits: BuildLimits) -> None:
    pinned = pin(layout.module)
    go = shutil.which("go", path=environment.get("PATH"))
    if go is None:
        raise GoMissingError(pinned.pulumi, pinned.go)
    free = shutil.disk_usage(target.parent).free / 1e9
    if free < _GIGABYTES:
        raise DiskTooSmallError(target.parent, free, _GIGABYTES)
    cores = os.cpu_count() or 1
    say(
        f"no installed Pulumi found. The quick way is to install it ({_INSTALL}) and to run this again. Otherwise Pulumi "
        f"{pinned.pulumi} is built from engine/go.mod, now and once: about {_CPU_MINUTES} minutes of CPU (so "
        f"{max(_CPU_MINUTES // cores, 1)} on these {cores} cores), {_GIGABYTES:.0f} GB of disk meanwhile, "
        f"{_KEPT_MEGABYTES} MB afterwards"
    )
    started = time.monotonic()
    # Go's caches would keep gigabytes that nobody needs again; these are kept only where a build failed, to go on from.
    caches = target.parent / "go"
    variables = {**environment, **_own_caches(caches), "CGO_ENABLED": "0", "GOWORK": "off", "GOFLAGS": "-modcacherw"}
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".build-") as scratch:
        built = Path(scratch) / "pulumi"
        if nearby := _downloaded(_Go(go, layout.module, environment, limits).settings()):
            variables["GOPROXY"] = nearby
        steps = _Go(go, layout.module, variables, limits)
        steps.check_version(pinned.go)
        packages = steps.fetch()
        steps.compile(built, packages, _flags(pinned.pulumi))
        built.chmod(0o755)
        said = cli_version_of(built, environment)
        if said.version is None:
            raise CliBrokenError(built, said.output)
        built.replace(target)
    size = _gigabytes(caches)
    shutil.rmtree(caches, ignore_errors=True)
    say(
        f"built {target} in {duration(time.monotonic() - started)}; the {size:.1f} GB that Go needed for it are removed"
    )


def _own_caches(folder: Path) -> dict[str, str]:
    """Where Go keeps modules and compiled packages of this build."""
    return {"GOMODCACHE": str(folder / "modules"), "GOCACHE": str(folder / "packages")}


def _downloaded(settings: Mapping[str, str]) -> str:
    """A GOPROXY that first looks at what the user's own Go has downloaded before; empty where that is nothing.

    So a machine without internet, whose module cache was filled beforehand, can build.
    """
    users = Path(settings.get("GOMODCACHE", "")) / "cache" / "download"
    return f"{users.as_uri()},{settings.get('GOPROXY') or 'off'}" if users.is_absolute() and users.is_dir() else ""


def _gigabytes(folder: Path) -> float:
    sizes = (file.lstat().st_size for file in folder.rglob("*") if not file.is_dir())
    return sum(sizes) / 1e9


class _Go:
    """The Go toolchain at work in the module."""

    def __init__(self, go: str, module: Path, variables: Mapping[str, str], limits: BuildLimits) -> None:
        self._go = go
        self._module = module
        self._variables = dict(variables)
        self._limits = limits

    def settings(self) -> dict[str, str]:
        """What the user's own Go is set to: where its modules are, and where it gets others."""
        said = self._run("asking for Go's settings", ["env", "-json", "GOMODCACHE", "GOPROXY"], _ignore, lambda: None)
        try:
            found = json.loads("".join(said))
        except ValueError:
            return {}
        return {str(key): str(value) for key, value in found.items()} if isinstance(found, dict) else {}

    def check_version(self, wanted: str) -> None:
        # Inside the module: a toolchain that may fetch a newer one of itself does so now.
        said = self._run("asking for Go's version", ["version"], _ignore, lambda: None)
        found = re.search(r"go(\d+(?:\.\d+)*)", " ".join(said[:1]))
        if found and _numbers(found[1]) < _numbers(wanted):
            raise GoTooOldError(found[1], wanted)

    def fetch(self) -> int:
        """Download every module; returns how many packages there are to compile."""
        counter = Counter("modules downloaded")

        def on_line(line: str) -> None:
            if line.startswith("go: downloading"):
                counter.advance()

        listed = self._run(
            "downloading modules",
            ["list", "-deps", "-f", "{{.ImportPath}}", _COMMAND],
            on_line,
            counter.tick,
        )
        counter.done()
        return len(listed)

    def compile(self, output: Path, packages: int, flags: list[str]) -> None:
        counter = Counter("packages compiled", packages)
        self._run(
            "compiling",
            ["build", "-v", *flags, "-o", str(output), _COMMAND],
            lambda line: counter.advance() if line and not line.startswith("go:") else None,
            counter.tick,
            may_be_silent=True,
        )
        counter.done()

    def _run(
        self,
        step: str,
        arguments: list[str],
        on_line: Callable[[str], None],
        on_idle: Callable[[], None],
        *,
        may_be_silent: bool = False,
    ) -> list[str]:
        """Run Go; `on_line` gets each line of its stderr. Returns the lines of its stdout."""
        last: deque[str] = deque(maxlen=_LAST_LINES)
        with tempfile.TemporaryFile("w+", encoding="utf-8") as stdout:
            # Held back until somebody is there to end what was started: Go runs before `Popen` returns.
            before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
            failure: str | None = None
            running: subprocess.Popen[bytes] | None = None
            try:
                running = subprocess.Popen(  # noqa: S603
                    [self._go, *arguments],
                    cwd=self._module,
                    env=self._variables,
                    stdin=subprocess.DEVNULL,
                    stdout=stdout,
                    stderr=subprocess.PIPE,
                    start_new_session=True,
                    preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_SETMASK, before),
                )
                signal.pthread_sigmask(signal.SIG_SETMASK, before)
                assert running.stderr is not None  # noqa: S101
                failure = _follow(running.stderr, last, on_line, on_idle, self._limits, may_be_silent)
                if failure is None:
                    running.wait()
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, before)
                if running is not None:
                    _end_group(running)
            status = running.returncode
            stdout.seek(0)
            lines = stdout.read().splitlines()
        if failure:
            raise BuildError(step, failure, list(last))
        if status:
            raise BuildError(step, f"`go {arguments[0]}` ended with status {status}", list(last))
        return lines


def _ignore(_line: str) -> None:
    """For steps whose progress nobody needs to see."""


def _follow(
    stream: IO[bytes],
    last: deque[str],
    on_line: Callable[[str], None],
    on_idle: Callable[[], None],
    limits: BuildLimits,
    may_be_silent: bool,
) -> str | None:
    """Read `stream` to its end; returns why it was given up, if it was."""
    started = heard = time.monotonic()
    rest = b""
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        while True:
            if selector.select(timeout=min(1.0, limits.stall_seconds)):
                chunk = os.read(stream.fileno(), 65536)
                if not chunk:
                    last.append(rest.decode(errors="replace"))
                    return None
                heard = time.monotonic()
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    text = line.decode(errors="replace")
                    # Not the name of a package that is compiled: others go on while one fails.
                    if " " in text:
                        last.append(text)
                    on_line(text)
            on_idle()
            now = time.monotonic()
            if not may_be_silent and now - heard > limits.stall_seconds:
                return f"nothing happened for {duration(limits.stall_seconds)}"
            if now - started > limits.step_seconds:
                return f"it took longer than {duration(limits.step_seconds)}"


def _end_group(running: subprocess.Popen[bytes]) -> None:
    """End Go and the compilers it started, where it has not ended itself."""
    if running.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGKILL)
        running.wait()
    if running.stderr is not None:
        running.stderr.close()


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
