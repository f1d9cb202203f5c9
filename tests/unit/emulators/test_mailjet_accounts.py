"""Authentication, subaccounts, and what every resource answers alike."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from emulators.embedded import EmbeddedMailjet
from tests.unit.emulators.conftest import DOMAIN, Api


@pytest.fixture
def second(api: Api, mailjet: EmbeddedMailjet) -> Iterator[Api]:
    """Another API key's view."""
    key = api.row(api.post("apikey", {"Name": "Second"}))
    found = Api(mailjet, (key["APIKey"], key["SecretKey"]))
    with found.session:
        yield found


class TestAuthentication:
    @pytest.mark.parametrize("auth", [None, ("nobody", "x"), ("", ""), ("{key}", "wrong")])
    def test_failure_is_an_empty_page(self, mailjet: EmbeddedMailjet, auth: tuple[str, str] | None) -> None:
        given = auth and (auth[0].replace("{key}", mailjet.api_key), auth[1])
        answer = requests.get(f"{mailjet.url}/v3/REST/sender", auth=given, timeout=10)
        assert (answer.status_code, answer.content) == (401, b"")
        assert answer.headers["content-type"].startswith("text/html")
        assert answer.headers["www-authenticate"] == 'Basic realm="Provide an apiKey and secretKey"'

    @pytest.mark.parametrize("header", ["Basic !!!", "Bearer x", "Basic /w=="])
    def test_nonsense_is_no_credential(self, mailjet: EmbeddedMailjet, header: str) -> None:
        answer = requests.get(f"{mailjet.url}/v3/REST/sender", headers={"Authorization": header}, timeout=10)
        assert answer.status_code == 401

    def test_a_blocked_account(self, api: Api, mailjet: EmbeddedMailjet) -> None:
        mailjet.control.switches(blocked_account=True)
        answer = api.get("sender")
        assert answer.status_code == 401
        assert "temporarily blocked" in answer.json()["ErrorMessage"]

    def test_a_rotated_secret(self, api: Api, second: Api) -> None:
        user, old = second.session.auth  # type: ignore[misc]
        api.call("PUT", "/_emulator/apikeys", {"api_key": user, "api_secret": "new"})
        assert second.get("sender").status_code == 401
        second.session.auth = (user, "new")
        assert second.get("sender").status_code == 200
        assert old != "new"


class TestSubaccounts:
    def test_have_the_real_fields(self, api: Api) -> None:
        answer = api.post("apikey", {"Name": "Second"})
        assert answer.status_code == 201
        assert set(api.row(answer)) == {
            "ACL",
            "APIKey",
            "CreatedAt",
            "ID",
            "IsActive",
            "IsMaster",
            "Name",
            "QuarantineValue",
            "RegionID",
            "Runlevel",
            "SecretKey",
            "Skipspamd",
            "TrackHost",
            "UserID",
        }
        assert api.get("apikey").json()["Count"] == 2

    def test_cannot_be_deleted_but_suspended(self, api: Api, second: Api) -> None:
        key = api.get("apikey").json()["Data"][1]
        assert api.delete(f"apikey/{key['ID']}").status_code == 405
        assert api.put(f"apikey/{key['ID']}", {"Name": key["Name"]}).status_code == 304
        assert api.row(api.put(f"apikey/{key['APIKey']}", {"IsActive": False}))["IsActive"] is False
        assert second.get("sender").status_code == 401

    def test_may_not_manage_keys(self, second: Api) -> None:
        assert second.get("apikey").status_code == 403

    def test_see_nothing_of_each_other(self, api: Api, second: Api, verified: dict[str, Any]) -> None:
        route = api.row(api.post("parseroute", {"Url": "https://h.example/x", "Email": f"box@{DOMAIN}"}))
        assert second.get("sender", ShowDeleted=1).json()["Count"] == 0
        assert second.get("parseroute").json()["Count"] == 0
        assert second.get(f"parseroute/{route['ID']}").status_code == 404
        assert second.delete(f"parseroute/{route['ID']}").status_code == 404
        assert second.get(f"dns/{DOMAIN}").status_code == 404

    def test_have_keys_of_their_own_for_the_same_domain(self, api: Api, second: Api) -> None:
        values = []
        for one in (api, second):
            one.post("sender", {"Email": f"*@{DOMAIN}"})
            values.append(one.row(one.get(f"dns/{DOMAIN}"))["DKIMRecordValue"])
        assert values[0] != values[1]

    def test_cannot_route_an_address_twice(
        self, api: Api, second: Api, mailjet: EmbeddedMailjet, verified: dict[str, Any]
    ) -> None:
        mailjet.control.switches(route_needs_verified_domain=False)
        body = {"Url": "https://h.example/x", "Email": f"box@{DOMAIN}"}
        assert api.post("parseroute", body).status_code == 201
        assert "MJ18" in second.post("parseroute", body).json()["ErrorMessage"]


class TestErrors:
    def test_an_unknown_resource(self, api: Api) -> None:
        answer = api.get("wrongresourcepath")
        assert (answer.status_code, answer.json()) == (
            500,
            {
                "ErrorInfo": "EFPWebError",
                "ErrorMessage": 'Could not determine HTTP module for request "wrongresourcepath"',
                "StatusCode": 500,
            },
        )

    @pytest.mark.parametrize("path", ["domain", "inbound"])
    def test_invented_resources_do_not_exist(self, api: Api, path: str) -> None:
        assert api.get(path).json()["ErrorInfo"] == "EFPWebError"

    @pytest.mark.parametrize("path", ["sender/7", "sender/x@y.example", "sender/9" + "9" * 30, "parseroute/7/frob"])
    def test_not_found(self, api: Api, path: str) -> None:
        answer = api.get(path)
        assert (answer.status_code, answer.json()) == (
            404,
            {"ErrorInfo": "", "ErrorMessage": "Object not found", "StatusCode": 404},
        )

    def test_not_found_as_a_web_page(self, api: Api, mailjet: EmbeddedMailjet) -> None:
        mailjet.control.switches(not_found="html")
        answer = api.get("sender/7")
        assert answer.status_code == 404
        assert answer.headers["content-type"].startswith("text/html")
        assert "nginx" in answer.text

    def test_method_not_allowed(self, api: Api) -> None:
        assert api.delete("sender").status_code == 405
        assert api.put("parseroute", {}).status_code == 405

    def test_resource_names_have_no_case(self, api: Api) -> None:
        assert api.get("Sender").status_code == api.get("PARSEROUTE").status_code == 200


class TestEventCallbacks:
    BODY: dict[str, Any] = {"EventType": "bounce", "Url": "https://h.example/events", "Version": 2}  # noqa: RUF012

    def test_create_read_change_delete(self, api: Api) -> None:
        answer = api.post("eventcallbackurl", self.BODY)
        row = api.row(answer)
        assert answer.status_code == 201
        assert row == {
            **self.BODY,
            "APIKeyID": row["APIKeyID"],
            "ID": row["ID"],
            "IsBackup": False,
            "Status": "alive",
        }
        assert api.row(api.get("eventcallbackurl/bounce|false")) == row
        assert api.put(f"eventcallbackurl/{row['ID']}", {"Version": 2}).status_code == 304
        assert api.row(api.put(f"eventcallbackurl/{row['ID']}", {"Version": 1}))["Version"] == 1
        assert api.delete(f"eventcallbackurl/{row['ID']}").status_code == 204
        assert api.get(f"eventcallbackurl/{row['ID']}").status_code == 404

    def test_one_and_a_backup_for_each_type(self, api: Api) -> None:
        api.post("eventcallbackurl", self.BODY)
        assert "MJ18" in api.post("eventcallbackurl", self.BODY).json()["ErrorMessage"]
        assert api.post("eventcallbackurl", {**self.BODY, "IsBackup": True}).status_code == 201
        assert api.post("eventcallbackurl", {**self.BODY, "EventType": "sent"}).status_code == 201
        assert api.get("eventcallbackurl", EventType="bounce").json()["Count"] == 2
        assert api.get("eventcallbackurl", IsBackup="true").json()["Count"] == 1

    @pytest.mark.parametrize(
        "change",
        [{"EventType": "frob"}, {"Version": 3}, {"Status": "zombie"}, {"Url": ""}, {"Url": "x"}, {"ID": 4}],
    )
    def test_refusals(self, api: Api, change: dict[str, Any]) -> None:
        assert api.post("eventcallbackurl", {**self.BODY, **change}).status_code == 400
