"""What a page on loopback is attacked with: another site's forms, and another name that leads here (DNS rebinding).

Browsers say where a request comes from. The Host has to be this server, by whatever name leads here otherwise; what
changes something has to come from a page of this server, or from no page at all (curl).
"""

from __future__ import annotations

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SAFE = frozenset({"GET", "HEAD"})
NAMES = ("127.0.0.1", "localhost")

# No script but ours, nothing from another host, and nobody frames it.
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
    " frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
# The HTML of a mail: a sandbox without any permission, its own styles, pictures that are in the mail.
MAIL_POLICY = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'; base-uri 'none';"
    " frame-ancestors 'self'"
)


class Guard:
    """Refuses what is not from here, and puts the headers on what goes out."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        reason = refused(scope["method"], Headers(scope=scope), port=int(scope["server"][1]))
        if reason:
            await PlainTextResponse(reason + "\n", 403)(scope, receive, send)
            return

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.setdefault("Content-Security-Policy", PAGE_POLICY)
                headers["X-Content-Type-Options"] = "nosniff"
                # Not "no-referrer": then a browser would not say of our own forms that they are ours (Origin: null).
                headers["Referrer-Policy"] = "same-origin"
                headers["X-DNS-Prefetch-Control"] = "off"
                headers["Cross-Origin-Resource-Policy"] = "same-origin"
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await self._app(scope, receive, sending)


def refused(method: str, headers: Headers, *, port: int) -> str:
    """Why a request is not answered; empty if it is."""
    here = {f"{name}:{port}" for name in NAMES}
    host = headers.get("host", "").lower()
    if host not in here:
        return f"This page is at http://127.0.0.1:{port}/ and answers to no other name; found the Host {host!a}."
    if method in SAFE:
        return ""
    origin = headers.get("origin")
    site = headers.get("sec-fetch-site", "same-origin")
    if origin not in (None, *(f"http://{one}" for one in here)) or site not in ("same-origin", "none"):
        return "Only this page's own forms change something here; another site has sent this one."
    return ""
