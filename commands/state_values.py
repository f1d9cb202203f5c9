"""What a state says in clear, as `pulumi stack export --show-secrets` prints it: a secret is an object with its value as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

_SIGNATURE = "4dabf18193072939515e22adb298388d"
"""The key by which Pulumi tells such objects from others; that it is a secret says the next one, `plaintext`."""


def resources(export: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """In the order of the state; none before the first `up`."""
    yield from (export.get("deployment") or {}).get("resources") or []


def outputs(export: Mapping[str, Any]) -> dict[str, Any]:
    """The stack's outputs, secrets in clear, as `pulumi stack output --json --show-secrets` has them."""
    for resource in resources(export):
        if resource.get("type") == "pulumi:pulumi:Stack":
            return {name: in_clear(value) for name, value in (resource.get("outputs") or {}).items()}
    return {}


def in_clear(value: Any) -> Any:
    """An input or output of a resource, secret or not, with every secret inside it in clear."""
    if isinstance(value, Mapping):
        if _SIGNATURE in value and isinstance(value.get("plaintext"), str):
            return in_clear(json.loads(value["plaintext"]))
        return {key: in_clear(item) for key, item in value.items()}
    if isinstance(value, list):
        return [in_clear(item) for item in value]
    return value
