"""How Mailjet and Cloudflare, or the proxies before them, answer when they are in trouble."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import uuid4

from starlette.responses import HTMLResponse, JSONResponse, Response


def error_page(name: str, status: int, headers: Mapping[str, str]) -> Response:
    """What the service `name` (or the proxy before it) answers with `status` when it is in trouble."""
    title = {
        404: "404 Not Found",
        429: "429 Too Many Requests",
        500: "500 Internal Server Error",
        502: "502 Bad Gateway",
        503: "503 Service Temporarily Unavailable",
        504: "504 Gateway Time-out",
    }[status]
    page = f"<html><head><title>{title}</title></head><body><center><h1>{title}</h1></center></body></html>\r\n"
    if name == "mailjet" and status == 429:
        text = "You have sent too many requests in a given amount of time."
        page = f"<html><body><h1>{title}</h1>\n{text}\n</body></html>\n"
    elif name == "mailjet" and status == 500:
        identifier = str(uuid4())
        error = {"ErrorInfo": "", "ErrorMessage": "Internal Server Error", "StatusCode": 500}
        return JSONResponse({"ErrorIdentifier": identifier, **error}, status, headers)
    elif name == "cloudflare" and status in (429, 500):
        error = {
            429: {
                "code": 10100,
                "message": "More than 1200 requests per 300 seconds reached. "
                "Please wait and consider throttling your request speed",
            },
            500: {"code": 1000, "message": "Internal server error"},
        }[status]
        return JSONResponse({"success": False, "errors": [error], "messages": [], "result": None}, status, headers)
    return HTMLResponse(page, status, headers)
