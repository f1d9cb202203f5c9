"""Commands of this program are killed by SIGKILL at a moment that their files show; the same command then goes on."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import yaml

from tests.chaos.kills import killed_by, wait_until
from tests.chaos.world import DOMAIN, ChaosError, World
from tests.e2e.stack import PASSPHRASE, PROGRAM, ROOT, Finished, Stack, clean_environment, mail

MX = {"type": "MX", "name": DOMAIN, "content": "mx1.corp.example", "priority": 5, "ttl": 300, "comment": "the owner's"}
DMARC = {"type": "TXT", "name": f"_dmarc.{DOMAIN}", "content": '"v=DMARC1; p=quarantine"', "ttl": 300}
PLANTED = {"records": (MX, DMARC), "wildcard": (MX | {"name": f"*.{DOMAIN.partition('.')[2]}"},)}
"""What an adoption finds: records in our places, which come into the state, or one that covers them, which is copied first."""
ENVIRONMENT_MOMENTS = ("folder", "stack", "salt", "secret 1", "secret 2", "secret 3", "file")
ADOPTION_MOMENTS = (
    *(("records", moment) for moment in ("backup", "state 1", "state 2", "state 3", "state 5", "state 8", "file")),
    *(("wildcard", moment) for moment in ("backup", "copy", "state 1", "file")),
)


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
            killed_by(running)
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


def adoption_killed(world: World, *, kind: str, moment: str) -> str:
    """`adopt --replace-mx`, killed; then the same again, and the `up` goes through and deletes what was agreed to."""
    stack, before = world.stack, {record["id"]: record for record in world.emulators.records()}
    for fields in PLANTED[kind]:
        world.emulators.cloudflare("POST", "/dns_records", json=fields).raise_for_status()
    backups = stack.folder / "zone-backups"
    shutil.rmtree(backups, ignore_errors=True)
    words: list[str | Path] = ["adopt", stack.name, "-C", stack.folder, "--replace-mx", "--yes"]
    (state,) = (path for path in stack.folder.rglob(f"{stack.name}.json") if ".pulumi" in path.parts)
    config, saved = stack.config_file.read_text(), [state.stat().st_mtime_ns]

    def came() -> bool:
        now = state.stat().st_mtime_ns if state.exists() else saved[-1]
        if now != saved[-1]:
            saved.append(now)
        step, _, number = moment.partition(" ")
        return {
            "backup": lambda: backups.exists() and any(backups.glob("*.json")),
            "copy": lambda: bool(_exchanges(world)),
            "state": lambda: len(saved) > int(number or 0),
            "file": lambda: stack.config_file.read_text() != config,
        }[step]()

    where = f"adopt ({kind}) killed at {moment}"
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
    if _exchanges(world) != ["parse.mailjet.com"]:
        raise ChaosError(where, [f"mail for {DOMAIN} goes to {_exchanges(world)}"])
    stack.destroy()
    stack.configure(replaceForeignMx=None, adoptedRecords=None, mxPreference=None, dmarcPolicy="none")
    after = {record["id"]: record for record in world.emulators.records()}
    touched = [f"{record['type']} {record['name']}" for key, record in before.items() if after.get(key) != record]
    if touched:
        raise ChaosError(where, [f"{name} is not as it was" for name in touched])
    for key in after.keys() - before.keys():
        world.emulators.cloudflare("DELETE", f"/dns_records/{key}").raise_for_status()
    return f"{where}{'' if was else ' (it had ended)'}: went on"


def _exchanges(world: World) -> list[str]:
    """Where mail for the domain goes by records of its own."""
    records = world.emulators.records()
    return [record["content"] for record in records if (record["type"], record["name"]) == ("MX", DOMAIN)]


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
