"""Every component of the program, and the type that stands in every stack's state: a changed one would replace all below it."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re

import pulumi

import components

FROZEN = {
    "AgentMailboxes": "azt3knet:mail:AgentMailboxes",
    "ApiTunnel": "azt3knet:mail:ApiTunnel",
    "MailDomain": "azt3knet:mail:MailDomain",
    "PlatformMail": "azt3knet:mail:PlatformMail",
}
"""Class -> type token. A new component enters here; none that is here may change."""


def discovered() -> dict[str, type[pulumi.ComponentResource]]:
    """By class name, each from the module that defines it."""
    return {
        name: kind
        for module in pkgutil.walk_packages(components.__path__, "components.")
        for name, kind in inspect.getmembers(importlib.import_module(module.name), inspect.isclass)
        if issubclass(kind, pulumi.ComponentResource) and kind.__module__ == module.name
    }


def test_every_component_keeps_its_type() -> None:
    tokens = {}
    for name, kind in discovered().items():
        (tokens[name],) = re.findall(r'super\(\).__init__\(\s*"([\w:]+)"', inspect.getsource(kind))
    assert tokens == FROZEN
