"""No stack trace in the state.

Pulumi sends with every resource the whole stack of Python that declared it: some thirty frames, of which all but two or three
are its own runtime and asyncio. The engine keeps them in the state, with the place of each file on the machine that ran last:
a third of what a stack of ours would have there, written again before and after each step, and another text for every clone.
"""

from __future__ import annotations

from pulumi.runtime import resource
from pulumi.runtime.proto import source_pb2


def leave_out_stack_traces() -> None:
    """Declare what follows without them, and without source positions, which Pulumi takes from their first frame.

    Where the SDK has another layout than that of 3.272 nothing is changed: a state is only larger then.
    """
    if hasattr(resource, "_get_stack_trace"):
        resource._get_stack_trace = source_pb2.StackTrace
