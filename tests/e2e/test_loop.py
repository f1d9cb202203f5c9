"""The closed loop over the embedded default, as `make demo` runs it."""

from __future__ import annotations

import json
import shutil
import socket
from pathlib import Path

import pytest

from azmail import InboxClient
from tests.e2e.stack import ROOT, Emulators, Finished, Stack, mail


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@pytest.fixture(scope="module")
def stack(emulators: Emulators, tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """A stack of three agents, whose platform is not there."""
    folder = tmp_path_factory.mktemp("loop")
    shutil.copy(ROOT / "tests/fixtures/population-3.json", folder / "population.json")
    stack = Stack.create(folder / "project", emulators)
    stack.configure(
        populations=[{"file": str(folder / "population.json"), "createdAt": "20241005123045"}],
        tunnelService=f"http://127.0.0.1:{free_port()}",
    )
    stack.up()
    return stack


def demo(stack: Stack, *options: str | Path, check: bool = True) -> Finished:
    words: tuple[str | Path, ...] = (
        "demo",
        stack.name,
        "-C",
        stack.folder,
        "--state-dir",
        stack.emulators.folder,
        *options,
    )
    return mail(*words, env=stack.environment, check=check)


def test_mail_goes_round(stack: Stack) -> None:
    done = demo(stack)
    assert done.out.endswith("The loop is closed: sent, signed, routed, delivered, kept, read and answered.\n")
    assert [line.split(".")[0] for line in done.out.splitlines() if line[:1].isdigit()] == ["1", "2", "3", "4", "5"]
    for shown in ("Subject: Exposición de arte", "¿Vienes?", "got   Re: Exposición de arte: Sí, nos vemos."):
        assert f"     {shown}" in done.out, "what was written and what arrived"
    password = stack.outputs()["platformEnv"]["MAILJET_INBOUND_SECRET"]
    assert password
    assert password not in done.text


def test_the_mails_can_be_read_and_written(stack: Stack) -> None:
    where = ("--stack", stack.name, "-C", stack.folder, "--state-dir", stack.emulators.folder)
    agents = json.loads(mail("agents", "list", "--json", *where[:4], env=stack.environment).out)
    assert len(agents) == 3
    assert all(agent["is_up"] and agent["name"] and "@" in agent["address"] for agent in agents)
    writer, reader = agents[0], agents[1]
    for who in (writer["id"], writer["name"].upper(), writer["address"]):
        shown = json.loads(mail("agents", "show", who, "--json", *where[:4], env=stack.environment).out)
        assert shown == writer
    sent = mail(
        "send", "--from", writer["name"], "--to", reader["id"], "--subject", "Pregunta", "--text", "-", *where,
        env=stack.environment, stdin="¿Cuándo?\x1b[31m\n",
    ).out  # fmt: skip
    assert f"Sent from {writer['address']} to {reader['address']}" in sent
    assert "\x1b" not in sent, "a mail does not steer the terminal"
    lines = mail("messages", "--json", "--agent", reader["address"], *where, env=stack.environment).out.splitlines()
    assert json.loads(lines[-1])["subject"] == "Pregunta"
    assert "¿Cuándo?" in json.loads(lines[-1])["text"]
    unknown = mail("send", "--from", "Nobody Here", *where, env=stack.environment, check=False)
    assert (unknown.code, unknown.err.count("Traceback")) == (1, 0)
    assert "No agent of stack 'dev' has the id, name or address 'Nobody Here'" in unknown.err


def test_a_real_stacks_mails_are_those_of_its_inbox(stack: Stack) -> None:
    """As from beside the platform: with the platform's credential all, and sent by the inbox as the agent itself."""
    stack.start_gateway()
    where = ("--stack", stack.name, "-C", stack.folder)
    writer, reader = json.loads(mail("agents", "list", "--json", *where, env=stack.environment).out)[:2]
    login = json.loads(
        mail("agents", "show", reader["id"], "--json", "--show-secrets", *where, env=stack.environment).out
    )
    url = login["inbox_url"]
    with InboxClient(url, reader["id"], login["inbox_password"]) as inbox:
        cursor = inbox.mailbox()["cursor"]
        words = ("--from", writer["address"], "--to", reader["id"], "--subject", "Por el buzón", "--inbox", url)
        sent = mail("send", *words, *where, env=stack.environment).out
        assert f"Sent from {writer['address']} to {reader['address']}: custom id " in sent
        came = inbox.wait_for(subject="Por el buzón", seconds=30, cursor=cursor)
    listed = mail("messages", "--json", "--agent", reader["name"], "--inbox", url, *where, env=stack.environment).out
    assert json.loads(listed.splitlines()[-1])["id"] == came["id"]
    shown = mail("messages", "--inbox", url, *where, env=stack.environment).out
    assert f"{writer['address']} -> {reader['address']}  [sent]\n    Por el buzón" in shown
    assert f"{writer['address']} -> {reader['address']}  [new]\n    Por el buzón" in shown


def test_a_platform_that_expects_another_secret_hears_nothing(stack: Stack) -> None:
    """The failure is told: the loop does not pass when deliveries are refused."""
    routes = stack.emulators.routes()
    changed = routes[0]["Url"].replace(":", ":x", 2).replace("https:x", "https:")
    for route in routes:
        stack.emulators.mailjet("PUT", f"/v3/REST/parseroute/{route['ID']}", json={"Url": changed})
    done = demo(stack, "--patience", "3", check=False)
    assert done.code == 1
    assert "did not arrive within 3 seconds" in done.err
    assert "Traceback" not in done.text
