"""`POST /v3.1/send`."""

from __future__ import annotations

import base64
import email
import email.policy
from typing import Any

import pytest
import requests

from emulators.embedded import EmbeddedMailjet
from tests.unit.emulators.conftest import DOMAIN, Api
from tests.unit.emulators.webhook import Webhook
from tests.waiting import wait_until

ANN, BOB = f"ann@{DOMAIN}", f"bob@{DOMAIN}"
MESSAGE: dict[str, Any] = {
    "From": {"Email": ANN, "Name": "Ann"},
    "To": [{"Email": BOB, "Name": "Bob"}],
    "Subject": "S",
    "TextPart": "t",
    "CustomID": "id",
}


def send(api: Api, *messages: dict[str, Any], **options: Any) -> requests.Response:
    return api.call("POST", "/v3.1/send", {"Messages": list(messages), **options})


def test_success_in_the_documented_shape(api: Api, verified: dict[str, Any]) -> None:
    answer = send(api, {**MESSAGE, "Cc": [{"Email": "c@faraway.example"}], "Bcc": [{"Email": "d@faraway.example"}]})
    assert answer.status_code == 200
    (result,) = answer.json()["Messages"]
    assert result["Status"] == "success"
    assert result["CustomID"] == "id"
    (to,) = result["To"]
    assert to == {
        "Email": BOB,
        "MessageUUID": to["MessageUUID"],
        "MessageID": to["MessageID"],
        "MessageHref": f"https://api.mailjet.com/v3/REST/message/{to['MessageID']}",
    }
    assert to["MessageID"] > 2**53
    assert [one["Email"] for one in result["Cc"] + result["Bcc"]] == ["c@faraway.example", "d@faraway.example"]


def test_sandbox_sends_nothing(api: Api, mailjet: EmbeddedMailjet, verified: dict[str, Any]) -> None:
    (result,) = send(api, MESSAGE, SandboxMode=True).json()["Messages"]
    assert result["To"] == [
        {
            "Email": BOB,
            "MessageUUID": "",
            "MessageID": 0,
            "MessageHref": "https://api.mailjet.com/v3/REST/message/0",
        }
    ]
    assert mailjet.control.outbox() == []


def test_the_message_is_what_was_asked_for(
    api: Api, mailjet: EmbeddedMailjet, verified: dict[str, Any], webhook: Webhook
) -> None:
    api.post("parseroute", {"Email": BOB, "Url": webhook.url()})
    send(
        api,
        {
            **MESSAGE,
            "TrackOpens": "disabled",
            "Subject": "Grüße\r\nBcc: x@evil.example",
            "HTMLPart": "<img src='cid:logo'>",
            "ReplyTo": {"Email": "r@faraway.example"},
            "Headers": {"In-Reply-To": "<m@x>", "References": "<m@x>", "X-Own": "1"},
            "EventPayload": "p",
            "Attachments": [{"ContentType": "text/csv", "Filename": "a.csv", "Base64Content": "YSxi"}],
            "InlinedAttachments": [
                {"ContentType": "image/gif", "Filename": "l.gif", "ContentID": "logo", "Base64Content": "R0lG"}
            ],
        },
    )
    (call,) = wait_until(lambda: webhook.calls)
    payload = call.payload
    assert payload["Subject"] == "Grüße Bcc: x@evil.example"
    assert payload["Text-part"].strip() == "t"
    assert payload["Html-part"].strip() == "<img src='cid:logo'>"
    assert base64.b64decode(payload["Attachment1"]) == b"a,b"
    assert base64.b64decode(payload["InlineAttachment1"]) == b"GIF"
    headers = payload["Headers"]
    assert headers["In-Reply-To"] == headers["References"] == "<m@x>"
    assert headers["Reply-To"] == "r@faraway.example"
    assert headers["X-Own"] == ["1"]
    assert "Bcc" not in headers
    assert mailjet.control.outbox()[0]["event_payload"] == "p"


@pytest.mark.parametrize("body", [{"HTMLPart": "<p>x</p>"}, {"TemplateID": 7}])
def test_other_bodies(api: Api, mailjet: EmbeddedMailjet, verified: dict[str, Any], body: dict[str, Any]) -> None:
    message = {name: value for name, value in MESSAGE.items() if name != "TextPart"}
    inline = [{"ContentType": "image/gif", "Filename": "l.gif", "ContentID": "logo", "Base64Content": "R0lG"}]
    assert send(api, {**message, **body, "InlinedAttachments": inline}).status_code == 200
    octets = api.call("GET", f"/_emulator/outbox/{mailjet.control.outbox()[0]['id']}").content
    kinds = [part.get_content_type() for part in email.message_from_bytes(octets, policy=email.policy.SMTP).walk()]
    assert kinds[0] == "multipart/related"
    assert kinds[2] == "image/gif"


def test_one_bad_message_does_not_stop_the_others(api: Api, verified: dict[str, Any]) -> None:
    bad = {name: value for name, value in MESSAGE.items() if name != "TextPart"}
    answer = send(api, bad, MESSAGE)
    assert answer.status_code == 400  # recorded: the good one is sent all the same
    first, second = answer.json()["Messages"]
    assert second["Status"] == "success"
    assert first["Status"] == "error"
    (error,) = first["Errors"]
    assert error == {
        "ErrorIdentifier": error["ErrorIdentifier"],
        "ErrorCode": "send-0003",
        "StatusCode": 400,
        "ErrorMessage": 'At least "HTMLPart", "TextPart" or "TemplateID" must be provided.',
        "ErrorRelatedTo": ["HTMLPart", "TextPart"],
    }


@pytest.mark.parametrize(
    ("change", "code", "status", "related"),
    [
        ({"From": {"Email": "s@elsewhere.example"}}, "send-0008", 403, "From.Email"),
        ({"Headers": {"Message-Id": "<x@y>"}}, "send-0011", 400, "Headers.Message-Id"),
        ({"Headers": {"X-A": 1}}, "mj-0004", 400, "Headers.X-A"),
        ({"To": [{"Email": f"r{n}@x.example"} for n in range(51)]}, "send-0015", 400, "To"),
        ({"To": []}, "mj-0007", 400, "To"),
        ({"To": [{"Name": "x"}]}, "mj-0003", 400, "To[0].Email"),
        ({"To": [{"Email": ""}]}, "mj-0012", 400, "To[0].Email"),
        ({"To": [{"Email": "x"}]}, "mj-0013", 400, "To[0].Email"),
        ({"To": [{"Email": 1}]}, "mj-0004", 400, "To[0].Email"),
        ({"Cc": [{"Email": BOB}, {"Email": "@x"}]}, "mj-0013", 400, "Cc[1].Email"),
        ({"From": {"Email": ANN, "Name": 1}}, "mj-0004", 400, "From.Name"),
        ({"Subject": "x" * 256}, "mj-0006", 400, "Subject"),
        ({"TrackOpens": "maybe"}, "mj-0005", 400, "TrackOpens"),
        ({"Frob": 1}, "mj-0001", 400, "Frob"),
        ({"Attachments": [{"Filename": "a"}]}, "mj-0003", 400, "Attachments[0].ContentType"),
        (
            {"Attachments": [{"ContentType": "a/b", "Filename": "", "Base64Content": ""}]},
            "mj-0012",
            400,
            "Attachments[0].Filename",
        ),
        (
            {"Attachments": [{"ContentType": "a/b", "Filename": "a", "Base64Content": "!"}]},
            "mj-0014",
            400,
            "Attachments[0].Base64Content",
        ),
        (
            {"Attachments": [{"ContentType": 1, "Filename": "a", "Base64Content": ""}]},
            "mj-0004",
            400,
            "Attachments[0].ContentType",
        ),
    ],
)
def test_refusals(
    api: Api,
    mailjet: EmbeddedMailjet,
    verified: dict[str, Any],
    change: dict[str, Any],
    code: str,
    status: int,
    related: str,
) -> None:
    answer = send(api, {**MESSAGE, **change})
    assert answer.status_code == status
    (result,) = answer.json()["Messages"]
    error = result["Errors"][0]
    assert (error["ErrorCode"], error["StatusCode"]) == (code, status)
    assert related in error["ErrorRelatedTo"]
    assert mailjet.control.outbox() == []


@pytest.mark.slow
def test_too_large_attachments(api: Api, verified: dict[str, Any]) -> None:
    content = base64.b64encode(bytes(8 * 1024 * 1024)).decode()
    parts = [{"ContentType": "a/b", "Filename": "a", "Base64Content": content}] * 2
    answer = send(api, {**MESSAGE, "Attachments": parts})
    assert answer.json()["Messages"][0]["Errors"][0]["ErrorCode"] == "mj-0011"


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ({**MESSAGE, "From": [1]}, "emailIn"),
        ({**MESSAGE, "To": {}}, "array"),
        ({**MESSAGE, "To": ["x@y.example"]}, "emailIn"),
        ({**MESSAGE, "Subject": 1}, "string"),
        ({**MESSAGE, "TemplateID": True}, "integer"),
        ({**MESSAGE, "Attachments": ["x"]}, "attachment"),
    ],
)
def test_a_wrong_type_is_an_answer_of_its_own(api: Api, message: dict[str, Any], kind: str) -> None:
    answer = send(api, message)
    body = answer.json()
    assert (answer.status_code, body["ErrorCode"]) == (400, "mj-0004")
    assert body["ErrorMessage"] == f'Type mismatch. Expected type "{kind}".'


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "mj-0003"),
        ({"Messages": {}}, "mj-0004"),
        ({"Messages": ["x"]}, "mj-0004"),
        ({"Messages": []}, "mj-0007"),
        ({"Messages": [MESSAGE] * 51}, "mj-0008"),
        ({"Messages": [MESSAGE], "Globals": []}, "mj-0004"),
        ({"Messages": [MESSAGE], "Frob": 1}, "mj-0001"),
    ],
)
def test_a_wrong_outline(api: Api, body: object, code: str) -> None:
    answer = api.call("POST", "/v3.1/send", body)
    found = answer.json()
    assert (answer.status_code, found["Messages"], found["Errors"][0]["ErrorCode"]) == (400, [], code)


@pytest.mark.parametrize("body", ["{", "[]"])
def test_malformed_json(api: Api, body: str) -> None:
    answer = api.session.post(f"{api.url}/v3.1/send", data=body, timeout=10)
    assert (answer.status_code, answer.json()["ErrorCode"]) == (400, "mj-0002")


def test_globals_fill_in(api: Api, verified: dict[str, Any]) -> None:
    answer = send(api, {"To": MESSAGE["To"], "TextPart": "x"}, Globals={"From": MESSAGE["From"]})
    assert answer.json()["Messages"][0]["Status"] == "success"


def test_wrong_credentials(mailjet: EmbeddedMailjet) -> None:
    answer = requests.post(f"{mailjet.url}/v3.1/send", json={"Messages": [MESSAGE]}, auth=("x", "y"), timeout=10)
    assert answer.status_code == 401
    assert answer.json()["ErrorMessage"].startswith("API key authentication/authorization failure.")


class TestAsRecorded:
    def test_a_switch_answers_200_where_some_were_refused(
        self, api: Api, mailjet: EmbeddedMailjet, verified: dict[str, Any]
    ) -> None:
        mailjet.control.switches(some_refused_status=200)
        bad = {name: value for name, value in MESSAGE.items() if name != "TextPart"}
        assert send(api, bad, MESSAGE).status_code == 200
        assert send(api, bad, bad).status_code == 400

    @pytest.mark.parametrize("address", ["a@b.123", "a@1.2.3.4", "a@example.0"])
    def test_a_numeric_top_level_domain_is_refused(self, api: Api, verified: dict[str, Any], address: str) -> None:
        (result,) = send(api, {**MESSAGE, "To": [{"Email": address}]}).json()["Messages"]
        assert (result["Errors"][0]["ErrorCode"], result["Errors"][0]["ErrorRelatedTo"]) == ("mj-0013", ["To[0].Email"])

    def test_one_address_in_three_places_has_three_ids(self, api: Api, verified: dict[str, Any]) -> None:
        one = [{"Email": "x@faraway.example"}]
        (result,) = send(api, {**MESSAGE, "To": one, "Cc": one, "Bcc": one}).json()["Messages"]
        assert len({result[name][0]["MessageID"] for name in ("To", "Cc", "Bcc")}) == 3

    @pytest.mark.parametrize(("content", "status"), [("YSxi\n", 200), ("YSxi\r\n", 200), ("YS\nxi", 400), ("Y?", 400)])
    def test_base64_may_end_with_a_line_end(
        self, api: Api, verified: dict[str, Any], content: str, status: int
    ) -> None:
        file = {"ContentType": "text/csv", "Filename": "a.csv", "Base64Content": content}
        assert send(api, {**MESSAGE, "Attachments": [file]}).status_code == status

    @pytest.mark.parametrize("kind", ["message/delivery-status", "message/rfc822", "message/partial"])
    def test_a_message_as_attachment_arrives_byte_for_byte(
        self, api: Api, verified: dict[str, Any], webhook: Webhook, kind: str
    ) -> None:
        api.post("parseroute", {"Email": BOB, "Url": webhook.url()})
        content = b"Reporting-MTA: dns; a.example\n\nFinal-Recipient: rfc822;b\r\nSubject:  odd\n folded\n\nbody"
        encoded = base64.b64encode(content).decode()
        file = {"ContentType": kind, "Filename": "a", "Base64Content": encoded}
        assert send(api, {**MESSAGE, "Attachments": [file]}).status_code == 200
        (call,) = wait_until(lambda: webhook.calls)
        assert base64.b64decode(call.payload["Attachment1"]) == content
        assert call.payload["Parts"][-1]["Headers"]["Content-Type"][0].startswith(kind)

    @pytest.mark.parametrize("name", ["Subject", "TextPart", "CustomID"])
    def test_half_a_surrogate_pair_is_malformed(self, api: Api, verified: dict[str, Any], name: str) -> None:
        answer = send(api, {**MESSAGE, name: "a\ud800b"})
        assert (answer.status_code, answer.json()["ErrorCode"]) == (400, "mj-0002")

    def test_a_custom_id_of_65_characters_is_refused(self, api: Api, verified: dict[str, Any]) -> None:
        assert send(api, {**MESSAGE, "CustomID": "c" * 64}).status_code == 200
        assert send(api, {**MESSAGE, "CustomID": "c" * 65}).json()["Messages"][0]["Errors"][0]["ErrorCode"] == "mj-0006"

    def test_the_parameters_of_a_type_stay(self, api: Api, verified: dict[str, Any], webhook: Webhook) -> None:
        api.post("parseroute", {"Email": BOB, "Url": webhook.url()})
        file = {"ContentType": "text/calendar; method=REQUEST", "Filename": "a.ics", "Base64Content": "YSxi"}
        send(api, {**MESSAGE, "Attachments": [file]})
        (call,) = wait_until(lambda: webhook.calls)
        assert 'method="REQUEST"' in call.payload["Parts"][-1]["Headers"]["Content-Type"][0]

    def test_links_and_opens_are_tracked_unless_disabled(
        self, api: Api, verified: dict[str, Any], webhook: Webhook
    ) -> None:
        api.post("parseroute", {"Email": BOB, "Url": webhook.url()})
        html = '<a href="https://example.com/a">x</a>'
        send(api, {**MESSAGE, "HTMLPart": html})
        wait_until(lambda: webhook.calls)
        send(api, {**MESSAGE, "HTMLPart": html, "TrackOpens": "disabled", "TrackClicks": "disabled"})
        tracked, plain = wait_until(lambda: webhook.calls if len(webhook.calls) == 2 else None)
        assert "example.com" not in tracked.payload["Html-part"]
        assert "/oo/" in tracked.payload["Html-part"]
        assert plain.payload["Html-part"].strip() == html

    def test_every_answer_names_its_request(self, api: Api) -> None:
        guids = {api.get("sender").headers["X-Mj-Request-Guid"], send(api, {}).headers["X-Mj-Request-Guid"]}
        assert len(guids) == 2
        assert "X-Mj-Request-Guid" not in api.call("GET", "/_emulator/state").headers

    @pytest.mark.parametrize("extra", [{"CreatedAt": "2020-01-01T00:00:00Z"}, {"Id": 7}, {"Frob": 1}])
    def test_a_put_takes_what_it_does_not_know(
        self, api: Api, mailjet: EmbeddedMailjet, verified: dict[str, Any], extra: dict[str, Any]
    ) -> None:
        answer = api.put(f"sender/*@{DOMAIN}", {"Name": "Other", **extra})
        assert (answer.status_code, api.row(answer)["Name"]) == (200, "Other")
        mailjet.control.switches(put_ignores_unknown=False)
        assert api.put(f"sender/*@{DOMAIN}", {"Name": "Third", **extra}).status_code == 400
