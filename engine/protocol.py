"""The engine's gRPC messages, which lie inside Pulumi's SDK, without the SDK around them.

`import pulumi.runtime.proto` executes `pulumi` first: 0.2 s of CPU in each process of a plugin, and every engine command
starts three. A process that speaks the protocol and runs no program calls `without_the_sdk` before its imports.
"""

from __future__ import annotations

import importlib.util
import sys

_AROUND = ("pulumi", "pulumi.runtime")


def without_the_sdk() -> None:
    """Put packages that know their path, but have executed nothing, in place of those around the protocol.

    Does nothing where the SDK is imported already, or is not laid out as packages: then it is imported plainly.
    """
    if any(name in sys.modules for name in _AROUND):
        return
    for name in _AROUND:
        spec = importlib.util.find_spec(name)
        if spec is None or not spec.submodule_search_locations:
            break
        sys.modules[name] = importlib.util.module_from_spec(spec)
    else:
        if importlib.util.find_spec("pulumi.runtime.proto") is not None:
            return
    for name in _AROUND:
        sys.modules.pop(name, None)
