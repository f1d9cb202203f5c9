"""TXT record content as Cloudflare keeps it: quoted character-strings of at most 255 bytes (RFC 1035, 3.3.14)."""

import re

MAX_STRING = 255
_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')


def quoted(text: str) -> str:
    """`text` in the presentation form that Cloudflare stores: `"…"`, or `"…" "…"` beyond 255 bytes.

    Raises ValueError for text outside printable ASCII: none of our records needs any.
    """
    if not text.isascii() or not text.isprintable():
        raise ValueError(f"TXT content must be printable ASCII, found {text!r}")
    pieces = [text[start : start + MAX_STRING] for start in range(0, len(text), MAX_STRING)] or [""]
    return " ".join('"' + piece.replace("\\", "\\\\").replace('"', '\\"') + '"' for piece in pieces)


def joined(content: str) -> str:
    """The text that a resolver sees for a TXT content, quoted or not, in one string or several."""
    stripped = content.strip()
    if not stripped.startswith('"'):
        return stripped
    return "".join(re.sub(r"\\(.)", r"\1", piece) for piece in _STRING.findall(stripped))
