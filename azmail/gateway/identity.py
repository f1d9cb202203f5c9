"""Whose message is this? The header's answer, judged on raw octets before any library parses them.

Parsers disagree about odd headers, and what one of them shows to a person is enough for an imitation. So nothing odd is
interpreted: a header that is not plainly formed is refused, and the From that leaves is written anew. What is
accepted has one reading (RFC 5322 without its obsolete forms, comments and groups).
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.errors import HeaderParseError
from email.header import Header, decode_header
from email.utils import format_datetime
from uuid import uuid4

from azmail.gateway.credentials import AgentLogin

MAX_LINE_OCTETS = 998
"""RFC 5322, 2.1.1, without the CRLF."""
MAX_MESSAGE_OCTETS = 15 * 1024 * 1024
MAX_HEADER_OCTETS = 256 * 1024
MAX_CUSTOM_ID_CHARACTERS = 64
MAX_EVENT_PAYLOAD_OCTETS = MAX_LINE_OCTETS - len("X-MJ-EventPayload: ")
MAX_NAME_CHARACTERS = 256
"""Of a display name; whatever it is made of, one line of the header holds it."""

EVENT_PAYLOAD, CUSTOM_ID = "x-mj-eventpayload", "x-mj-customid"

_LINE_ENDS = re.compile(rb"\r(?!\n)|(?<!\r)\n|\x00")
_LONG_LINE = re.compile(rb"\n[^\r\n]{%d}" % (MAX_LINE_OCTETS + 1))
"""Tried once for a line: tried at each octet it took 8 seconds for 15 MB, in which nobody else was served."""
_FIELD = re.compile(rb"([!-9;-~]+):(.*)", re.DOTALL)
_FOLD = re.compile(rb"\r\n(?=[ \t])")
CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")
"""What some take for the end of a line (NEL, LS, PS) among them."""

_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_ADDR_SPEC = re.compile(
    rf"{_ATOM}(?:\.{_ATOM})*@[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*"
)
_MAILBOX = re.compile(r"(?P<phrase>[^<>]*)<(?P<address>[^<>\s]+)>")
_WORD = re.compile(rf"[ \t]*(?:\"((?:[^\"\\]|\\[ -~])*)\"|((?:{_ATOM}|[.\u0080-\U0010ffff])+))[ \t]*")

_ONCE = frozenset(
    {
        "from", "sender", "reply-to", "to", "cc", "bcc", "subject", "date", "message-id", "in-reply-to", "references",
        "mime-version", "content-type", "content-transfer-encoding", "content-id", "content-disposition",
        EVENT_PAYLOAD, CUSTOM_ID, "x-mailjet-trackopen", "x-mailjet-trackclick",
    }
)  # fmt: skip
"""RFC 5322, 3.6, and RFC 2045: a second one has no meaning, and parsers differ in which they believe."""
_FOR_MAILJET = frozenset({EVENT_PAYLOAD, CUSTOM_ID, "x-mailjet-trackopen", "x-mailjet-trackclick"})
_OURS = frozenset({"from", "sender", "bcc", EVENT_PAYLOAD, CUSTOM_ID})
"""Written anew, or left out."""


class MessageOffenceError(Exception):
    """A message that this agent may not send; `reply` is SMTP's answer without line ends."""

    def __init__(self, code: int, enhanced: str, sentence: str) -> None:
        self.code = code
        self.enhanced = enhanced
        self.sentence = sentence
        super().__init__(sentence)

    @property
    def reply(self) -> str:
        return f"{self.code} {self.enhanced} {self.sentence}"


class ForeignIdentityError(MessageOffenceError):
    """The header names somebody else."""

    def __init__(self, name: str, rule: str) -> None:
        super().__init__(550, "5.7.1", f"{name}: {rule}")


class MalformedMessageError(MessageOffenceError):
    """A header that more than one reading fits."""

    def __init__(self, name: str, rule: str) -> None:
        super().__init__(550, "5.6.0", f"{name}: {rule}")


class LineEndError(MessageOffenceError):
    """Octets in which two servers could see different messages (SMTP smuggling)."""

    def __init__(self, rule: str) -> None:
        super().__init__(550, "5.6.11", rule)


class TooLargeError(MessageOffenceError):
    """More than Mailjet takes."""

    def __init__(self, octets: int) -> None:
        super().__init__(552, "5.3.4", f"the message has {octets} octets, expected at most {MAX_MESSAGE_OCTETS}")


@dataclass(frozen=True, slots=True)
class HeaderField:
    """One header field as it came: name in lower case, value unfolded, and the octets, CRLF included."""

    name: str
    value: str
    octets: bytes


@dataclass(frozen=True, slots=True)
class CheckedMessage:
    """A message that is this agent's beyond doubt, ready to be handed on."""

    octets: bytes
    message_id: str
    """With its angle brackets; made here where the message had none."""
    custom_id: str | None


def checked_message(octets: bytes, agent: AgentLogin, *, now: datetime | None = None) -> CheckedMessage:
    """The message with its From written anew, Bcc taken out and the agent's id as event payload.

    `octets` has CRLF line ends and no transparency dots. Raises MessageOffenceError.
    """
    if len(octets) > MAX_MESSAGE_OCTETS:
        raise TooLargeError(len(octets))
    require_plain_lines(octets)
    head, body = _split(octets)
    fields = _fields(head)
    by_name = _once(fields)
    name = display_name(_value(by_name, "from"), agent.address, "From")
    if "sender" in by_name:
        display_name(by_name["sender"].value, agent.address, "Sender")
    if "reply-to" in by_name:
        _require_one_mailbox(by_name["reply-to"].value, "Reply-To")
    custom_id = by_name[CUSTOM_ID].value.strip() if CUSTOM_ID in by_name else None
    if custom_id is not None and not 1 <= len(custom_id) <= MAX_CUSTOM_ID_CHARACTERS:
        raise MalformedMessageError(
            "X-MJ-CustomID", f"it has {len(custom_id)} characters, expected 1 to {MAX_CUSTOM_ID_CHARACTERS}"
        )
    written = [_from_field(name, agent.address)]
    written += [field.octets for field in fields if field.name not in _OURS]
    if "date" not in by_name:
        written.append(f"Date: {format_datetime(now or datetime.now(UTC))}\r\n".encode())
    message_id = by_name["message-id"].value.strip() if "message-id" in by_name else ""
    if not message_id:
        message_id = f"<{uuid4().hex}@{agent.address.rpartition('@')[2]}>"
        written = [line for line in written if not line.lower().startswith(b"message-id:")]
        written.append(f"Message-ID: {message_id}\r\n".encode())
    payload = event_payload(agent, by_name[EVENT_PAYLOAD].value if EVENT_PAYLOAD in by_name else None)
    written.append(_folded("X-MJ-EventPayload", payload))
    if custom_id is not None:
        written.append(_folded("X-MJ-CustomID", custom_id))
    return CheckedMessage(b"".join(written) + b"\r\n" + body, message_id, custom_id)


def require_plain_lines(octets: bytes) -> None:
    """Raises LineEndError for NUL, a bare CR or LF, and MalformedMessageError for a line over 998 octets."""
    # Counting is done at the speed of memory, and nearly every message is well.
    is_plain = octets.count(b"\r") == octets.count(b"\n") == octets.count(b"\r\n") and b"\0" not in octets
    if not is_plain and (found := _LINE_ENDS.search(octets)) is not None:
        kind = {b"\x00": "NUL", b"\r": "CR without LF", b"\n": "LF without CR"}[found[0]]
        raise LineEndError(f"octet {found.start()} is a {kind}, expected CRLF line ends alone")
    if _LONG_LINE.match(b"\n" + octets[: MAX_LINE_OCTETS + 1]) or _LONG_LINE.search(octets):
        raise MalformedMessageError("line", f"one has more than {MAX_LINE_OCTETS} octets (RFC 5322, 2.1.1)")


def display_name(value: str, address: str, field: str) -> str:
    """The display name before `address` in a From or Sender value, decoded; "" where there is none.

    Raises ForeignIdentityError and MalformedMessageError. A display name with an @ in it is refused, because mail
    programs show it as an address, unless it is the agent's own.
    """
    text = value.strip(" \t")
    if _ADDR_SPEC.fullmatch(text):
        return _same(text, address, field, "")
    match = _MAILBOX.fullmatch(text)
    if match is None or not _ADDR_SPEC.fullmatch(match["address"]):
        raise MalformedMessageError(
            field, f"expected one plain address, {address}, with or without a display name before it in <>"
        )
    return _same(match["address"], address, field, _phrase(match["phrase"], address, field))


def event_payload(agent: AgentLogin, given: str | None) -> str:
    """What Mailjet repeats in every event about the mail: the agent's id, and under `payload` what the agent gave."""
    own = json.dumps({"agent_id": agent.id})
    if given is None or given.strip() in ("", own):
        return own
    payload = json.dumps({"agent_id": agent.id, "payload": given.strip()})
    if len(payload.encode()) > MAX_EVENT_PAYLOAD_OCTETS:
        raise MalformedMessageError(
            "X-MJ-EventPayload", f"with the agent's id it has more than {MAX_EVENT_PAYLOAD_OCTETS} octets"
        )
    return payload


def from_value(name: str, address: str) -> str:
    """A From value in canonical form, in ASCII: a quoted or encoded display name and the address in <>."""
    if not name:
        return address
    if name.isascii():
        escaped = name.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}" <{address}>'
    return f"{Header(name, 'utf-8', maxlinelen=70, header_name='From').encode(linesep=chr(13) + chr(10))} <{address}>"


def _split(octets: bytes) -> tuple[bytes, bytes]:
    """Header, the CRLF of its last line included, and body."""
    if octets.startswith(b"\r\n"):
        return b"", octets[2:]
    end = octets.find(b"\r\n\r\n", 0, MAX_HEADER_OCTETS + 4)
    if end < 0:
        if len(octets) > MAX_HEADER_OCTETS:
            raise MalformedMessageError("header", f"it has more than {MAX_HEADER_OCTETS} octets")
        return octets if octets.endswith(b"\r\n") or not octets else octets + b"\r\n", b""
    return octets[: end + 2], octets[end + 4 :]


def _fields(head: bytes) -> list[HeaderField]:
    found: list[HeaderField] = []
    begin = 0
    while begin < len(head):
        end = head.index(b"\r\n", begin) + 2
        while head[end : end + 1] in (b" ", b"\t"):
            end = head.index(b"\r\n", end) + 2
        found.append(_field(head[begin:end]))
        begin = end
    return found


def _field(octets: bytes) -> HeaderField:
    match = _FIELD.fullmatch(octets[:-2])
    if match is None:
        shown = octets[:40].decode("ascii", "backslashreplace").strip()
        raise MalformedMessageError("header", f"the line {shown!r} is no field, expected 'Name: value'")
    name = match[1].decode("ascii")
    if any(not line.strip(b" \t") for line in octets[:-2].split(b"\r\n")[1:]):
        raise MalformedMessageError(name, "a folded line of it is blank, and some servers end the header there")
    try:
        value = _FOLD.sub(b"", match[2]).decode("utf-8")
    except UnicodeDecodeError:
        raise MalformedMessageError(name, "it is neither ASCII nor UTF-8") from None
    if CONTROL.search(value):
        raise MalformedMessageError(name, "it has a control character")
    return HeaderField(name.lower(), value, octets)


def _once(fields: Sequence[HeaderField]) -> dict[str, HeaderField]:
    """The fields by name. Raises for one that may not be there, or not twice."""
    by_name: dict[str, HeaderField] = {}
    for field in fields:
        if field.name in by_name and field.name in _ONCE:
            kind = ForeignIdentityError if field.name in ("from", "sender", "reply-to") else MalformedMessageError
            raise kind(_shown(field.name), "it stands twice, expected one")
        by_name.setdefault(field.name, field)
        reserved = field.name.startswith(("resent-", "x-mj-", "x-mailjet-")) or field.name == "return-path"
        if reserved and field.name not in _FOR_MAILJET:
            raise ForeignIdentityError(_shown(field.name), "an agent may not set this field")
    for name in ("x-mailjet-trackopen", "x-mailjet-trackclick"):
        if name in by_name and by_name[name].value.strip() not in ("0", "1"):
            raise MalformedMessageError(_shown(name), "expected 0 or 1")
    return by_name


def _value(by_name: dict[str, HeaderField], name: str) -> str:
    if name not in by_name:
        raise ForeignIdentityError(_shown(name), "it is missing, expected the agent's own address")
    return by_name[name].value


def _same(found: str, address: str, field: str, name: str) -> str:
    """Case does not matter: the gateway's own directory has no two addresses that differ in case alone."""
    if found.lower() != address.lower():
        raise ForeignIdentityError(field, f"it is not the agent's address, expected {address}")
    return name


def _require_one_mailbox(value: str, field: str) -> None:
    text = value.strip(" \t")
    match = _MAILBOX.fullmatch(text)
    if match is not None and _ADDR_SPEC.fullmatch(match["address"]):
        _phrase(match["phrase"], match["address"], field)
    elif not _ADDR_SPEC.fullmatch(text):
        raise MalformedMessageError(field, "expected one plain address")


def _phrase(text: str, address: str, field: str) -> str:
    """The words of a display name, decoded (RFC 2047) and joined as mail programs show them."""
    words: list[str] = []
    at = 0
    text = text.strip(" \t")
    while at < len(text):
        match = _WORD.match(text, at)
        if match is None or match.end() == at:
            raise MalformedMessageError(field, "its display name has characters that need quotes")
        quoted, plain = match[1], match[2]
        words.append(re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else plain)
        at = match.end()
    return checked_name(" ".join(words), address, field)


def checked_name(text: str, address: str, field: str) -> str:
    """A display name as people will read it. Raises ForeignIdentityError and MalformedMessageError."""
    name = _decoded(text, field)
    if len(name) > MAX_NAME_CHARACTERS:
        raise MalformedMessageError(
            field, f"its display name has {len(name)} characters, expected at most {MAX_NAME_CHARACTERS}"
        )
    plain_name = unicodedata.normalize("NFKC", name)
    if "=?" in plain_name:
        raise MalformedMessageError(field, "its display name is encoded twice, and some programs decode it again")
    if any(_hides(character) for character in plain_name):
        raise MalformedMessageError(field, "its display name has a control or formatting character")
    if ("@" in plain_name or "\ufe6b" in name) and plain_name.strip().lower() != address.lower():
        raise ForeignIdentityError(field, "its display name looks like an address that is not the agent's")
    return address if "@" in plain_name else " ".join(name.split())


def _hides(character: str) -> bool:
    """Whether a character changes how its neighbours are shown. The joiners of scripts and emoji are none of them."""
    return unicodedata.category(character) in ("Cc", "Cf", "Zl", "Zp", "Cs") and character not in "\u200c\u200d"


def _decoded(text: str, field: str) -> str:
    if "=?" not in text:
        return text
    try:
        # Adjacent encoded words belong together; decode_header knows that of RFC 2047, 6.2.
        parts = decode_header(text)
        return "".join(part if isinstance(part, str) else part.decode(charset or "ascii") for part, charset in parts)
    except (HeaderParseError, LookupError, ValueError):
        raise MalformedMessageError(field, "its display name has an encoded word that cannot be decoded") from None


def _from_field(name: str, address: str) -> bytes:
    return f"From: {from_value(name, address)}\r\n".encode("ascii")


def _folded(name: str, value: str) -> bytes:
    return f"{name}: {value}\r\n".encode()


def _shown(name: str) -> str:
    return "-".join(part.capitalize() for part in name.split("-"))
