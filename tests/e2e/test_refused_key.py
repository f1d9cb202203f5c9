"""A key that Mailjet refuses: asked once, told once, whatever the run has 57 resources for."""

from __future__ import annotations

from tests.e2e.stack import Emulators, Finished, Stack, python

DEAD = "f" * 32


def assert_told_once(done: Finished, emulators: Emulators) -> None:
    assert done.code != 0
    assert "Traceback" not in done.text
    assert sum(emulators.counts("mailjet")["by"].values()) == 1
    told = done.text.split("Diagnostics:")[-1]
    assert told.count("rejected the API key or its secret") == 1, told
    others = told.count("agentmail: not tried, since Mailjet refuses the key")
    assert told.count("agentmail: ") == 1 + others, told
    assert DEAD not in done.text


def test_a_refused_key_is_asked_once_and_told_once(stack: Stack, emulators: Emulators) -> None:
    stack.up()
    again = ("--stack", stack.name, "--yes", "--skip-preview")
    for command in (("up", "--refresh"), ("refresh",), ("destroy", "--refresh")):
        emulators.forget_requests()
        done = stack.pulumi(*command, *again, check=False, MAILJET_API_SECRET=DEAD)
        assert_told_once(done, emulators)
        assert emulators.writes == 0
    emulators.forget_requests()
    assert_told_once(stack.preview("--refresh", check=False, MAILJET_API_SECRET=DEAD), emulators)
    # Nothing of the state was lost by it.
    stack.up("--refresh", "--expect-no-changes")
    # What is written fails with every route that was under way, and still has one reason.
    for written in ("up", "destroy"):
        emulators.forget_requests()
        done = stack.pulumi(written, *again, check=False, MAILJET_API_SECRET=DEAD, MAILJET_INBOUND_SECRET="r" * 32)
        assert_told_once(done, emulators)


def test_a_dead_key_in_the_state_is_told_with_what_mends_it(stack: Stack, emulators: Emulators) -> None:
    stack.up()
    alive = emulators.credentials["MAILJET_API_SECRET"]
    stack.pulumi("config", "set", "--secret", "mailjetApiSecret", DEAD, "--stack", stack.name)
    digest = python("-m", "commands", "preview", "dev", "--cwd", stack.folder, env=stack.environment)
    assert "mailjetApiSecret: not in the configuration -> a value" in digest.out
    assert DEAD not in digest.text
    before = stack.outputs()
    emulators.forget_requests()
    done = stack.up(check=False)  # changes nothing at Mailjet, and tries the key all the same
    assert_told_once(done, emulators)
    assert stack.outputs() == before, "the platform was given a key that Mailjet refuses"
    # The engine records the key before anything is asked: a refresh has nothing else.
    stack.pulumi("config", "set", "--secret", "mailjetApiSecret", alive, "--stack", stack.name)
    for refreshing in (stack.up, stack.preview):
        emulators.forget_requests()
        done = refreshing("--refresh", check=False)
        assert_told_once(done, emulators)
        sentence = " ".join(done.text.split())
        assert "A refresh uses the key that the last up recorded in the state" in sentence
        assert "`./mail apply dev`, without --refresh, records it" in sentence
    stack.up()
    stack.up("--refresh", "--expect-no-changes")
