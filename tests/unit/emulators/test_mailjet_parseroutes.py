"""`/v3/REST/parseroute`."""

from __future__ import annotations

from typing import Any

import pytest

from emulators.embedded import EmbeddedMailjet
from tests.unit.emulators.conftest import DOMAIN, Api

URL = "https://owner:secret@hooks.example/mail"
BOX = f"box@{DOMAIN}"


def test_create_gives_ints(api: Api, verified: dict[str, Any]) -> None:
    answer = api.post("parseroute", {"Url": URL, "Email": BOX})
    row = api.row(answer)
    assert answer.status_code == 201
    assert row == {"APIKeyID": row["APIKeyID"], "Email": BOX, "ID": row["ID"], "Url": URL}
    assert isinstance(row["ID"], int)
    assert isinstance(row["APIKeyID"], int)
    assert api.row(api.get(f"parseroute/{row['ID']}")) == row
    assert api.row(api.get(f"parseroute/{BOX}")) == row


def test_one_automatic_address_a_key(api: Api) -> None:
    row = api.row(api.post("parseroute", {"Url": URL}))
    assert row["Email"].endswith("@parse-in1.mailjet.com")
    again = api.post("parseroute", {"Url": URL})
    assert again.status_code == 400
    assert "MJ18" in again.json()["ErrorMessage"]


@pytest.mark.parametrize("status", [400, 409])
def test_an_address_is_routed_once(api: Api, mailjet: EmbeddedMailjet, verified: dict[str, Any], status: int) -> None:
    mailjet.control.switches(route_duplicate_status=status)
    api.post("parseroute", {"Url": URL, "Email": BOX})
    answer = api.post("parseroute", {"Url": URL + "2", "Email": BOX.upper()})
    assert answer.status_code == status
    expected = f'MJ18 A Parseroute resource with value "{BOX.upper()}" for Email already exists.'
    assert answer.json()["ErrorMessage"] == expected


@pytest.mark.parametrize(
    ("body", "part"),
    [
        ({"Email": BOX}, 'Missing mandatory property: "Url"'),
        ({"Email": BOX, "Url": "https://hooks.example"}, "root URL"),
        ({"Email": BOX, "Url": "https://hooks.example/"}, "root URL"),
        ({"Email": BOX, "Url": "hooks.example/x"}, "not a valid URL"),
        ({"Email": BOX, "Url": "ftp://hooks.example/x"}, "not a valid URL"),
        ({"Email": "nobody", "Url": URL}, "not a valid email address"),
        ({"Email": f"*@{DOMAIN}", "Url": URL}, "not a valid email address"),
        ({"Email": "x@parse-in1.mailjet.com", "Url": URL}, "cannot be chosen"),
        ({"Email": "x@unverified.example", "Url": URL}, "not a verified sender domain"),
        ({"Email": BOX, "Url": URL, "ID": 1}, "MJ19"),
    ],
)
def test_refusals(api: Api, verified: dict[str, Any], body: object, part: str) -> None:
    answer = api.post("parseroute", body)
    assert answer.status_code == 400
    assert part in f"{answer.json()['ErrorMessage']} {answer.json()['ErrorInfo']}"
    assert "secret" not in answer.text
    assert api.get("parseroute").json()["Count"] == 0


class TestChange:
    def test_of_the_url(self, api: Api, verified: dict[str, Any]) -> None:
        row = api.row(api.post("parseroute", {"Url": URL, "Email": BOX}))
        answer = api.put(f"parseroute/{row['ID']}", {"Url": URL + "2"})
        assert (answer.status_code, api.row(answer)) == (200, {**row, "Url": URL + "2"})

    def test_of_the_address(self, api: Api, verified: dict[str, Any]) -> None:
        row = api.row(api.post("parseroute", {"Url": URL, "Email": BOX}))
        api.post("parseroute", {"Url": URL, "Email": f"taken@{DOMAIN}"})
        assert api.put(f"parseroute/{row['ID']}", {"Email": f"taken@{DOMAIN}"}).status_code == 400
        assert api.row(api.put(f"parseroute/{row['ID']}", {"Email": f"new@{DOMAIN}"}))["Email"] == f"new@{DOMAIN}"

    def test_of_nothing_is_an_empty_304(self, api: Api, verified: dict[str, Any]) -> None:
        row = api.row(api.post("parseroute", {"Url": URL, "Email": BOX}))
        answer = api.put(f"parseroute/{row['ID']}", row)
        assert (answer.status_code, answer.content) == (304, b"")


@pytest.mark.parametrize("name", ["{ID}", BOX])
def test_delete_by_id_or_address(api: Api, verified: dict[str, Any], name: str) -> None:
    row = api.row(api.post("parseroute", {"Url": URL, "Email": BOX}))
    path = "parseroute/" + name.replace("{ID}", str(row["ID"]))
    assert api.delete(path).status_code == 204
    missing = api.delete(path)
    assert (missing.status_code, missing.json()) == (
        404,
        {"ErrorInfo": "", "ErrorMessage": "Object not found", "StatusCode": 404},
    )
    assert api.row(api.post("parseroute", {"Url": URL, "Email": BOX}))["ID"] > row["ID"]


def test_lists_page_and_know_no_email_filter(api: Api, verified: dict[str, Any]) -> None:
    for number in range(12):
        api.post("parseroute", {"Url": URL, "Email": f"box{number}@{DOMAIN}"})
    assert api.get("parseroute", Email=f"box3@{DOMAIN}").json()["Count"] == 10
    first = api.get("parseroute", Limit=7).json()["Data"]
    second = api.get("parseroute", Limit=7, Offset=7).json()["Data"]
    assert [row["Email"] for row in first + second] == [f"box{number}@{DOMAIN}" for number in range(12)]


class TestSwitches:
    def test_wildcard(self, api: Api, mailjet: EmbeddedMailjet, verified: dict[str, Any]) -> None:
        mailjet.control.switches(wildcard_routes=True)
        assert api.post("parseroute", {"Url": URL, "Email": f"*@{DOMAIN}"}).status_code == 201

    def test_quota(self, api: Api, mailjet: EmbeddedMailjet, verified: dict[str, Any]) -> None:
        mailjet.control.switches(route_quota=1)
        assert api.post("parseroute", {"Url": URL, "Email": BOX}).status_code == 201
        assert api.post("parseroute", {"Url": URL, "Email": f"two@{DOMAIN}"}).status_code == 403

    def test_plan(self, api: Api, mailjet: EmbeddedMailjet, verified: dict[str, Any]) -> None:
        mailjet.control.switches(parse_in_plan=False)
        assert api.post("parseroute", {"Url": URL, "Email": BOX}).status_code == 403

    def test_unverified_domain(self, api: Api, mailjet: EmbeddedMailjet) -> None:
        mailjet.control.switches(route_needs_verified_domain=False)
        assert api.post("parseroute", {"Url": URL, "Email": BOX}).status_code == 201

    def test_unknown_or_mistyped_ones_are_refused(self, api: Api) -> None:
        for body in ({"frob": 1}, {"dns_lag": "many"}, {"not_found": "xml"}, [1]):
            assert api.call("PUT", "/_emulator/switches", body).status_code == 400

    def test_are_undone_by_delete(self, api: Api) -> None:
        before = api.call("GET", "/_emulator/switches").json()
        api.call("PUT", "/_emulator/switches", {"not_found": "html"})
        api.call("DELETE", "/_emulator/switches")
        after = api.call("GET", "/_emulator/switches").json()
        assert after["not_found"] == "json"
        assert set(before) == set(after)

    @pytest.mark.parametrize(
        ("answer", "statuses"),
        [
            ("exact", {"box": 200, "BOX": 404, "nobody": 404}),
            ("any-case", {"box": 200, "BOX": 200, "nobody": 404}),
            ("unknown", {"box": 404, "BOX": 404, "nobody": 404}),
            ("refused", {"box": 400, "BOX": 400, "nobody": 400}),
            ("oldest", {"box": 200, "BOX": 200, "nobody": 200}),
        ],
    )
    def test_by_address(
        self, api: Api, mailjet: EmbeddedMailjet, verified: dict[str, Any], answer: str, statuses: dict[str, int]
    ) -> None:
        mailjet.control.switches(route_by_address=answer)
        made = [api.row(api.post("parseroute", {"Url": URL, "Email": f"{name}@{DOMAIN}"})) for name in ("older", "box")]
        answers = {name: api.get(f"parseroute/{name}%40{DOMAIN}") for name in statuses}
        assert {name: found.status_code for name, found in answers.items()} == statuses
        if answer == "oldest":
            assert api.row(answers["box"]) == made[0]
        assert api.row(api.get(f"parseroute/{made[1]['ID']}")) == made[1]


def test_the_total_of_all_is_told_where_it_is_asked_for(api: Api, verified: dict[str, Any]) -> None:
    for number in range(3):
        api.post("parseroute", {"Url": URL, "Email": f"box{number}@{DOMAIN}"})
    assert api.get("parseroute", Limit=2).json()["Total"] == 2
    page = api.get("parseroute", Limit=2, Offset=2, countRecords=1).json()
    assert (page["Count"], page["Total"], [row["Email"] for row in page["Data"]]) == (1, 3, [f"box2@{DOMAIN}"])
    newest = api.get("parseroute", Limit=2, Sort="ID DESC").json()["Data"]
    assert [row["Email"] for row in newest] == [f"box2@{DOMAIN}", f"box1@{DOMAIN}"]


@pytest.mark.parametrize("overlap", [0, 1])
def test_pages_are_those_of_the_list_whatever_is_written_between_them(
    api: Api, verified: dict[str, Any], overlap: int
) -> None:
    def emails(limit: int, offset: int) -> list[str]:
        return [row["Email"] for row in api.get(f"parseroute?Limit={limit}&Offset={offset}").json()["Data"]]

    for number in range(12):
        api.post("parseroute", {"Url": URL, "Email": f"box{number}@{DOMAIN}"})
    for change in (None, "box1", "box11", None):
        if change:
            assert api.delete(f"parseroute/{change}@{DOMAIN}").status_code == 204
        whole = emails(100, 0)
        offset = 0
        while offset < len(whole):
            assert emails(4, offset) == whole[offset : offset + 4]
            if offset == 4 - overlap and change is None:
                # In the middle of somebody's listing everything behind it moves up.
                api.delete(f"parseroute/{whole[0]}")
                whole = whole[1:]
            offset += 4 - overlap
