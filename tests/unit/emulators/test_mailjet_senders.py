"""`/v3/REST/sender` as recorded and documented."""

from __future__ import annotations

import email
import email.policy
import re
from typing import Any

import pytest

from emulators.embedded import EmbeddedMailjet
from tests.unit.emulators.conftest import DOMAIN, Api
from tests.unit.emulators.tiny_zone import TinyZone
from tests.waiting import wait_until


def test_a_new_domain_is_inactive_and_has_the_recorded_types(api: Api) -> None:
    answer = api.post("sender", {"Email": f"*@{DOMAIN}", "Name": "Example"})
    assert answer.status_code == 201
    assert answer.json()["Total"] == 1
    row = api.row(answer)
    assert {name: type(value) for name, value in row.items()} == {
        "CreatedAt": str,
        "DNSID": int,
        "Email": str,
        "EmailType": str,
        "Filename": str,
        "ID": int,
        "IsDefaultSender": bool,
        "Name": str,
        "Status": str,
    }
    assert row["Status"] == "Inactive"
    assert row["EmailType"] == "unknown"
    assert re.fullmatch(r"[0-9a-f]{32}\.txt", row["Filename"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", row["CreatedAt"])
    assert row["DNSID"] > 2**31


def test_a_single_address_has_no_file_and_shares_the_domains_dns_row(api: Api) -> None:
    domain = api.row(api.post("sender", {"Email": f"*@{DOMAIN}"}))
    single = api.row(api.post("sender", {"Email": f"box@{DOMAIN}"}))
    assert single["Filename"] == ""
    assert single["DNSID"] == domain["DNSID"]


def test_an_address_at_a_shared_provider_has_no_dns_row(api: Api) -> None:
    assert api.row(api.post("sender", {"Email": "someone@gmail.com"}))["DNSID"] == -1


@pytest.mark.parametrize("name", ["{ID}", "*@mail.example", "%2A%40mail.example", "*%40MAIL.example"])
def test_lookup_by_id_or_address_however_encoded(api: Api, name: str) -> None:
    row = api.row(api.post("sender", {"Email": f"*@{DOMAIN}"}))
    assert api.row(api.get("sender/" + name.replace("{ID}", str(row["ID"])))) == row


class TestDuplicates:
    def test_inactive(self, api: Api) -> None:
        api.post("sender", {"Email": f"*@{DOMAIN}"})
        answer = api.post("sender", {"Email": f"*@{DOMAIN}"})
        assert (answer.status_code, answer.json()) == (
            400,
            {
                "ErrorInfo": "",
                "ErrorMessage": "There is an already existing inactive sender with the same email. "
                'You can use "validate" action in order to activate it.',
                "StatusCode": 400,
            },
        )

    def test_deleted(self, api: Api) -> None:
        api.post("sender", {"Email": f"*@{DOMAIN}"})
        assert api.delete(f"sender/*@{DOMAIN}").status_code == 204
        answer = api.post("sender", {"Email": f"*@{DOMAIN}"})
        assert answer.status_code == 400
        assert "already existing deleted sender" in answer.json()["ErrorMessage"]

    @pytest.mark.parametrize("place", ["ErrorMessage", "ErrorInfo"])
    def test_active(self, api: Api, mailjet: EmbeddedMailjet, verified: dict[str, Any], place: str) -> None:
        mailjet.control.switches(active_duplicate_in=place)
        answer = api.post("sender", {"Email": f"*@{DOMAIN}"})
        assert answer.status_code == 400
        expected = f'MJ18 A Sender resource with value "*@{DOMAIN}" for Email already exists.'
        assert answer.json()[place] == expected

    def test_case_does_not_make_another_address(self, api: Api) -> None:
        api.post("sender", {"Email": f"box@{DOMAIN}"})
        assert api.post("sender", {"Email": f"BOX@{DOMAIN.upper()}"}).status_code == 400


class TestValidation:
    def test_failure_is_an_unwrapped_200_with_reasons(self, api: Api) -> None:
        row = api.row(api.post("sender", {"Email": f"*@{DOMAIN}"}))
        answer = api.post(f"sender/{row['ID']}/validate")
        assert answer.status_code == 200
        body = answer.json()
        assert body["ValidationMethod"] == ""
        assert body["Errors"] == {
            "FileValidationError": f" File verification failed as {row['Filename']} cannot be found at domain root.",
            "DNSValidationError": " DNS record verification failed as no TXT record for that ownership token was found"
            " on the remote server.",
        }
        assert body["GlobalError"].startswith("Neither the file")
        assert api.row(api.get(f"sender/{row['ID']}"))["Status"] == "Inactive"

    def test_success_by_the_ownership_record_in_the_zone(self, api: Api, published: dict[str, Any]) -> None:
        body = api.post(f"sender/*@{DOMAIN}/validate").json()
        assert body == {
            "ValidationMethod": "DNS",
            "Errors": {"FileValidationError": "", "DNSValidationError": ""},
            "GlobalError": "",
        }
        assert api.row(api.get(f"sender/*@{DOMAIN}"))["Status"] == "Active"

    def test_a_wrong_token_does_not_count(self, api: Api, zone: TinyZone, published: dict[str, Any]) -> None:
        zone.txt(published["OwnerShipTokenRecordName"].rstrip("."), "0" * 32)
        assert api.post(f"sender/*@{DOMAIN}/validate").json()["ValidationMethod"] == ""

    def test_an_active_sender_is_refused(self, api: Api, verified: dict[str, Any]) -> None:
        answer = api.post(f"sender/*@{DOMAIN}/validate")
        assert (answer.status_code, answer.json()["StatusCode"]) == (400, 400)

    def test_put_instead_of_post_is_not_found(self, api: Api) -> None:
        api.post("sender", {"Email": f"*@{DOMAIN}"})
        assert api.put(f"sender/*@{DOMAIN}/validate", {}).status_code == 404

    def test_the_documented_shape_on_request(
        self, api: Api, mailjet: EmbeddedMailjet, published: dict[str, Any]
    ) -> None:
        mailjet.control.switches(validate_answer="wrapped")
        assert api.row(api.post(f"sender/*@{DOMAIN}/validate"))["ValidationMethod"] == "DNS"

    def test_a_slow_propagation_on_request(self, api: Api, mailjet: EmbeddedMailjet, published: dict[str, Any]) -> None:
        mailjet.control.switches(dns_lag=2)
        found = [api.post(f"sender/*@{DOMAIN}/validate").json()["ValidationMethod"] for _ in range(3)]
        assert found == ["", "", "DNS"]

    def test_an_address_on_a_validated_domain_is_active_at_once(self, api: Api, verified: dict[str, Any]) -> None:
        assert api.row(api.post("sender", {"Email": f"box@{DOMAIN}"}))["Status"] == "Active"

    def test_an_older_address_is_activated_by_its_domain(self, api: Api, published: dict[str, Any]) -> None:
        api.post("sender", {"Email": f"box@{DOMAIN}"})
        api.post(f"sender/*@{DOMAIN}/validate")
        assert api.post(f"sender/box@{DOMAIN}/validate").json()["ValidationMethod"] == "Domain"
        assert api.row(api.get(f"sender/box@{DOMAIN}"))["Status"] == "Active"

    def test_an_address_elsewhere_gets_a_mail_with_a_link(self, api: Api, mailjet: EmbeddedMailjet) -> None:
        address = "someone@elsewhere.example"
        assert api.row(api.post("sender", {"Email": address}))["Status"] == "Inactive"
        assert api.post(f"sender/{address}/validate").json()["ValidationMethod"] == "ActivationEmail"
        sent = wait_until(lambda: [one for one in mailjet.control.outbox() if one["status"] == "sent"])
        octets = api.call("GET", f"/_emulator/outbox/{sent[0]['id']}").content
        mail = email.message_from_bytes(octets, policy=email.policy.default)
        link = re.search(r"http://127\.0\.0\.1:\S+", mail.get_content())
        assert link is not None
        assert api.session.get(link[0], timeout=10).status_code == 200
        assert api.row(api.get(f"sender/{address}"))["Status"] == "Active"

    def test_an_unknown_link_activates_nobody(self, api: Api) -> None:
        assert api.call("GET", "/_emulator/activate?token=").status_code == 404


class TestDeletion:
    def test_is_soft_and_lists_hide_it(self, api: Api) -> None:
        row = api.row(api.post("sender", {"Email": f"*@{DOMAIN}"}))
        assert api.delete(f"sender/{row['ID']}").status_code == 204
        assert api.row(api.get(f"sender/*@{DOMAIN}"))["Status"] == "Deleted"
        assert api.get("sender").json()["Data"] == []
        shown = api.get("sender", ShowDeleted="true").json()["Data"]
        assert [one["Status"] for one in shown] == ["Deleted"]

    def test_validate_revives(self, api: Api, verified: dict[str, Any]) -> None:
        api.delete(f"sender/*@{DOMAIN}")
        assert api.post(f"sender/*@{DOMAIN}/validate").json()["ValidationMethod"] == "DNS"
        assert api.row(api.get(f"sender/*@{DOMAIN}"))["Status"] == "Active"

    def test_or_does_not(self, api: Api, mailjet: EmbeddedMailjet, verified: dict[str, Any]) -> None:
        mailjet.control.switches(validate_revives_deleted_sender=False)
        api.delete(f"sender/*@{DOMAIN}")
        assert api.post(f"sender/*@{DOMAIN}/validate").status_code == 400

    @pytest.mark.parametrize(("revives", "status"), [(False, "Deleted"), (True, "Inactive")])
    def test_put_revives_if_told_so(self, api: Api, mailjet: EmbeddedMailjet, revives: bool, status: str) -> None:
        mailjet.control.switches(put_revives_deleted_sender=revives)
        api.post("sender", {"Email": f"*@{DOMAIN}"})
        api.delete(f"sender/*@{DOMAIN}")
        assert api.row(api.put(f"sender/*@{DOMAIN}", {"Name": "Again"}))["Status"] == status

    def test_a_deleted_domain_may_have_no_dns_row(self, api: Api, mailjet: EmbeddedMailjet) -> None:
        mailjet.control.switches(deleted_sender_keeps_dns=False)
        api.post("sender", {"Email": f"*@{DOMAIN}"})
        api.delete(f"sender/*@{DOMAIN}")
        assert api.get(f"dns/{DOMAIN}").status_code == 404


class TestChange:
    def test_put_changes_what_is_given(self, api: Api) -> None:
        row = api.row(api.post("sender", {"Email": f"*@{DOMAIN}", "Name": "A", "EmailType": "bulk"}))
        changed = api.row(api.put(f"sender/{row['ID']}", {"Name": "B"}))
        assert changed == {**row, "Name": "B"}

    def test_nothing_new_is_an_empty_304(self, api: Api) -> None:
        row = api.row(api.post("sender", {"Email": f"*@{DOMAIN}", "Name": "A"}))
        answer = api.put(f"sender/{row['ID']}", {"Name": "A", "Email": row["Email"], "Status": "Inactive"})
        assert (answer.status_code, answer.content) == (304, b"")

    def test_quoted_booleans_are_taken(self, api: Api) -> None:
        row = api.row(api.post("sender", {"Email": f"*@{DOMAIN}", "IsDefaultSender": "true"}))
        assert row["IsDefaultSender"] is True

    @pytest.mark.parametrize("status", [400, 403, 500])
    def test_status_cannot_be_set(self, api: Api, mailjet: EmbeddedMailjet, status: int) -> None:
        mailjet.control.switches(status_write_status=status)
        api.post("sender", {"Email": f"*@{DOMAIN}"})
        answer = api.put(f"sender/*@{DOMAIN}", {"Status": "Active"})
        assert answer.status_code == status
        assert answer.json()["ErrorMessage"] == 'MJ19 Setting a value for property "Status" is not allowed'

    def test_email_is_for_ever(self, api: Api) -> None:
        api.post("sender", {"Email": f"*@{DOMAIN}"})
        assert api.put(f"sender/*@{DOMAIN}", {"Email": "*@other.example"}).status_code == 400


class TestRefusals:
    @pytest.mark.parametrize(
        ("body", "part"),
        [
            ({}, 'Missing mandatory property: "Email"'),
            ({"Email": "nonsense"}, "MJ08 Property Email is invalid"),
            ({"Email": "*@nodot"}, "MJ08 Property Email is invalid"),
            ({"Email": 7}, "MJ08 Property Email is invalid"),
            ({"Email": "a@b.example", "EmailType": "spam"}, "MJ08 Property EmailType is invalid"),
            ({"Email": "a@b.example", "IsDefaultSender": "maybe"}, "MJ08 Property IsDefaultSender is invalid"),
            ({"Email": "a@b.example", "Frob": 1}, 'property "Frob" is not a class property'),
            ({"Email": "a@b.example", "ID": 1}, "MJ19"),
            (["Email"], "Invalid json input"),
        ],
    )
    def test_say_what_is_wrong(self, api: Api, body: object, part: str) -> None:
        answer = api.post("sender", body)
        assert answer.status_code == 400
        assert part in f"{answer.json()['ErrorMessage']} {answer.json()['ErrorInfo']}"
        assert api.get("sender").json()["Data"] == []

    def test_broken_json(self, api: Api) -> None:
        answer = api.session.post(f"{api.url}/v3/REST/sender", data="{", timeout=10)
        assert answer.status_code == 400

    def test_error_info_as_an_object_on_request(self, api: Api, mailjet: EmbeddedMailjet) -> None:
        mailjet.control.switches(error_info="object")
        assert isinstance(api.post("sender", {"Email": "x"}).json()["ErrorInfo"], dict)

    @pytest.mark.slow
    def test_one_hundred_senders_of_any_status_are_the_most(self, api: Api) -> None:
        for number in range(100):
            assert api.post("sender", {"Email": f"box{number}@{DOMAIN}"}).status_code == 201
        api.delete(f"sender/box0@{DOMAIN}")
        answer = api.post("sender", {"Email": f"one.more@{DOMAIN}"})
        assert answer.status_code == 400
        assert "100" in answer.json()["ErrorMessage"]


def test_lists_filter_and_page(api: Api) -> None:
    for number in range(12):
        api.post("sender", {"Email": f"box{number:02}@{DOMAIN}"})
    api.post("sender", {"Email": "*@corp.example"})
    api.delete(f"sender/box00@{DOMAIN}")
    cases: list[tuple[dict[str, object], int, int]] = [
        ({}, 10, 10),
        ({"Limit": 1000}, 12, 12),
        ({"limit": "5", "countRecords": 1}, 5, 12),
        ({"Limit": 5, "Offset": 10}, 2, 2),
        ({"Limit": 0}, 12, 12),
        ({"Frob": "x", "Limit": 3}, 3, 3),
        ({"ShowDeleted": 1, "Limit": 100}, 13, 13),
        ({"IsDomainSender": "true"}, 1, 1),
        ({"Domain": "corp.example"}, 1, 1),
        ({"Email": f"box03@{DOMAIN}"}, 1, 1),
        ({"LocalPart": "box03"}, 1, 1),
        ({"DnsID": 1}, 0, 0),
        ({"Status": "Active"}, 0, 0),
        ({"Status": "Deleted"}, 1, 1),
    ]
    for query, count, total in cases:
        body = api.get("sender", **query).json()
        assert (body["Count"], len(body["Data"]), body["Total"]) == (count, count, total), query
    assert api.get("sender", countOnly=1).json() == {"Count": 12, "Data": [], "Total": 12}
    sorted_down = api.call("GET", "/v3/REST/sender?Sort=Email+DESC&Limit=1").json()["Data"]
    assert sorted_down[0]["Email"] == f"box11@{DOMAIN}"
