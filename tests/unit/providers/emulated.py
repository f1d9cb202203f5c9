"""The Mailjet emulator as these tests see it, and the doubles for time and engine."""

from __future__ import annotations

import hashlib
import json
import socketserver
import threading
from collections.abc import Callable, Mapping
from typing import Any

import dns.message
import dns.rdatatype
import dns.rrset
import requests
from pulumi.dynamic import CreateResult, ReadResult, UpdateResult

from clients.mailjet.client import Credentials
from mailboxes.address_map import render_address_map
from mailboxes.packed_map import packed, packed_list
from providers.mailjet.engine import EngineConnection
from providers.mailjet.plugin import PluginSettings

API_KEY = "0123456789abcdef0123456789abcdef"
API_SECRET = "fedcba9876543210fedcba9876543210"
DOMAIN = "agents.example"


def settings_for(url: str, *, read_timeout: float = 5.0) -> PluginSettings:
    return PluginSettings(
        api_url=url,
        credentials=Credentials(api_key=API_KEY, api_secret=API_SECRET),
        read_timeout=read_timeout,
        connections=8,
    )


class VirtualClock:
    """Seconds that pass only when somebody sleeps."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.now = 1000.0
        self.slept: list[float] = []
        self.before_sleep: Callable[[], None] | None = None

    def monotonic(self) -> float:
        with self._lock:
            return self.now

    def sleep(self, seconds: float) -> None:
        if self.before_sleep is not None:
            self.before_sleep()
        with self._lock:
            self.slept.append(seconds)
            self.now += max(seconds, 0.0)

    def jitter(self) -> float:
        return 0.5


class RecordingEngine(EngineConnection):
    """Keeps what a person would read; dies on demand."""

    def __init__(self) -> None:
        super().__init__("127.0.0.1:1")
        self.is_alive = True
        self.progress_lines: list[str] = []
        self.warnings: list[str] = []

    def alive(self) -> bool:
        return self.is_alive

    def progress(self, text: str) -> None:
        self.progress_lines.append(text)

    def warn(self, text: str) -> None:
        self.warnings.append(text)


class TxtZone:
    """A name server over UDP whose TXT records a test sets; `close` ends it."""

    def __init__(self) -> None:
        self.records: dict[str, list[str]] = {}
        zone = self

        class Handler(socketserver.DatagramRequestHandler):
            def handle(self) -> None:
                self.wfile.write(zone.answer(self.rfile.read()))

        self._server = socketserver.UDPServer(("127.0.0.1", 0), Handler)
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def answer(self, query: bytes) -> bytes:
        reply = dns.message.make_response(dns.message.from_wire(query))
        name = reply.question[0].name
        values = self.records.get(name.to_text(omit_final_dot=True).lower(), [])
        if values and reply.question[0].rdtype == dns.rdatatype.TXT:
            chunked = [" ".join(f'"{value[at : at + 255]}"' for at in range(0, len(value), 255)) for value in values]
            reply.answer.append(dns.rrset.from_text_list(name, 1, "IN", "TXT", chunked))
        return reply.to_wire()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


class Mailjet:
    """The emulator as a test sees it: its API address, its control plane, its state."""

    def __init__(self, url: str, zone: TxtZone) -> None:
        self.url = url
        self.zone = zone
        self._http = requests.Session()

    def control(self, method: str, name: str, body: object = None) -> Any:
        answer = self._http.request(method, f"{self.url}/_emulator/{name}", json=body, timeout=10)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def api(self, method: str, path: str, body: object = None) -> requests.Response:
        """A call of somebody else, such as an owner at Mailjet's own user interface."""
        return self._http.request(method, f"{self.url}{path}", json=body, auth=(API_KEY, API_SECRET), timeout=10)

    def reset(self) -> None:
        self.zone.records.clear()
        self.control("DELETE", "switches")
        self.control("POST", "reset")
        self.switch(dkim_bits=1024)  # quicker to make

    def switch(self, **switches: object) -> None:
        self.control("PUT", "switches", switches)

    def faults(self, *rules: dict[str, object], **plan: object) -> None:
        self.control("PUT", "faults", {"rules": list(rules), **plan})

    def forget_requests(self) -> None:
        self.control("DELETE", "requests")

    def requests(self) -> list[str]:
        """`METHOD path` of every call so far, oldest first."""
        return [f"{entry['method']} {entry['path']}" for entry in self.control("GET", "requests")["requests"]]

    def writes(self) -> list[str]:
        return [entry for entry in self.requests() if not entry.startswith("GET ")]

    def reads(self) -> list[str]:
        return [entry for entry in self.requests() if entry.startswith("GET ")]

    def routes(self) -> dict[str, str]:
        """{address: URL}; fails where an address has two routes."""
        rows = self.api("GET", "/v3/REST/parseroute?Limit=1000").json()["Data"]
        found = {row["Email"]: row["Url"] for row in rows}
        assert len(found) == len(rows)
        return found

    def add_route(self, email: str, url: str) -> int:
        answer = self.api("POST", "/v3/REST/parseroute", {"Email": email, "Url": url})
        assert answer.status_code == 201, answer.text
        return int(answer.json()["Data"][0]["ID"])

    def sender(self, email: str) -> dict[str, Any]:
        answer = self.api("GET", f"/v3/REST/sender/{email}")
        return dict(answer.json()["Data"][0]) if answer.status_code == 200 else {}

    def publish(self, dns_row: dict[str, Any]) -> None:
        """Put into DNS what Mailjet asks for."""
        self.zone.records |= {
            dns_row["DKIMRecordName"].rstrip("."): [dns_row["DKIMRecordValue"]],
            dns_row["OwnerShipTokenRecordName"].rstrip("."): [dns_row["OwnerShipToken"]],
            dns_row["Domain"]: ["v=spf1 include:spf.mailjet.com ~all"],
            "spf.mailjet.com": ["v=spf1 ip4:192.0.2.0/24 ~all"],
        }

    def close(self) -> None:
        self._http.close()


def outs_of(result: CreateResult | UpdateResult | ReadResult) -> dict[str, Any]:
    """What the state will hold."""
    assert result.outs is not None
    return result.outs


def recorded(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """What the state holds of these inputs once they are done: maps of addresses packed, everything else as it is."""
    outputs = dict(inputs)
    if routes := outputs.pop("routes", None):
        outputs["held"] = packed(json.loads(routes))
    if addresses := outputs.pop("addresses", None):
        book = json.loads(addresses)
        outputs["digest"] = hashlib.sha256(render_address_map(book).encode()).hexdigest()
        outputs["held"] = packed_list(sorted(set(book.values())))
    return outputs
