"""A stack whose secrets are encrypted with the key of a cloud (docs/environments.md), here a KMS on loopback."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.e2e.stack import Emulators, Finished, Stack, mail, state_file
from tests.state_servers import KmsKey


@pytest.fixture(scope="module")
def stack(emulators: Emulators, tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """With a passphrase, and up."""
    made = Stack.create(tmp_path_factory.mktemp("kms"), replace(emulators, key=None))
    secret = emulators.credentials["MAILJET_API_SECRET"]
    made.pulumi("config", "set", "--secret", "--stack", "dev", "mailjetApiSecret", secret)
    made.up()
    return made


def status(stack: Stack, *, check: bool = True, **changed: str) -> Finished:
    return mail("status", "dev", "-C", stack.folder, env=stack.environment | changed, check=check)


class TestScenario:
    """The tests of this class build on each other, in order."""

    def test_from_a_passphrase_to_a_key(self, stack: Stack, key: KmsKey) -> None:
        before = stack.outputs()
        stack.environment |= dict(key.environment)
        stack.pulumi("stack", "change-secrets-provider", key.url, "--stack", "dev")
        del stack.environment["PULUMI_CONFIG_PASSPHRASE"]
        assert "encryptionsalt" not in stack.config_file.read_text()
        assert stack.outputs() == before
        stack.up("--expect-no-changes")
        deployment = json.loads(state_file(stack.folder).read_text())["checkpoint"]["latest"]
        assert deployment["secrets_providers"]["type"] == "cloud"

    def test_everything_is_read_with_it(self, stack: Stack) -> None:
        assert "Mailboxes  " in status(stack).out
        found = mail("env", "check", "dev", "-C", stack.folder, env=stack.environment)
        assert "0 errors" in found.out

    def test_one_that_does_not_answer_is_a_sentence(self, stack: Stack) -> None:
        done = status(stack, check=False, AWS_ENDPOINT_URL_KMS="http://127.0.0.1:9")
        assert done.code == 1
        assert "the key for the secrets of 'dev' cannot be used (connection refused)" in done.err

    def test_so_is_one_that_is_asked_by_nobody(self, stack: Stack) -> None:
        without = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_EC2_METADATA_DISABLED": "true"}
        done = status(stack, check=False, **without)
        assert done.code == 1
        assert "the key for the secrets of 'dev' is asked without credentials" in done.err

    def test_and_back(self, stack: Stack, key: KmsKey) -> None:
        stack.environment["PULUMI_CONFIG_PASSPHRASE"] = "another passphrase of the tests"
        stack.pulumi("stack", "change-secrets-provider", "passphrase", "--stack", "dev")
        for name in dict(key.environment):
            del stack.environment[name]
        assert "encryptionsalt" in stack.config_file.read_text()
        assert "secretsprovider" not in stack.config_file.read_text()
        stack.up("--expect-no-changes")
