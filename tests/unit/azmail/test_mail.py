"""What can be sent: limits, addresses, and both wire forms of a mail."""

import base64
import email
from datetime import UTC, datetime
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.policy import default
from email.utils import getaddresses
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from azmail import (
    Attachment,
    InvalidMailError,
    MailAddress,
    MailTooLargeError,
    OutgoingMail,
    TooManyRecipientsError,
)
from azmail.addresses import quoted_name
from azmail.compose import as_message, as_send_api
from azmail.mail import MAX_CONTENT_BYTES

SENDER = MailAddress("a.b.001.20241005123045@dev.agents.example", "Agent 1")
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

# What may stand in one line: no control characters, no separators of lines, no halves of surrogate pairs.
one_line = st.text(
    st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]).filter(lambda c: c.isprintable()), max_size=255
)


def mail(**changes: object) -> OutgoingMail:
    values: dict[str, object] = {"to": "ada@example.com", "subject": "Hello", "text": "Hello Ada\n"}
    return OutgoingMail(**(values | changes))  # type: ignore[arg-type]


def wire(outgoing: OutgoingMail, sender: MailAddress = SENDER) -> bytes:
    return as_message(outgoing, sender, message_id="<1@dev.agents.example>", date=NOW).as_bytes()


def read(raw: bytes) -> EmailMessage:
    message = email.message_from_bytes(raw, policy=default)
    assert isinstance(message, EmailMessage)
    return message


class TestLimits:
    def test_recipients_are_counted_over_all_three_fields(self) -> None:
        many = [f"a{n}@example.com" for n in range(48)]
        mail(to=many, cc="c@example.com", bcc="b@example.com")
        with pytest.raises(TooManyRecipientsError, match="51 recipients"):
            mail(to=many, cc=["c@example.com", "d@example.com"], bcc="b@example.com")

    def test_content_is_limited_to_15_mb(self) -> None:
        largest = MAX_CONTENT_BYTES - len("Hello Ada\n")
        mail(attachments=[Attachment("a", bytes(largest))])
        with pytest.raises(MailTooLargeError, match=str(MAX_CONTENT_BYTES)):
            mail(attachments=[Attachment("a", bytes(largest)), Attachment("b", b"x")])

    @pytest.mark.parametrize(
        ("change", "problem"),
        [
            ({"to": ()}, "no recipient"),
            ({"text": None}, "neither text nor html"),
            ({"text": ""}, "neither text nor html"),
            ({"subject": "x" * 256}, "256 characters"),
            ({"subject": "a\nBcc: eve@example.com"}, "line break"),
            ({"subject": "a\rb"}, "line break"),
            ({"subject": "a\u2028b"}, "line break"),
            ({"subject": "\ud800"}, "surrogate"),
            ({"text": "\udfff"}, "surrogate"),
            ({"custom_id": "a\nb"}, "custom_id"),
            ({"custom_id": "é"}, "custom_id"),
            ({"event_payload": "x" * 901}, "event_payload"),
            ({"in_reply_to": "<a b@c>"}, "in_reply_to"),
            ({"references": ["<a@b>", "<>"]}, "references"),
            ({"headers": {"Message-ID": "<a@b>"}}, "Message-ID"),
            ({"headers": {"x-mj-customid": "1"}}, "x-mj-customid"),
            ({"headers": {"X A": "1"}}, "header name"),
            ({"headers": {"X:A": "1"}}, "header name"),
            ({"headers": {"X-A": "1\r\nBcc: eve@example.com"}}, "line break"),
            ({"headers": {"X-A": "é"}}, "ASCII"),
            ({"to": "Ada\nBcc: eve@example.com <ada@example.com>"}, "line break"),
            ({"attachments": [Attachment("a.png", b"", "image/png", content_id="c")]}, "no html"),
        ],
    )
    def test_what_cannot_be_sent_cannot_be_made(self, change: dict[str, object], problem: str) -> None:
        with pytest.raises(InvalidMailError, match=problem):
            mail(**change)

    def test_two_inline_images_with_one_content_id(self) -> None:
        image = Attachment("a.png", b"", "image/png", content_id="c")
        with pytest.raises(InvalidMailError, match="same content id"):
            mail(html="<p>", attachments=[image, image])

    @pytest.mark.parametrize(
        "arguments",
        [
            ("", b""),
            ("  ", b""),
            ("a\nb", b""),
            ("a", b"", "png"),
            ("a", b"", "image/png\r\nX: y"),
            ("a", b"", "multipart/mixed"),
            ("a", b"", "image/png", "<c>"),
            ("a", b"", "image/png", ""),
        ],
    )
    def test_wrong_attachments(self, arguments: tuple[str, bytes]) -> None:
        with pytest.raises(InvalidMailError, match="attachment"):
            Attachment(*arguments)


class TestAddresses:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("ada@example.com", MailAddress("ada@example.com")),
            (" ada@example.com ", MailAddress("ada@example.com")),
            ("Ada <ada@example.com>", MailAddress("ada@example.com", "Ada")),
            ('"Lovelace, Ada" <ada@example.com>', MailAddress("ada@example.com", "Lovelace, Ada")),
            ('"A \\"B\\"" <ada@example.com>', MailAddress("ada@example.com", 'A "B"')),
            ("<ada+x@xn--bcher-kva.example>", MailAddress("ada+x@xn--bcher-kva.example")),
            ("root@localhost", MailAddress("root@localhost")),
        ],
    )
    def test_accepted(self, text: str, expected: MailAddress) -> None:
        assert MailAddress.parse(text) == expected

    @pytest.mark.parametrize(
        "text",
        [
            *(
                "",
                "ada",
                "@example.com",
                "ada@",
                "a b@example.com",
                "a..b@example.com",
                ".a@example.com",
                "ü@example.com",
            ),
            *(
                "a@xn--büch.example",
                "a@-ü.example",
                "jörg@bücher.example",
                "a@-x.example",
                "a@x..example",
                "a@[127.0.0.1]",
                '"a b"@example.com',
                "a@b@c",
            ),
            *(
                "a@example.com, b@example.com",
                f"{'a' * 65}@example.com",
                "a@example.com\r\nRCPT TO:b@example.com",
                "<>",
            ),
        ],
    )
    def test_refused(self, text: str) -> None:
        with pytest.raises(InvalidMailError, match=r"To: found .*expected an address"):
            mail(to=[text])


class TestMessage:
    @given(one_line)
    @example("Grüße  über  alles " * 8)
    @example("a" * 255)
    @example("é" * 255)
    @example("=?utf-8?q?x?=")
    @example(" leading and trailing ")
    def test_subjects_survive(self, subject: str) -> None:
        raw = wire(mail(subject=subject))
        assert str(read(raw)["Subject"]) == subject
        assert max(map(len, raw.splitlines())) <= 998
        assert raw.isascii()

    @given(one_line)
    @example('Lovelace, "Ada" <x>')
    @example("世界" * 40)
    def test_display_names_survive(self, name: str) -> None:
        # Read without the policy that decodes: it puts spaces between encoded words of a name.
        header = email.message_from_bytes(wire(mail(to=MailAddress("ada@example.com", name))))["To"]
        ((shown, address),) = getaddresses([header])
        assert address == "ada@example.com"
        assert str(make_header(decode_header(shown))) in (name, quoted_name(name))

    @given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=400))
    @example("x" * 2000)
    @example(".\n..\n.a\nFrom x\n")
    def test_texts_survive(self, text: str) -> None:
        body = read(wire(mail(text=text))).get_body(("plain",))
        assert body is not None
        assert "".join(str(body.get_content()).splitlines()) == "".join(text.splitlines())

    @given(
        st.binary(max_size=600),
        one_line.filter(str.strip),
        st.sampled_from(["application/pdf", "text/plain; charset=utf-8", "message/rfc822"]),
    )
    def test_attachments_survive_byte_for_byte(self, content: bytes, filename: str, content_type: str) -> None:
        outgoing = mail(attachments=[Attachment(filename, content, content_type)])
        (part,) = read(wire(outgoing)).iter_attachments()
        assert part.get_payload(decode=True) == content

    @pytest.mark.parametrize(
        "filename", ["a b.pdf", "größe.pdf", 'quote".pdf', "back\\slash.pdf", "世界.pdf", "a;b.pdf"]
    )
    def test_filenames_survive(self, filename: str) -> None:
        (part,) = read(wire(mail(attachments=[Attachment(filename, b"x")]))).iter_attachments()
        assert part.get_filename() == filename

    def test_long_tokens_in_thread_and_event_headers_are_not_encoded(self) -> None:
        references = [f"{'r' * 300}{n}@example.com" for n in range(10)]
        payload = '{"x":"' + "y" * 800 + '"}'
        raw = wire(mail(references=references, in_reply_to=references[0], custom_id="c" * 64, event_payload=payload))
        assert b"=?" not in raw
        message = read(raw)
        assert str(message["References"]).split() == [f"<{reference}>" for reference in references]
        assert message["X-MJ-EventPayload"] == payload
        assert message["X-MJ-CustomID"] == "c" * 64

    def test_structure(self) -> None:
        image = Attachment("l.png", b"\x89PNG", "image/png", content_id="logo")
        file = Attachment("a.csv", b"a;b\r\n", "text/csv; charset=utf-8")
        message = read(wire(mail(html="<p>x</p>", attachments=[image, file])))
        assert [part.get_content_type() for part in message.walk()] == [
            *("multipart/mixed", "multipart/alternative", "text/plain", "multipart/related", "text/html", "image/png"),
            "text/csv",
        ]
        only_html = read(wire(mail(text=None, html="<p>x</p>", attachments=[image])))
        assert [part.get_content_type() for part in only_html.walk()] == ["multipart/related", "text/html", "image/png"]


class TestSendApiForm:
    def test_every_field_has_its_place(self) -> None:
        outgoing = OutgoingMail(
            to=["Ada <ada@example.com>"],
            cc="c@example.com",
            bcc="b@example.com",
            reply_to="Desk <d@example.com>",
            subject="S",
            text="t",
            html="<p>t</p>",
            attachments=[
                Attachment("a.txt", b"\x00\xff", "text/plain; charset=utf-8"),
                Attachment("l.png", b"png", "image/png", content_id="logo"),
            ],
            in_reply_to="m@x.example",
            references=["<l@x.example>", "m@x.example"],
            custom_id="id",
            event_payload="label",
            headers={"X-Ticket": "42"},
        )
        assert as_send_api(outgoing, SENDER) == {
            "From": {"Email": SENDER.email, "Name": "Agent 1"},
            "To": [{"Email": "ada@example.com", "Name": "Ada"}],
            "Cc": [{"Email": "c@example.com"}],
            "Bcc": [{"Email": "b@example.com"}],
            "ReplyTo": {"Email": "d@example.com", "Name": "Desk"},
            "Subject": "S",
            "TextPart": "t",
            "HTMLPart": "<p>t</p>",
            "CustomID": "id",
            "EventPayload": "label",
            "TrackOpens": "disabled",
            "TrackClicks": "disabled",
            "Headers": {
                "X-Ticket": "42",
                "In-Reply-To": "<m@x.example>",
                "References": "<l@x.example> <m@x.example>",
            },
            "Attachments": [
                {
                    "ContentType": 'text/plain; charset="utf-8"',
                    "Filename": "a.txt",
                    "Base64Content": base64.b64encode(b"\x00\xff").decode(),
                }
            ],
            "InlinedAttachments": [
                {"ContentType": "image/png", "Filename": "l.png", "Base64Content": "cG5n", "ContentID": "logo"}
            ],
        }

    @pytest.mark.parametrize(
        ("given", "by_both"),
        [
            ("text/calendar; method=REQUEST; charset=utf-8", 'text/calendar; method="REQUEST"; charset="utf-8"'),
            ("TEXT/CSV; header=present", 'text/csv; header="present"'),
            ("application/x-a; x_y=1", 'application/x-a; x_y="1"'),
            ("message/rfc822", "application/octet-stream"),
            ("message/delivery-status", "application/octet-stream"),
            ("application/pdf", "application/pdf"),
        ],
    )
    def test_a_file_has_the_same_type_by_both_ways(self, given: str, by_both: str) -> None:
        outgoing = mail(attachments=[Attachment("a", b"x", given)])
        files: Any = as_send_api(outgoing, SENDER)["Attachments"]
        (by_api,) = files
        (by_smtp,) = read(wire(outgoing)).iter_attachments()
        assert by_api["ContentType"] == by_both
        shown = by_smtp["Content-Type"]
        assert "; ".join([shown.content_type, *(f'{k}="{v}"' for k, v in shown.params.items())]) == by_both

    def test_absent_fields_are_left_out(self) -> None:
        assert as_send_api(mail(), MailAddress("a@b.example")) == {
            "From": {"Email": "a@b.example"},
            "To": [{"Email": "ada@example.com"}],
            "Subject": "Hello",
            "TextPart": "Hello Ada\n",
            "TrackOpens": "disabled",
            "TrackClicks": "disabled",
        }


class TestEitherWay:
    """What one of the two ways refuses is refused when the mail is made."""

    @pytest.mark.parametrize("role", ["cc", "bcc"])
    def test_somebody_is_in_to(self, role: str) -> None:
        with pytest.raises(InvalidMailError, match="nobody in To and 1 in Cc and Bcc"):
            OutgoingMail(subject="s", text="t", **{role: "ada@example.com"})  # type: ignore[arg-type]  # either name

    def test_a_custom_id_has_at_most_64_characters(self) -> None:
        assert mail(custom_id="c" * 64).custom_id == "c" * 64
        with pytest.raises(InvalidMailError, match=r"custom_id: expected at most 64 .*found 65"):
            mail(custom_id="c" * 65)
        with pytest.raises(InvalidMailError, match="custom_id"):
            mail().with_custom_id("c" * 65)

    @pytest.mark.parametrize(
        ("given", "sent"),
        [
            ("a@münchen.example", "a@xn--mnchen-3ya.example"),
            ("Jörg <a@MÜNCHEN.example>", "a@xn--mnchen-3ya.example"),
            ("a@例え.テスト", "a@xn--r8jz45g.xn--zckzah"),
            ("a@xn--mnchen-3ya.example", "a@xn--mnchen-3ya.example"),
        ],
    )
    def test_domains_in_another_script_are_converted(self, given: str, sent: str) -> None:
        assert mail(to=given).to[0].email == sent
