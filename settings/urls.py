"""What may stand as a URL or a path in configuration: RFC 3986, less what a `.env` file cannot carry on.

Every value here travels on: into routes at Mailjet, into outputs, into the platform's `.env` (`azmail.dotenv`). What one
of these doors refuses is refused at the first, with the sentence that names the key.
"""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

import idna

from zone.names import is_loopback_host

ENV_SAFE = re.compile(r"[A-Za-z0-9_./:@,+=%-]*")
"""What a `.env` line can hold for every reader of such files; the alphabet of `azmail.dotenv`."""

_SEGMENT = r"(?:[A-Za-z0-9_.:,+=-]|%[0-9A-Fa-f]{2})"
_PATH = re.compile(rf"/{_SEGMENT}+(?:/{_SEGMENT}*)*")
_ENCODED = re.compile(r"%[0-9A-Fa-f]{2}")
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_URL = re.compile(r"(?P<scheme>https?)://(?P<authority>[^/?#\\]*)(?P<rest>.*)", re.IGNORECASE | re.DOTALL)
_AUTHORITY = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^:\[\]]*)(?::(?P<port>[0-9]*))?")
_LONGEST_HOST = 253


def is_loopback(url: str) -> bool:
    """Whether a URL leads to this machine."""
    return is_loopback_host(urlsplit(url).hostname or "")


def path_fault(path: str) -> str:
    """What is wrong with an absolute path, as `starts with '//'`; empty if nothing is."""
    if not path.startswith("/"):
        return "does not begin with '/'"
    if path.startswith("//"):
        return "begins with '//', which names another host"
    if path == "/":
        return "is the root of a site, which Mailjet refuses"
    if fault := text_fault(path):
        return fault
    if any(segment in {".", ".."} for segment in path.split("/")):
        return "has a segment '.' or '..', which every client resolves in its own way"
    if "%" in _ENCODED.sub("", path):
        return "has a '%' that is not followed by two hexadecimal digits"
    if not _PATH.fullmatch(path):
        return "has a character that no path may have"
    return ""


def host_fault(host: str) -> str:
    """What is wrong with a host: a domain name in A-label form, a single label, or an IP address; empty if nothing is."""
    if not host:
        return "has no host"
    if host.startswith("["):
        return "" if _is_ip(host.strip("[]")) else "has a host in brackets that is no IPv6 address"
    labels = host.removesuffix(".").split(".")
    if labels[-1].isdigit():
        return "" if _is_ip(host) else "has a host of digits that is no IPv4 address"
    if len(host) > _LONGEST_HOST or not all(_LABEL.fullmatch(label) for label in labels):
        return "has a host that is no domain name"
    return ""


def text_fault(text: str) -> str:
    """Characters that are refused everywhere, named one by one for those that people do write."""
    if "$" in text:
        return "has a '$', which nobody replaces here"
    if any(character.isspace() or not character.isprintable() for character in text):
        return "has a blank, a line end or a control character"
    if not text.isascii():
        return "has a character beyond ASCII"
    return ""


def checked_url(text: str) -> str:
    """The URL with scheme and host in lower case and an international host as A-labels. Raises ValueError, which says
    what is wrong and quotes nothing, since a password may be inside."""
    if "$" in text:
        raise ValueError(text_fault(text))
    found = _URL.fullmatch(text)
    if found is None:
        raise ValueError("is no URL")
    scheme, rest = found["scheme"].lower(), found["rest"]
    if "@" in found["authority"]:
        raise ValueError("has a user name or password in it")
    authority = _AUTHORITY.fullmatch(found["authority"])
    if authority is None:
        raise ValueError("has a host or a port that is none")
    host = _a_labels(authority["host"])
    if fault := host_fault(host):
        raise ValueError(fault)
    if authority["port"] is not None and not (authority["port"] and 1 <= int(authority["port"]) <= 65535):
        raise ValueError("has a port that is none of 1 to 65535")
    if "#" in rest:
        raise ValueError("has a fragment ('#…'), which no server is ever sent")
    if "?" in rest:
        raise ValueError("has a query ('?…'), which a .env file cannot carry to the platform")
    if rest not in {"", "/"} and (fault := path_fault(rest)):
        raise ValueError(f"has a path that {fault}")
    port = "" if authority["port"] is None else f":{int(authority['port'])}"
    return f"{scheme}://{host}{port}{rest}"


def _a_labels(host: str) -> str:
    if host.isascii():
        return host.lower()
    try:
        return idna.encode(host, uts46=True).decode("ascii")
    except idna.IDNAError:
        return host


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
