"""The values of a stack's configuration: closed sets, domain names, URLs and secrets, each with what is wrong with it."""

from __future__ import annotations

import json
import re
from enum import StrEnum
from typing import Annotated
from urllib.parse import urlsplit

import idna
from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from mailboxes import remedies
from mailboxes.consent import RemovalConsent
from mailboxes.passwords import RootSecretError, parse_roots
from mailboxes.stamp import canonical_stamp
from settings.urls import ENV_SAFE, checked_url, host_fault, is_loopback, path_fault

PROJECT = "agentmail"
"""The Pulumi project's name, the namespace of its configuration and the start of the default owner tag."""


SUPERSEDED = "superseded-"
"""How the names of adopted records begin that this program does not declare, so that the next `up` deletes them."""


class Dns(StrEnum):
    """Who serves the zone of the mail domain."""

    CLOUDFLARE = "cloudflare"
    NONE = "none"


class SubmissionKind(StrEnum):
    """What agents send through: the gateway, with a credential each, or Mailjet itself, with the account's own key."""

    GATEWAY = "gateway"
    MAILJET = "mailjet"


class InboundAuth(StrEnum):
    """How a delivery of Mailjet's Parse API proves itself to the platform."""

    NONE = "none"
    BASIC = "basic"
    FORWARDER = "forwarder"


class MailEventType(StrEnum):
    """What Mailjet can report about a mail that an agent sent; its own words."""

    BOUNCE = "bounce"
    BLOCKED = "blocked"
    SPAM = "spam"
    UNSUB = "unsub"


class TunnelKind(StrEnum):
    """Where the tunnel in front of the platform comes from."""

    NONE = "none"
    EXISTING = "existing"
    CREATED = "created"


def _wrong(found: object, expected: str, remedy: str) -> PydanticCustomError:
    return PydanticCustomError(
        "agentmail",
        "is {found}; expected {expected}; {remedy}",
        {"found": found, "expected": expected, "remedy": remedy},
    )


def _domain_name(value: str) -> str:
    """An RFC 1035 host name in A-label form: lower case, no trailing dot; an IDN is encoded (RFC 5891)."""
    if value == "":
        return value
    bare = value.rstrip(".")
    try:
        encoded = idna.encode(bare, uts46=True).decode("ascii") if not bare.isascii() else bare.lower()
    except idna.IDNAError:
        encoded = ""
    labels = encoded.split(".")
    fits = len(encoded) <= 253 and len(labels) > 1
    if not fits or not all(re.fullmatch(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?", label) for label in labels):
        raise _wrong(repr(value), "a domain name such as 'agents.example'", "correct it")
    return encoded


def _hex_id(value: str) -> str:
    if value and not re.fullmatch(r"[0-9a-f]{32}", value):
        raise _wrong(
            repr(value),
            "32 hexadecimal digits",
            "copy it from the overview page of the zone in Cloudflare's dashboard",
        )
    return value


def checked_owner_tag(value: str) -> str:
    if value and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", value):
        raise _wrong(
            repr(value),
            "1 to 63 of the characters A-Z a-z 0-9 . _ - (it is the user name in the routes' URL and stands in the "
            "comment of every DNS record)",
            "choose such a tag",
        )
    return value


def _url(value: str) -> str:
    if value == "":
        return value
    try:
        url = checked_url(value)
    except ValueError as error:
        raise _wrong(
            f"{_without_userinfo(value)!r}, which {error}",
            "a URL without credentials, query or fragment, such as 'https://api.agents.example/path'",
            "keep the secret in webhookSecret or the Mailjet keys" if "user name" in str(error) else "correct it",
        ) from None
    if not ENV_SAFE.fullmatch(url.replace("[", "").replace("]", "")):
        raise _wrong(repr(value), "letters, digits and _ . / : , + = % -", "correct it")
    return url


def _secure_url(value: str) -> str:
    """HTTPS, but on this machine: passwords travel in it."""
    url = _url(value)
    if url.startswith("http:") and not is_loopback(url):
        raise _wrong(repr(value), "https, since passwords travel there", f"write https{url[4:]}")
    return url


def _neighbour_url(value: str) -> str:
    """HTTPS, but on this machine and within the platform's own network, whose hosts have names without a dot."""
    url = _url(value)
    if url.startswith("http:") and not is_loopback(url) and "." in (urlsplit(url).hostname or ""):
        raise _wrong(
            repr(value),
            "https, or the name of a service on the platform's network such as http://mail-inbox:8026, since passwords travel there",
            f"write https{url[4:]}",
        )
    return url


def _path(value: str) -> str:
    if fault := path_fault(value):
        raise _wrong(
            f"{value!r}, which {fault}",
            "a path such as '/api/webhooks/mailjet' of A-Z a-z 0-9 _ . : , + = - and %XX",
            "correct it",
        )
    return value


def _host(value: str) -> str:
    """A domain name, a single label (a service beside the platform) or an IP address."""
    host = value.strip().lower()
    fault = host_fault(host) if host.isascii() and not host.startswith("[") else "has a host that is no domain name"
    if fault:
        raise _wrong(repr(value), "a host name such as 'in-v3.mailjet.com', or an IP address", "correct it")
    return host


def _api_key(value: str) -> str:
    """Without blanks and line ends around it, as a key is that was piped in from a file; those inside are no part of any
    key, and a colon would end the user name of Basic authentication (RFC 7617)."""
    return _token(value.strip())


def _token(key: str) -> str:
    """As it stands: Cloudflare's plugin reads the token itself and strips nothing."""
    if key and not re.fullmatch(r"[A-Za-z0-9_./,+=%-]+", key):
        raise PydanticCustomError(
            "agentmail",
            "has {length} characters, some of them no part of any key (a blank, a line end, a quote, a '$'); expected it "
            "as the service's page shows it; store it again",
            {"length": len(key)},
        )
    return key


def _env_text(value: str) -> str:
    """Text that the platform's `.env` carries as it is."""
    if not ENV_SAFE.fullmatch(value):
        raise _wrong(
            repr(value),
            "letters, digits and _ . / : @ , + = % - (it stands in the platform's .env)",
            "choose such a text",
        )
    return value


def _without_userinfo(value: str) -> str:
    return re.sub(r"//[^/]*@", "//***@", value)


def spf_include(value: str) -> str:
    """RFC 7208, section 5.2, without macros: the platform's `.env` carries it."""
    if host_fault(value.removeprefix("include:").lower()) or not value.startswith("include:"):
        raise _wrong(repr(value), "an include such as 'include:spf.mailjet.com'", "correct it")
    return value


def url_safe_secret(value: str) -> str:
    if value and not re.fullmatch(r"[A-Za-z0-9_-]{16,128}", value):
        raise PydanticCustomError(
            "agentmail",
            "has {length} characters, some perhaps outside the URL-safe alphabet; expected 16 to 128 of A-Z a-z 0-9 _ - "
            "(Mailjet cannot parse others in a route's URL); make one with: openssl rand -hex 24",
            {"length": len(value)},
        )
    return value


def root_secrets(value: str) -> str:
    """Without the line end that a pipe leaves."""
    text = value.strip()
    try:
        parse_roots(text)
    except RootSecretError as error:
        raise PydanticCustomError(
            "agentmail", "{problem}; make one with: {remedy}", {"problem": str(error), "remedy": remedies.new_root("")}
        ) from None
    return text


def _stamp(value: str) -> str:
    try:
        canonical_stamp(value)
    except ValueError as error:
        raise _wrong(repr(value), str(error).rpartition("; ")[2].removeprefix("expected "), "correct it") from None
    return value


def removal_consent(value: str) -> str:
    try:
        RemovalConsent.parse(value)
    except ValueError as error:
        raise _wrong(
            repr(value),
            str(error),
            f"remove it with: {remedies.remove_value('allowMassRemoval')}; a preview that needs it says its words",
        ) from None
    return value


def from_json(value: object) -> object:
    """Structured configuration reaches the program as JSON text."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except json.JSONDecodeError as error:
        raise _wrong(
            repr(value[:40]),
            f"valid JSON ({error.msg} at character {error.pos})",
            "write it as YAML in the stack's file",
        ) from None


DomainName = Annotated[str, AfterValidator(_domain_name)]
HexId = Annotated[str, AfterValidator(_hex_id)]
Host = Annotated[str, AfterValidator(_host)]
Url = Annotated[str, AfterValidator(_url)]
SecureUrl = Annotated[str, AfterValidator(_secure_url)]
NeighbourUrl = Annotated[str, AfterValidator(_neighbour_url)]
UrlPath = Annotated[str, AfterValidator(_path)]
ApiKey = Annotated[str, AfterValidator(_api_key)]
Token = Annotated[str, AfterValidator(_token)]
EnvText = Annotated[str, AfterValidator(_env_text)]
Stamp = Annotated[str, AfterValidator(_stamp)]
Ttl = Annotated[int, Field(ge=60, le=86400)]
