"""A whole Mailjet emulator inside the calling process, on free ports: `with EmbeddedMailjet(folder) as mailjet`."""

from __future__ import annotations

import contextlib
import json
import secrets
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from emulators.mailjet import Certificates, EdgeLookup, MailjetEmulator, MailjetService
from emulators.serving import LoopThread
from emulators.sockets import listen

ANSWER_SECONDS = 30.0


class Control:
    """The control plane below `url`."""

    def __init__(self, url: str) -> None:
        self._url = url

    def call(self, method: str, name: str, body: object = None) -> Any:
        """One request to `/_emulator/…`; the JSON of its answer, None for an empty one."""
        request = urllib.request.Request(  # noqa: S310 - a loopback URL of ours
            f"{self._url}/_emulator/{name}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=ANSWER_SECONDS) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def state(self) -> dict[str, Any]:
        """What the emulator holds, as its control endpoint dumps it."""
        found: dict[str, Any] = self.call("GET", "state")
        return found

    def requests(self, since: int = 0) -> list[dict[str, Any]]:
        """The request log."""
        found: list[dict[str, Any]] = self.call("GET", f"requests?since={since}")["requests"]
        return found

    def clear_requests(self) -> None:
        """Forget log and counts."""
        self.call("DELETE", "requests")

    def counts(self) -> dict[str, Any]:
        """How often what was asked."""
        found: dict[str, Any] = self.call("GET", "counts")
        return found

    def faults(self, *rules: Mapping[str, Any], **plan: Any) -> None:
        """Fail as told from now on; without arguments, no more."""
        self.call("PUT", "faults", {**plan, "rules": list(rules)})

    def switches(self, **switches: Any) -> None:
        """Play these variants from now on."""
        self.call("PUT", "switches", switches)

    def deliveries(self) -> list[dict[str, Any]]:
        """What was or is to be posted to webhooks."""
        found: list[dict[str, Any]] = self.call("GET", "deliveries")["deliveries"]
        return found

    def outbox(self) -> list[dict[str, Any]]:
        """The messages that were sent."""
        found: list[dict[str, Any]] = self.call("GET", "outbox")["messages"]
        return found

    def reset(self) -> None:
        """Back to the start."""
        self.call("POST", "reset")


class EmbeddedMailjet:
    """Serves until the `with` block ends; its state stays in `folder`."""

    def __init__(
        self,
        folder: Path,
        *,
        dns: tuple[str, int] | None = None,
        edge: EdgeLookup | None = None,
        api_key: str | None = None,
        api_secret: str | None = None,
    ) -> None:
        self.api_key = api_key or secrets.token_hex(16)
        self.api_secret = api_secret or secrets.token_hex(16)
        folder.mkdir(parents=True, exist_ok=True)
        self.emulator = MailjetEmulator(
            folder / "mailjet.sqlite", api_key=self.api_key, api_secret=self.api_secret, dns=dns, edge=edge
        )
        certificates = Certificates(folder / "tls")
        sockets = [listen(0) for _ in range(4)]
        self._service = MailjetService(
            self.emulator,
            rest=sockets[0],
            submission=sockets[1],
            submission_tls=sockets[2],
            inbound=sockets[3],
            certificates=certificates,
        )
        self.ca_file = certificates.ca_file
        self.url = self._service.url
        self.submission_port = self._service.submission_port
        self.submission_tls_port = self._service.submission_tls_port
        self.inbound_port = self._service.inbound_port
        self.control = Control(self.url)
        self._stack = contextlib.ExitStack()

    @property
    def auth(self) -> tuple[str, str]:
        """Key and secret, as `requests` takes them."""
        return self.api_key, self.api_secret

    def __enter__(self) -> Self:
        loop = LoopThread()
        self._stack.callback(self.emulator.close)
        self._stack.callback(loop.close)
        loop.run(self._service.start())
        self._stack.callback(lambda: loop.run(self._service.stop()))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()
