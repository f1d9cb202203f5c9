"""MIME trees of any shape, and how they are written by a program that does not care.

The standard library writes no broken mail, so these are written by hand: boundaries that clash or are missing, parts in
each transfer encoding, charsets that are none, names in any form, messages in messages.
"""

from __future__ import annotations

import base64
import quopri
from dataclasses import dataclass, field

from hypothesis import strategies as st

MARK = b"content-%d-"
CHARSETS = ["utf-8", "us-ascii", "iso-8859-1", "gb2312", "utf-7", "idna", "nonsense", "x" * 200, "\x80", ""]
TYPES = [
    "text/plain",
    "text/html",
    "image/png",
    "application/pdf",
    "text/calendar; method=REQUEST",
    "nonsense",
    "",
    "a/b/c",
]
ENCODINGS = ["7bit", "8bit", "base64", "quoted-printable", "x-uuencode", "nonsense", "BASE64", ""]
DISPOSITIONS = [
    "",
    "inline",
    "attachment",
    'attachment; filename="a/b.pdf"',
    "inline; filename*=utf-8''%C3%A9.txt",
    ";;=",
]
CONTAINERS = ["mixed", "alternative", "related", "report", "signed", "digest", "nonsense", ""]


@dataclass(frozen=True)
class Leaf:
    """A part with content; `odd` is content that its encoding may not be able to carry."""

    kind: str = "text/plain"
    charset: str = ""
    encoding: str = ""
    disposition: str = ""
    odd: bytes = b""

    def written(self, mark: bytes) -> bytes:
        """The part; its content begins with `mark`."""
        content = mark + self.odd
        encoding = self.encoding.lower()
        if encoding == "base64":
            content = base64.encodebytes(content)
        elif encoding == "quoted-printable":
            content = quopri.encodestring(content)
        charset = f"; charset={self.charset}" if self.charset else ""
        fields = [f"Content-Type: {self.kind}{charset}"] if self.kind else []
        fields += [f"Content-Transfer-Encoding: {self.encoding}"] if self.encoding else []
        fields += [f"Content-Disposition: {self.disposition}"] if self.disposition else []
        return "".join(f"{one}\r\n" for one in fields).encode("utf-8") + b"\r\n" + content


@dataclass(frozen=True)
class Branch:
    """A multipart, or with `subtype` rfc822 a message that holds the first of `parts`."""

    subtype: str
    parts: tuple[Leaf | Branch, ...] = ()
    boundary: str | None = "b"
    """None: it is not declared."""
    closed: bool = True
    preamble: bytes = field(default=b"", repr=False)


Tree = Leaf | Branch


def leaves() -> st.SearchStrategy[Leaf]:
    """One part each, healthy or not."""
    return st.builds(
        Leaf,
        kind=st.sampled_from(TYPES),
        charset=st.sampled_from(CHARSETS),
        encoding=st.sampled_from(ENCODINGS),
        disposition=st.sampled_from(DISPOSITIONS),
        odd=st.binary(max_size=40)
        | st.sampled_from([b"--b", b"\r\n--b\r\n", b"\xff\xfe", b"=\r\n=3", b"\0", b"\r\n.\r\n"]),
    )


def trees() -> st.SearchStrategy[Tree]:
    """Any tree of at most some thirty parts."""

    def branches(below: st.SearchStrategy[Tree]) -> st.SearchStrategy[Tree]:
        return st.builds(
            Branch,
            subtype=st.sampled_from([*CONTAINERS, "rfc822"]),
            parts=st.lists(below, max_size=5).map(tuple),
            boundary=st.sampled_from(["b", "bb", "c d", "é", "", None]),
            closed=st.booleans(),
            preamble=st.sampled_from([b"", b"preamble\r\n", b"--b", b"--\r\n"]),
        )

    return st.recursive(leaves(), branches, max_leaves=30)


def written(tree: Tree, headers: bytes = b"") -> bytes:
    """The mail as octets. Contents carry `content-N-`, in the order of the tree; not by recursion: trees are deep too."""
    pieces: list[bytes] = [headers, b"MIME-Version: 1.0\r\n"]
    todo: list[Tree | bytes] = [tree]
    number = 0
    while todo:
        one = todo.pop()
        if isinstance(one, bytes):
            pieces.append(one)
        elif isinstance(one, Leaf):
            pieces.append(one.written(MARK % number))
            number += 1
        elif one.subtype == "rfc822":
            pieces.append(b"Content-Type: message/rfc822\r\n\r\nSubject: inner\r\n")
            todo += one.parts[:1] or (Leaf(),)
        else:
            declared = "" if one.boundary is None else f'; boundary="{one.boundary}"'
            delimiter = b"\r\n--" + (one.boundary or "").encode() + b"\r\n"
            pieces.append(f"Content-Type: multipart/{one.subtype}{declared}\r\n\r\n".encode() + one.preamble)
            todo.append(delimiter.removesuffix(b"\r\n") + b"--\r\n" if one.closed else b"")
            for part in reversed(one.parts):
                todo += (part, delimiter)
    return b"".join(pieces)
