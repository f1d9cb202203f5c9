"""The contract with `mailjet_rest`, Mailjet's own client: what it makes of the emulator's answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from mailjet_rest import Client
from mailjet_rest.errors import (
    ApiError,
    ApiRateLimitError,
    CriticalApiError,
    DoesNotExistError,
    MailjetAuthError,
    TimeoutError,
    ValidationError,
)

from emulators.embedded import EmbeddedMailjet
from tests.unit.emulators.conftest import DOMAIN
from tests.unit.emulators.tiny_zone import TinyZone

BOX = f"box@{DOMAIN}"
URL = "https://owner:secret@hooks.example/mail"


@pytest.fixture
def client(mailjet: EmbeddedMailjet) -> Iterator[Any]:
    """The official client for REST v3."""
    with Client(auth=mailjet.auth, api_url=mailjet.url, version="v3") as made:
        made.session.trust_env = False
        yield made


@pytest.fixture
def sending(mailjet: EmbeddedMailjet) -> Iterator[Any]:
    """The official client for Send API v3.1."""
    with Client(auth=mailjet.auth, api_url=mailjet.url, version="v3.1") as made:
        made.session.trust_env = False
        yield made


def verify(client: Any, zone: TinyZone) -> None:
    client.sender.create(data={"Email": f"*@{DOMAIN}"})
    row = client.dns.get(id=DOMAIN).json()["Data"][0]
    zone.txt(row["DKIMRecordName"].rstrip("."), row["DKIMRecordValue"])
    zone.txt(row["OwnerShipTokenRecordName"].rstrip("."), row["OwnerShipToken"])
    zone.txt(DOMAIN, row["SPFRecordValue"])
    assert client.dns_check.create(id=row["ID"]).json()["Data"][0]["DKIMStatus"] == "OK"
    answer = client.sender_validate.create(id=f"*@{DOMAIN}")
    assert answer.json()["ValidationMethod"] == "DNS"


def test_from_a_new_sender_to_a_route(client: Any, zone: TinyZone) -> None:
    verify(client, zone)
    assert client.sender.get(id=f"*@{DOMAIN}").json()["Data"][0]["Status"] == "Active"
    route = client.parseroute.create(data={"Url": URL, "Email": BOX})
    assert route.status_code == 201
    key = route.json()["Data"][0]["ID"]
    assert client.parseroute.update(id=key, data={"Url": URL + "2"}).status_code == 200
    unchanged = client.parseroute.update(id=key, data={"Url": URL + "2"})
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    assert client.parseroute.get(filters={"Limit": 1000}).json()["Count"] == 1
    assert client.parseroute.delete(id=key).status_code == 204
    with pytest.raises(DoesNotExistError):
        client.parseroute.get(id=key)


def test_stars_and_ats_arrive_decoded(client: Any, mailjet: EmbeddedMailjet) -> None:
    client.sender.create(data={"Email": f"*@{DOMAIN}"})
    client.sender.update(id=f"*@{DOMAIN}", data={"Name": "New"})
    assert client.sender.delete(id=f"*@{DOMAIN}").status_code == 204
    assert mailjet.control.requests()[-1]["path"] == f"/v3/REST/sender/*@{DOMAIN}"


def test_refusals(client: Any, zone: TinyZone) -> None:
    verify(client, zone)
    with pytest.raises(ValidationError, match="MJ18 A Sender resource") as caught:
        client.sender.create(data={"Email": f"*@{DOMAIN}"})
    assert caught.value.status_code == 400
    assert '"ErrorInfo":""' in caught.value.response_body
    with pytest.raises(ValidationError, match="already active"):
        client.sender_validate.create(id=f"*@{DOMAIN}")


def test_wrong_credentials(mailjet: EmbeddedMailjet) -> None:
    with Client(auth=("a" * 32, "b" * 32), api_url=mailjet.url, version="v3") as wrong:
        wrong.session.trust_env = False
        with pytest.raises(MailjetAuthError) as caught:
            wrong.sender.get()
    assert (caught.value.status_code, caught.value.response_body) == (401, "")


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("429", ApiRateLimitError),
        ("500", ApiError),
        ("503", ApiError),
        ("reset-before", CriticalApiError),
        ("reset-after", CriticalApiError),
        ("hang", TimeoutError),
    ],
)
def test_faults(client: Any, mailjet: EmbeddedMailjet, kind: str, error: type[Exception]) -> None:
    mailjet.control.faults({"kind": kind, "path": "/v3/REST/sender"})
    with pytest.raises(error):
        client.sender.create(data={"Email": f"*@{DOMAIN}"}, timeout=0.5)
    assert len(mailjet.control.state()["senders"]) == (1 if kind == "reset-after" else 0)


def test_send(client: Any, sending: Any, zone: TinyZone, mailjet: EmbeddedMailjet) -> None:
    verify(client, zone)
    message = {"From": {"Email": BOX}, "To": [{"Email": "x@faraway.example"}], "TextPart": "t", "Subject": "s"}
    answer = sending.send.create(data={"Messages": [message]})
    assert answer.json()["Messages"][0]["Status"] == "success"
    assert mailjet.control.outbox()[0]["to"] == "x@faraway.example"
    sandbox = sending.send.create(data={"Messages": [message], "SandboxMode": True})
    assert sandbox.json()["Messages"][0]["To"][0]["MessageID"] == 0
    with pytest.raises(MailjetAuthError, match="not an authorized sender"):
        sending.send.create(data={"Messages": [{**message, "From": {"Email": "s@elsewhere.example"}}]})
    with pytest.raises(ValidationError, match="HTMLPart"):
        sending.send.create(data={"Messages": [{**message, "TextPart": ""}]})
