"""Every way to name a stack is seen, and what could be one is taken for one."""

from __future__ import annotations

import pytest

from engine.arguments import asks_for_debug_messages, log_level, secrets_provider, stacks_named, values, words


@pytest.mark.parametrize(
    ("arguments", "stacks"),
    [
        (["up", "--stack", "prod"], ["prod"]),
        (["--stack=prod", "up"], ["prod"]),
        (["up", "-s", "prod"], ["prod"]),
        (["up", "-sprod"], ["prod"]),
        (["up", "-s=prod"], ["prod"]),
        (["up", "-ys", "prod"], ["prod"]),
        (["up", "-yfsprod"], ["prod"]),
        (["up", "-s", "dev", "--stack", "prod"], ["dev", "prod"]),
        (["config", "set", "-s", "prod", "--secret", "k", "v"], ["prod"]),
        (["config", "cp", "--stack", "dev", "--dest", "prod"], ["dev", "prod"]),
        (["config", "cp", "-s", "dev", "-d", "prod"], ["dev", "prod"]),
        (["stack", "init", "prod"], ["prod"]),
        (["stack", "new", "--no-select", "prod"], ["prod"]),
        (["-C", "x", "stack", "select", "-c", "prod"], ["prod"]),
        (["stack", "select", "-cs", "prod"], ["prod"]),
        (["stack", "init", "--secrets-provider", "awskms://key", "org/agentmail/prod"], ["org/agentmail/prod"]),
        (["stack", "init", "--", "prod"], ["prod"]),
        (["stack", "rm", "prod", "--yes"], ["prod"]),
        (["--some-new-option", "x", "stack", "init", "prod"], ["prod"]),
        (["stack", "output", "mailboxes"], []),
        (["up", "-Cstacks", "-m", "notes"], []),
        (["up"], []),
        ([], []),
    ],
)
def test_the_stacks_that_a_command_names(arguments: list[str], stacks: list[str]) -> None:
    assert stacks_named(arguments) == stacks


@pytest.mark.parametrize(
    ("arguments", "provider"),
    [
        (["stack", "init", "prod"], ""),
        (["stack", "init", "prod", "--secrets-provider=passphrase"], ""),
        (["stack", "init", "prod", "--secrets-provider", "awskms://alias/x"], "awskms://alias/x"),
        (["stack", "change-secrets-provider", "gcpkms://x"], "gcpkms://x"),
    ],
)
def test_the_secrets_provider(arguments: list[str], provider: str) -> None:
    assert secrets_provider(arguments) == provider


def test_after_two_dashes_nothing_is_an_option() -> None:
    assert values(["config", "set", "k", "--", "--stack", "prod"], "--stack", "s") == []
    assert words(["config", "set", "k", "--", "--stack"]) == ["config", "set", "k", "--stack"]


@pytest.mark.parametrize(
    ("arguments", "spoken"),
    [
        (["--stack", "dev", "up"], ["up"]),
        (["config", "-js", "dev", "get", "x"], ["config", "get", "x"]),
        (["config", "--config-file", "f", "--json"], ["config"]),
    ],
)
def test_the_words_among_the_arguments(arguments: list[str], spoken: list[str]) -> None:
    assert words(arguments) == spoken


@pytest.mark.parametrize("arguments", [["up", "--debug"], ["-C", "x", "preview", "-d"], ["up", "-yd"], ["up", "-v=9"]])
def test_who_asks_for_debug_messages(arguments: list[str]) -> None:
    assert asks_for_debug_messages(arguments)


@pytest.mark.parametrize(
    "arguments",
    [["up"], ["up", "--debug=false"], ["up", "--", "--debug"], ["config", "cp", "-d", "x"], ["about", "-d"]],
)
def test_who_does_not_ask_for_debug_messages(arguments: list[str]) -> None:
    assert not asks_for_debug_messages(arguments)


@pytest.mark.parametrize(
    ("arguments", "level"),
    [(["up", "-v=9"], 9), (["up", "-v9"], 9), (["--verbose", "3", "up"], 3), (["up", "--verbose=11"], 11), (["up"], 0)],
)
def test_how_much_the_engine_logs(arguments: list[str], level: int) -> None:
    assert log_level(arguments) == level
