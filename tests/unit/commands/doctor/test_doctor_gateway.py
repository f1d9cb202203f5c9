"""The doctor at the gateway: what it finds at a right one, at one with another stack's file, and at none."""

from __future__ import annotations

import dataclasses
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from azmail.contract import Mailbox
from azmail.gateway.credentials import Roots, new_root
from commands.doctor.finding import Status
from commands.doctor.gateway import gateway_findings, upstream_findings
from commands.doctor.stack import ExaminedStack
from emulators.embedded import EmbeddedMailjet
from settings.loading import from_config
from tests.unit.azmail.gateway.running import Running, write_config

A, B = "a.a.123.20250101120000@agents.example", "b.b.123.20250101120000@agents.example"
ROOT = new_root()


@pytest.fixture(scope="module")
def mailjet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedMailjet]:
    with EmbeddedMailjet(tmp_path_factory.mktemp("mailjet")) as running:
        yield running


@pytest.fixture(scope="module")
def gateway(mailjet: EmbeddedMailjet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("gateway")
    write_config(folder, mailjet, {"bot-a": A, "bot-b": B}, {"r1": ROOT})
    running = Running(folder, mailjet.ca_file)
    yield running
    assert running.end() == 0


def stack(
    port: int, mailjet: EmbeddedMailjet, *, root: str = ROOT, host: str = "127.0.0.1", key: str = ""
) -> ExaminedStack:
    settings = from_config(
        {
            "domain": "agents.example",
            "webhookUrl": "https://hooks.agents.example/in",
            "dns": "none",
            "submission": "gateway",
            "gatewayHost": host,
            "gatewayPort": str(port),
            "gatewayRoots": f"r1:{root}",
            "mailjetSmtpHost": "127.0.0.1",
            "mailjetSmtpPort": str(mailjet.submission_port),
            "mailjetApiKey": key or mailjet.api_key,
            "mailjetApiSecret": mailjet.api_secret,
        },
        stack="prod",
        preview=True,
    )
    roots = Roots({"r1": root}, domain="agents.example")
    boxes = [
        Mailbox(
            agent_id=agent, address=address, smtp_host=host, smtp_port=port, smtp_username=agent,
            smtp_password=roots.password(agent), inbound_url="", inbound_secret="",
        )
        for agent, address in (("bot-a", A), ("bot-b", B))
    ]  # fmt: skip
    return ExaminedStack(stack="prod", settings=settings, records=[], mailboxes=boxes)


def test_a_right_one(gateway: Running, mailjet: EmbeddedMailjet) -> None:
    before = len(mailjet.control.outbox())
    examined = stack(gateway.port, mailjet)
    found = list(gateway_findings(examined, ca_file=str(gateway.ca_file)))
    found += upstream_findings(examined, ca_file=str(mailjet.ca_file))
    assert [(item.check, item.status) for item in found] == [("gateway", Status.OK)] * 3 + [("upstream", Status.OK)]
    assert f"{A} as {B}" in {item.subject for item in found}
    assert len(mailjet.control.outbox()) == before, "the doctor only reads"


def test_another_stacks_file(gateway: Running, mailjet: EmbeddedMailjet) -> None:
    found = list(gateway_findings(stack(gateway.port, mailjet, root=new_root()), ca_file=str(gateway.ca_file)))
    assert [item.status for item in found] == [Status.OK, Status.ERROR]
    assert "refuses the agent's own login (535)" in found[1].sentence
    assert "./mail gateway file --stack prod" in found[1].sentence


def test_another_authority_and_none(gateway: Running, mailjet: EmbeddedMailjet, tmp_path: Path) -> None:
    wrong, *rest = gateway_findings(stack(gateway.port, mailjet), ca_file=str(mailjet.ca_file))
    assert wrong.status is Status.ERROR
    assert "not of the authority in --ca-file" in wrong.sentence
    assert [item.status for item in rest] == [Status.OK, Status.OK]
    unknown, *_ = gateway_findings(stack(gateway.port, mailjet), ca_file="")
    assert unknown.status is Status.WARNING


def test_nobody_there(mailjet: EmbeddedMailjet) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = int(taken.getsockname()[1])
    [near] = gateway_findings(stack(port, mailjet), ca_file="")
    assert (near.status, "start it with: ./mail up" in near.sentence) == (Status.ERROR, True)
    [far] = gateway_findings(stack(port, mailjet, host="gateway.invalid"), ca_file="")
    assert far.status is Status.WARNING
    [none] = gateway_findings(stack(port, mailjet), ca_file="", without_file=True)
    assert "has not been given its file" in none.sentence


def test_the_server_of_before(mailjet: EmbeddedMailjet) -> None:
    """Whatever else takes mail there: an agent's login is no login of Mailjet's."""
    found = list(gateway_findings(stack(mailjet.submission_port, mailjet), ca_file=str(mailjet.ca_file)))
    assert [item.status for item in found] == [Status.OK, Status.ERROR]


def test_an_account_that_mailjet_refuses(gateway: Running, mailjet: EmbeddedMailjet) -> None:
    [found] = upstream_findings(stack(gateway.port, mailjet, key="0" * 32), ca_file=str(mailjet.ca_file))
    assert found.status is Status.ERROR
    assert "Mailjet refuses the account" in found.sentence
    [unseen] = upstream_findings(stack(gateway.port, mailjet), ca_file="")
    assert unseen.status is Status.WARNING


def test_a_stack_without_a_gateway_has_nothing_to_look_at(mailjet: EmbeddedMailjet) -> None:
    examined = stack(1, mailjet)
    examined = dataclasses.replace(examined, settings=examined.settings.model_copy(update={"submission": "mailjet"}))
    assert list(gateway_findings(examined, ca_file="")) == []
    assert list(upstream_findings(examined, ca_file="")) == []
