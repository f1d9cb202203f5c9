"""One Mailjet account and one zone with two stacks: one that is mistreated, and a bystander that nobody may touch."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests

from tests.e2e.stack import ROOT, Emulators, Finished, Stack, mail, run

STAMP = "20241005123045"
DOMAIN = "dev.agents.example"
BYSTANDERS = 20


class ChaosError(AssertionError):
    """The end of a run is not the one that was promised."""

    def __init__(self, where: str, problems: list[str], printed: str = "") -> None:
        shown = "".join(f"\n  - {problem}" for problem in problems)
        super().__init__(f"{where}:{shown}" + (f"\n{printed[-4000:]}" if printed else ""))


def write_population(file: Path, count: int, *, first: int = 0, prefix: str = "agent") -> None:
    """`count` agents, numbered from `first`, with names that do not repeat."""
    agents = [
        {"id": f"{prefix}-{number:05}", "name": f"Ada{number} Lovelace{number % 89}", "username_hint": f"a{number}"}
        for number in range(first, first + count)
    ]
    file.write_text(json.dumps({"seed": "chaos", "agents": agents}))


def live(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Senders that are not soft-deleted, tunnels that are not history."""
    return [row for row in rows if row.get("Status") != "Deleted" and not row.get("deleted_at")]


@dataclass
class World:
    """`stack` is the one that things happen to."""

    emulators: Emulators
    stack: Stack
    bystander: Stack
    population: Path
    untouched: dict[str, Any] = field(default_factory=dict, repr=False)
    """All that is not the stack's, as it was before the first run."""

    @classmethod
    def build(cls, folder: Path, emulators: Emulators, *, mailboxes: int) -> World:
        """Freshly reset emulators with the bystander in place; the stack is configured and empty."""
        emulators.reset()
        neighbours = folder / "bystander.json"
        write_population(neighbours, BYSTANDERS, prefix="bystander")
        bystander = Stack.create(folder / "bystander", emulators, name="other", population=neighbours)
        bystander.configure(
            domain="other.agents.example",
            tunnelHostname="api-other.agents.example",
            mailjetEvents=[],
            populations=[{"file": str(neighbours), "createdAt": STAMP}],
        )
        bystander.up("--suppress-outputs")
        population = folder / "population.json"
        write_population(population, mailboxes)
        stack = Stack.create(folder / "stack", emulators, population=population)
        stack.configure(populations=[{"file": str(population), "createdAt": STAMP}])
        world = cls(emulators, stack, bystander, population)
        world.untouched = world.foreign()
        return world

    # What is there

    @property
    def secret(self) -> str:
        """The password in the routes' URL."""
        return self.stack.environment["MAILJET_INBOUND_SECRET"]

    @property
    def tag(self) -> str:
        return f"agentmail-{self.stack.name}"

    def addresses(self) -> dict[str, str]:
        """{agent id: address}, computed without Pulumi."""
        command = ("agents", "addresses", self.population, "--domain", DOMAIN, "--created-at", STAMP)
        found: dict[str, str] = json.loads(mail(*command).out)
        return found

    def _split(self) -> tuple[dict[str, list[dict[str, Any]]], dict[str, list[dict[str, Any]]]]:
        """Everything live on both sides: the stack's, and everybody else's."""
        mailjet, cloudflare = self.emulators.state("mailjet"), self.emulators.state("cloudflare")
        rows = {
            "routes": mailjet["parseroutes"],
            "callbacks": mailjet["eventcallbackurls"],
            "senders": live(mailjet["senders"]),
            "records": [record for zone in cloudflare["zones"] for record in zone["records"]],
            "tunnels": live(cloudflare["tunnels"]),
        }
        ours = {kind: [row for row in found if self._owns(kind, row)] for kind, found in rows.items()}
        return ours, {kind: [row for row in found if row not in ours[kind]] for kind, found in rows.items()}

    def _owns(self, kind: str, row: dict[str, Any]) -> bool:
        if kind in ("routes", "callbacks"):
            return urlsplit(str(row["Url"])).username == self.tag
        if kind == "senders":
            return str(row["Email"]).endswith(f"@{DOMAIN}")
        if kind == "records":
            return str(row["comment"]) == f"managed by pulumi: {self.tag}"
        return str(row["name"]) == self.tag

    def ours(self) -> dict[str, list[dict[str, Any]]]:
        """What belongs to the stack at Mailjet and Cloudflare, whether its state knows or not."""
        return self._split()[0]

    def foreign(self) -> dict[str, list[dict[str, Any]]]:
        """What does not."""
        return self._split()[1]

    def right_routes(self) -> int:
        """Routes that are as they should be in the end."""
        wanted = set(self.addresses().values())
        return sum(row["Email"] in wanted and self._leads_home(row) for row in self.ours()["routes"])

    def _leads_home(self, row: dict[str, Any]) -> bool:
        return urlsplit(str(row["Url"])).password == self.secret

    def resources(self) -> list[dict[str, Any]]:
        """The resources in the stack's state."""
        exported = json.loads(self.stack.pulumi("stack", "export", "--stack", self.stack.name).out)
        found: list[dict[str, Any]] = exported["deployment"].get("resources") or []
        return found

    # What must be there

    def require_converged(self, where: str, *, again: bool = True) -> None:
        """Right routes, none doubled, none orphaned, the rest untouched; with `again`, a further `up --refresh` agrees."""
        ours, others = self._split()
        wanted = Counter(self.addresses().values())
        found = Counter(row["Email"] for row in ours["routes"])
        problems = self._touched(others)
        problems += _differences("route", wanted, found)
        problems += [f"{row['Email']} does not lead home" for row in ours["routes"] if not self._leads_home(row)]
        outputs = self.stack.outputs()
        expected = Counter(_record(record) for record in outputs["expectedRecords"])
        problems += _differences("record", expected, Counter(_record(row) for row in ours["records"]))
        problems += [f"{row['Email']} is {row['Status']}" for row in ours["senders"] if row["Status"] != "Active"]
        if not any(row["Email"] == f"*@{DOMAIN}" for row in ours["senders"]):
            problems.append(f"no sender *@{DOMAIN}")
        if len(ours["tunnels"]) != 1:
            problems.append(f"{len(ours['tunnels'])} tunnels")
        if outputs["mailboxCount"] != sum(wanted.values()):
            problems.append(f"{outputs['mailboxCount']} mailboxes in the outputs")
        if problems:
            raise ChaosError(where, problems)
        if not again:
            return
        agreed = self.stack.up("--refresh", "--expect-no-changes", "--suppress-outputs", check=False)
        if agreed.code != 0:
            raise ChaosError(where, ["state and reality differ"], agreed.text)
        if self._split() != (ours, others):
            raise ChaosError(where, ["an up without changes changed something"], agreed.text)

    def require_empty(self, where: str) -> None:
        """After a destroy: nothing of the stack anywhere, the rest untouched."""
        ours, others = self._split()
        problems = self._touched(others)
        problems += [f"{len(rows)} {kind} left, such as {_named(rows[0])}" for kind, rows in ours.items() if rows]
        problems += [f"{resource['urn']} is left in the state" for resource in self.resources()]
        if problems:
            raise ChaosError(where, problems)

    def _touched(self, others: dict[str, list[dict[str, Any]]]) -> list[str]:
        return [
            f"{kind} of somebody else changed: {_named(row)}"
            for kind, rows in self.untouched.items()
            for row in [
                *(row for row in rows if row not in others[kind]),
                *(row for row in others[kind] if row not in rows),
            ]
        ]

    def switch(self, **switches: object) -> None:
        """Change how the emulated Mailjet answers."""
        requests.put(self.emulators.control("mailjet", "switches"), json=switches, timeout=10).raise_for_status()

    # What a person would do

    def adopt(self, *options: str) -> Finished:
        """`./mail adopt STACK`: our records that the state has lost, imported (or, with `--discard`, deleted)."""
        words = [ROOT / "mail", "adopt", self.stack.name, "-C", self.stack.folder, "--yes", *options]
        return run(words, env=self.stack.environment, check=True)

    @contextmanager
    def changed(self, mailboxes: int) -> Iterator[None]:
        """A stack of so many mailboxes stands; until the block ends it wants every route to have another password, and
        a tenth of the agents to be others."""
        self.stack.up("--suppress-outputs")
        before = self.stack.environment
        self.stack.environment = before | {"MAILJET_INBOUND_SECRET": f"Changed{self.secret[7:]}"}
        write_population(self.population, mailboxes, first=mailboxes // 10)
        try:
            yield
        finally:
            self.stack.environment = before
            write_population(self.population, mailboxes)

    def cancel(self) -> Finished:
        """Remove the lock of a run that is dead."""
        return self.stack.pulumi("cancel", self.stack.name, "--yes")

    def lost(self) -> list[str]:
        """Records and tunnels of ours that the state does not know: made, but not written down before a kill."""
        known = {resource.get("id") for resource in self.resources()}
        ours = self.ours()
        return [_named(row) for row in (*ours["records"], *ours["tunnels"]) if row["id"] not in known]

    def up_after_a_kill(self) -> int:
        """`up`; where records or a tunnel were lost, it is refused with a sentence, and `adopt` comes before it.
        Returns how many were."""
        lost = self.lost()
        if lost:
            refused = self.stack.preview("--suppress-outputs", check=False)
            if refused.code == 0 or f"./mail adopt {self.stack.name}" not in " ".join(refused.text.split()):
                raise ChaosError("a preview after a kill", [f"it does not speak of {lost[0]}"], refused.text)
            self.adopt()
        self.stack.up("--suppress-outputs")
        return len(lost)

    def destroy_with_discard(self) -> int:
        """`destroy`, which leaves nothing at Mailjet. Records and a tunnel that the killed run had made and not yet
        recorded carry our mark: `adopt --discard` deletes them. Returns how many they were."""
        self.stack.destroy()
        left = self.ours()
        lost = len(left["records"]) + len(left["tunnels"])
        if lost:
            self.adopt("--discard")
        return lost


def _differences(noun: str, wanted: Counter[Any], found: Counter[Any]) -> list[str]:
    """Missing, orphaned and doubled ones, each with an example."""
    missing, spare = sorted((wanted - found).elements()), sorted((found - wanted).elements())
    told = ((missing, "missing"), ([one for one in spare if one not in wanted], "orphaned"))
    doubled = [one for one in spare if one in wanted]
    return [f"{len(ones)} {noun}s {what}, such as {ones[0]}" for ones, what in (*told, (doubled, "doubled")) if ones]


def _record(row: dict[str, Any]) -> tuple[str, str, str]:
    return row["type"], row["name"], row["content"]


def _named(row: dict[str, Any]) -> str:
    return str(row.get("Email") or row.get("EventType") or f"{row.get('type', 'tunnel')} {row['name']}")
