"""`/v3/REST/dns`: implicit rows, their names, and checks that look at the zone."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key

from emulators.embedded import EmbeddedMailjet
from tests.unit.emulators.conftest import DOMAIN, Api
from tests.unit.emulators.tiny_zone import TinyZone


def check(api: Api) -> dict[str, Any]:
    return api.row(api.post(f"dns/{DOMAIN}/check"))


def test_a_new_row_is_unchecked_and_names_are_absolute(api: Api) -> None:
    sender = api.row(api.post("sender", {"Email": f"*@{DOMAIN}"}))
    row = api.row(api.get(f"dns/{sender['DNSID']}"))
    token = row["OwnerShipToken"]
    assert sender["Filename"] == f"{token}.txt"
    assert row == {
        "DKIMRecordName": f"mailjet._domainkey.{DOMAIN}.",
        "DKIMRecordValue": row["DKIMRecordValue"],
        "DKIMStatus": "Not Checked",
        "Domain": DOMAIN,
        "ID": sender["DNSID"],
        "IsCheckInProgress": False,
        "LastCheckAt": "",
        "OwnerShipToken": token,
        "OwnerShipTokenRecordName": f"mailjet._{token[:8]}.{DOMAIN}.",
        "SPFRecordValue": "v=spf1 include:spf.mailjet.com ?all",
        "SPFStatus": "Not Checked",
    }


@pytest.mark.parametrize("bits", [1024, 2048])
def test_the_key_is_real_and_the_usual_one_does_not_fit_one_string(
    api: Api, mailjet: EmbeddedMailjet, bits: int
) -> None:
    mailjet.control.switches(dkim_bits=bits)
    api.post("sender", {"Email": f"*@{DOMAIN}"})
    value = api.row(api.get(f"dns/{DOMAIN}"))["DKIMRecordValue"]
    assert value.startswith("k=rsa; p=MI")
    key = load_der_public_key(base64.b64decode(value.removeprefix("k=rsa; p=")))
    assert isinstance(key, rsa.RSAPublicKey)
    assert key.key_size == bits
    assert (len(value) > 255) == (bits == 2048)


@pytest.mark.parametrize(
    ("form", "dkim", "owner"),
    [
        ("absolute", "mailjet._domainkey.mail.example.", "{label}.mail.example."),
        ("relative-dot", "mailjet._domainkey.mail.example", "{label}.mail.example"),
        ("label", "mailjet._domainkey.mail.example", "{label}"),
    ],
)
def test_names_in_every_form(api: Api, mailjet: EmbeddedMailjet, form: str, dkim: str, owner: str) -> None:
    mailjet.control.switches(dns_names=form)
    api.post("sender", {"Email": f"*@{DOMAIN}"})
    row = api.row(api.get(f"dns/{DOMAIN}"))
    assert row["DKIMRecordName"] == dkim
    assert row["OwnerShipTokenRecordName"] == owner.replace("{label}", f"mailjet._{row['OwnerShipToken'][:8]}")


def test_rows_cannot_be_made_or_deleted(api: Api) -> None:
    api.post("sender", {"Email": f"*@{DOMAIN}"})
    assert api.post("dns", {"Domain": "x.example"}).status_code == 405
    assert api.delete(f"dns/{DOMAIN}").status_code == 405
    assert api.get("dns/other.example").status_code == 404
    assert api.post("dns/other.example/check").status_code == 404


class TestCheck:
    def test_of_an_empty_zone(self, api: Api) -> None:
        api.post("sender", {"Email": f"*@{DOMAIN}"})
        assert check(api) == {
            "DKIMErrors": ["no DKIM record"],
            "DKIMRecordCurrentValue": "",
            "DKIMStatus": "Error",
            "SPFErrors": ["no SPF record"],
            "SPFRecordsCurrentValues": [],
            "SPFStatus": "Not found",
        }
        row = api.row(api.get(f"dns/{DOMAIN}"))
        assert (row["DKIMStatus"], row["SPFStatus"]) == ("Error", "Not found")
        assert row["LastCheckAt"].endswith("Z")

    def test_of_the_published_records(self, api: Api, published: dict[str, Any]) -> None:
        found = check(api)
        assert (found["DKIMStatus"], found["SPFStatus"]) == ("OK", "OK")
        assert found["DKIMErrors"] == found["SPFErrors"] == []
        assert found["DKIMRecordCurrentValue"] == published["DKIMRecordValue"]

    def test_of_a_long_key_in_several_strings(self, api: Api, mailjet: EmbeddedMailjet, zone: TinyZone) -> None:
        mailjet.control.switches(dkim_bits=2048)
        api.post("sender", {"Email": f"*@{DOMAIN}"})
        row = api.row(api.get(f"dns/{DOMAIN}"))
        zone.txt(f"mailjet._domainkey.{DOMAIN}", row["DKIMRecordValue"])
        assert check(api)["DKIMStatus"] == "OK"

    def test_of_a_key_behind_an_alias(self, api: Api, zone: TinyZone, published: dict[str, Any]) -> None:
        del zone.records[f"mailjet._domainkey.{DOMAIN}", "TXT"]
        zone.cname(f"mailjet._domainkey.{DOMAIN}", "key.corp.example")
        zone.txt("key.corp.example", published["DKIMRecordValue"])
        assert check(api)["DKIMStatus"] == "OK"

    def test_of_another_key(self, api: Api, zone: TinyZone, published: dict[str, Any]) -> None:
        zone.txt(f"mailjet._domainkey.{DOMAIN}", "v=DKIM1; k=rsa; p=MIGf")
        found = check(api)
        assert found["DKIMStatus"] == "Error"
        assert found["DKIMRecordCurrentValue"] == "v=DKIM1; k=rsa; p=MIGf"

    @pytest.mark.parametrize(
        ("records", "status"),
        [
            (["v=spf1 include:spf.mailjet.com -all"], "OK"),
            (["some text", "v=spf1 mx ?include:SPF.mailjet.com ~all"], "OK"),
            (["v=spf1 include:_spf.corp.example -all"], "OK"),
            (["v=spf1 redirect=_spf.corp.example"], "OK"),
            (["v=spf1 mx -all"], "Error"),
            (["v=spf1 include:loop.corp.example -all"], "Error"),
            (["v=spf1 include:spf.mailjet.com -all", "v=spf1 mx -all"], "Error"),
            (["v=spf10 include:spf.mailjet.com"], "Not found"),
            (["v=spf1 include:spf.mailjet.com ip4:192.0.2.1/99 -all"], "Error"),
            (["v=spf1 include:spf.mailjet.com ip4:192.0.2 -all"], "Error"),
            (["v=spf1 include:spf.mailjet.com ip6:2001:db8:::1 -all"], "Error"),
            (["v=spf1 include:spf.mailjet.com,include:b.example -all"], "Error"),
            (["v=spf1 include:spf.mailjet.com nonsense -all"], "Error"),
            (
                [
                    "v=spf1 include:spf.mailjet.com a/24//64 mx:b.example/24 ip6:2001:db8::/32 exists:%{i}.x.example exp=y.example ?all"
                ],
                "OK",
            ),
        ],
    )
    def test_of_spf(self, api: Api, zone: TinyZone, records: list[str], status: str) -> None:
        api.post("sender", {"Email": f"*@{DOMAIN}"})
        zone.txt(DOMAIN, *records)
        zone.txt("_spf.corp.example", "v=spf1 include:spf.mailjet.com ~all")
        zone.txt("loop.corp.example", "v=spf1 include:loop.corp.example ~all")
        assert check(api)["SPFStatus"] == status

    def test_of_spf_gives_up_after_ten_lookups(self, api: Api, zone: TinyZone) -> None:
        api.post("sender", {"Email": f"*@{DOMAIN}"})
        zone.txt(DOMAIN, "v=spf1 include:s0.corp.example -all")
        for number in range(12):
            zone.txt(f"s{number}.corp.example", f"v=spf1 include:s{number + 1}.corp.example -all")
        zone.txt("s12.corp.example", "v=spf1 include:spf.mailjet.com -all")
        found = check(api)
        assert found["SPFStatus"] == "Error"
        assert found["SPFErrors"] == ["too many DNS lookups"]

    def test_after_a_lag(self, api: Api, mailjet: EmbeddedMailjet, published: dict[str, Any]) -> None:
        mailjet.control.switches(dns_lag=1)
        assert [check(api)["DKIMStatus"] for _ in range(2)] == ["Error", "OK"]


def test_list_filters(api: Api, published: dict[str, Any]) -> None:
    api.post("sender", {"Email": "*@corp.example"})
    check(api)
    assert api.get("dns").json()["Count"] == 2
    assert [row["Domain"] for row in api.get("dns", SPFStatus="OK").json()["Data"]] == [DOMAIN]
    assert api.get("dns", IsCheckInProgress="true").json()["Count"] == 0
    assert api.get("dns", MinLastCheckAt="2000-01-01T00:00:00Z").json()["Count"] == 1
    assert api.get("dns", MaxLastCheckAt="2000-01-01T00:00:00Z").json()["Count"] == 1
