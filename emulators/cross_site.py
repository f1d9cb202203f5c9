"""What a server on loopback is attacked with: another site's forms, and another name that leads here (DNS rebinding).

Browsers say where a request comes from. The Host has to be this server, by whatever name leads here otherwise; what
changes something has to come from a page of this server, or from no page at all (curl).
"""

from __future__ import annotations

from starlette.datastructures import Headers

SAFE = frozenset({"GET", "HEAD"})
NAMES = ("127.0.0.1", "localhost")


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
