"""What Cloudflare's plugin says of a refused request, as sentences: its own text is a stack of HTTP.

The program says them of what it writes. Where it does not run, in a refresh and a destroy, `./mail` finds the plugin's
text in what the engine prints.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from clients.cloudflare.client import is_about_token
from mailboxes import remedies

_STATUS = re.compile(r'"code":\s*(\d+)')
_MESSAGE = re.compile(r'"message":\s*("(?:[^"\\]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*")')
_ANSWERED = re.compile(r'": (\d{3})\b')
_REQUEST = re.compile(r'(GET|POST|PUT|PATCH|DELETE) "(https?://[^"\s]+)": ')
_OPERATIONS = {"GET": "read", "POST": "create", "PUT": "update", "PATCH": "update", "DELETE": "delete"}


def is_refused_request(text: str) -> bool:
    """Whether this is the plugin's text of one."""
    return _REQUEST.search(text) is not None


def request_sentences(said: Iterable[tuple[str, str]], *, stack: str) -> list[str]:
    """`said`: resource and the plugin's text of each refused request. What was refused to several for one reason is told
    of the first."""
    alike: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for resource, text in said:
        request = _REQUEST.search(text)
        if request is not None:
            alike.setdefault((_OPERATIONS[request[1]], _said(text)), []).append((resource, text))
    told = []
    for (operation, code), ones in alike.items():
        resource, text = ones[0]
        inputs = {"zoneId": ""} if "/zones/" in text.partition("{")[0] else {}
        sentence = write_sentence(
            text, operation=operation, resource=resource, inputs=inputs, stack=stack, again="then run the same again"
        )
        others = sorted({name for name, _ in ones[1:]} - {resource})
        if others:
            sentence += f"; likewise {', '.join(others)}"
        if _is_refusal(text, code):
            sentence += (
                "; a refresh and a destroy ask with the token of the last up: where the configuration has a newer one, "
                f"record it first, with: {remedies.apply(stack)}"
            )
        told.append(sentence)
    return told


def write_sentence(
    text: str, *, operation: str, resource: str, inputs: Mapping[str, Any], stack: str, again: str = ""
) -> str:
    """One sentence on a request that failed: what, why, what to do; `again`: with what the run goes on, by default an up."""
    code = _said(text)
    message = _message(text)
    of_zone = "zoneId" in inputs
    named = [str(inputs[key]) for key in ("name", "type") if isinstance(inputs.get(key), str)]
    what = resource + (f" ({' '.join(named)})" if named else "")
    again = again or f"then run again, which goes on from here: {remedies.apply(stack)}"
    if _is_refusal(text, code):
        right = "Zone.DNS Edit for this zone" if of_zone else "Account.Cloudflare Tunnel Edit for this account"
        return (
            f"Cloudflare does not let this API token {operation} {what}, code {code or 'unknown'}; expected a token with the "
            f"permission {right}; give it that in Cloudflare's dashboard, or set another with: "
            f"{remedies.set_secret('cloudflare:apiToken', stack=stack)}, {again}"
        )
    if code in _WHY_REFUSED:
        found, what_helps = _WHY_REFUSED[code]
        remedy = what_helps.format(
            adopt=remedies.adopt(stack), refresh=remedies.refresh(stack), doctor=remedies.doctor(stack)
        )
        return f"Cloudflare did not {operation} {what}, code {code}: {found}; {remedy}, {again}"
    if not code and _is_silence(text):
        return (
            f"Cloudflare's API gave no answer when asked to {operation} {what}; expected one; check the network and "
            f"cloudflare:baseUrl, {again}"
        )
    if re.search(r"\b(408|429|5\d\d)\b", text.partition("{")[0]):
        return (
            f"Cloudflare could not {operation} {what} for the moment, after ten repetitions; expected it to; "
            f"look at https://www.cloudflarestatus.com, {again}"
        )
    said = f"{message!r}, code {code}" if message and code else code or _first_line(text)
    return f"Cloudflare did not {operation} {what} and said {said}; expected it to; mend what it names, {again}"


_WHY_REFUSED = {
    "81045": (
        "the zone has as many records as its plan allows",
        "delete records that nobody needs in Cloudflare's dashboard, or change the zone's plan",
    ),
    "1022": (
        "a cloudflared is still connected to the tunnel",
        "stop the cloudflared beside the platform (docker compose --profile cloudflare down) and wait a minute",
    ),
    "1013": ("the account has a tunnel of that name already", "take it into the state with: {adopt}"),
    "81053": (
        "an A, AAAA or CNAME record stands at that name",
        "take it over, or see what must be settled, with: {adopt}",
    ),
    "81054": ("a CNAME stands at that name", "take it over, or see what must be settled, with: {adopt}"),
    "81056": (
        "NS records delegate that name to other name servers",
        "delete them in Cloudflare's dashboard, or choose another name",
    ),
    "89018": (
        "NS records delegate that name, or one above it, to other name servers",
        "delete them in Cloudflare's dashboard, or choose another name",
    ),
    "81057": ("the zone has this very record already", "take it into the state with: {adopt}"),
    "81058": ("the zone has this very record already", "take it into the state with: {adopt}"),
    "81044": ("somebody has deleted the record", "tell the state so with: {refresh}"),
    "1002": ("somebody has deleted the tunnel", "see what is left of it with: {doctor}"),
}
"""Code -> what was found, and what to do. The plugin takes no 404 of a delete for success."""


def _is_silence(text: str) -> bool:
    return bool(
        re.search(
            r"connection refused|connect(ion)? (error|reset)|nothing listens|no such host|dial tcp|name resolution|timeout|EOF",
            text,
            re.IGNORECASE,
        )
    )


def _said(text: str) -> str:
    """Cloudflare's error code in the plugin's text, empty where there is none."""
    return match.group(1) if (match := _STATUS.search(text)) else ""


def _message(text: str) -> str:
    """Cloudflare's words in the plugin's text, as they are read and not as JSON escapes them; empty where there are none."""
    found = _MESSAGE.search(text)
    return str(json.loads(found[1])) if found else ""


def _is_refusal(text: str, code: str) -> bool:
    """Whether it is a matter of the token."""
    status = _ANSWERED.search(text)
    return is_about_token(int(status[1]) if status else None, int(code) if code else None)


def _first_line(text: str) -> str:
    return text.strip().splitlines()[0] if text.strip() else "nothing"
