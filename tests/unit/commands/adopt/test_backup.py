"""The backup file, and what a restore does with it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from commands.adopt.backup import Backup, Restoration, make_restoration, read_backup, write_backup
from commands.adopt.errors import BackupError
from zone.survey import ZoneNeeds

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
ZONE_ID = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"
CLAIM = ZoneNeeds(domain="dev.agents.example", tunnel_hostname="api-dev.agents.example")
OURS = "managed by pulumi: agentmail-dev"
MX = {
    "id": "1",
    "name": "dev.agents.example",
    "type": "MX",
    "content": "mx1.corp.example",
    "priority": 10,
    "ttl": 300,
    "comment": None,
    "tags": [],
    "meta": {},
}
SPF = {
    "id": "2",
    "name": "dev.agents.example",
    "type": "TXT",
    "content": "v=spf1 -all",
    "ttl": 300,
    "comment": "mine",
    "tags": [],
}
WWW = {"id": "3", "name": "www.agents.example", "type": "A", "content": "192.0.2.1", "ttl": 1, "proxied": True}
HOST = {"id": "4", "name": "api-dev.agents.example", "type": "A", "content": "192.0.2.2", "ttl": 1}
OUR_MX = {
    "id": "8",
    "name": "dev.agents.example",
    "type": "MX",
    "content": "parse.mailjet.com",
    "priority": 10,
    "ttl": 300,
    "comment": OURS,
}
OUR_DKIM = {
    "id": "9",
    "name": "mailjet._domainkey.dev.agents.example",
    "type": "TXT",
    "content": "k",
    "ttl": 300,
    "comment": OURS,
}


def backup(*records: dict[str, Any]) -> Backup:
    return Backup(zone_id=ZONE_ID, zone_name="agents.example", stack="dev", taken_at="then", records=records)


def restoration(kept: Sequence[dict[str, Any]], now: Sequence[dict[str, Any]], **options: Any) -> Restoration:
    return make_restoration(backup(*kept), now, CLAIM, comment=OURS, **options)


class TestFile:
    def test_what_is_written_is_read(self, tmp_path: Path) -> None:
        path = write_backup(tmp_path / "new", backup(MX, SPF), now=NOW)
        assert path.name == "dev-20260102T030405Z.json"
        assert read_backup(path, zone_id=ZONE_ID) == backup(MX, SPF)
        assert path.stat().st_mode & 0o077 == 0

    def test_no_backup_is_ever_overwritten(self, tmp_path: Path) -> None:
        first = write_backup(tmp_path, backup(MX), now=NOW)
        second = write_backup(tmp_path, backup(), now=NOW)
        assert second.name == "dev-20260102T030405Z-2.json"
        assert read_backup(first, zone_id=ZONE_ID).records == (MX,)

    def test_a_stack_s_full_name_makes_one_file_name(self, tmp_path: Path) -> None:
        named = Backup(zone_id=ZONE_ID, zone_name="z", stack="org/agentmail/prod", taken_at="t", records=())
        assert write_backup(tmp_path, named, now=NOW).name == "org-agentmail-prod-20260102T030405Z.json"

    @pytest.mark.parametrize(
        ("text", "found"),
        [
            ("{", "cannot be read as JSON"),
            ("[]", "is no backup of a zone"),
            ('{"format": 2, "records": []}', "is no backup"),
        ],
    )
    def test_what_is_no_backup(self, tmp_path: Path, text: str, found: str) -> None:
        path = tmp_path / "x.json"
        path.write_text(text)
        with pytest.raises(BackupError, match=found):
            read_backup(path, zone_id=ZONE_ID)

    def test_a_missing_file_and_another_zone(self, tmp_path: Path) -> None:
        with pytest.raises(BackupError, match="does not exist"):
            read_backup(tmp_path / "none.json", zone_id=ZONE_ID)
        path = write_backup(tmp_path, backup(MX), now=NOW)
        with pytest.raises(BackupError, match=r"is of the zone 'agents\.example'"):
            read_backup(path, zone_id="f" * 32)


class TestRestoration:
    def test_an_unchanged_zone_needs_nothing(self) -> None:
        assert restoration([MX, SPF, WWW], [MX, SPF, WWW]).is_empty

    def test_changed_gone_and_ours(self) -> None:
        changed = {**SPF, "content": '"v=spf1 include:spf.mailjet.com -all"', "comment": OURS}
        made = restoration([MX, SPF, WWW], [changed, OUR_MX, OUR_DKIM, WWW])
        assert made.put_back == [SPF]
        assert made.create == [MX]
        assert [record.id for record in made.remove] == ["8"]

    def test_what_a_destroy_would_delete_comes_back_under_a_new_id(self) -> None:
        changed = {**SPF, "content": "v=spf1 ~all", "comment": OURS}
        made = restoration([SPF], [changed], deleted_on_destroy={"2"})
        assert (made.put_back, made.replace) == ([], [SPF])
        assert not made.is_empty

    def test_our_records_beside_nothing_restored_stay(self) -> None:
        assert restoration([SPF], [SPF, OUR_MX, OUR_DKIM]).is_empty

    def test_our_cname_gives_the_host_back(self) -> None:
        cname = {
            "id": "7",
            "name": HOST["name"],
            "type": "CNAME",
            "content": "x.cfargotunnel.com",
            "ttl": 1,
            "comment": OURS,
        }
        made = restoration([HOST], [cname])
        assert (made.create, [record.id for record in made.remove]) == ([HOST], ["7"])

    def test_an_equal_record_under_another_id_is_enough(self) -> None:
        assert restoration([MX], [{**MX, "id": "77"}]).is_empty

    def test_unrelated_changes_are_told_and_left(self) -> None:
        made = restoration([WWW, {**WWW, "id": "5", "name": "x.agents.example"}], [{**WWW, "content": "192.0.2.9"}])
        assert made.is_empty
        assert [sentence.split(" the backup")[0] for sentence in made.unrelated] == [
            "www.agents.example A 192.0.2.1 has changed since",
            "x.agents.example A 192.0.2.1 is gone since",
        ]

    def test_unless_everything_is_asked_for(self) -> None:
        made = restoration([WWW, HOST], [{**WWW, "content": "192.0.2.9"}], everything=True)
        assert (made.put_back, made.create) == ([WWW], [HOST])

    def test_a_record_that_an_up_renamed_is_put_back(self) -> None:
        token = {"id": "6", "name": "mailjet._aaaaaaaa.dev.agents.example", "type": "TXT", "content": "a", "ttl": 300}
        renamed = {**token, "name": "mailjet._bbbbbbbb.dev.agents.example", "comment": OURS}
        assert restoration([token], [renamed]).put_back == [token]

    def test_the_backup_holds_plain_json(self, tmp_path: Path) -> None:
        path = write_backup(tmp_path, backup(MX), now=NOW)
        assert json.loads(path.read_text())["records"][0]["content"] == "mx1.corp.example"
