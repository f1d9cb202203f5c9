from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from engine.build import BuildLimits, built_cli, ensure_built, pin
from engine.errors import BuildError, CliBrokenError, DiskTooSmallError, GoTooOldError
from tests.unit.engine.machines import ROOT, Machine, alive
from tests.waiting import wait_until

pytestmark = pytest.mark.slow

# A Go whose `build` gives a "CLI" that knows its version; it writes down its calls.
GO = """#!/bin/sh
here=$(dirname "$0")
echo "$1 CGO_ENABLED=$CGO_ENABLED GOFLAGS=$GOFLAGS GOWORK=$GOWORK" >> "$here/calls"
echo "$1 $GOPROXY" >> "$here/proxies"
case $1 in
  env) printf '{"GOMODCACHE": "%s/users/mod", "GOPROXY": "https://proxy.example,direct"}' "$here" ;;
  version) echo "go version go1.99.1 linux/amd64" ;;
  list) echo "go: downloading example.com/m v1.0.0" >&2; echo example.com/a; echo example.com/b ;;
  build)
    echo example.com/a >&2
    mkdir -p "$GOCACHE" "$GOMODCACHE/example.com" && echo compiled > "$GOCACHE/a" && echo module > "$GOMODCACHE/example.com/m"
    while [ "$1" != -o ]; do shift; done
    printf '#!/bin/sh\\necho v3.259.0\\n' > "$2" ;;
esac
"""


def failing(step: str, what: str) -> str:
    """The same Go with one step that goes wrong."""
    return GO.replace("case $1 in", f"[ $1 = {step} ] && {{ {what}; }}\ncase $1 in")


def leftovers(machine: Machine) -> list[str]:
    folder = built_cli(machine.layout).parent
    return sorted(file.name for file in folder.iterdir() if file.name != ".lock")


def test_the_pin_is_the_modules() -> None:
    pinned = pin(ROOT / "engine")
    assert pinned.pulumi == "3.259.0"
    assert pinned.go.startswith("1.")


def test_schemas_are_judged_by_the_version_that_pulumi_requires() -> None:
    """The library that a stub stands before has a name of ours (docs/decisions/153-a-schema-is-compiled-when-it-is-asked.md)."""
    module = "github.com/santhosh-tekuri/jsonschema/v5"
    text = (ROOT / "engine" / "go.mod").read_text()
    [required] = re.findall(rf"^\t{module} (\S+) // indirect$", text, re.MULTILINE)
    assert f"replace whole.example/jsonschema/v5 => {module} {required}\n" in text


def test_builds_once(bare: Machine) -> None:
    bare.program("go", GO)
    path = ensure_built(bare.layout, {**bare.environment, "GOFLAGS": "-mod=mod"})
    assert subprocess.run([path, "version"], capture_output=True, text=True).stdout == "v3.259.0\n"
    assert path.parent.parent == bare.layout.cache / "pulumi-v3.259.0"
    assert ensure_built(bare.layout, bare.environment) == path
    settings = "CGO_ENABLED=0 GOFLAGS=-modcacherw GOWORK=off"
    assert bare.calls()[1:] == [f"version {settings}", f"list {settings}", f"build {settings}"]
    assert leftovers(bare) == ["pulumi"]


def test_what_go_needed_is_gone_after_a_build_and_there_to_go_on_from_after_a_failure(
    bare: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither in the user's own caches nor in ours does a build leave anything but the CLI."""
    failing_once = GO.replace("printf '#!", '[ -e "$here/again" ] || { touch "$here/again"; exit 1; }; printf \'#!')
    bare.program("go", failing_once)
    with pytest.raises(BuildError):
        ensure_built(bare.layout, bare.environment)
    assert leftovers(bare) == ["go"]
    ensure_built(bare.layout, bare.environment)
    assert leftovers(bare) == ["pulumi"]
    assert "GB that Go needed for it are removed" in capsys.readouterr().err
    assert not (bare.folder / "user").exists()


def test_what_the_users_go_has_downloaded_is_not_downloaded_again(bare: Machine) -> None:
    bare.program("go", GO)
    downloaded = bare.bin / "users" / "mod" / "cache" / "download"
    downloaded.mkdir(parents=True)
    ensure_built(bare.layout, bare.environment)
    proxies = (bare.bin / "proxies").read_text().splitlines()
    assert proxies[1:] == [
        f"{step} file://{downloaded},https://proxy.example,direct" for step in ("version", "list", "build")
    ]


def test_a_disk_without_room_is_told_before_anything_is_downloaded(
    bare: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare.program("go", GO)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=500_000_000))
    with pytest.raises(DiskTooSmallError, match=r"needs \d+ GB below .*, there are 0\.5: make room, .*XDG_CACHE_HOME"):
        ensure_built(bare.layout, bare.environment)
    assert bare.calls() == []


def test_progress_is_visible(bare: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    bare.program("go", GO)
    ensure_built(bare.layout, bare.environment)
    said = capsys.readouterr()
    assert said.out == ""
    assert "engine: modules downloaded 1, " in said.err
    assert "engine: packages compiled 100 %, " in said.err


def test_what_it_costs_is_said_before_it_begins(bare: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    bare.program("go", failing("version", "exit 1"))
    with pytest.raises(BuildError):
        ensure_built(bare.layout, bare.environment)
    said = " ".join(capsys.readouterr().err.split())
    assert said.startswith(
        "engine: no installed Pulumi found. The quick way is to install it (https://www.pulumi.com/docs/install/)"
    )
    assert re.search(r"about \d+ minutes of CPU .*\d+ GB of disk meanwhile, \d+ MB afterwards", said)


def test_another_go_sum_is_another_build(bare: Machine) -> None:
    before = built_cli(bare.layout)
    with (bare.layout.module / "go.sum").open("a") as file:
        file.write("example.com/m v1.0.0 h1:x=\n")
    assert built_cli(bare.layout) != before


def test_a_go_that_is_too_old(bare: Machine) -> None:
    bare.program("go", GO.replace("go1.99.1", "go1.20"))
    with pytest.raises(GoTooOldError, match=r"Go 1\.20 is on PATH, Go 1\.25\.11 or newer is needed"):
        ensure_built(bare.layout, bare.environment)


def test_a_go_that_may_not_fetch_a_newer_one(bare: Machine) -> None:
    bare.program("go", failing("version", "echo 'go: go.mod requires go >= 1.26 (GOTOOLCHAIN=local)' >&2; exit 1"))
    with pytest.raises(BuildError, match=r"go\.mod requires go >= 1\.26"):
        ensure_built(bare.layout, bare.environment)


@pytest.mark.parametrize(("step", "name"), [("list", "downloading modules"), ("build", "compiling")])
def test_a_step_that_fails_ends_with_what_go_said(bare: Machine, step: str, name: str) -> None:
    said = "echo 'the first' >&2; echo 'dial tcp: i/o timeout' >&2; for name in a b c d e; do echo example.com/$name >&2; done"
    bare.program("go", failing(step, f"{said}; exit 1"))
    with pytest.raises(BuildError) as caught:
        ensure_built(bare.layout, bare.environment)
    told = str(caught.value)
    assert f"failed while {name}: `go {step}` ended with status 1; " in told
    assert ("export GOPROXY=URL" in told) is (step == "list")
    assert told.endswith(
        "go on from there with: ./mail setup (or install Pulumi itself). Go said: the first | dial tcp: i/o timeout"
    )
    assert leftovers(bare) == []


def test_a_stalled_download_is_given_up(bare: Machine) -> None:
    pid = bare.folder / "pid"
    bare.program("go", failing("list", f"echo 'go: downloading m' >&2; echo $$ > {pid}; exec sleep 600"))
    with pytest.raises(BuildError, match=r"nothing happened for .*go: downloading m"):
        ensure_built(bare.layout, bare.environment, BuildLimits(stall_seconds=1.0))
    assert not alive(int(pid.read_text()))


def test_compiling_may_be_silent_but_not_for_ever(bare: Machine) -> None:
    bare.program("go", failing("build", "exec sleep 600"))
    with pytest.raises(BuildError, match="it took longer than"):
        ensure_built(bare.layout, bare.environment, BuildLimits(stall_seconds=1.0, step_seconds=1.5))


def test_a_build_that_gives_no_working_cli_is_not_kept(bare: Machine) -> None:
    bare.program("go", GO.replace("echo v3.259.0", "exit 4"))
    with pytest.raises(CliBrokenError, match="exit status 4"):
        ensure_built(bare.layout, bare.environment)
    assert leftovers(bare) == ["go"]


def test_two_at_once_build_once(bare: Machine) -> None:
    gate = bare.folder / "gate"
    os.mkfifo(gate)
    bare.program("go", failing("list", f"cat {gate}"))
    found: list[Path] = []

    def build() -> None:
        found.append(ensure_built(bare.layout, bare.environment))

    threads = [threading.Thread(target=build) for _ in range(2)]
    for thread in threads:
        thread.start()
    gate.write_text("")
    for thread in threads:
        thread.join(20)
    assert len(set(found)) == 1
    assert len(found) == 2
    assert [call.split()[0] for call in bare.calls()] == ["env", "version", "list", "build"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_interrupted_build_leaves_nothing(bare: Machine, number: signal.Signals) -> None:
    pid = bare.folder / "pid"
    bare.program("go", failing("build", f"echo $$ > {pid}; exec sleep 600"))
    state = bare.folder / "state"
    environment = {**bare.environment, "AGENTMAIL_STATE_DIR": str(state), "XDG_CACHE_HOME": str(bare.folder / "cache")}
    setup = subprocess.Popen(
        [sys.executable, ROOT / "engine" / "__main__.py", "setup"],
        env=environment,
        stderr=subprocess.PIPE,
        # A test run in the background (`&` in a script, nohup) hands an ignored SIGINT on.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    wait_until(lambda: pid.exists() and pid.read_text().endswith("\n"), seconds=20)
    setup.send_signal(number)
    _, said = setup.communicate(timeout=20)
    assert setup.returncode == 128 + number
    assert b"Traceback" not in said
    compiler = int(pid.read_text())
    wait_until(lambda: not alive(compiler), seconds=20)
    assert not [file for file in (bare.folder / "cache").rglob("*") if file.name not in {".lock"} and file.is_file()]
