"""Credentials as the state has recorded them: a refresh and a destroy ask with these, not with the configuration's.

A token that was rolled and revoked before an up has noted the new one makes every refresh fail, and with it every remedy
that begins with one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from commands.doctor.credentials import CREDENTIALS
from commands.doctor.finding import Finding
from commands.state_values import in_clear, resources
from mailboxes import remedies
from settings.credentials import API_TOKEN, MAILJET_KEY, MAILJET_SECRET

_RECORDED = {
    "pulumi:providers:cloudflare": {API_TOKEN.key: "apiToken"},
    "pulumi:providers:pulumi-python": {one.key: one.key for one in (MAILJET_KEY, MAILJET_SECRET)},
}
"""Type of a provider -> key of the configuration -> its input in the state."""


def outdated(export: Mapping[str, Any], configuration: Mapping[str, str]) -> list[str]:
    """Keys whose value in the state is not the configuration's, from `pulumi stack export --show-secrets`. A key in
    neither comes from the environment, for every command alike."""
    found = []
    for resource in resources(export):
        inputs = resource.get("inputs") or {}
        for key, name in _RECORDED.get(str(resource.get("type")), {}).items():
            if (in_clear(inputs.get(name)) or "") != configuration.get(key, "") and key not in found:
                found.append(key)
    return found


def recorded_findings(stack: str, keys: list[str]) -> Iterator[Finding]:
    """A warning where there are any."""
    if keys:
        yield CREDENTIALS.warning(
            "state",
            f"The last up has recorded another {' and another '.join(keys)} than the configuration has, and a refresh or a destroy "
            f"asks with the recorded one; expected the same, before the old one is revoked; record it with: {remedies.apply(stack)}",
        )
