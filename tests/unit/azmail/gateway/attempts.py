"""Generated attempts to send as somebody else, and honest messages: for the SMTP door as octets, for the Send API as calls."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import EmailMessage
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.policy import SMTP, SMTPUTF8
from email.utils import formataddr, formatdate
from typing import Any

ME, BOSS = "me@d.example", "boss@d.example"

_NAMES = [
    "From",
    "from",
    "FROM",
    "fRoM",
    "From ",
    "From\t",
    " From",
    "From\x00",
    "Fr\xadom",
    "\ufeffFrom",
    "Resent-From",
    "Sender",
    "X-From",
]
_VALUES = [
    "{a}", "<{a}>", "{n} <{a}>", '"{a}" <{b}>', "{a}, {b}", "{b}, {a}", "<{b}> <{a}>", "<{b}>,<{a}>", "{a} <{b}>", "{b} ({a})",
    "({b}) {a}", "g: {a};", "g: {b}, {a};", "g:;", "<@{a}:{b}>", "<{a}@{b}>", '"{a}"@x.example', "{b}\r\n\t, {a}", "\r\n {a}",
    "=?utf-8?q?{e}?= <{b}>", "=?utf-8?b?Ym9zc0BkLmV4YW1wbGU=?= <{b}>", "=?utf-8?q?{b}=2C?= {a}", "{b}\x00{a}", "{b}\r{a}", "{b};{a}",
    "{b}\\, {a}", '"\\"" {a} <{b}>', "{a}\u0000", "{u}", "{n} <{u}>", '{n}" <{a}>', "<{b}", "{b}>", "<{a}> x <{b}>", "{a} ,", ", {a}",
    "=?utf-8?q?=3D=3Futf-8=3Fq=3F{ee}=3F=3D?= <{b}>", '"=?utf-8?q?{e}?=" <{b}>',
    '"=?utf-8?q?=3D=3Futf-8=3Fq=3F{ee}=3F=3D?=" <{b}>',
    "=?utf-7?q?{s}?= <{b}>", "=?utf-8?b?Ym9z?= =?utf-8?b?c0BkLmV4YW1wbGU=?= <{b}>",
    "\u202e{r} <{b}>", "boss\uff20d.example <{b}>", "{q}", "<{q}>",
]  # fmt: skip
_GLUE = ["\r\n", "\n", "\r", "\r\n\r\n", "\r\n \r\n", "\x0b", "\x0c", "\x85", "\u2028", "\0\r\n"]


def dishonest(count: int, seed: int) -> Iterator[bytes]:
    """Messages of the agent ME, each with something in its header that names somebody else or could; no two alike."""
    chance = random.Random(seed)
    for number in range(count):
        fields = []
        for _ in range(chance.randint(1, 3)):
            name, value = chance.choice(_NAMES), _foreign_value(chance)
            fields.append(f"{name}:{chance.choice(['', ' ', '  ', chr(9)])}{value}")
        glued = chance.choice(_GLUE) if chance.random() < 0.3 else "\r\n"
        honest = [f"From: {ME}"] if chance.random() < 0.5 else []
        chance.shuffle(fields)
        lines = honest + fields if chance.random() < 0.5 else fields + honest
        text = glued.join([f"Subject: {number}", *lines]) + "\r\nTo: x@y.example\r\n\r\nbody\r\n"
        yield text.encode(
            chance.choice(["utf-8", "utf-8", "utf-16-le" if chance.random() < 0.02 else "utf-8"]), "surrogatepass"
        )


def _foreign_value(chance: random.Random) -> str:
    """What stands behind the colon of a From that is somebody else's, or could be read so."""
    first, second = chance.choice([(BOSS, ME), (ME, BOSS), (BOSS, BOSS)])
    words = {
        "a": first,
        "b": second,
        "n": chance.choice(["Boss", "Agent 7", "böss", '"B, oss"', ""]),
        "e": first.replace("@", "=40"),
        "ee": first.replace("@", "=3D40"),
        "s": first.replace("@", "+AEA-"),
        "u": first.upper(),
        "r": first[::-1],
        "q": '"{}"@{}'.format(*first.split("@")),
    }
    return chance.choice(_VALUES).format(**words)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One message by SMTP, as it goes over the wire: the MAIL command, and what stands between 354 and CRLF.CRLF."""

    mail: str
    octets: bytes


_PATHS = [
    f"<{BOSS}>", f"<@{BOSS.partition('@')[2]}:{BOSS}>", f"<{ME}> <{BOSS}>", f"<{ME},{BOSS}>", f'<"{ME}"@boss.example>', f"{BOSS}", "<>",
    f"<{BOSS}> AUTH=<{ME}>", f"<{ME}> AUTH={BOSS}", f"<{ME}>{BOSS}", f"<{BOSS.upper()}>", '<"boss"@d.example>', f"<{ME}.evil.example>",
    f"<{ME}\\r\\nMAIL FROM:<{BOSS}>", f"<{ME}> SIZE=1 <{BOSS}>", f"<@{ME}:{BOSS}>",
]  # fmt: skip
_BEFORE, _AFTER = ["\n", "\r", "\r\n", "\r\n\0", "\n\r", "\0\r\n"], ["\r\n", "\n", "\r"]
_SECOND = f"MAIL FROM:<{BOSS}>\r\nRCPT TO:<x@y.example>\r\nDATA\r\nFrom: {BOSS}\r\nSubject: smuggled\r\n\r\nx"


def attempts(count: int, seed: int) -> Iterator[Attempt]:
    """Of ten, eight have somebody else in the header, one in the envelope, and one smuggles a second message in."""
    chance = random.Random(seed)
    for number, octets in enumerate(dishonest(count, seed)):
        if number % 10 == 0:
            path = chance.choice(_PATHS)
            yield Attempt(f"FROM:{path}", f"From: {chance.choice([ME, BOSS])}\r\nSubject: {number}\r\n\r\nx".encode())
        elif number % 10 == 1:
            before, after = chance.choice(_BEFORE), chance.choice(_AFTER)
            if (before[-2:], after) == ("\r\n", "\r\n"):
                before += "\0"  # else it would be the end of the message, and no secret
            text = f"From: {ME}\r\nSubject: {number}\r\n\r\nfirst{before}.{after}{_SECOND}"
            yield Attempt(f"FROM:<{ME}>", text.encode())
        else:
            yield Attempt(f"FROM:<{ME}>", octets.replace(b"\r\n.", b"\r\n.."))


FOREIGN_CALLS: list[dict[str, Any]] = [
    {"From": {"Email": BOSS}},
    {"From": {"Email": ME, "Name": BOSS}},
    {"From": {"Email": ME, "Name": "=?utf-8?q?boss=40d.example?="}},
    {"From": {"Email": ME, "Name": "boss\uff20d.example"}},
    {"From": {"Email": ME, "Name": "x\r\nFrom: " + BOSS}},
    {"From": {"Email": f"{ME}, {BOSS}"}},
    {"From": {"Email": f"{BOSS}\0{ME}"}},
    {"From": {"Email": ME, "email": BOSS}},
    {"From": [{"Email": BOSS}]},
    {"From": BOSS},
    {"from": {"Email": BOSS}},
    {"From ": {"Email": BOSS}},
    {"FromEmail": BOSS},
    {"Sender": {"Email": BOSS}},
    {"Headers": {"From": BOSS}},
    {"Headers": {"fROM": BOSS}},
    {"Headers": {"From ": BOSS}},
    {"Headers": {"X-A\r\nFrom": BOSS}},
    {"Headers": {"X-A": f"a\r\nFrom: {BOSS}"}},
    {"Headers": {"X-A": f"a\nFrom: {BOSS}"}},
    {"Headers": {"Sender": BOSS}},
    {"Headers": {"Resent-From": BOSS}},
    {"Headers": {"Return-Path": BOSS}},
    {"Headers": {"X-MJ-EventPayload": '{"agent_id": "bot-2"}'}},
    {"Headers": {"X-Mailjet-Campaign": "c"}},
    {"Headers": {"X-A": "1", "x-a": "2"}},
    {"Subject": f"s\r\nFrom: {BOSS}"},
    {"CustomID": "c\r\nFrom: x"},
    {"TemplateID": 1},
    {"TemplateLanguage": True},
    {"Variables": {"a": 1}},
    {"CustomCampaign": "c"},
    {"To": [{"Email": "x@y.example", "Vars": {}}]},
    {"To": [{"Email": f"x@y.example\r\nFrom: {BOSS}"}]},
    {"ReplyTo": {"Email": ME, "Name": f"a\r\nFrom: {BOSS}"}},
    {"ReplyTo": {"Email": ME, "Name": BOSS}},
    {"Attachments": [{"ContentType": f"text/plain\r\nFrom: {BOSS}", "Filename": "a", "Base64Content": ""}]},
    {"InlinedAttachments": [{"ContentType": "a/b", "Filename": f"a\r\nFrom: {BOSS}", "Base64Content": ""}]},
]
"""Each a change of an ordinary message that must be refused, alone or with others."""


def dishonest_calls(count: int, seed: int) -> Iterator[bytes]:
    """Bodies for the Send API, each with something that names somebody else or could; some with a property twice."""
    chance = random.Random(seed)
    for number in range(count):
        properties: list[tuple[str, Any]] = [
            ("From", {"Email": ME}),
            ("To", [{"Email": "x@y.example"}]),
            ("Subject", str(number)),
            ("TextPart", "t"),
        ]
        common: dict[str, Any] = {}
        for _ in range(chance.randint(1, 3)):
            change = chance.choice(FOREIGN_CALLS) if chance.random() < 0.3 else _foreign_property(chance)
            if chance.random() < 0.2:
                common |= change
            else:
                properties += change.items()
        if chance.random() < 0.5:
            properties = list(dict(properties).items())
        chance.shuffle(properties)
        message = "{" + ", ".join(f"{json.dumps(name)}: {json.dumps(value)}" for name, value in properties) + "}"
        yield f'{{"Messages": [{message}]{f", {chr(34)}Globals{chr(34)}: {json.dumps(common)}" if common else ""}}}'.encode()


def _foreign_property(chance: random.Random) -> dict[str, Any]:
    value, name = _foreign_value(chance), chance.choice(_NAMES)
    changes: list[dict[str, Any]] = [
        {name: {"Email": value}},
        {"From": {"Email": value}},
        {"From": {"Email": ME, "Name": value}},
        {"From": {"Email": ME, chance.choice(["name", "Email ", "Address"]): value}},
        {"Sender": {"Email": value}},
        {"Headers": {name: value}},
        {"Headers": {"X-A": f"a{chance.choice(_GLUE)}From: {value}"}},
        {"Subject": f"s{chance.choice(_GLUE)}From: {value}"},
        {"ReplyTo": {"Email": ME, "Name": f"a{chance.choice(_GLUE)}From: {value}"}},
    ]
    return chance.choice(changes)


def honest_calls(count: int, seed: int) -> Iterator[dict[str, Any]]:
    """Calls as the users of Mailjet's clients write them, no two alike."""
    chance = random.Random(seed)
    for number in range(count):
        message: dict[str, Any] = {
            "From": {"Email": chance.choice([ME, ME.upper()])},
            "To": [{"Email": "you@y.example", "Name": chance.choice(_SHOWN)}],
            "Subject": f"{chance.choice(_SUBJECTS)} {seed}-{number}",
            "TextPart": "text ü\r\n.\r\n" * chance.randint(1, 20),
        }
        if shown := chance.choice(_SHOWN):
            message["From"]["Name"] = shown
        file = {"ContentType": "text/plain; charset=utf-8", "Filename": "ü.txt", "Base64Content": "w7w="}
        extra: dict[str, Any] = {
            "HTMLPart": "<h3>ü</h3>\n",
            "Cc": [{"Email": "c@y.example"}],
            "Bcc": [{"Email": "b@y.example", "Name": "B"}],
            "ReplyTo": {"Email": "team@d.example", "Name": "Team"},
            "Sender": {"Email": ME},
            "CustomID": f"order-{seed}-{number}",
            "EventPayload": '{"order": 7}',
            "TrackOpens": "disabled",
            "TrackClicks": "account_default",
            "Headers": {"In-Reply-To": "<a@b.example>", "References": "<a@b.example>", "X-Own": "ü"},
            "Attachments": [file],
            "InlinedAttachments": [{**file, "ContentID": "id1"}],
        }
        call: dict[str, Any] = {"Messages": [message | {name: extra[name] for name in extra if chance.random() < 0.3}]}
        if chance.random() < 0.2:
            call["Globals"] = {"CustomID": "all"}
        yield call


def honest(count: int, seed: int) -> Iterator[bytes]:
    """Messages as Python's email package, mail programs, nodemailer and PHP compose them, all from ME, no two alike."""
    chance = random.Random(seed)
    makers = [_modern, _legacy, _by_hand, _like_nodemailer, _like_a_mail_program]
    for number in range(count):
        yield chance.choice(makers)(chance).replace(_NUMBER, b"%d-%d" % (seed, number))


_NUMBER = b"NUMBER"

_SHOWN = [
    "",
    "Agent 427",
    "Müller, Jörg",
    "Jörg Müller",
    "O'Neil",
    'The "Bot"',
    "山田 太郎",
    "Анна Петрова",
    "J. R. Smith",
    "Ana (bot)",
    "👩‍💻 Ana",
    "a" * 90,
    ME,
]
_SUBJECTS = [
    "Hello",
    "Grüße aus Köln und noch viel mehr Text, damit gefaltet wird, und noch etwas mehr",
    "",
    "=?utf-8?q?literal?=",
    "日本語の件名",
]


def _modern(chance: random.Random) -> bytes:
    from email.headerregistry import Address

    message = EmailMessage(policy=SMTP)
    user, domain = ME.split("@")
    message["From"] = Address(chance.choice(_SHOWN), user, domain)
    message["To"] = Address("You", "you", "y.example")
    message["Subject"] = chance.choice(_SUBJECTS)
    message["Date"] = formatdate(chance.randint(0, 2_000_000_000))
    message["Message-ID"] = "<NUMBER.modern@d.example>"
    message.set_content("text ü\n" * chance.randint(1, 50))
    if chance.random() < 0.5:
        message.add_alternative("<p>ü</p>", subtype="html")
    if chance.random() < 0.3:
        message.add_attachment(b"\0\1\2" * 500, maintype="application", subtype="octet-stream", filename="ü.bin")
    return message.as_bytes(policy=chance.choice([SMTP, SMTPUTF8]) if chance.random() < 0.5 else SMTP)


def _legacy(chance: random.Random) -> bytes:
    message = MIMEMultipart("mixed") if chance.random() < 0.5 else MIMEText("text ü", "plain", "utf-8")
    if isinstance(message, MIMEMultipart):
        message.attach(MIMEText("text", "plain", "utf-8"))
    message["From"] = formataddr((chance.choice(_SHOWN), ME))
    message["To"] = "you@y.example, =?utf-8?q?J=C3=B6rg?= <j@y.example>"
    message["Subject"] = "x NUMBER"
    if chance.random() < 0.5:
        message["Reply-To"] = chance.choice([ME, "Team <team@d.example>"])
        message["Sender"] = ME
    return message.as_bytes().replace(b"\n", b"\r\n")


def _by_hand(chance: random.Random) -> bytes:
    name = chance.choice(
        ["", "Agent ", '"Agent, 7" ', "=?UTF-8?B?SsO2cmc=?= ", "=?utf-8?Q?J=C3=B6rg?=\r\n =?utf-8?Q?_M?= "]
    )
    address = chance.choice([ME, ME.upper(), "me@D.example"])
    value = f"{name}<{address}>" if name or chance.random() < 0.3 else address
    return (
        f"Date: Wed, 25 Nov 2026 10:00:00 +0000\r\nFrom: {value}\r\nTo: you@y.example\r\nBcc: hidden@y.example\r\n\r\n.dot NUMBER\r\n"
    ).encode()


def _like_nodemailer(chance: random.Random) -> bytes:
    shown = chance.choice(["Agent 427", "=?UTF-8?Q?J=C3=B6rg_M=C3=BCller?=", '"Agent, 427"'])
    return (
        f"From: {shown} <{ME}>\r\nTo: you@y.example\r\nSubject: =?UTF-8?Q?Gr=C3=BC=C3=9Fe?=\r\n"
        "Message-ID: <6f4a-NUMBER@d.example>\r\nX-Mailjet-TrackOpen: 0\r\nX-MJ-CustomID: order-1\r\nContent-Transfer-Encoding: 7bit\r\n"
        "Date: Wed, 25 Nov 2026 10:00:00 +0000\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nhi\r\n"
    ).encode()


def _like_a_mail_program(chance: random.Random) -> bytes:
    """Thunderbird's, Outlook's and Apple Mail's fields, in the order and with the folds that they use."""
    shown = chance.choice(['"Bot, Agent"', "Agent 427", "=?UTF-8?B?SsO2cmcgTcO8bGxlcg==?="])
    program = chance.choice(
        [
            "User-Agent: Mozilla Thunderbird\r\nContent-Language: en-GB\r\nX-Mozilla-Draft-Info: internal/draft; vcard=0",
            "X-Mailer: Microsoft Outlook 16.0\r\nThread-Index: AQHa1\r\nThread-Topic: hello\r\nX-MS-Has-Attach:",
            "X-Mailer: Apple Mail (2.3774.600.62)\r\nMime-Version: 1.0 (Mac OS X Mail 16.0)",
        ]
    )
    version = "" if "Mime-Version" in program else "MIME-Version: 1.0\r\n"
    return (
        f"Message-ID: <b1f0-NUMBER@d.example>\r\nDate: Wed, 25 Nov 2026 10:00:00 +0100\r\n{version}{program}\r\n"
        f"Subject: =?UTF-8?Q?Re=3A_Gr=C3=BC=C3=9Fe?=\r\n =?UTF-8?Q?_aus_K=C3=B6ln?=\r\nFrom: {shown} <{ME}>\r\n"
        f'To: "You, Y." <you@y.example>,\r\n\t=?UTF-8?Q?J=C3=B6rg?= <j@y.example>\r\nReply-To: {shown} <{ME}>\r\n'
        "References: <a@y.example>\r\n <b@y.example>\r\nIn-Reply-To: <b@y.example>\r\n"
        "Autocrypt: addr=me@d.example;\r\n keydata=\r\n  xsD=\r\n"
        "Content-Type: text/plain; charset=UTF-8; format=flowed\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
        "On 24/11/2026 10:00, You wrote:\r\n> .\r\n.\r\n..\r\nGrüße \r\n-- \r\nAgent\r\n"
    ).encode()
