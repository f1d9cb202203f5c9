"""One mail as a person reads it: text, HTML that can do nothing, headers, files."""

from __future__ import annotations

import base64
import email
import email.policy
import re
from dataclasses import dataclass
from email.message import Message

from emulators.mailjet.mime import Raw, decoded

MOST_SHOWN = 200_000
"""Characters of a source or text that are shown; the file has all."""
MOST_FILES = 200
MOST_PICTURES = 5 * 1024 * 1024
_CID = re.compile(r"""cid:([^"'\s>)]+)""", re.IGNORECASE)


@dataclass(frozen=True)
class ShownFile:
    """A file of the mail."""

    number: int
    name: str
    kind: str
    size: int


class LetterView:
    """A mail's parts. Anybody may have written it: nothing in it is trusted."""

    def __init__(self, octets: bytes) -> None:
        self.octets = octets
        self._raw = Raw.parse(octets)
        self._texts: list[str] = []
        self._htmls: list[str] = []
        self._files: list[tuple[str, str, bytes]] = []
        self._pictures: dict[str, tuple[str, bytes]] = {}
        try:
            self._read(email.message_from_bytes(octets, policy=email.policy.compat32))
        except RecursionError:
            self._texts = [self.source]  # nested too deeply to be taken apart

    def _read(self, message: Message) -> None:
        for part in message.walk():
            if part.get_content_maintype() == "multipart":
                continue
            kind = part.get_content_type()
            name = decoded(str(part.get_filename() or "").encode("utf-8", "replace"))
            content = part.get_payload(decode=True)
            octets = content if isinstance(content, bytes) else bytes(part)
            shown = part.get_content_disposition() != "attachment" and not name
            if shown and kind in ("text/plain", "text/html"):
                (self._texts if kind == "text/plain" else self._htmls).append(_text(part, octets))
            else:
                self._files.append((name or "unnamed", kind, octets))
            if content_id := str(part.get("Content-ID") or "").strip("<> \t"):
                self._pictures[content_id] = (kind, octets)

    @property
    def text(self) -> str:
        """The plain text, as far as it is shown."""
        return "\n".join(self._texts)[:MOST_SHOWN]

    @property
    def has_html(self) -> bool:
        """Whether there is a part in HTML."""
        return bool(self._htmls)

    @property
    def html(self) -> str:
        """The HTML, its pictures in it instead of named."""
        left = MOST_PICTURES

        def picture(match: re.Match[str]) -> str:
            nonlocal left
            kind, octets = self._pictures.get(match[1], ("", b""))
            if not kind.startswith("image/") or kind == "image/svg+xml" or len(octets) > left:
                return match[0]
            left -= len(octets)
            return f"data:{kind};base64,{base64.b64encode(octets).decode('ascii')}"

        return _CID.sub(picture, "\n".join(self._htmls))

    @property
    def source(self) -> str:
        """The mail as it is, as far as it is shown."""
        return self.octets[:MOST_SHOWN].decode("utf-8", "replace")

    @property
    def is_cut(self) -> bool:
        """Whether the source is longer than what is shown."""
        return len(self.octets) > MOST_SHOWN

    @property
    def headers(self) -> list[tuple[str, str]]:
        """Names and values, unfolded and decoded."""
        return [(name, decoded(field.partition(b":")[2])) for name, field in self._raw.fields]

    @property
    def signed_by(self) -> str:
        """The domain whose key has signed it, as its DKIM-Signature says; empty without one."""
        found = re.search(r"\bd=([^;\s]+)", self._raw.get("DKIM-Signature") or "")
        return found[1] if found else ""

    @property
    def files(self) -> list[ShownFile]:
        """Its files, without their content."""
        return [
            ShownFile(number, name, kind, len(octets))
            for number, (name, kind, octets) in enumerate(self._files[:MOST_FILES])
        ]

    def file(self, number: int) -> tuple[str, bytes] | None:
        """Name and content of one."""
        if not 0 <= number < len(self._files):
            return None
        name, _, octets = self._files[number]
        return name, octets


def _text(part: Message, octets: bytes) -> str:
    try:
        return octets.decode(part.get_content_charset() or "utf-8", "replace")
    except LookupError:
        return octets.decode("utf-8", "replace")
