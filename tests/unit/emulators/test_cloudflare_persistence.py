"""State that survives, is reset, and is shared between threads."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import dns.message
import pytest

from emulators.cloudflare import (
    DEFAULT_ZONES,
    DNS_READ_ONLY,
    ZONE_ID,
    CloudflareEmulator,
    SeedZone,
    ZonePlan,
    fold_path,
)
from emulators.cloudflare.account import WrongDatabaseError
from emulators.cloudflare.errors import RecordExistsError, RecordInvalidError
from tests.unit.emulators.cloudflare_fixtures import TOKEN

ROOT = Path(__file__).parents[3]
# Writes a record and a tunnel, says so, and never ends by itself.
WRITER = """
import signal, sys
from emulators.cloudflare import CloudflareEmulator, ZONE_ID
emulator = CloudflareEmulator(sys.argv[1], token=sys.argv[2])
zone = emulator.account.zone(ZONE_ID)
emulator.account.create_record(zone, {"type": "A", "name": "kept", "content": "192.0.2.1", "comment": "c"})
tunnel = emulator.account.create_tunnel({"name": "kept", "config_src": "cloudflare"})
emulator.account.configure_tunnel(tunnel.id, {"config": {"ingress": [{"service": "http_status:404"}]}})
print(repr(emulator.state()), flush=True)
signal.pause()
"""


def opened(path: Path, **options: object) -> CloudflareEmulator:
    return CloudflareEmulator(path / "cloudflare.sqlite", token=TOKEN, **options)  # type: ignore[arg-type]


def add(emulator: CloudflareEmulator, name: str, content: str = "192.0.2.1") -> str:
    zone = emulator.account.zone(ZONE_ID)
    assert zone is not None
    return emulator.account.create_record(zone, {"type": "A", "name": name, "content": content}).id


class TestSurvival:
    def test_a_killed_process_loses_nothing(self, tmp_path: Path) -> None:
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path / "cloudflare.sqlite"), TOKEN],
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        assert writer.stdout is not None
        told = writer.stdout.readline()
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        emulator = opened(tmp_path)
        assert repr(emulator.state()) + "\n" == told
        emulator.close()

    def test_everything_is_taken_up_again(self, tmp_path: Path) -> None:
        first = opened(tmp_path)
        record = add(first, "kept")
        first.account.add_zone("new.example", ZonePlan.PRO)
        _, value = first.add_token(permissions=DNS_READ_ONLY, zones=frozenset({ZONE_ID}), name="t")
        gone = first.account.create_tunnel({"name": "gone"})
        first.account.delete_tunnel(gone.id)
        state = first.state()
        serial = first.account.zone(ZONE_ID).serial  # type: ignore[union-attr]
        first.close()
        second = opened(tmp_path)
        assert second.state() == state
        zone = second.account.zone(ZONE_ID)
        assert zone is not None
        assert zone.serial == serial
        assert second.account.token_of(value) is not None
        second.account.delete_record(zone, record)
        second.close()
        third = opened(tmp_path)
        assert "kept" not in repr(third.state()["zones"])
        third.close()

    def test_an_existing_database_is_not_seeded_again(self, tmp_path: Path) -> None:
        first = opened(tmp_path, zones=[])
        assert first.state()["zones"] == []
        first.close()
        second = opened(tmp_path)
        assert second.state()["zones"] == []
        second.reset()
        assert [zone["name"] for zone in second.state()["zones"]] == ["agents.example"]
        second.close()

    def test_a_database_of_another_version_is_refused(self, tmp_path: Path) -> None:
        database = sqlite3.connect(tmp_path / "cloudflare.sqlite")
        database.execute("PRAGMA user_version = 99")
        database.close()
        with pytest.raises(WrongDatabaseError, match="schema version 99, expected 1"):
            opened(tmp_path)

    def test_a_given_connection_is_used(self) -> None:
        database = sqlite3.connect(":memory:", check_same_thread=False)
        emulator = CloudflareEmulator(database, token=TOKEN)
        assert database.execute("SELECT count(*) FROM record").fetchone() == (6,)
        emulator.close()


class TestReset:
    def test_reset_is_the_start(self, tmp_path: Path) -> None:
        emulator = opened(tmp_path)
        start = emulator.state()
        add(emulator, "x")
        emulator.account.create_tunnel({"name": "t"})
        emulator.add_token(permissions=DNS_READ_ONLY)
        emulator.account.add_zone("other.example")
        assert emulator.state() != start
        emulator.reset()
        assert emulator.state() == start
        emulator.close()
        again = opened(tmp_path)
        assert again.state() == start
        again.close()

    def test_two_emulators_start_alike(self, tmp_path: Path) -> None:
        states = []
        for name in ("a", "b"):
            emulator = CloudflareEmulator(tmp_path / name, token=TOKEN)
            states.append(emulator.state())
            emulator.close()
        assert states[0] == states[1]

    def test_the_seed_of_the_embedded_default(self, tmp_path: Path) -> None:
        emulator = opened(tmp_path)
        (zone,) = emulator.state()["zones"]
        assert (zone["id"], zone["name"], zone["plan"]) == (ZONE_ID, "agents.example", "free")
        assert [(one["type"], one["name"]) for one in zone["records"]] == [
            ("A", "agents.example"),
            ("CNAME", "www.agents.example"),
            ("MX", "agents.example"),
            ("TXT", "_dmarc.agents.example"),
            ("TXT", "agents.example"),
            ("TXT", "agents.example"),
        ]
        assert all(one["comment"] is None for one in zone["records"])
        emulator.close()

    def test_another_seed(self, tmp_path: Path) -> None:
        emulator = opened(tmp_path)
        emulator.reseed([SeedZone(name="a.example"), SeedZone(name="b.example", plan=ZonePlan.ENTERPRISE)])
        assert [(zone["name"], zone["plan"]) for zone in emulator.state()["zones"]] == [
            ("a.example", "free"),
            ("b.example", "enterprise"),
        ]
        emulator.close()

    def test_a_bad_seed_is_told(self, tmp_path: Path) -> None:
        with pytest.raises(RecordInvalidError, match="9005"):
            opened(tmp_path, zones=[SeedZone(name="a.example", records=[{"type": "A", "name": "@", "content": "x"}])])
        twice = {"type": "A", "name": "@", "content": "192.0.2.1"}
        with pytest.raises(RecordExistsError):
            opened(tmp_path, zones=[SeedZone(name="a.example", records=[twice, twice])])

    @pytest.mark.slow
    def test_five_thousand_records(self, tmp_path: Path) -> None:
        records = [{"type": "TXT", "name": f"host{n}", "content": f'"{n}"'} for n in range(5000)]
        emulator = opened(tmp_path, zones=[SeedZone(id=ZONE_ID, name="agents.example", records=records)])
        add(emulator, "one-more")
        emulator.close()
        again = opened(tmp_path)
        assert len(again.state()["zones"][0]["records"]) == 5001
        again.close()


class TestThreads:
    def test_writers_and_dns_readers_at_once(self, tmp_path: Path) -> None:
        emulator = opened(tmp_path)
        query = dns.message.make_query("agents.example", "MX").to_wire()
        stop = threading.Event()

        def read() -> int:
            answers = 0
            while not stop.is_set():
                assert dns.message.from_wire(emulator.answer(query, udp=True)).answer
                answers += 1
            return answers

        with ThreadPoolExecutor(6) as pool:
            readers = [pool.submit(read) for _ in range(2)]
            list(pool.map(lambda number: add(emulator, f"h{number}"), range(200)))
            stop.set()
            assert all(reader.result() > 0 for reader in readers)
        assert len(emulator.state()["zones"][0]["records"]) == 206
        emulator.close()

    def test_one_of_many_identical_creates_wins(self, tmp_path: Path) -> None:
        emulator = opened(tmp_path)

        def race(_: int) -> bool:
            try:
                add(emulator, "same")
            except RecordExistsError:
                return False
            return True

        with ThreadPoolExecutor(8) as pool:
            assert sum(pool.map(race, range(40))) == 1
        emulator.close()


def test_times_are_of_the_given_clock(tmp_path: Path) -> None:
    emulator = opened(tmp_path, clock=lambda: datetime(2026, 7, 1, 12, 0, 0, 42, tzinfo=UTC))
    zone = emulator.account.zone(ZONE_ID)
    assert zone is not None
    assert emulator.account.record(zone, add(emulator, "x")).created_on == "2026-07-01T12:00:00.000042Z"
    emulator.close()


@pytest.mark.parametrize(
    ("path", "folded"),
    [
        (f"/client/v4/zones/{ZONE_ID}/dns_records/{'a' * 32}", "/client/v4/zones/{id}/dns_records/{id}"),
        (
            f"/client/v4/accounts/{'0' * 32}/cfd_tunnel/6b1c97b1-9aef-4923-bbaf-69508974f8d5/token",
            "/client/v4/accounts/{id}/cfd_tunnel/{id}/token",
        ),
        ("/client/v4/zones", "/client/v4/zones"),
    ],
)
def test_ids_are_folded_for_counting(path: str, folded: str) -> None:
    assert fold_path(path) == folded


def test_default_zones_name_what_the_embedded_stack_names() -> None:
    assert [zone.zone_id for zone in DEFAULT_ZONES] == ["0f1e2d3c4b5a69788796a5b4c3d2e1f0"]
