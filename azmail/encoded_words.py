"""Encoded words (RFC 2047) as mail programs write them, read as browsers and mail programs read them.

The standard library gives up on a whole header for one word. Here each word stands for itself: bytes that its charset
lacks become U+FFFD, and a word of an unknown charset stays as it was written. Nothing is decoded twice: in text that was
decoded once, a word that any decoder reads was sent as it stands. The time is linear.
"""

import binascii
import codecs
import re

_WORD = re.compile(r"=\?([^?\s]{1,80})\?([bBqQ])\?([^?]*)\?=")
_ESCAPE = re.compile(rb"=([0-9A-Fa-f]{2})")
_STRICT_BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")
_NO_BASE64 = re.compile(r"[^A-Za-z0-9+/]")

# Codecs of Python that no mail means: they raise for ordinary text, or read escapes in it.
NO_CHARSETS = frozenset(("idna", "punycode", "undefined", "unicode_escape", "raw_unicode_escape"))
# Labels whose bytes are those of a wider encoding (https://encoding.spec.whatwg.org/#names-and-labels).
_WIDER = {
    **dict.fromkeys(("gb2312", "gb_2312-80", "gbk", "x-gbk", "cp936", "euc-cn", "chinese"), "gb18030"),
    **dict.fromkeys(("ascii", "us-ascii", "iso-8859-1", "iso8859-1", "iso_8859-1", "latin1"), "cp1252"),
    **dict.fromkeys(("shift_jis", "shift-jis", "sjis", "x-sjis"), "cp932"),
    **dict.fromkeys(("euc-kr", "ks_c_5601-1987", "ks_c_5601-1989", "ksc5601"), "cp949"),
    **dict.fromkeys(("iso-8859-9", "iso8859-9", "latin5"), "cp1254"),
    **dict.fromkeys(("iso-8859-11", "tis-620"), "cp874"),
    **dict.fromkeys(("unicode-1-1-utf-8", "utf8mb4"), "utf-8"),
    "big5": "big5hkscs",
}


def decode_words(value: str) -> str:
    """The text with its encoded words as what they stand for. Never raises."""
    shown: list[str] = []
    # Words in a row with one charset are decoded together: senders cut characters in two.
    run: list[str] = []
    charset, content, at = "", b"", 0
    for word in _WORD.finditer(value):
        between = value[at : word.start()]
        label, read = word[1].partition("*")[0].lower(), _bytes(word[2], word[3])
        if run and not between.strip() and label == charset:
            content += read
            run += [between, word[0]]
        else:
            text = _text(charset, content)
            shown.append("".join(run) if text is None else text)
            joined = run and not between.strip() and text is not None and _text(label, read) is not None
            shown.append("" if joined else between)
            charset, content, run = label, read, [word[0]]
        at = word.end()
    text = _text(charset, content)
    return "".join([*shown, "".join(run) if text is None else text, value[at:]])


def decode_left(value: str) -> str:
    """The same for text that was decoded before it came. Never raises.

    A decoder that could not read one word has left all of them, and then they are read here.
    """
    return value if _is_readable(value) else decode_words(value)


def _is_readable(value: str) -> bool:
    """Whether a strict decoder reads every word in it."""
    runs: list[tuple[str, list[bytes]]] = []
    at = 0
    for word in _WORD.finditer(value):
        if word[2] in "bB" and not _STRICT_BASE64.fullmatch(word[3]):
            return False
        label = word[1].partition("*")[0].lower()
        if not (runs and runs[-1][0] == label and not value[at : word.start()].strip()):
            runs.append((label, []))
        runs[-1][1].append(_bytes(word[2], word[3]))
        at = word.end()
    return all(_is_strict(label, b"".join(content)) for label, content in runs)


def _is_strict(charset: str, content: bytes) -> bool:
    if charset.replace("-", "_") in NO_CHARSETS:
        return False
    try:
        codecs.lookup(charset)
        content.decode(charset)
    except (LookupError, ValueError):
        return False
    return True


def _bytes(encoding: str, content: str) -> bytes:
    if encoding in "qQ":
        raw = content.replace("_", " ").encode("utf-8", "replace")
        return _ESCAPE.sub(lambda match: bytes.fromhex(match[1].decode()), raw)
    digits = _NO_BASE64.sub("", content)
    digits = digits[: len(digits) - (len(digits) % 4 == 1)]  # one digit alone is no byte
    return binascii.a2b_base64(digits + "=" * (-len(digits) % 4))


def _text(charset: str, content: bytes) -> str | None:
    """None for a charset that nobody knows."""
    if charset.replace("-", "_") in NO_CHARSETS:
        return None
    try:
        codecs.lookup(_WIDER.get(charset, charset))  # nothing to decode is no reason to know no charset
        return content.decode(_WIDER.get(charset, charset), "replace")
    except (LookupError, ValueError):
        return None
