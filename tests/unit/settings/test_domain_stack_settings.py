"""Configuration of a stack on another stack's domain."""

from __future__ import annotations

from typing import Any

import pytest

from settings.loading import SettingsError, from_config
from settings.model import Settings

SECRETS = {"mailjetApiKey": "k" * 32, "mailjetApiSecret": "s" * 32, "webhookSecret": "w" * 32}


def load(**config: Any) -> Settings:
    return from_config({**SECRETS, "domainStack": "dev", **config}, stack="second", preview=False)


def problems(**config: Any) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load(**config)
    return caught.value.problems


@pytest.mark.parametrize("name", ["dev", "organization/agentmail/dev"])
def test_it_needs_neither_a_domain_nor_a_zone_nor_a_cloudflare_token(name: str) -> None:
    found = load(domainStack=name)
    assert (found.domain_stack, found.domain) == (name, "")


def test_what_the_owner_of_the_domain_decides_is_refused_here_all_at_once() -> None:
    found = problems(domain="dev.agents.example", zoneName="agents.example", mailjetEvents='["bounce"]')
    assert [problem.split(" is set beside")[0] for problem in found] == [
        "agentmail:domain",
        "agentmail:zoneName",
        "agentmail:mailjetEvents",
    ]
    assert all("remove it with: ./mail pulumi config rm --stack " in problem for problem in found)


def test_it_is_never_the_stack_itself() -> None:
    [problem] = problems(domainStack="second")
    assert "this very stack" in problem


@pytest.mark.parametrize("name", ["a/b", "a b", "/dev", "https://app.example/dev"])
def test_other_forms_are_refused(name: str) -> None:
    [problem] = problems(domainStack=name)
    assert problem.startswith("agentmail:domainStack is not valid")


def test_without_either_the_domain_is_missing_whatever_else_is_wrong() -> None:
    found = problems(domainStack="", ttl="1")
    assert any(problem.startswith("agentmail:domain is not set") for problem in found)
    assert any(problem.startswith("agentmail:ttl") for problem in found)
