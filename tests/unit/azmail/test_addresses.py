"""Address lists in text that Mailjet has decoded: other people's examples, and what holds for any text."""

from __future__ import annotations

from datetime import UTC, datetime
from email.header import decode_header, make_header
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from azmail.addresses import decodable_name, quoted_name, read_addresses, read_author
from azmail.compose import as_message, as_send_api
from azmail.encoded_words import decode_left
from azmail.inbound import InboundMail, parse_inbound
from azmail.mail import MAX_NAME_CHARACTERS, MailAddress, OutgoingMail

AGENT = MailAddress("agent@agents.example")
LISTS = {
    "ada@a.example": [("ada@a.example", "")],
    "Ada <ada@a.example>": [("ada@a.example", "Ada")],
    "<ada@a.example>": [("ada@a.example", "")],
    '"Lovelace, Ada" <ada@a.example>': [("ada@a.example", "Lovelace, Ada")],
    r'"a \"b\" \\ c" <ada@a.example>': [("ada@a.example", r'a "b" \ c')],
    "ada@a.example (Ada)": [("ada@a.example", "Ada")],
    "ada@a.example (Lovelace, Ada), b@b.example": [("ada@a.example", "Lovelace, Ada"), ("b@b.example", "")],
    "Müller, Jörg <j@x.example>": [("j@x.example", "Müller, Jörg")],
    "a@a.example, Müller, Jörg <j@x.example>, b@b.example": [
        ("a@a.example", ""),
        ("j@x.example", "Müller, Jörg"),
        ("b@b.example", ""),
    ],
    "n@bank.example <n@bank.example>": [("n@bank.example", "n@bank.example")],
    "purchasing@shop.example <do-not-reply@evil.example>": [("do-not-reply@evil.example", "purchasing@shop.example")],
    "a@a.example; b@b.example": [("a@a.example", ""), ("b@b.example", "")],
    "undisclosed-recipients:;": [],
    "undisclosed-recipients:;, Bob <b@b.example>": [("b@b.example", "Bob")],
    "Friends: a@a.example, Bob <b@b.example>;": [("a@a.example", ""), ("b@b.example", "Bob")],
    "a@a.example,, , Bob <b@b.example>,": [("a@a.example", ""), ("b@b.example", "Bob")],
    '"a, b"@x.example, b@b.example': [('"a, b"@x.example', ""), ("b@b.example", "")],
    "Ada <ada>, Bob <b@b.example>": [("b@b.example", "Ada <ada>, Bob")],
    "a@a.example, no address, b@b.example": [("a@a.example", ""), ("b@b.example", "")],
    "a@a.example, one@two@three.example, b@b.example": [("a@a.example", ""), ("b@b.example", "")],
    "a@a.example, my mail is c@c.example, b@b.example": [("a@a.example", ""), ("b@b.example", "")],
    'Ada " <ada@a.example>, Bob <b@b.example>': [("ada@a.example", 'Ada "'), ("b@b.example", "Bob")],
    "Ada ( <ada@a.example>, Bob <b@b.example>": [("ada@a.example", "Ada ("), ("b@b.example", "Bob")],
    "Ceo <ceo@bank.example> <mallory@evil.example>": [("mallory@evil.example", "Ceo <ceo@bank.example>")],
    "postmaster@münchen.example": [("postmaster@münchen.example", "")],
    "ceo@bank.example, <mallory@evil.example>": [("mallory@evil.example", "ceo@bank.example")],
    "ceo@bank.example ;, \t<mallory@evil.example>": [("mallory@evil.example", "ceo@bank.example")],
    "ceo@bank.example, cfo@bank.example, <m@evil.example>": [("m@evil.example", "ceo@bank.example, cfo@bank.example")],
    "ceo@bank.example, The Boss, <m@evil.example>": [("m@evil.example", "ceo@bank.example, The Boss")],
    "Ada <ada@a.example>, ceo@bank.example, <m@evil.example>, b@b.example": [
        ("ada@a.example", "Ada"),
        ("m@evil.example", "ceo@bank.example"),
        ("b@b.example", ""),
    ],
    "<ada@a.example>, <b@b.example>": [("ada@a.example", ""), ("b@b.example", "")],
    "ada@a.example, Bob <b@b.example>, <c@c.example>": [
        ("ada@a.example", ""),
        ("b@b.example", "Bob"),
        ("c@c.example", ""),
    ],
    "": [],
}
AUTHORS = {
    "ceo@bank.example, <mallory@evil.example>": ("mallory@evil.example", "ceo@bank.example"),
    "Ceo <ceo@bank.example>, <mallory@evil.example>": ("mallory@evil.example", ""),
    '"Ceo <ceo@bank.example>" <mallory@evil.example>': ("mallory@evil.example", "Ceo <ceo@bank.example>"),
    "<mallory@evil.example> (<ceo@bank.example>)": ("mallory@evil.example", ""),
    "Ceo (ceo@bank.example <mallory@evil.example>": ("mallory@evil.example", "Ceo (ceo@bank.example"),
    "purchasing@shop.example <do-not-reply@evil.example>": ("do-not-reply@evil.example", "purchasing@shop.example"),
    "n@bank.example <n@bank.example>": ("n@bank.example", "n@bank.example"),
    "Müller, Jörg <j@x.example>": ("j@x.example", "Müller, Jörg"),
    "a@a.example": ("a@a.example", ""),
    "a@a.example, b@b.example": ("a@a.example", ""),
    "ceo@bank.example, cfo@bank.example, <m@evil.example>": ("m@evil.example", "ceo@bank.example, cfo@bank.example"),
    "nobody": None,
}
PIECES = ["a@a.example", "<b@b.example>", '"', "\\", "(", ")", "<", ">", ",", ";", ":", "@", " ", "Ada", "é", "\t"]
WORDS = ["=?utf-8?q?A?=", "=?utf-8?b?w6k=?=", "=?", " ", "é", "a"]
texts = st.one_of(st.text(), st.lists(st.sampled_from(PIECES)).map("".join))
names = st.one_of(
    st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1, max_size=80),
    st.lists(st.sampled_from([*PIECES[:-1], "c@c.example,"]), min_size=1, max_size=12).map("".join),
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=MAX_NAME_CHARACTERS // max(map(len, WORDS))).map("".join),
).filter(lambda name: decode_left(name) == name)  # what no decoder reads, Mailjet may have left as it was sent


def received(**headers: str) -> InboundMail:
    payload: dict[str, Any] = {"Sender": "x@x.example", "Recipient": AGENT.email, "Headers": headers, "Parts": []}
    payload |= {"From": headers.get("From", ""), "Subject": ""}
    return parse_inbound(payload)


@pytest.mark.parametrize(("text", "expected"), LISTS.items())
def test_lists(text: str, expected: list[tuple[str, str]]) -> None:
    assert list(read_addresses(text)) == expected


@pytest.mark.parametrize(("text", "expected"), AUTHORS.items())
def test_authors(text: str, expected: tuple[str, str] | None) -> None:
    assert read_author(text) == expected
    assert received(From=text).from_address == (None if expected is None else MailAddress(*expected))


@settings(deadline=None)
@given(texts)
@example("<" * 100_000)
@example('"' * 100_000)
@example('" ' * 50_000)
@example("(" * 100_000)
@example("a@" * 50_000)
@example("<a " * 50_000)
@pytest.mark.slow
def test_every_address_is_a_piece_of_the_text(text: str) -> None:
    author = read_author(text)
    for email, _ in (*read_addresses(text), *([author] if author else [])):
        assert email in text


@given(texts)
def test_an_odd_entry_costs_itself_alone(odd: str) -> None:
    # What a quote, a comment or a bracket of its own spans is its own; it has none that reaches further.
    harmless = odd.translate(dict.fromkeys(map(ord, '"()<>'), " "))
    found = [email for email, _ in read_addresses(f"<first@a.example>, {harmless}, Last <last@a.example>")]
    assert found[0] == "first@a.example"
    assert found[-1] == "last@a.example"


def test_ten_thousand_addresses_are_all_there() -> None:
    text = ", ".join(f"Müller, N{n} <n{n}@x.example>" for n in range(10_000))
    assert len(received(To=text).to) == 10_000


def shown(header: str) -> str:
    """As Mailjet's Parse gives it: on one line, encoded words decoded."""
    return str(make_header(decode_header(header.replace("\r\n", ""))))


def sent(**given: Any) -> tuple[dict[str, str], dict[str, Any]]:
    mail = OutgoingMail(text="x", **given)
    message = as_message(mail, AGENT, message_id="<1@agents.example>", date=datetime(2026, 1, 1, tzinfo=UTC))
    return dict(message.raw_items()), as_send_api(mail, AGENT)


@settings(deadline=None)
@given(st.lists(names, min_size=1, max_size=4))
@example(["Müller, Jörg", "世界, <a@b.example>, ", 'é "'])
@example(["ceo@bank.example, é", "é (", "é )"])
@example(["=?0?B?0?="])
def test_any_name_that_we_send_comes_back(shown_names: list[str]) -> None:
    people = tuple(MailAddress(f"n{n}@x.example", name) for n, name in enumerate(shown_names))
    headers, call = sent(to=people, cc=people, reply_to=people[0])
    mail = received(**{name: shown(headers[name]) for name in ("To", "Cc", "Reply-To")})
    assert (mail.to, mail.cc, mail.reply_to) == (people, people, people[:1])
    assert received(From=shown(headers["Reply-To"])).from_address == people[0]
    # The Send API: Mailjet quotes what is ASCII, and encodes the rest, which the receiver gets decoded.
    written = ", ".join(
        f"{quoted_name(one['Name']) if one['Name'].isascii() and one['Name'] == name else one['Name']} <{one['Email']}>"
        for one, name in zip(call["To"], shown_names, strict=True)
    )
    assert received(To=written).to == people


@pytest.mark.parametrize("name", ["Müller, Jörg", "Jörg (Vertrieb)", 'Jörg "Jo" Müller', "Zoë @ Werk", "世界"])
def test_ordinary_names_are_encoded_as_they_are(name: str) -> None:
    assert decodable_name(name) == name
