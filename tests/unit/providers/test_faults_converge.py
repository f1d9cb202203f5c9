"""A fifth of all calls fails in every way at once; runs that are repeated while they fail reach the right end.

The full sizes (thousands of mailboxes, many seeds, kills) run against the real engine in tests/chaos.
"""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from clients.mailjet.errors import MailjetError
from providers.mailjet.account import account_digest
from providers.mailjet.address_book import AddressBookProvider
from providers.mailjet.inbound_routes import InboundRoutesProvider
from providers.mailjet.plugin import PluginProcess
from tests.unit.providers.emulated import API_KEY, API_SECRET, DOMAIN, Mailjet, recorded

URL = "https://agentmail-dev:s3cretpassword@hooks.agents.example/inbound"
ROTATED = "https://agentmail-dev:0therpassword@hooks.agents.example/inbound"
IDENTITY = "https://agentmail-dev@hooks.agents.example/inbound"
THEIRS = "https://agentmail-prod:theirpassword@hooks.agents.example/inbound"
KINDS = ("429", "500", "503", "500-after", "reset-before", "reset-after")
BOX = {f"agent-{n:03}": f"box{n}@{DOMAIN}" for n in range(120)}
OTHERS = [f"other{n}@{DOMAIN}" for n in range(10)]


def rows(kinds: tuple[str, ...], share: float) -> list[dict[str, object]]:
    """Rules that together fail `share` of the calls."""
    rules, left = [], share
    each = share / len(kinds)
    for kind in kinds:
        rules.append({"method": "*", "path": "/v3/*", "kind": kind, "probability": each / (1 - (share - left))})
        left -= each
    return rules


class Runs:
    """`up`, repeated until it succeeds, each time in a new process."""

    def __init__(self, next_run: Any) -> None:
        self._next_run = next_run
        self.failures: list[str] = []

    def until_done(self, step: Any) -> Any:
        for _ in range(20):
            self._next_run()
            try:
                return step()
            except MailjetError as error:
                self.failures.append(str(error))
        raise AssertionError(self.failures[-1])


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_up_rotate_withdraw_and_destroy_converge(
    mailjet: Mailjet, process: PluginProcess, next_run: Any, seed: int
) -> None:
    mailjet.switch(route_needs_verified_domain=False)
    for address in OTHERS:
        mailjet.add_route(address, THEIRS)
    mailjet.faults(*rows(KINDS, 0.2), seed=seed)
    routes, book, runs = InboundRoutesProvider(), AddressBookProvider(), Runs(next_run)
    agents = list(BOX)
    buckets = [{agent: BOX[agent] for agent in agents[number::4]} for number in range(4)]

    def inputs(bucket: dict[str, str], url: str) -> dict[str, Any]:
        return {"routes": json.dumps(bucket), "route_url": url, "take_over": False}

    def in_book(boxes: dict[str, str]) -> dict[str, Any]:
        account = account_digest(process.settings)
        return {"addresses": json.dumps(boxes), "route_identity": IDENTITY, "account": account}

    for bucket in buckets:
        runs.until_done(lambda bucket=bucket: routes.create(inputs(bucket, URL)))
    mailjet.faults()
    theirs = dict.fromkeys(OTHERS, THEIRS)
    assert mailjet.routes() == dict.fromkeys(BOX.values(), URL) | theirs

    mailjet.faults(*rows(KINDS, 0.2), seed=seed + 100)
    fewer = {agent: address for agent, address in BOX.items() if not agent.endswith("7")}
    runs.until_done(lambda: book.update("id", recorded(in_book(BOX)), in_book(fewer)))
    for bucket in buckets:
        kept = {agent: address for agent, address in bucket.items() if agent in fewer}
        olds, news = recorded(inputs(bucket, URL)), inputs(kept, ROTATED)
        runs.until_done(lambda olds=olds, news=news: routes.update("id", olds, news))
    mailjet.faults()
    assert mailjet.routes() == dict.fromkeys(fewer.values(), ROTATED) | theirs

    mailjet.faults(*rows(KINDS, 0.2), seed=seed + 200)
    runs.until_done(lambda: routes.delete("id", recorded(inputs(buckets[0], ROTATED))))
    runs.until_done(lambda: book.delete("id", recorded(in_book(fewer))))
    mailjet.faults()
    assert mailjet.routes() == theirs


@pytest.mark.slow
def test_no_secret_in_logs_and_errors_of_failing_runs(
    mailjet: Mailjet, process: PluginProcess, next_run: Any, caplog: pytest.LogCaptureFixture
) -> None:
    mailjet.switch(route_needs_verified_domain=False)
    mailjet.faults(*rows((*KINDS, "404"), 0.8), seed=4)
    caplog.set_level(logging.DEBUG)
    errors = []
    for _ in range(3):
        next_run()
        try:
            InboundRoutesProvider().create({"routes": json.dumps(BOX), "route_url": URL, "take_over": False})
        except MailjetError as error:
            errors.append(str(error) + repr(error))
    mailjet.faults()
    told = caplog.text + "".join(errors)
    assert "POST /v3/REST/parseroute" in told
    for secret in (API_KEY, API_SECRET, "s3cretpassword", "czNjcmV0cGFzc3dvcm"):
        assert secret not in told
