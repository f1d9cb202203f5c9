"""The webhook when hooks hang, clients crawl and disks are full: what it still does, and what it says."""

import base64
import logging
import socket
import sqlite3
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st

from azmail import InboundMail, MailStack, MemoryDeliveries, SqliteDeliveries, TryAgainError, create_app
from azmail.deliveries import ClaimResult
from azmail.errors import StoreError
from azmail.webhook import BasicAuth
from tests.unit.azmail.conftest import INBOUND_SECRET, stack_outputs
from tests.unit.azmail.servers import asgi_server
from tests.unit.azmail.test_events import event
from tests.unit.azmail.test_webhook import EVENTS, OWNER, PATH, payload, post

HOOKS = 4


class Hanging:
    """A hook that counts its calls and hangs until it is let go."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.running = threading.Semaphore(0)
        self.go = threading.Event()

    def __call__(self, mail: InboundMail, _agent: str) -> None:
        self.calls[mail.message_id or ""] += 1
        self.running.release()
        assert self.go.wait(60)

    def wait_for(self, count: int) -> None:
        assert all(self.running.acquire(timeout=60) for _ in range(count))


def numbered(number: int) -> dict[str, Any]:
    return payload(Headers={"Message-ID": f"<{number}@example.com>"})


def health(url: str) -> tuple[int, str]:
    answer = requests.get(url + "/healthz", timeout=60)
    return answer.status_code, answer.json()["status"]


@pytest.fixture
def hanging() -> Iterator[Hanging]:
    hook = Hanging()
    yield hook
    hook.go.set()


def app(hook: Any, **options: Any) -> Any:
    return create_app(
        MailStack(stack_outputs()),
        on_mail=hook,
        on_event=lambda event, agent: None,
        auth=BasicAuth(INBOUND_SECRET, OWNER),
        **options,
    )


class TestHangingHooks:
    def test_what_is_no_delivery_is_refused_at_once_and_the_rest_is_asked_again(self, hanging: Hanging) -> None:
        with asgi_server(app(hanging, most_hooks=HOOKS)) as url, ThreadPoolExecutor(HOOKS) as threads:
            held = [threads.submit(post, url, numbered(n)) for n in range(HOOKS)]
            hanging.wait_for(HOOKS)
            assert health(url) == (503, "full")
            for malformed in (b"", b"{", b"[]", b"\xff", b'{"Recipient": 1}'):
                assert post(url, malformed).status_code == 400
            assert post(url, payload(Recipient="nobody@dev.agents.example")).status_code == 404
            for more in (numbered(HOOKS), numbered(0)):
                answer = post(url, more)
                assert (answer.status_code, answer.headers["Retry-After"]) == (503, "30")
            assert post(url, event("bounce"), path=EVENTS).status_code == 503
            hanging.go.set()
            assert [future.result(60).status_code for future in held] == [200] * HOOKS
            assert health(url) == (200, "ok")
            assert post(url, numbered(HOOKS)).json() == {"status": "accepted"}
            assert post(url, numbered(0)).json() == {"status": "duplicate"}
        assert set(hanging.calls.values()) == {1}

    @pytest.mark.slow
    def test_leases_are_renewed_and_nothing_runs_twice_in_a_second_process(
        self, hanging: Hanging, tmp_path: Path
    ) -> None:
        """As many hooks as there may be hang for longer than their lease; another process gets the same mails."""
        renewed: Counter[str] = Counter()
        all_renewed = threading.Event()

        class Watched(SqliteDeliveries):
            def renew(self, key: str, owner: str, lease_seconds: float) -> None:
                super().renew(key, owner, lease_seconds)
                renewed[key] += 1
                # Four thirds of a lease: it would have run out.
                if len(renewed) == HOOKS and min(renewed.values()) >= 4:
                    all_renewed.set()

        options: dict[str, Any] = {"most_hooks": HOOKS, "lease_seconds": 3.0, "busy_wait_seconds": 0.05}
        with ExitStack() as stack:
            stores = Watched(tmp_path / "d.sqlite"), SqliteDeliveries(tmp_path / "d.sqlite")
            for store in stores:
                stack.callback(store.close)
            first = stack.enter_context(asgi_server(app(hanging, store=stores[0], **options)))
            second = stack.enter_context(asgi_server(app(hanging, store=stores[1], **options)))
            threads = stack.enter_context(ThreadPoolExecutor(HOOKS))
            held = [threads.submit(post, first, numbered(n)) for n in range(HOOKS)]
            hanging.wait_for(HOOKS)
            assert all_renewed.wait(60)
            assert [post(second, numbered(n)).status_code for n in range(HOOKS)] == [503] * HOOKS
            hanging.go.set()
            assert [future.result(60).status_code for future in held] == [200] * HOOKS
            assert [post(second, numbered(n)).json()["status"] for n in range(HOOKS)] == ["duplicate"] * HOOKS
        assert hanging.calls == Counter({f"<{n}@example.com>": 1 for n in range(HOOKS)})

    def test_a_hook_that_blocks_the_event_loop_keeps_its_claim(self) -> None:
        renewed = threading.Semaphore(0)

        class Watched(MemoryDeliveries):
            def renew(self, key: str, owner: str, lease_seconds: float) -> None:
                super().renew(key, owner, lease_seconds)
                renewed.release()

        async def blocks(_mail: InboundMail, _agent: str) -> None:
            assert all(renewed.acquire(timeout=60) for _ in range(3))

        with asgi_server(app(blocks, store=Watched(), lease_seconds=0.03)) as url:
            assert post(url).status_code == 200

    def test_a_failing_renewal_is_tried_again(self) -> None:
        recovered = threading.Event()

        class Flaky(MemoryDeliveries):
            failures = 3

            def renew(self, key: str, owner: str, lease_seconds: float) -> None:
                if self.failures:
                    self.failures -= 1
                    raise sqlite3.OperationalError("disk I/O error")
                recovered.set()

        def waits(_mail: InboundMail, _agent: str) -> None:
            assert recovered.wait(60)

        with asgi_server(app(waits, store=Flaky(), lease_seconds=0.03)) as url:
            assert post(url).status_code == 200

    def test_bodies_of_deliveries_in_work_are_bounded_together(self, hanging: Hanging) -> None:
        body = payload(**{"Text-part": "x" * 600_000})
        options = {"max_body_bytes": 1_000_000, "max_held_bytes": 1_000_000}
        with asgi_server(app(hanging, **options)) as url, ThreadPoolExecutor(1) as threads:
            held = threads.submit(post, url, body)
            hanging.wait_for(1)
            assert post(url, body | {"Recipient": "nobody@dev.agents.example"}).status_code == 503
            hanging.go.set()
            assert held.result(60).status_code == 200
            assert post(url, body).status_code == 200


class FullDisk(MemoryDeliveries):
    """A store that refuses what it is told to, as a full disk does."""

    def __init__(self) -> None:
        super().__init__()
        self.refused: set[str] = set()
        self.taken = threading.Event()

    def _write(self, call: str) -> None:
        if call in self.refused:
            raise sqlite3.OperationalError("database or disk is full")

    def claim(self, key: str, owner: str, lease_seconds: float) -> ClaimResult:
        self._write("claim")
        return super().claim(key, owner, lease_seconds)

    def renew(self, key: str, owner: str, lease_seconds: float) -> None:
        self._write("renew")
        super().renew(key, owner, lease_seconds)

    def done(self, key: str, owner: str) -> None:
        self._write("done")
        super().done(key, owner)
        self.taken.set()

    def release(self, key: str, owner: str) -> None:
        self._write("release")
        super().release(key, owner)


CALLS = ("claim", "renew", "done", "release")


class TestFullDisk:
    @settings(max_examples=25, deadline=None)
    @given(refused=st.sets(st.sampled_from(CALLS), min_size=1), hook_fails=st.booleans())
    @pytest.mark.slow
    def test_it_says_so_and_goes_on_once_there_is_space(self, refused: set[str], hook_fails: bool) -> None:
        """Whichever writes fail between hook and mark, and whether the hook failed: no 500, no repetition, no block."""
        store = FullDisk()
        calls: list[str] = []

        def hook(mail: InboundMail, agent: str) -> None:
            if not calls:  # the disk fills up while the hook runs
                store.refused = set(refused)
            calls.append(agent)
            if hook_fails and len(calls) == 1:
                raise TryAgainError("later")

        with asgi_server(app(hook, store=store, lease_seconds=300.0)) as url:
            assert post(url).status_code == (503 if hook_fails else 200)
            while_full = post(url)
            assert while_full.status_code in (200, 503)
            store.refused = set()
            again = post(url)
            assert again.status_code == 200
            assert health(url) == (200, "ok")
        assert len(calls) == (2 if hook_fails else 1)

    def test_health_and_log_tell(self, caplog: pytest.LogCaptureFixture) -> None:
        store = FullDisk()
        store.refused = {"claim"}
        with asgi_server(app(lambda mail, agent: None, store=store)) as url:
            with caplog.at_level(logging.WARNING, logger="azmail.webhook"):
                assert post(url).status_code == 503
            assert "disk is full" in caplog.text
            assert "make space" in caplog.text
            assert "Traceback" not in caplog.text
            assert health(url) == (503, "no store")
            store.refused = set()
            assert health(url) == (200, "ok")

    def test_the_mark_is_written_later_for_the_other_processes(self) -> None:
        store = FullDisk()
        store.refused = {"done"}
        with asgi_server(app(lambda mail, agent: None, store=store, lease_seconds=0.03)) as url:
            assert post(url).status_code == 200
            store.refused = set()
            assert store.taken.wait(60)

    def test_a_real_file_without_room(self, tmp_path: Path) -> None:
        """SQLite's own refusal, by a bound on the file's pages; one transaction left open would refuse for ever."""
        store = SqliteDeliveries(tmp_path / "d.sqlite")
        store._database.execute("PRAGMA max_page_count = 8").close()
        long = "k" * 3000
        with asgi_server(app(lambda mail, agent: None, store=store)) as url:
            with pytest.raises(StoreError, match="full"):
                any(store.claim(f"{long}{number}", "one", 60.0) is ClaimResult.BUSY for number in range(100))
            statuses = {post(url, numbered(n)).status_code for n in range(30)}
            assert statuses <= {200, 503}
            store._database.execute("PRAGMA max_page_count = 100000").close()
            assert post(url, numbered(1000)).status_code == 200
            assert health(url) == (200, "ok")
        store.close()


class TestSlowClients:
    @settings(max_examples=5, deadline=None)
    @given(sent=st.integers(0, 50))
    def test_a_body_that_does_not_come_is_answered(self, sent: int) -> None:
        """However much of it came."""
        with asgi_server(app(lambda mail, agent: None, body_seconds=0.1)) as url:
            parts = urlsplit(url)
            credentials = base64.b64encode(f"{OWNER}:{INBOUND_SECRET}".encode()).decode()
            head = (
                f"POST {parts.path}{PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {credentials}\r\n"
                "Content-Length: 100\r\n\r\n"
            )
            with socket.create_connection((parts.hostname, parts.port), timeout=60) as connection:
                connection.sendall(head.encode() + b"x" * sent)
                answer = b""
                while received := connection.recv(65536):
                    answer += received
            assert answer.startswith(b"HTTP/1.1 408 ")
