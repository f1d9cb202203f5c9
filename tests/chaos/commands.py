"""Commands of this program are killed by SIGKILL at a moment that their files show; the same command then goes on."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import yaml

from tests.chaos.kills import descendants, wait_until
from tests.chaos.world import DOMAIN, ChaosError, World
from tests.e2e.stack import PASSPHRASE, PROGRAM, ROOT, Finished, Stack, clean_environment, mail

MX = {"type": "MX", "name": DOMAIN, "content": "mx1.corp.example", "priority": 5, "ttl": 300, "comment": "the owner's"}
ENVIRONMENT_MOMENTS = ("folder", "stack", "salt", "secret 1", "secret 2", "secret 3", "file")
ADOPTION_MOMENTS = ("backup", "state 1", "state 2", "state 3", "file")


def killed(words: list[str | Path], stack: Stack, moment: Callable[[], bool], what: str) -> bool:
    """Run `python WORDS` until the moment, then kill it with all its children; whether the moment came before its end."""
    command = [str(ROOT / "mail"), *map(str, words)]
    running = subprocess.Popen(
        command,
        cwd=ROOT,
        env=stack.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        wait_until(lambda: running.poll() is not None or moment(), what)
        came = running.poll() is None
        if came:
            running.send_signal(signal.SIGSTOP)  # or it starts one more child between the look and the kill
        family = descendants(running.pid)
        running.kill()
        for child in family:
            if child.runs:
                os.kill(child.pid, 9)
        wait_until(lambda: not any(child.runs for child in family), f"the end of what {what} had started")
    finally:
        running.kill()
        running.communicate()
    return came


# -- environments new --------------------------------------------------------------------------------------------------


def new_environment_killed(world: World, folder: Path, *, moment: str) -> str:
    """`environments new`, killed; then the same again makes it whole, or finds it whole."""
    folder.mkdir()
    (folder / "backend").mkdir()
    for part in PROGRAM:
        (folder / part).symlink_to(ROOT / part)
    environment = clean_environment() | world.emulators.credentials
    environment |= {"PULUMI_BACKEND_URL": f"file://{folder}/backend", "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE}
    stack = Stack(folder, world.emulators, "fresh", environment)
    status = world.emulators.status
    words: list[str | Path] = [
        "env", "new", "fresh", "-C", folder, "--yes", "--no-check",
        "--domain", "fresh.agents.example", "--zone-name", "agents.example", "--zone-id", status["cloudflare"]["zone_id"],
        "--webhook-url", "https://hooks.example/in", "--cloudflare-api-url", status["cloudflare"]["url"],
        "--mailjet-api-url", status["mailjet"]["url"],
    ]  # fmt: skip
    site = folder / ".Pulumi.fresh.new"
    unfinished, finished = site / "Pulumi.fresh.yaml", folder / "Pulumi.fresh.yaml"

    def came() -> bool:
        kind, _, number = moment.partition(" ")
        text = unfinished.read_text() if unfinished.exists() else ""
        return {
            "folder": site.exists(),
            "stack": any((folder / "backend").rglob("fresh.json")),
            "salt": "encryptionsalt" in text,
            "secret": text.count("secure:") >= int(number or 0),
            "file": finished.exists(),
        }[kind]

    where = f"environments new killed at {moment}"
    was = killed(words, stack, came, where)
    if finished.exists():
        _require_whole(finished, where)
    again = mail(*words, env=stack.environment, check=False)
    if again.code and "exists already" not in again.text:
        raise ChaosError(where, ["the same command does not go on"], again.text)
    _require_whole(finished, where)
    if site.exists():
        raise ChaosError(where, [f"{site.name} is left"])
    shown = stack.pulumi("config", "--show-secrets", "--json", "--stack", "fresh")
    if "agentmail:mailjetApiKey" not in json.loads(shown.out):
        raise ChaosError(where, ["the engine cannot read the secrets"], shown.text)
    shutil.rmtree(folder)
    return f"{where}{'' if was else ' (it had ended)'}: made whole"


def _require_whole(file: Path, where: str) -> None:
    document = yaml.safe_load(file.read_text())
    missing = [
        key
        for key in ("mailjetApiKey", "mailjetApiSecret", "webhookSecret")
        if not document["config"].get(f"agentmail:{key}")
    ]
    if missing or not document.get("encryptionsalt"):
        raise ChaosError(where, [f"{file.name} is half made: {', '.join(missing) or 'no salt'}"])


# -- adopt -------------------------------------------------------------------------------------------------------------


def adoption_killed(world: World, *, moment: str) -> str:
    """`adopt --replace-mx`, killed; then the same again, and the `up` goes through and deletes what was agreed to."""
    stack = world.stack
    world.emulators.cloudflare("POST", "/dns_records", json=MX).raise_for_status()
    backups = stack.folder / "zone-backups"
    shutil.rmtree(backups, ignore_errors=True)
    words: list[str | Path] = ["adopt", stack.name, "-C", stack.folder, "--replace-mx", "--yes"]
    (state,) = (path for path in stack.folder.rglob(f"{stack.name}.json") if ".pulumi" in path.parts)
    config, saved = stack.config_file.read_text(), [state.stat().st_mtime_ns]

    def came() -> bool:
        now = state.stat().st_mtime_ns if state.exists() else saved[-1]
        if now != saved[-1]:
            saved.append(now)
        kind, _, number = moment.partition(" ")
        return {
            "backup": backups.exists() and any(backups.glob("*.json")),
            "state": len(saved) > int(number or 0),
            "file": stack.config_file.read_text() != config,
        }[kind]

    where = f"adopt killed at {moment}"
    was = killed(words, stack, came, where)
    for backup in backups.glob("*.json"):
        json.loads(backup.read_text())  # whole, or not there
    stack.pulumi("cancel", "--yes", "--stack", stack.name)
    again = mail(*words, env=stack.environment, check=False)
    if again.code:
        raise ChaosError(where, ["the same command does not go on"], again.text)
    preview, up = stack.preview(check=False), stack.up("--suppress-outputs", check=False)
    if (preview.code, up.code) != (0, 0):
        raise ChaosError(where, [f"preview ended with {preview.code}, up with {up.code}"], preview.text + up.text)
    if any(record["content"] == MX["content"] for record in world.emulators.records()):
        raise ChaosError(where, ["what was agreed to be deleted is there"])
    stack.destroy()
    stack.configure(replaceForeignMx=None, adoptedRecords=None)
    return f"{where}{'' if was else ' (it had ended)'}: went on"


# -- agents import -----------------------------------------------------------------------------------------------------


def import_killed(folder: Path, *, seed: int, agents: int = 3000) -> str:
    """`agents import`, killed as its new file appears; the old one or the new one is there, and the same goes on."""
    folder.mkdir()
    rng = random.Random(seed)
    rows = [
        {"id": f"a-{number}", "name": f"Ada{rng.random()}", "username_hint": f"a{number}"} for number in range(agents)
    ]
    export, file = folder / "export.json", folder / "people.json"
    export.write_text(json.dumps({"seed": "chaos", "agents": rows[: agents // 2]}))
    words: list[str | Path] = ["agents", "import", export, file, "--created-at", "20241005123045"]
    mail(*words)
    before = file.read_text()
    export.write_text(json.dumps({"seed": "chaos", "agents": rows}))
    stack = Stack(folder, None, "none", clean_environment())  # type: ignore[arg-type]  # asks no service
    known = set(folder.iterdir())
    was = killed(words, stack, lambda: bool(set(folder.iterdir()) - known), f"agents import, seed {seed}")
    found = json.loads(file.read_text())
    if file.read_text() != before and len(found["agents"]) != agents:
        raise ChaosError("agents import killed", [f"{len(found['agents'])} agents in the file"])
    done: Finished = mail(*words)
    if len(json.loads(file.read_text())["agents"]) != agents:
        raise ChaosError("agents import killed", ["the same command does not go on"], done.text)
    shutil.rmtree(folder)
    return f"agents import killed{'' if was else ' (it had ended)'}: the file was whole"
