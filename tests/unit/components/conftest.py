"""Pulumi mocks that record every resource a component declares."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import pulumi
import pytest
from pulumi.runtime import mocks


@dataclass
class Recorder(mocks.Mocks):
    """Keeps what was declared; a dynamic resource gets the outputs that its provider would compute."""

    resources: list[mocks.MockResourceArgs] = field(default_factory=list)
    calls: list[mocks.MockCallArgs] = field(default_factory=list)
    computed: dict[str, dict[str, Any]] = field(default_factory=dict)
    results: dict[str, dict[str, Any]] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)
    """Of resources whose id is looked up elsewhere; any other gets `NAME-id`."""

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        self.resources.append(args)
        outputs = next((value for kind, value in self.computed.items() if args.typ.endswith(kind)), {})
        return self.ids.get(args.name, f"{args.name}-id"), {**args.inputs, **outputs}

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]]]:
        self.calls.append(args)
        return self.results.get(args.token, {}), []

    def of_type(self, kind: str) -> dict[str, dict[str, Any]]:
        """Logical name -> inputs of every declared resource whose type ends with `kind`."""
        return {args.name: dict(args.inputs) for args in self.resources if args.typ.endswith(kind)}


def run_program(program: Callable[[], object]) -> None:
    """Run what a Pulumi program does to its end, as the engine would."""
    pulumi.runtime.test(program)()  # type: ignore[no-untyped-call]  # the SDK has no types here


@cache
def _loop() -> asyncio.AbstractEventLoop:
    """One loop for all tests: the SDK's mocks leave loops of their own in its threads, which live as long as it does."""
    return asyncio.new_event_loop()


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    made = Recorder()
    # The SDK asks for the thread's event loop, and an earlier test's `asyncio.run` has taken it away.
    asyncio.set_event_loop(_loop())
    pulumi.runtime.set_mocks(made, project="agentmail", stack="dev", preview=False)
    yield made
    # The mocks are process-wide; the tests after these want the SDK as it starts.
    pulumi.runtime.settings.reset_options()
