"""A name server for tests: a few records that the test writes, everything else refused."""

from __future__ import annotations

import socket
import threading
from types import TracebackType
from typing import Any, Self

from dnslib import CNAME, MX, QTYPE, RCODE, RR, TXT, A, DNSRecord
from dnslib.server import BaseResolver, DNSLogger, DNSServer


class TinyZone(BaseResolver):  # type: ignore[misc] # dnslib is untyped
    """Speaks for the names below `apexes`."""

    def __init__(self, *apexes: str) -> None:
        self.apexes = apexes
        self.records: dict[tuple[str, str], list[Any]] = {}
        self.queries: list[tuple[str, str]] = []
        self.port = _free_port()
        quiet = DNSLogger(log="-request,-reply,-truncated,-error,-data,-recv,-send")
        self._servers = [
            DNSServer(self, address="127.0.0.1", port=self.port, tcp=tcp, logger=quiet) for tcp in (False, True)
        ]

        # dnslib's own start_thread looks only twice a second whether it is to end.
        self._threads = [
            threading.Thread(target=server.server.serve_forever, args=(0.02,), daemon=True) for server in self._servers
        ]

    @property
    def address(self) -> tuple[str, int]:
        """Where to ask."""
        return "127.0.0.1", self.port

    def txt(self, name: str, *texts: str) -> None:
        """Replace the TXT records of `name`; long ones are split into strings of 255 octets."""
        self.records[name, "TXT"] = [
            TXT([text[start : start + 255].encode() for start in range(0, len(text), 255)]) for text in texts
        ]

    def mx(self, name: str, *hosts: str) -> None:
        """Replace the MX records of `name`."""
        self.records[name, "MX"] = [MX(host, 10) for host in hosts]

    def cname(self, name: str, target: str) -> None:
        """Make `name` an alias."""
        self.records[name, "CNAME"] = [CNAME(target)]

    def a(self, name: str, address: str) -> None:
        """Give `name` an address."""
        self.records[name, "A"] = [A(address)]

    def resolve(self, request: DNSRecord, handler: object) -> DNSRecord:
        """Answer one query."""
        reply = request.reply()
        name = str(request.q.qname).rstrip(".").lower()
        kind = QTYPE[request.q.qtype]
        self.queries.append((name, kind))
        if not any(name == apex or name.endswith(f".{apex}") for apex in self.apexes):
            reply.header.rcode = RCODE.REFUSED
            return reply
        for wanted in (kind, "CNAME"):
            for data in self.records.get((name, wanted), []):
                reply.add_answer(RR(name, QTYPE.reverse[wanted], rdata=data, ttl=60))
            if reply.rr:
                return reply
        if not any(known == name or known.endswith(f".{name}") for known, _ in self.records):
            reply.header.rcode = RCODE.NXDOMAIN
        return reply

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for server, thread in zip(self._servers, self._threads, strict=True):
            server.server.shutdown()
            server.server.server_close()
            thread.join()


def _free_port() -> int:
    """A port that is free for UDP and TCP."""
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp:
            tcp.bind(("127.0.0.1", 0))
            port: int = tcp.getsockname()[1]
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
                try:
                    udp.bind(("127.0.0.1", port))
                except OSError:
                    continue
                return port
