"""The gateway on a standing stack: switched on and off by an ordinary up, and the account's key nowhere but in its file."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from azmail import MailStack
from azmail.contract import Mailbox, expand_mailboxes
from azmail.dotenv import render_env
from azmail.errors import SenderRefusedError
from azmail.mail import MailAddress, OutgoingMail
from azmail.smtp import SmtpTransport
from commands.embedded_mail import ca_file
from tests.e2e.stack import ROOT, Emulators, Stack
from tests.e2e.test_secrets import assert_clean, assert_no_argument_shows, forms

POPULATION = ROOT / "tests" / "fixtures" / "population-3.json"


@pytest.fixture(scope="module")
def stack(emulators: Emulators, tmp_path_factory: pytest.TempPathFactory) -> Stack:
    made = Stack.create(tmp_path_factory.mktemp("gateway") / "project", emulators, population=POPULATION)
    made.configure(populations=[{"file": str(POPULATION), "createdAt": "20241005123045"}], inboxService=None)
    return made


@cache
def gateway_keys(stack_file: Path) -> dict[str, Any]:
    """What a stack with a gateway has in its configuration file, and one without has not."""
    config = yaml.safe_load(stack_file.read_text())["config"]
    return {name: value for name, value in config.items() if name.startswith("agentmail:gateway")}


def through_mailjet(stack: Stack) -> None:
    stack.configure(**dict.fromkeys(gateway_keys(stack.config_file)), submission="mailjet")


def through_the_gateway(stack: Stack) -> None:
    stack.configure(**gateway_keys(stack.config_file), submission="gateway")


def boxes(outputs: dict[str, Any]) -> list[Mailbox]:
    return list(expand_mailboxes(outputs["mailboxes"]))


def send(emulators: Emulators, mailbox: Mailbox, subject: str, *, sender: str = "") -> None:
    with SmtpTransport.of(mailbox, ca_file=ca_file(mailbox, emulators.status)) as transport:
        transport.send(
            OutgoingMail(to=["x@y.example"], subject=subject, text="t"), MailAddress(sender or mailbox.address)
        )


def sent(emulators: Emulators) -> list[str]:
    outbox = requests.get(emulators.control("mailjet", "outbox"), timeout=20).json()
    return [one["subject"] for one in outbox["messages"]]


def test_from_the_account_to_the_gateway_and_back(stack: Stack, emulators: Emulators) -> None:
    secret = emulators.credentials["MAILJET_API_SECRET"]
    through_mailjet(stack)
    stack.up()
    outputs = stack.outputs()
    accounts = boxes(outputs)
    assert {one.smtp_password for one in accounts} == {secret}
    assert outputs["gatewayEnv"] == ""

    through_the_gateway(stack)
    emulators.forget_requests()
    stack.up()
    assert emulators.writes == 0
    stack.start_gateway()
    own = boxes(stack.outputs())
    assert [one.address for one in own] == [one.address for one in accounts]
    assert len({one.smtp_password for one in own} | {secret}) == len(own) + 1
    send(emulators, own[0], "by the gateway")
    with pytest.raises(SenderRefusedError):
        send(emulators, own[0], "as another", sender=own[1].address)
    # Until the platform has loaded the outputs anew its agents go on as they did: Mailjet still knows the account.
    send(emulators, accounts[0], "as before")

    through_mailjet(stack)
    emulators.forget_requests()
    stack.up()
    assert emulators.writes == 0
    again = stack.outputs()
    assert [one.smtp_password for one in boxes(again)] == [secret] * len(own)
    assert again["gatewayEnv"] == ""
    send(emulators, boxes(again)[0], "by the account")
    # The gateway still has its file: an agent's own login is good until that is taken away.
    send(emulators, own[0], "late")
    assert [
        one for one in sent(emulators) if one in ("by the gateway", "as another", "as before", "by the account", "late")
    ] == [
        "by the gateway",
        "as before",
        "by the account",
        "late",
    ]


def test_the_accounts_key_is_nowhere_but_in_the_gateways_file(stack: Stack, emulators: Emulators) -> None:
    """After mail has gone out and a login was refused: outputs in plain text, the platform's .env, state, logs, process list."""
    through_the_gateway(stack)
    stack.up()
    stack.start_gateway()
    outputs = stack.outputs()
    own = boxes(outputs)
    send(emulators, own[0], "searched for")
    secrets = {
        name: form
        for name, form in forms(emulators.credentials).items()
        if name.startswith(("MAILJET_API_SECRET", "AGENTMAIL_GATEWAY_ROOTS"))
    }
    gateway = outputs.pop("gatewayEnv")
    assert emulators.credentials["MAILJET_API_SECRET"] in gateway
    for name, value in outputs.items():
        assert_clean(value if isinstance(value, str) else json.dumps(value), secrets, f"the output {name}")
    assert_clean(json.dumps([one.model_dump(mode="json") for one in own]), secrets, "the mailboxes, unpacked")
    assert_clean(render_env(MailStack(outputs | {"gatewayEnv": ""}).platform_env), secrets, "the platform's .env")
    for where, text in written(emulators).items():
        assert_clean(text, secrets, where)
    assert_no_argument_shows(secrets)
    for file in stack.folder.rglob("*"):
        if file.is_file() and not file.is_symlink():
            assert_clean(file.read_text(errors="replace"), secrets, str(file))


def written(emulators: Emulators) -> dict[str, str]:
    """What the emulators and the gateway beside them have logged, and all that the gateway keeps but the file that it is given."""
    file = Path(emulators.status["gateway"]["file"])
    files = [Path(emulators.status["state_dir"]) / "log", *(one for one in file.parent.rglob("*") if one.is_file())]
    return {str(one): one.read_text(errors="replace") for one in files if one != file}
