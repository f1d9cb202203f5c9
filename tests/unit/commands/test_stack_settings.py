"""What every command refuses of a configuration, and what the doctor reads of the state's credentials."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, cast

import pytest

from commands.adopt.command import AdoptOptions, adopt
from commands.doctor.recorded import outdated, recorded_findings
from commands.stack_commands import Pulumi
from commands.stack_settings import read_settings
from settings.credentials import GATEWAY_ROOTS
from settings.loading import SECRET_KEYS, SettingsError
from tests.unit.commands.doctor.world import examined

CONFIG = {
    "agentmail:domain": "dev.agents.example",
    "agentmail:dns": "none",
    "agentmail:webhookUrl": "https://h.example/in",
}


class Configured:
    """`Pulumi` with a configuration of its own."""

    stack, environment = "dev", cast(dict[str, str], {})

    def __init__(self, entries: dict[str, dict[str, Any]]) -> None:
        self._entries = entries

    def entries(self) -> dict[str, dict[str, Any]]:
        return self._entries


def configured(key: str, *, secret: bool) -> Pulumi:
    entries = {name: {"value": value, "secret": False} for name, value in CONFIG.items()}
    value = f"r1:{'s3cret' * 7}A" if key == GATEWAY_ROOTS.key else "s3cret" * 6
    return cast(Pulumi, Configured(entries | {key: {"value": value, "secret": secret}}))


@pytest.mark.parametrize("key", SECRET_KEYS)
def test_a_secret_in_plain_text_is_refused_by_every_command(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_settings(configured(key, secret=True))[0].domain == "dev.agents.example"
    with pytest.raises(SettingsError, match=rf"{key} is stored in plain text.*--stack dev --secret {key}") as refused:
        read_settings(configured(key, secret=False))
    assert "s3cret" not in str(refused.value)
    monkeypatch.setattr("commands.adopt.command.Pulumi", lambda *_args, **_more: configured(key, secret=False))
    with pytest.raises(SettingsError, match="is stored in plain text"):
        adopt(AdoptOptions(stack="dev"))


def provider(kind: str, **inputs: object) -> dict[str, Any]:
    return {"type": f"pulumi:providers:{kind}", "inputs": inputs}


def secret(value: str) -> dict[str, str]:
    return {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "plaintext": json.dumps(value)}


TOKEN, KEY, SECRET = "cloudflare:apiToken", "agentmail:mailjetApiKey", "agentmail:mailjetApiSecret"


@pytest.mark.parametrize(
    ("resources", "config", "keys"),
    [
        ([], {TOKEN: "new"}, []),
        ([provider("cloudflare")], {}, []),
        ([provider("cloudflare", apiToken=secret("same"))], {TOKEN: "same"}, []),
        ([provider("cloudflare", apiToken="same")], {TOKEN: "same"}, []),
        ([provider("cloudflare", apiToken=secret("old"))], {TOKEN: "new"}, [TOKEN]),
        ([provider("cloudflare", apiToken=secret("old"))], {}, [TOKEN]),
        ([provider("cloudflare")], {TOKEN: "new"}, [TOKEN]),
        ([provider("cloudflare", apiToken=secret("old")), provider("cloudflare")], {TOKEN: "new"}, [TOKEN]),
        ([provider("pulumi-python", **{SECRET: secret("old"), KEY: secret("k")})], {SECRET: "new", KEY: "k"}, [SECRET]),
        ([provider("pulumi-python", **{SECRET: secret("o"), KEY: secret("l")})], {SECRET: "n", KEY: "k"}, [KEY, SECRET]),
        ([{"type": "pulumi:pulumi:Stack"}, provider("random", apiToken=secret("x"))], {TOKEN: "new"}, []),
    ],
)  # fmt: skip
def test_credentials_that_the_state_has_otherwise(
    resources: list[dict[str, Any]], config: dict[str, str], keys: list[str]
) -> None:
    found = outdated({"deployment": {"resources": resources}}, config)
    assert found == keys
    told = [finding.sentence for finding in recorded_findings("dev", found)]
    assert len(told) == bool(keys)
    assert not told or ("./mail apply dev" in told[0] and "--refresh" not in told[0])
    assert "old" not in " ".join(told).replace("the old one", "")


def test_a_state_without_resources() -> None:
    assert outdated({"deployment": None}, {TOKEN: "new"}) == []


def test_a_remedy_does_not_begin_with_what_would_fail() -> None:
    assert examined().again == "./mail apply dev --refresh"
    assert replace(examined(), outdated=[TOKEN]).again == "./mail apply dev && ./mail apply dev --refresh"
