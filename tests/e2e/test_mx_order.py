"""The MX of a domain in use changes hands only when mail is taken at the other end; also in an `up` that fails."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import requests

from tests.e2e.adoption import adopt, put_there
from tests.e2e.stack import Emulators, Stack

DOMAIN = "dev.agents.example"
OLD = {"type": "MX", "name": DOMAIN, "content": "mx1.corp.example", "priority": 25, "ttl": 300}
BACKUP = {**OLD, "content": "mx2.corp.example", "priority": 50}


@pytest.fixture
def stack(emulators: Emulators, tmp_path: Path) -> Stack:
    """Three agents on a domain that somebody's mail goes to; its owner has agreed to give it up."""
    emulators.reset()
    stack = Stack.create(tmp_path, emulators)
    put_there(emulators, OLD, BACKUP)
    adopt(stack, "--replace-mx", "--yes")
    emulators.forget_requests()
    return stack


def switch(emulators: Emulators, **switches: Any) -> None:
    requests.put(emulators.control("mailjet", "switches"), json=switches, timeout=10).raise_for_status()


def exchanges(emulators: Emulators) -> dict[str, int]:
    """MX host -> preference at the domain."""
    return {r["content"]: r["priority"] for r in emulators.records() if (r["name"], r["type"]) == (DOMAIN, "MX")}


def writes(emulators: Emulators) -> list[str]:
    """`METHOD path` of every write on both sides, in the order of time."""
    log = [
        entry
        for side in ("cloudflare", "mailjet")
        for entry in requests.get(emulators.control(side, "requests"), timeout=10).json()["requests"]
        if entry["method"] != "GET"
    ]
    return [f"{entry['method']} {entry['path']}" for entry in sorted(log, key=lambda entry: float(entry["at"]))]


def test_a_domain_that_is_never_verified_keeps_its_mail(stack: Stack, emulators: Emulators) -> None:
    switch(emulators, dns_lag=1000)
    stack.configure(verificationTimeoutSeconds=2)
    assert stack.up(check=False).code != 0
    assert exchanges(emulators) == {"mx1.corp.example": 25, "mx2.corp.example": 50}

    switch(emulators, dns_lag=0)
    stack.up()
    assert list(exchanges(emulators)) == ["parse.mailjet.com"]
    assert stack.preview("--expect-no-changes").code == 0


def test_so_does_one_whose_routes_are_refused(stack: Stack, emulators: Emulators) -> None:
    switch(emulators, parse_in_plan=False)
    assert stack.up(check=False).code != 0
    assert exchanges(emulators) == {"mx1.corp.example": 25, "mx2.corp.example": 50}


def test_and_one_whose_way_to_the_platform_is_refused(stack: Stack, emulators: Emulators) -> None:
    emulators.faults("cloudflare", rules=[{"method": "PUT", "path": "*/configurations", "kind": "404"}])
    assert stack.up(check=False).code != 0
    emulators.faults("cloudflare", rules=[])
    assert exchanges(emulators) == {"mx1.corp.example": 25, "mx2.corp.example": 50}


def test_an_old_one_that_cannot_be_deleted_stays_the_better_one(stack: Stack, emulators: Emulators) -> None:
    emulators.faults("cloudflare", rules=[{"method": "DELETE", "path": "*/dns_records/*", "kind": "404"}])
    assert stack.up(check=False).code != 0
    emulators.faults("cloudflare", rules=[])
    assert exchanges(emulators) == {"mx1.corp.example": 25, "mx2.corp.example": 50, "parse.mailjet.com": 60}
    stack.up()
    assert exchanges(emulators) == {"parse.mailjet.com": 60}


def test_the_mx_is_written_last_and_leaves_first(stack: Stack, emulators: Emulators) -> None:
    stack.up()
    done = writes(emulators)
    [*_, published] = [at for at, line in enumerate(done) if line.startswith("POST") and "dns_records" in line]
    routed = max(at for at, line in enumerate(done) if line.startswith("POST") and "parseroute" in line)
    given_up = [at for at, line in enumerate(done) if line.startswith("DELETE") and "dns_records" in line]
    assert routed < published < min(given_up)
    assert len(given_up) == 2

    [ours] = [record["id"] for record in emulators.records() if record["type"] == "MX" and record["name"] == DOMAIN]
    emulators.forget_requests()
    stack.destroy()
    undone = writes(emulators)
    [closed] = [at for at, line in enumerate(undone) if line.startswith("DELETE") and ours in line]
    assert closed < min(at for at, line in enumerate(undone) if line.startswith("DELETE") and "parseroute" in line)


def test_nor_does_an_up_that_goes_on_after_errors_give_mail_up(stack: Stack, emulators: Emulators) -> None:
    switch(emulators, dns_lag=1000)
    stack.configure(verificationTimeoutSeconds=2)
    assert stack.up("--continue-on-error", check=False).code != 0
    assert exchanges(emulators) == {"mx1.corp.example": 25, "mx2.corp.example": 50}


class TestWildcard:
    """The domain has no MX of its own, but mail."""

    @pytest.fixture
    def stack(self, emulators: Emulators, tmp_path: Path) -> Stack:
        emulators.reset()
        stack = Stack.create(tmp_path, emulators)
        stack.configure(populations=[])
        put_there(emulators, {**OLD, "name": "*.agents.example"})
        emulators.forget_requests()
        return stack

    def test_its_mail_moves_with_consent_and_in_the_same_order(self, stack: Stack, emulators: Emulators) -> None:
        refused = stack.up(check=False)
        assert "mail for the domain goes there today" in " ".join(refused.text.split())
        assert emulators.writes == 0
        assert "takes the mail of dev.agents.example today and loses it to ours" in adopt(stack, "--yes").out
        assert emulators.writes == 0

        adopt(stack, "--replace-mx", "--yes")
        assert exchanges(emulators) == {"mx1.corp.example": 25}
        switch(emulators, dns_lag=1000)
        stack.configure(verificationTimeoutSeconds=2)
        stack.up(check=False)
        assert exchanges(emulators) == {"mx1.corp.example": 25}
        switch(emulators, dns_lag=0)
        stack.up()
        assert list(exchanges(emulators)) == ["parse.mailjet.com"]
        assert [r["content"] for r in emulators.records() if r["name"] == "*.agents.example"] == ["mx1.corp.example"]
