"""The demo stands where the tunnel leads; whoever stands there already is named, with what leads elsewhere."""

from __future__ import annotations

import os
import socket

import pytest

from azmail import MailStack
from commands.demo.platform import Inboxes, WebhookPortError, webhook
from tests.unit.azmail.conftest import stack_outputs


def test_a_port_that_is_taken() -> None:
    stack = MailStack(stack_outputs())
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with (
            pytest.raises(WebhookPortError) as caught,
            webhook(stack, Inboxes(1), host="127.0.0.1", port=port, secret="x" * 16),
        ):
            raise AssertionError("it listens nowhere")
    said = str(caught.value)
    assert said.startswith(f"Port {port}, where the tunnel leads, is held by pid {os.getpid()} (")
    assert said.endswith("./mail emulators down && ./mail emulators up --free-ports && ./mail up")
