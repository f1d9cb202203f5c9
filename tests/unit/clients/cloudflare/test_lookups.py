"""What is asked of Cloudflare, against the emulated one: tokens of both kinds, zones in both spellings."""

from __future__ import annotations

from typing import ClassVar

import pytest

from clients.cloudflare.client import CloudflareError
from clients.cloudflare.lookups import Cloudflare
from commands.doctor.credentials import ZoneWanted, cloudflare_findings
from commands.doctor.finding import Status
from emulators.cloudflare import ACCOUNT_ID, ZONE_ID
from tests.unit.commands.doctor.conftest import _cloudflare, cloudflare
from tests.unit.emulators.cloudflare_fixtures import EmulatedCloudflare

__all__ = ["_cloudflare", "cloudflare"]


def account_token(world: EmulatedCloudflare, *groups: str) -> str:
    """A token that the account owns, not a user."""
    policy = {
        "effect": "allow",
        "resources": {"com.cloudflare.api.account.zone.*": "*"},
        "permission_groups": [{"name": group} for group in groups],
    }
    made = world.call("POST", f"/accounts/{ACCOUNT_ID}/tokens", {"name": "ci", "policies": [policy]})
    return str(made.json()["result"]["value"])


class TestAccountTokens:
    def test_the_zone_names_the_account_that_knows_it(self, cloudflare: EmulatedCloudflare) -> None:
        api = Cloudflare(cloudflare.base, account_token(cloudflare, "Zone Read", "DNS Write"))
        assert api.verify_token(zone_id=ZONE_ID)["status"] == "active"
        assert api.verify_token(account_id=ACCOUNT_ID)["status"] == "active"
        with pytest.raises(CloudflareError, match="401"):
            api.verify_token()

    @pytest.mark.parametrize("groups", [("Zone Read", "DNS Write"), ("DNS Write",)])
    def test_no_credential_check_takes_it_for_a_bad_one(
        self, cloudflare: EmulatedCloudflare, groups: tuple[str, ...]
    ) -> None:
        api = Cloudflare(cloudflare.base, account_token(cloudflare, *groups))
        found = list(cloudflare_findings(api, ZoneWanted(zone_id=ZONE_ID, zone_name="agents.example")))
        assert [one.status for one in found if one.status is Status.ERROR] == []

    def test_a_bad_one_is_one_still(self, cloudflare: EmulatedCloudflare) -> None:
        api = Cloudflare(cloudflare.base, "x" * 40)
        [found] = cloudflare_findings(api, ZoneWanted(zone_id=ZONE_ID, zone_name="agents.example"))
        assert found.status is Status.ERROR


class TestInternationalZones:
    @pytest.mark.parametrize("asked", ["bücher.example", "xn--bcher-kva.example", "BÜCHER.example."])
    def test_both_spellings_find_it(self, cloudflare: EmulatedCloudflare, asked: str) -> None:
        made = cloudflare.call("POST", "/zones", {"name": "bücher.example"}).json()["result"]
        api = Cloudflare(cloudflare.base, cloudflare_token(cloudflare))
        [zone] = api.zones_named(asked)
        assert (zone.id, zone.name) == (made["id"], "xn--bcher-kva.example")

    def test_the_id_and_the_name_fit(self, cloudflare: EmulatedCloudflare) -> None:
        made = cloudflare.call("POST", "/zones", {"name": "bücher.example"}).json()["result"]
        api = Cloudflare(cloudflare.base, cloudflare_token(cloudflare))
        wanted = ZoneWanted(zone_id=made["id"], zone_name="xn--bcher-kva.example")
        assert [one.sentence for one in cloudflare_findings(api, wanted) if one.status is Status.ERROR] == []


def cloudflare_token(world: EmulatedCloudflare) -> str:
    """A user's token that may read every zone."""
    policy = {
        "effect": "allow",
        "resources": {"com.cloudflare.api.account.zone.*": "*"},
        "permission_groups": [{"name": "Zone Read"}, {"name": "DNS Read"}],
    }
    made = world.call("POST", "/user/tokens", {"name": "reader", "policies": [policy]})
    return str(made.json()["result"]["value"])


class TestWrites:
    """Whether a token may write is seen by writing, if somebody asks for it."""

    WANTED: ClassVar = ZoneWanted(
        zone_id=ZONE_ID, zone_name="agents.example", write_test="_dev-write-test.agents.example"
    )

    def sentence(self, world: EmulatedCloudflare, *groups: str) -> tuple[Status, str]:
        api = Cloudflare(world.base, account_token(world, *groups))
        found = list(cloudflare_findings(api, self.WANTED))[-1]
        return found.status, found.sentence

    def test_one_that_may_leaves_nothing_behind(self, cloudflare: EmulatedCloudflare) -> None:
        before = cloudflare.emulator.state()
        status, said = self.sentence(cloudflare, "Zone Read", "DNS Write")
        assert (status, "was written and removed" in said) == (Status.OK, True)
        assert cloudflare.emulator.state()["zones"] == before["zones"]

    def test_one_that_may_not_is_told_before_anything_is_half_done(self, cloudflare: EmulatedCloudflare) -> None:
        status, said = self.sentence(cloudflare, "Zone Read", "DNS Read")
        assert status is Status.ERROR
        assert "while trying to write _dev-write-test.agents.example TXT: expected the permission Zone.DNS Edit" in said

    def test_what_a_killed_test_has_left_goes(self, cloudflare: EmulatedCloudflare) -> None:
        cloudflare.create(type="TXT", name="_dev-write-test", content="x")
        assert self.sentence(cloudflare, "Zone Read", "DNS Write")[0] is Status.OK
        assert "_dev-write-test" not in str(cloudflare.emulator.state()["zones"])

    def test_without_being_asked_nothing_is_written(self, cloudflare: EmulatedCloudflare) -> None:
        api = Cloudflare(cloudflare.base, account_token(cloudflare, "Zone Read", "DNS Write"))
        found = list(cloudflare_findings(api, ZoneWanted(zone_id=ZONE_ID, zone_name="agents.example")))[-1]
        assert "Not to be seen without writing" in found.sentence
