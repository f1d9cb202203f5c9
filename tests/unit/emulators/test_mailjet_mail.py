"""Mail in and out: submission, signatures, the inbound host, webhooks, events."""

from __future__ import annotations

import base64
import re
import smtplib
import ssl
import threading
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import dkim
import pytest
import requests
from dnslib import QTYPE, DNSRecord

from emulators.embedded import EmbeddedMailjet
from emulators.mailjet import EdgeLookup
from tests.unit.emulators.conftest import DOMAIN, Api
from tests.unit.emulators.tiny_zone import TinyZone
from tests.unit.emulators.webhook import Webhook
from tests.waiting import wait_until

ANN, BOB = f"ann@{DOMAIN}", f"bob@{DOMAIN}"


@pytest.fixture
def smtp(mailjet: EmbeddedMailjet) -> Iterator[smtplib.SMTP]:
    """A submission connection that is logged in."""
    with smtplib.SMTP("127.0.0.1", mailjet.submission_port, timeout=10) as client:
        client.login(*mailjet.auth)
        yield client


@pytest.fixture
def routed(api: Api, verified: dict[str, Any], webhook: Webhook) -> Webhook:
    """Bob's mail goes to the webhook."""
    body = {"Email": BOB, "Url": webhook.url("/inbound?x=1", "owner:pass%20word")}
    assert api.post("parseroute", body).status_code == 201
    return webhook


def letter(sender: str = ANN, to: str = BOB, **headers: str) -> EmailMessage:
    message = EmailMessage()
    message["From"] = f"Ann <{sender}>"
    message["To"] = to
    message["Subject"] = "Grüße"
    message["Message-ID"] = "<first@mail.example>"
    for name, value in headers.items():
        message[name.replace("_", "-")] = value
    message.set_content("Hello Bob\n")
    return message


def trusting(mailjet: EmbeddedMailjet) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(mailjet.ca_file))


class TestSubmission:
    @pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
    def test_both_mechanisms(self, mailjet: EmbeddedMailjet, mechanism: str) -> None:
        with smtplib.SMTP("127.0.0.1", mailjet.submission_port, timeout=10) as client:
            client.ehlo()
            assert mechanism in client.esmtp_features["auth"]
            client.user, client.password = mailjet.auth
            method = {"PLAIN": client.auth_plain, "LOGIN": client.auth_login}[mechanism]
            assert client.auth(mechanism, method)[0] == 235

    @pytest.mark.parametrize("auth", [("nobody", "x"), ("{key}", "wrong"), ("ä", "ö")])
    def test_wrong_credentials(self, mailjet: EmbeddedMailjet, auth: tuple[str, str]) -> None:
        with smtplib.SMTP("127.0.0.1", mailjet.submission_port, timeout=10) as client:
            client.ehlo()
            pair = "\0" + "\0".join(auth).replace("{key}", mailjet.api_key)
            encoded = base64.b64encode(pair.encode()).decode()
            assert client.docmd("AUTH", f"PLAIN {encoded}")[0] == 535

    def test_a_blocked_account_cannot_log_in(self, mailjet: EmbeddedMailjet) -> None:
        mailjet.control.switches(blocked_account=True)
        with (
            smtplib.SMTP("127.0.0.1", mailjet.submission_port, timeout=10) as client,
            pytest.raises(smtplib.SMTPAuthenticationError),
        ):
            client.login(*mailjet.auth)

    def test_nothing_without_credentials(self, mailjet: EmbeddedMailjet, verified: dict[str, Any]) -> None:
        with smtplib.SMTP("127.0.0.1", mailjet.submission_port, timeout=10) as client:
            client.ehlo()
            assert client.mail(ANN)[0] == 530

    def test_starttls_with_a_certificate_that_clients_can_verify(
        self, mailjet: EmbeddedMailjet, routed: Webhook
    ) -> None:
        with smtplib.SMTP("localhost", mailjet.submission_port, timeout=10) as client:
            client.starttls(context=trusting(mailjet))
            client.login(*mailjet.auth)
            client.send_message(letter())
        wait_until(lambda: routed.calls)

    def test_tls_from_the_start(self, mailjet: EmbeddedMailjet, routed: Webhook) -> None:
        with smtplib.SMTP_SSL(
            "localhost", mailjet.submission_tls_port, context=trusting(mailjet), timeout=10
        ) as client:
            client.login(*mailjet.auth)
            client.send_message(letter())
        wait_until(lambda: routed.calls)

    def test_others_do_not_trust_the_certificate(self, mailjet: EmbeddedMailjet) -> None:
        with (
            smtplib.SMTP("localhost", mailjet.submission_port, timeout=10) as client,
            pytest.raises(ssl.SSLCertVerificationError),
        ):
            client.starttls(context=ssl.create_default_context())

    def test_an_unvalidated_envelope_sender_is_550(self, smtp: smtplib.SMTP, verified: dict[str, Any]) -> None:
        code, text = smtp.mail("stranger@elsewhere.example")
        assert code == 550
        assert b"stranger@elsewhere.example is not validated" in text

    def test_an_unvalidated_from_is_550(self, smtp: smtplib.SMTP, verified: dict[str, Any]) -> None:
        with pytest.raises(smtplib.SMTPDataError) as caught:
            smtp.send_message(letter("stranger@elsewhere.example"), from_addr=ANN)
        assert caught.value.smtp_code == 550

    def test_a_message_without_from_is_550(self, smtp: smtplib.SMTP, verified: dict[str, Any]) -> None:
        with pytest.raises(smtplib.SMTPDataError) as caught:
            smtp.sendmail(ANN, [BOB], b"Subject: x\r\n\r\nx")
        assert caught.value.smtp_code == 550

    def test_too_large(self, smtp: smtplib.SMTP, verified: dict[str, Any]) -> None:
        assert smtp.esmtp_features["size"] == str(15 * 1024 * 1024)
        code, _ = smtp.mail(ANN, ["SIZE=20000000"])
        assert code == 552

    def test_at_most_fifty_recipients(self, smtp: smtplib.SMTP, verified: dict[str, Any]) -> None:
        smtp.mail(ANN)
        codes = [smtp.rcpt(f"r{number}@corp.example")[0] for number in range(51)]
        assert codes == [250] * 50 + [452]

    def test_what_is_left_of_the_message(
        self, api: Api, mailjet: EmbeddedMailjet, smtp: smtplib.SMTP, verified: dict[str, Any], zone: TinyZone
    ) -> None:
        zone.mx("corp.example", "mx1.corp.example")
        message = letter(
            to="joe@corp.example",
            X_MJ_CustomID="id-7",
            X_MJ_EventPayload="pay",
            X_Mailjet_TrackOpen="0",
            X_Mailjet_Campaign="spring",
            Bcc="hidden@corp.example",
        )
        smtp.sendmail(ANN, ["joe@corp.example", "hidden@corp.example"], message.as_bytes())
        wait_until(lambda: len([one for one in mailjet.control.outbox() if one["status"] == "sent"]) == 2)
        sent = mailjet.control.outbox()
        assert sent[0] | {"id": 0, "uuid": ""} == {
            "id": 0,
            "uuid": "",
            "APIKeyID": 123456,
            "via": "smtp",
            "from": ANN,
            "to": "joe@corp.example",
            "subject": "Grüße",
            "message_id": sent[0]["message_id"],
            "custom_id": "id-7",
            "event_payload": "pay",
            "status": "sent",
            "reply": "sent (250 2.0.0 OK)",
        }
        octets = api.call("GET", f"/_emulator/outbox/{sent[0]['id']}").content
        header = octets.partition(b"\r\n\r\n")[0].lower()
        for gone in (b"x-mj-", b"x-mailjet-", b"bcc:"):
            assert gone not in header
        assert b"date: " in header
        assert mailjet.control.state()["outbox"] == 2

    def test_the_message_id_is_replaced_and_the_thread_is_not(
        self, mailjet: EmbeddedMailjet, smtp: smtplib.SMTP, routed: Webhook
    ) -> None:
        smtp.send_message(letter(In_Reply_To="<zeroth@far.example>", References="<zeroth@far.example>"))
        (call,) = wait_until(lambda: routed.calls)
        headers = call.payload["Headers"]
        assert re.fullmatch(r"<[0-9a-f]{8}\.MJMid@mailjet\.com>", headers["Message-ID"])
        assert (headers["In-Reply-To"], headers["References"]) == ("<zeroth@far.example>", "<zeroth@far.example>")
        assert mailjet.control.outbox()[0]["message_id"] == headers["Message-ID"]

    def test_a_line_of_any_length_is_taken(self, smtp: smtplib.SMTP, verified: dict[str, Any]) -> None:
        assert smtp.sendmail(ANN, [BOB], letter().as_bytes() + b"x" * 100_000 + b"\r\n") == {}

    def test_what_is_under_way_at_a_reset_is_nobodys(
        self,
        mailjet: EmbeddedMailjet,
        smtp: smtplib.SMTP,
        api: Api,
        verified: dict[str, Any],
        webhook: Webhook,
        zone: TinyZone,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        asked, go_on, answer = threading.Event(), threading.Event(), zone.resolve

        def slowly(request: DNSRecord, handler: object) -> DNSRecord:
            if request.q.qtype == QTYPE.MX:
                asked.set()
                go_on.wait(10)
            return answer(request, handler)

        monkeypatch.setattr(zone, "resolve", slowly)
        smtp.send_message(letter())
        assert asked.wait(10)
        mailjet.control.reset()
        mailjet.control.switches(route_needs_verified_domain=False)
        assert api.post("parseroute", {"Email": BOB, "Url": webhook.url()}).status_code == 201
        go_on.set()
        with smtplib.SMTP("127.0.0.1", mailjet.inbound_port, timeout=10) as outside:
            outside.sendmail("joe@corp.example", [BOB], letter(sender="joe@corp.example").as_bytes())
        wait_until(lambda: [one for one in webhook.calls if "joe@corp.example" in one.payload["From"]])
        assert len(webhook.calls) == 1
        assert mailjet.control.outbox() == []

    def test_list_unsubscribe_is_added_and_the_signature_expires(
        self, mailjet: EmbeddedMailjet, smtp: smtplib.SMTP, routed: Webhook
    ) -> None:
        smtp.send_message(letter())
        (call,) = wait_until(lambda: routed.calls)
        headers = call.payload["Headers"]
        assert headers["List-Unsubscribe"][0].startswith("<mailto:unsub-")
        found = re.search(r"t=(\d+);\s*x=(\d+);", headers["DKIM-Signature"][0])
        assert found is not None
        assert int(found[2]) - int(found[1]) == 7200
        mailjet.control.switches(list_unsubscribe=False, dkim_expires_seconds=None)
        smtp.send_message(letter())
        _, call = wait_until(lambda: routed.calls if len(routed.calls) == 2 else None)
        assert "List-Unsubscribe" not in call.payload["Headers"]
        assert " x=" not in call.payload["Headers"]["DKIM-Signature"][0]

    @pytest.mark.parametrize(
        ("said", "opens", "clicks"),
        [
            ({}, True, True),
            ({"X_Mailjet_TrackOpen": "0"}, False, True),
            ({"X_Mailjet_TrackClick": "0", "X_Mailjet_TrackOpen": "1"}, True, False),
            ({"X_Mailjet_TrackClick": "0", "X_Mailjet_TrackOpen": "0"}, False, False),
        ],
    )
    def test_opens_and_clicks_are_tracked_unless_switched_off(
        self, smtp: smtplib.SMTP, routed: Webhook, said: dict[str, str], opens: bool, clicks: bool
    ) -> None:
        message = letter(**said)
        message.add_alternative("<a href='https://c.example/ä'>ä</a>", subtype="html")
        message.add_attachment("<a href='https://c.example/'>", subtype="html", filename="page.html")
        smtp.send_message(message)
        (call,) = wait_until(lambda: routed.calls)
        html = call.payload["Html-part"]
        assert ("mjt.lu/oo" in html, "mjt.lu/lnk" in html, "c.example" in html) == (opens, clicks, not clicks)
        assert ">ä</a>" in html
        assert call.payload["Text-part"] == "Hello Bob\r\n"
        assert b"c.example" in base64.b64decode(call.payload["Attachment1"])
        assert call.payload["Subject"] == "Grüße"

    def test_who_unsubscribes_gets_no_more_mail_of_the_account(
        self, mailjet: EmbeddedMailjet, smtp: smtplib.SMTP, routed: Webhook, api: Api
    ) -> None:
        smtp.send_message(letter())
        wait_until(lambda: routed.calls)
        key = mailjet.control.outbox()[0]["id"]
        assert api.call("POST", "/_emulator/events", {"event": "unsub", "messages": [key]}).status_code == 200
        smtp.send_message(letter())
        assert mailjet.control.outbox()[1]["status"] == "blocked"

    def test_a_forwarded_message_arrives_as_it_was(self, mailjet: EmbeddedMailjet, routed: Webhook) -> None:
        inner = b"Subject:  odd   spaces\r\nX-Long: " + b"y" * 200 + b"\r\n\r\nbody\r\n\r\n.end\r\n"
        octets = (
            b"From: a@faraway.example\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
            b"--b\r\nContent-Type: message/rfc822\r\n\r\n" + inner + b"\r\n--b--\r\n"
        )
        with smtplib.SMTP("127.0.0.1", mailjet.inbound_port, timeout=10) as client:
            client.sendmail("a@faraway.example", [BOB], octets)
        (call,) = wait_until(lambda: routed.calls)
        assert base64.b64decode(call.payload["Attachment1"]) == inner

    def test_the_message_id_stays_on_request(
        self, mailjet: EmbeddedMailjet, smtp: smtplib.SMTP, verified: dict[str, Any]
    ) -> None:
        mailjet.control.switches(smtp_keeps_message_id=True)
        smtp.send_message(letter())
        assert mailjet.control.outbox()[0]["message_id"] == "<first@mail.example>"

    def test_the_signature_is_that_of_the_published_key(
        self, api: Api, mailjet: EmbeddedMailjet, smtp: smtplib.SMTP, verified: dict[str, Any]
    ) -> None:
        smtp.send_message(letter())
        octets = api.call("GET", f"/_emulator/outbox/{mailjet.control.outbox()[0]['id']}").content

        def published(name: bytes, timeout: int = 5) -> bytes:
            assert name == f"mailjet._domainkey.{DOMAIN}.".encode()
            return str(verified["DKIMRecordValue"]).encode()

        assert dkim.verify(octets, dnsfunc=published, minkey=1024)
        assert not dkim.verify(octets.replace(b"Hello", b"Hallo"), dnsfunc=published, minkey=1024)


class TestInterruptions:
    @pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA"])
    def test_a_temporary_failure(
        self, smtp: smtplib.SMTP, routed: Webhook, mailjet: EmbeddedMailjet, step: str
    ) -> None:
        mailjet.control.switches(smtp_replies={step: "451 4.3.0 Try again later"}, smtp_replies_times=1)
        with pytest.raises(smtplib.SMTPException):
            smtp.send_message(letter())
        assert mailjet.control.outbox() == []
        smtp.send_message(letter())
        wait_until(lambda: routed.calls)

    @pytest.mark.parametrize(("step", "taken"), [("MAIL", 0), ("DATA", 0), ("DATA-after", 1)])
    def test_a_lost_connection(
        self, smtp: smtplib.SMTP, routed: Webhook, mailjet: EmbeddedMailjet, step: str, taken: int
    ) -> None:
        mailjet.control.switches(smtp_replies={step: "drop"})
        with pytest.raises((smtplib.SMTPServerDisconnected, ConnectionError)):
            smtp.send_message(letter())
        assert len(mailjet.control.outbox()) == taken

    @pytest.mark.parametrize("step", ["RCPT", "DATA", "DATA-after"])
    def test_at_the_inbound_host(self, mailjet: EmbeddedMailjet, routed: Webhook, step: str) -> None:
        mailjet.control.switches(smtp_replies={step: "421 4.3.2 Closing"})
        with (
            smtplib.SMTP("127.0.0.1", mailjet.inbound_port, timeout=10) as client,
            pytest.raises(smtplib.SMTPException),
        ):
            client.send_message(letter("out@side.example"))
        assert len(mailjet.control.deliveries()) == (1 if step == "DATA-after" else 0)


class TestDelivery:
    def test_to_a_routed_address(self, smtp: smtplib.SMTP, routed: Webhook, mailjet: EmbeddedMailjet) -> None:
        smtp.send_message(letter())
        (call,) = wait_until(lambda: routed.calls)
        assert (call.path, call.user, call.password) == ("/inbound?x=1", "owner", "pass word")
        payload = call.payload
        assert payload["Recipient"] == BOB
        assert payload["Sender"].endswith("@bnc3.mailjet.com")
        assert payload["From"] == f"Ann <{ANN}>"
        assert payload["Subject"] == "Grüße"
        assert payload["Text-part"] == "Hello Bob\r\n"
        assert payload["Headers"]["Message-ID"] == mailjet.control.outbox()[0]["message_id"]
        assert payload["Headers"]["Received"][0].startswith("from o1.mailjet.com")
        assert payload["Headers"]["Return-Path"] == [f"<{payload['Sender']}>"]
        assert payload["Headers"]["DKIM-Signature"][0].startswith("v=1; a=rsa-sha256;")
        (delivery,) = wait_until(lambda: [one for one in mailjet.control.deliveries() if one["state"] == "delivered"])
        assert delivery == {
            "id": delivery["id"],
            "kind": "parse",
            "route_id": mailjet.control.state()["parseroutes"][0]["ID"],
            "recipient": BOB,
            "message_id": payload["Headers"]["Message-ID"],
            "event": None,
            "state": "delivered",
            "attempts": 1,
            "status": 200,
            "error": None,
        }

    def test_is_tried_again_until_200(self, smtp: smtplib.SMTP, routed: Webhook, mailjet: EmbeddedMailjet) -> None:
        routed.answers.extend([500, 401, 204])
        smtp.send_message(letter())
        wait_until(lambda: mailjet.control.state()["deliveries"]["delivered"] == 1)
        assert len(routed.calls) == 4
        assert len({str(call.payload) for call in routed.calls}) == 1
        assert mailjet.control.deliveries()[0]["attempts"] == 4

    def test_is_given_up_after_the_last_attempt(
        self, smtp: smtplib.SMTP, routed: Webhook, mailjet: EmbeddedMailjet
    ) -> None:
        mailjet.control.switches(retry_attempts=2)
        routed.answers.extend([500, 503])
        smtp.send_message(letter())
        wait_until(lambda: mailjet.control.state()["deliveries"]["failed"] == 1)
        assert mailjet.control.deliveries()[0]["error"] == "status 503"

    def test_goes_to_the_route_as_it_is_then(
        self, api: Api, smtp: smtplib.SMTP, routed: Webhook, mailjet: EmbeddedMailjet
    ) -> None:
        mailjet.control.switches(retry_seconds=3600)
        routed.answers.append(401)
        smtp.send_message(letter())
        wait_until(lambda: mailjet.control.deliveries() and mailjet.control.deliveries()[0]["attempts"] == 1)
        api.put(f"parseroute/{BOB}", {"Url": routed.url("/new", "owner:new")})
        assert mailjet.control.call("POST", "deliveries/retry") == {"retried": 1}
        wait_until(lambda: len(routed.calls) == 2)
        assert (routed.calls[1].path, routed.calls[1].password) == ("/new", "new")

    def test_ends_when_the_route_is_gone(
        self, api: Api, smtp: smtplib.SMTP, routed: Webhook, mailjet: EmbeddedMailjet
    ) -> None:
        mailjet.control.switches(retry_seconds=3600)
        routed.answers.append(500)
        smtp.send_message(letter())
        wait_until(lambda: mailjet.control.deliveries() and mailjet.control.deliveries()[0]["attempts"] == 1)
        api.delete(f"parseroute/{BOB}")
        mailjet.control.call("POST", "deliveries/retry")
        wait_until(lambda: mailjet.control.state()["deliveries"]["failed"] == 1)
        assert mailjet.control.deliveries()[0]["error"] == "the target was deleted"

    def test_never_leaves_loopback(
        self, api: Api, smtp: smtplib.SMTP, routed: Webhook, mailjet: EmbeddedMailjet
    ) -> None:
        mailjet.control.switches(retry_attempts=1)
        api.put(f"parseroute/{BOB}", {"Url": "https://owner:pw@hooks.example/x"})
        smtp.send_message(letter())
        wait_until(lambda: mailjet.control.state()["deliveries"]["failed"] == 1)
        (delivery,) = mailjet.control.deliveries()
        assert delivery["error"].startswith("hooks.example is neither a loopback address")

    def test_names_no_secret_when_nobody_listens(
        self, api: Api, smtp: smtplib.SMTP, routed: Webhook, mailjet: EmbeddedMailjet
    ) -> None:
        mailjet.control.switches(retry_attempts=1)
        api.put(f"parseroute/{BOB}", {"Url": "http://owner:hunter2@127.0.0.1:1/x"})
        smtp.send_message(letter())
        wait_until(lambda: mailjet.control.state()["deliveries"]["failed"] == 1)
        (delivery,) = mailjet.control.deliveries()
        assert delivery["error"] == "ConnectError: no answer from 127.0.0.1"

    def test_goes_through_the_tunnel_of_the_host(self, tmp_path: Path, webhook: Webhook) -> None:
        asked: list[tuple[str, str]] = []

        def tunnel_for(host: str, path: str) -> str | None:
            asked.append((host, path))
            return "http://127.0.0.1:8800" if host == "api.mail.example" else None

        edge = EdgeLookup("127.0.0.1", webhook.port, tunnel_for)
        with EmbeddedMailjet(tmp_path, edge=edge) as mailjet:
            api = Api(mailjet)
            mailjet.control.switches(dkim_bits=1024, route_needs_verified_domain=False)
            api.post(
                "parseroute", {"Email": BOB, "Url": f"https://owner:pw@api.mail.example{webhook.prefix}/in/box?y=2"}
            )
            with smtplib.SMTP("127.0.0.1", mailjet.inbound_port, timeout=10) as client:
                client.send_message(letter())
            (call,) = wait_until(lambda: webhook.calls)
            api.session.close()
        assert (call.host, call.path, call.user) == ("api.mail.example", "/in/box?y=2", "owner")
        assert asked == [("api.mail.example", f"{webhook.prefix}/in/box")]

    def test_survives_a_restart(self, tmp_path: Path, webhook: Webhook) -> None:
        webhook.answers.append(503)
        with EmbeddedMailjet(tmp_path) as first:
            first.control.switches(route_needs_verified_domain=False, retry_seconds=3600)
            api = Api(first)
            api.post("parseroute", {"Email": BOB, "Url": webhook.url()})
            with smtplib.SMTP("127.0.0.1", first.inbound_port, timeout=10) as client:
                client.send_message(letter())
            wait_until(lambda: first.control.deliveries() and first.control.deliveries()[0]["attempts"] == 1)
            before = first.control.state()
            api.session.close()
        with EmbeddedMailjet(tmp_path, api_key=first.api_key, api_secret=first.api_secret) as second:
            assert second.control.state() == before
            second.control.call("POST", "deliveries/retry")
            wait_until(lambda: len(webhook.calls) == 2)
            wait_until(lambda: second.control.state()["deliveries"]["delivered"] == 1)


class TestWhereMailGoes:
    def test_an_address_without_a_route_bounces(
        self, smtp: smtplib.SMTP, routed: Webhook, mailjet: EmbeddedMailjet
    ) -> None:
        smtp.send_message(letter(to=f"nobody@{DOMAIN}"))
        (sent,) = wait_until(lambda: [one for one in mailjet.control.outbox() if one["status"] == "bounce"])
        assert sent["reply"].startswith("550 5.1.1")
        assert routed.calls == []

    def test_without_the_mx_record_nothing_arrives(
        self, smtp: smtplib.SMTP, routed: Webhook, mailjet: EmbeddedMailjet, zone: TinyZone
    ) -> None:
        del zone.records[DOMAIN, "MX"]
        smtp.send_message(letter())
        (sent,) = wait_until(lambda: [one for one in mailjet.control.outbox() if one["status"] == "bounce"])
        assert sent["reply"] == f"no mail host for {DOMAIN}"

    @pytest.mark.parametrize("host", ["in.mailjet.com", "in-v3.mailjet.com", "mx1.corp.example"])
    def test_with_another_mx_it_goes_there(
        self, smtp: smtplib.SMTP, routed: Webhook, mailjet: EmbeddedMailjet, zone: TinyZone, host: str
    ) -> None:
        zone.mx(DOMAIN, host)
        smtp.send_message(letter())
        wait_until(lambda: [one for one in mailjet.control.outbox() if one["status"] == "sent"])
        assert mailjet.control.deliveries() == []

    def test_a_domain_that_takes_no_mail(
        self, smtp: smtplib.SMTP, routed: Webhook, mailjet: EmbeddedMailjet, zone: TinyZone
    ) -> None:
        zone.mx("corp.example", ".")
        smtp.send_message(letter(to="x@corp.example"))
        wait_until(lambda: [one for one in mailjet.control.outbox() if one["status"] == "bounce"])

    def test_a_host_without_mx_takes_mail_itself(
        self, smtp: smtplib.SMTP, routed: Webhook, mailjet: EmbeddedMailjet, zone: TinyZone
    ) -> None:
        zone.a("corp.example", "192.0.2.1")
        smtp.send_message(letter(to="x@corp.example"))
        wait_until(lambda: [one for one in mailjet.control.outbox() if one["status"] == "sent"])

    def test_the_rest_of_the_world_takes_everything(
        self, smtp: smtplib.SMTP, routed: Webhook, mailjet: EmbeddedMailjet
    ) -> None:
        smtp.send_message(letter(to="x@faraway.example"))
        wait_until(lambda: [one for one in mailjet.control.outbox() if one["status"] == "sent"])

    def test_mailjets_own_address_needs_no_dns(
        self, api: Api, smtp: smtplib.SMTP, verified: dict[str, Any], webhook: Webhook
    ) -> None:
        auto = api.row(api.post("parseroute", {"Url": webhook.url()}))["Email"]
        smtp.send_message(letter(to=auto))
        (call,) = wait_until(lambda: webhook.calls)
        assert call.payload["Recipient"] == auto

    @pytest.mark.parametrize(
        ("switch", "route", "to"),
        [
            ("plus_addresses", BOB, f"bob+tag@{DOMAIN}"),
            ("wildcard_routes", f"*@{DOMAIN}", f"anyone@{DOMAIN}"),
        ],
    )
    def test_unverified_claims_on_request(
        self,
        api: Api,
        smtp: smtplib.SMTP,
        verified: dict[str, Any],
        webhook: Webhook,
        mailjet: EmbeddedMailjet,
        switch: str,
        route: str,
        to: str,
    ) -> None:
        mailjet.control.switches(**{switch: True})
        assert api.post("parseroute", {"Email": route, "Url": webhook.url()}).status_code == 201
        smtp.send_message(letter(to=to))
        (call,) = wait_until(lambda: webhook.calls)
        assert call.payload["Recipient"] == to


class TestInbound:
    def test_takes_mail_for_routed_addresses(self, mailjet: EmbeddedMailjet, routed: Webhook) -> None:
        message = letter("out@side.example")
        message.add_attachment(bytes(range(256)), maintype="application", subtype="x-test", filename="ä.bin")
        with smtplib.SMTP("127.0.0.1", mailjet.inbound_port, timeout=10, local_hostname="out.side.example") as client:
            client.send_message(message, from_addr="bounce@side.example")
        (call,) = wait_until(lambda: routed.calls)
        assert call.payload["Sender"] == "bounce@side.example"
        assert call.payload["Headers"]["Received"][0].startswith("from out.side.example (localhost [127.0.0.1])\tby")
        assert base64.b64decode(call.payload["Attachment1"]) == bytes(range(256))

    def test_and_for_nobody_else(self, mailjet: EmbeddedMailjet, routed: Webhook) -> None:
        with (
            smtplib.SMTP("127.0.0.1", mailjet.inbound_port, timeout=10) as client,
            pytest.raises(smtplib.SMTPRecipientsRefused) as caught,
        ):
            client.send_message(letter("out@side.example", to=f"nobody@{DOMAIN}"))
        code, text = caught.value.recipients[f"nobody@{DOMAIN}"]
        assert code == 550
        assert b"User unknown" in text

    def test_one_call_for_each_recipient(self, api: Api, mailjet: EmbeddedMailjet, routed: Webhook) -> None:
        api.post("parseroute", {"Email": ANN, "Url": routed.url("/ann")})
        with smtplib.SMTP("127.0.0.1", mailjet.inbound_port, timeout=10) as client:
            client.sendmail("out@side.example", [ANN, BOB], letter("out@side.example").as_bytes())
        wait_until(lambda: len(routed.calls) == 2)
        assert {(call.path, call.payload["Recipient"]) for call in routed.calls} == {
            ("/ann", ANN),
            ("/inbound?x=1", BOB),
        }

    @pytest.mark.slow
    def test_no_more_than_fifteen_megabytes(self, mailjet: EmbeddedMailjet, routed: Webhook) -> None:
        message = letter("out@side.example")
        message.add_attachment(bytes(12 * 1024 * 1024), maintype="application", subtype="x-test", filename="a")
        with (
            smtplib.SMTP("127.0.0.1", mailjet.inbound_port, timeout=10) as client,
            pytest.raises((smtplib.SMTPDataError, smtplib.SMTPSenderRefused)) as caught,
        ):
            client.send_message(message)
        assert caught.value.smtp_code == 552

    def test_no_login(self, mailjet: EmbeddedMailjet) -> None:
        with smtplib.SMTP("127.0.0.1", mailjet.inbound_port, timeout=10) as client:
            client.ehlo()
            assert "auth" not in client.esmtp_features

    def test_a_reply_carries_the_custom_id_of_what_it_answers(
        self, smtp: smtplib.SMTP, mailjet: EmbeddedMailjet, routed: Webhook
    ) -> None:
        smtp.send_message(letter(to="x@faraway.example", X_MJ_CustomID="thread-1", X_MJ_EventPayload="state"))
        sent = mailjet.control.outbox()[0]["message_id"]
        reply = letter("x@faraway.example", In_Reply_To=sent, References=f"<0@y> {sent}")
        with smtplib.SMTP("127.0.0.1", mailjet.inbound_port, timeout=10) as client:
            client.send_message(reply)
        (call,) = wait_until(lambda: routed.calls)
        assert (call.payload["CustomID"], call.payload["Payload"]) == ("thread-1", "state")


class TestEvents:
    @pytest.fixture
    def events(self, api: Api, routed: Webhook) -> None:
        for kind, version in (("sent", 1), ("bounce", 2), ("blocked", 2), ("spam", 2), ("open", 1)):
            body = {"EventType": kind, "Url": routed.url(f"/{kind}", "e:v"), "Version": version}
            assert api.post("eventcallbackurl", body).status_code == 201

    @staticmethod
    def calls(webhook: Webhook, path: str) -> list[Any]:
        return [call.payload for call in webhook.calls if call.path == path]

    def test_sent_is_one_object(self, smtp: smtplib.SMTP, routed: Webhook, events: None) -> None:
        smtp.send_message(letter(X_MJ_CustomID="c", X_MJ_EventPayload="p", X_Mailjet_Campaign="k"))
        (event,) = wait_until(lambda: self.calls(routed, "/sent"))
        assert isinstance(event["time"], int)
        assert event["MessageID"] > 2**53
        assert event["mj_message_id"] == str(event["MessageID"])
        assert {name: event[name] for name in ("event", "email", "CustomID", "Payload", "customcampaign")} == {
            "event": "sent",
            "email": BOB,
            "CustomID": "c",
            "Payload": "p",
            "customcampaign": "k",
        }
        assert next(call.user for call in routed.calls if call.path == "/sent") == "e"

    def test_a_bounce_is_an_array(self, smtp: smtplib.SMTP, routed: Webhook, events: None) -> None:
        smtp.send_message(letter(to=f"nobody@{DOMAIN}"))
        ((event,),) = wait_until(lambda: self.calls(routed, "/bounce"))
        assert event["hard_bounce"] is True
        assert (event["error_related_to"], event["error"]) == ("recipient", "user unknown")
        assert event["comment"].startswith("550 5.1.1")

    def test_blocked(self, api: Api, mailjet: EmbeddedMailjet, routed: Webhook, events: None) -> None:
        mailjet.control.switches(unregistered_from="blocked")
        message = {"From": {"Email": "s@elsewhere.example"}, "To": [{"Email": BOB}], "TextPart": "x"}
        answer = api.call("POST", "/v3.1/send", {"Messages": [message]})
        assert answer.json()["Messages"][0]["Status"] == "success"
        ((event,),) = wait_until(lambda: self.calls(routed, "/blocked"))
        assert event["error_related_to"] == "mailjet"
        assert mailjet.control.outbox()[0]["status"] == "blocked"

    def test_others_happen_on_request(
        self, smtp: smtplib.SMTP, mailjet: EmbeddedMailjet, routed: Webhook, events: None
    ) -> None:
        smtp.sendmail(ANN, [BOB, "x@faraway.example"], letter().as_bytes())
        ids = [one["id"] for one in mailjet.control.outbox()]
        assert mailjet.control.call("POST", "events", {"event": "spam", "messages": ids}) == {"posted": True}
        mailjet.control.call("POST", "events", {"event": "open", "messages": ids})
        (batch,) = wait_until(lambda: self.calls(routed, "/spam"))
        assert [event["source"] for event in batch] == ["JMRPP", "JMRPP"]
        wait_until(lambda: len(self.calls(routed, "/open")) == 2)
        assert mailjet.control.call("POST", "events", {"event": "unsub", "messages": ids}) == {"posted": False}

    @pytest.mark.parametrize(
        "body",
        [{}, {"event": "spam", "messages": [1]}, {"event": "frob", "messages": []}, {"event": "spam", "messages": []}],
    )
    def test_on_a_sensible_request(self, api: Api, body: object) -> None:
        assert api.call("POST", "/_emulator/events", body).status_code == 400

    def test_an_endpoint_that_never_answers_is_suspended_and_revived(
        self, api: Api, smtp: smtplib.SMTP, mailjet: EmbeddedMailjet, routed: Webhook, events: None
    ) -> None:
        mailjet.control.switches(retry_attempts=1)
        api.put("eventcallbackurl/sent|false", {"Url": "http://127.0.0.1:1/x"})
        smtp.send_message(letter())
        wait_until(lambda: api.row(api.get("eventcallbackurl/sent|false"))["Status"] == "dead")
        api.put("eventcallbackurl/sent|false", {"Url": routed.url("/again")})
        assert api.row(api.get("eventcallbackurl/sent|false"))["Status"] == "alive"
        smtp.send_message(letter())
        wait_until(lambda: self.calls(routed, "/again"))

    def test_the_backup_is_used_while_the_first_is_dead(
        self, api: Api, smtp: smtplib.SMTP, routed: Webhook, events: None
    ) -> None:
        api.put("eventcallbackurl/sent|false", {"Status": "dead"})
        api.post("eventcallbackurl", {"EventType": "sent", "Url": routed.url("/backup"), "IsBackup": True})
        smtp.send_message(letter())
        wait_until(lambda: self.calls(routed, "/backup"))


def test_messages_can_be_looked_up(api: Api, smtp: smtplib.SMTP, verified: dict[str, Any]) -> None:
    smtp.send_message(letter(to="x@faraway.example"))
    (row,) = api.get("message").json()["Data"]
    assert api.row(api.get(f"message/{row['ID']}"))["Subject"] == "Grüße"
    assert api.get("message/7").status_code == 404
    assert api.delete(f"message/{row['ID']}").status_code == 405


def test_an_unknown_message_has_no_content(api: Api) -> None:
    assert requests.get(f"{api.url}/_emulator/outbox/7", timeout=10).status_code == 404
    assert requests.get(f"{api.url}/_emulator/frob", timeout=10).status_code == 404
