"""Generated headers in which somebody claims to be somebody else, and honest ones."""

from __future__ import annotations

import random
from collections.abc import Iterator
from email.message import EmailMessage
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.policy import SMTP, SMTPUTF8
from email.utils import formataddr, formatdate, make_msgid

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
    "\u202e{r} <{b}>", "boss\uff20d.example <{b}>", "{q}", "<{q}>",
]  # fmt: skip
_GLUE = ["\r\n", "\n", "\r", "\r\n\r\n", "\r\n \r\n", "\x0b", "\x0c", "\x85", "\u2028", "\0\r\n"]


def dishonest(count: int, seed: int) -> Iterator[bytes]:
    """Messages of the agent ME, each with something in its header that names somebody else or could."""
    chance = random.Random(seed)
    for _ in range(count):
        fields = []
        for _ in range(chance.randint(1, 3)):
            name, value = chance.choice(_NAMES), chance.choice(_VALUES)
            first, second = chance.choice([(BOSS, ME), (ME, BOSS), (BOSS, BOSS)])
            words = {
                "a": first,
                "b": second,
                "n": chance.choice(["Boss", "Agent 7", "böss", '"B, oss"', ""]),
                "e": first.replace("@", "=40"),
                "u": first.upper(),
                "r": first[::-1],
                "q": '"{}"@{}'.format(*first.split("@")),
            }
            fields.append(f"{name}:{chance.choice(['', ' ', '  ', chr(9)])}{value.format(**words)}")
        glued = chance.choice(_GLUE) if chance.random() < 0.3 else "\r\n"
        honest = [f"From: {ME}"] if chance.random() < 0.5 else []
        chance.shuffle(fields)
        lines = honest + fields if chance.random() < 0.5 else fields + honest
        text = glued.join(["Subject: x", *lines]) + "\r\nTo: x@y.example\r\n\r\nbody\r\n"
        yield text.encode(
            chance.choice(["utf-8", "utf-8", "utf-16-le" if chance.random() < 0.02 else "utf-8"]), "surrogatepass"
        )


def honest(count: int, seed: int) -> Iterator[bytes]:
    """Messages as Python's email package, MUAs, nodemailer and PHP compose them, all from ME."""
    chance = random.Random(seed)
    makers = [_modern, _legacy, _by_hand, _like_nodemailer]
    for _ in range(count):
        yield chance.choice(makers)(chance)


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
    message["Message-ID"] = make_msgid(domain="d.example")
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
    message["Subject"] = "x"
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
    return f"Date: Wed, 25 Nov 2026 10:00:00 +0000\r\nFrom: {value}\r\nTo: you@y.example\r\nBcc: hidden@y.example\r\n\r\n.dot\r\n".encode()


def _like_nodemailer(chance: random.Random) -> bytes:
    shown = chance.choice(["Agent 427", "=?UTF-8?Q?J=C3=B6rg_M=C3=BCller?=", '"Agent, 427"'])
    return (
        f"From: {shown} <{ME}>\r\nTo: you@y.example\r\nSubject: =?UTF-8?Q?Gr=C3=BC=C3=9Fe?=\r\n"
        "Message-ID: <6f4a-1@d.example>\r\nX-Mailjet-TrackOpen: 0\r\nX-MJ-CustomID: order-1\r\nContent-Transfer-Encoding: 7bit\r\n"
        "Date: Wed, 25 Nov 2026 10:00:00 +0000\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nhi\r\n"
    ).encode()
