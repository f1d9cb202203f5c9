"""The services die under an `up`, or the engine dies while a service holds its request: both are mended as documented."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from tests.chaos.kills import counting, descendants, killed_by, wait_until
from tests.chaos.world import ChaosError, World
from tests.e2e.stack import DEADLINE, ENGINE, mail


@contextmanager
def running_up(world: World) -> Iterator[subprocess.Popen[bytes]]:
    """An `up` in the background; it and all that it has started have ended when the block has."""
    stack = world.stack
    words = [
        str(ENGINE),
        "-C",
        str(stack.folder),
        "up",
        "--stack",
        stack.name,
        "--yes",
        "--skip-preview",
        "--non-interactive",
    ]
    with tempfile.TemporaryFile() as printed:
        running = subprocess.Popen(
            words, env=stack.environment, stdout=printed, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL
        )
        try:
            yield running
        finally:
            family = descendants(running.pid)
            running.kill()
            running.wait()
            wait_until(lambda: not any(process.runs for process in family), "the end of an up")


def kill_the_emulators(world: World, *, moment: int) -> str:
    """Both emulators end by SIGKILL when they have seen so many writes. The `up` fails; what they had answered is still
    there when they are started again, and the next `up` goes on."""
    where = f"emulators killed at write {moment}"
    with counting(world) as writes, running_up(world) as running:
        wait_until(lambda: running.poll() is not None or writes() >= moment, where, seconds=DEADLINE)
        finished = running.poll() is not None
        os.kill(int(world.emulators.status["pid"]), 9)
        running.wait(DEADLINE)
        mail("emulators", "up", "--free-ports", "--state-dir", world.emulators.folder)
        world.emulators.status.update(
            json.loads(mail("emulators", "status", "--json", "--state-dir", world.emulators.folder).out)
        )
    if not finished and running.returncode == 0:
        raise ChaosError(where, ["the up succeeded without anybody to talk to"])
    missing = _unknown_to_the_services(world)
    if missing:
        raise ChaosError(where, [f"{name} was answered with success and is gone" for name in missing])
    adopted = world.up_after_a_kill()
    world.require_converged(where)
    world.stack.destroy()
    world.require_empty(where)
    return f"{where}{' (it had ended)' if finished else ''}: {adopted} adopted"


def _unknown_to_the_services(world: World) -> list[str]:
    """Records and tunnels that the state has and nobody else."""
    ours = world.ours()
    there = {str(row["id"]) for row in (*ours["records"], *ours["tunnels"])}
    return [
        str(resource["urn"]).rpartition("::")[2]
        for resource in world.resources()
        if str(resource.get("type")) in ("cloudflare:index/dnsRecord:DnsRecord", _TUNNEL)
        and str(resource.get("id")) not in there
    ]


_TUNNEL = "cloudflare:index/zeroTrustTunnelCloudflared:ZeroTrustTunnelCloudflared"


def pending_creates(world: World, *, took_effect: bool) -> str:
    """Cloudflare holds the creation of records while the engine is killed: the state keeps a note of each, which doctor
    names and `state clear-pending` clears; what was made all the same is named by a preview and adopted."""
    where = f"killed during a create that took {'effect' if took_effect else 'none'}"
    stack, emulators = world.stack, world.emulators
    kind = "hang-after" if took_effect else "hang"
    rule = {"method": "POST", "path": "*/dns_records", "kind": kind, "seconds": DEADLINE}
    emulators.faults("cloudflare", rules=[rule])
    emulators.forget_requests()
    with running_up(world) as running:
        wait_until(
            lambda: running.poll() is not None or bool(emulators.counts("cloudflare")["faults"]),
            where,
            seconds=DEADLINE,
        )
        killed_by(running)
    emulators.faults("cloudflare")
    world.cancel()
    pending = _pending(world)
    if not pending:
        raise ChaosError(where, ["no create is pending: the case is not the one it should be"])
    folder = ("-C", stack.folder)
    told = stack.preview("--suppress-outputs", check=False)
    cleared = mail("state", "clear-pending", stack.name, *folder, "--yes", env=stack.environment)
    unnamed = [name for name in pending if name not in cleared.text]
    if unnamed or _pending(world):
        raise ChaosError(where, [f"{unnamed} not named, {_pending(world)} left"], cleared.text)
    if took_effect and f"./mail adopt {stack.name}" not in " ".join(told.text.split()):
        raise ChaosError(where, ["a preview does not name what was made"], told.text)
    adopted = world.up_after_a_kill()
    if took_effect is not bool(adopted):
        raise ChaosError(where, [f"{adopted} adopted"])
    world.require_converged(where)
    healthy = mail("state", "clear-pending", stack.name, *folder, "--yes", env=stack.environment)
    if "is pending" not in healthy.out:
        raise ChaosError(where, ["something is pending after an up"], healthy.text)
    stack.destroy()
    world.require_empty(where)
    return f"{where}: {len(pending)} named and cleared, {adopted} adopted"


def _pending(world: World) -> list[str]:
    exported = json.loads(world.stack.pulumi("stack", "export", "--stack", world.stack.name).out)
    operations = exported["deployment"].get("pending_operations") or []
    return [str(one["resource"]["urn"]).rpartition("::")[2] for one in operations if one["type"] == "creating"]
