"""The page as an ASGI app: server-rendered, with the little script that fetches anew what has changed."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup, escape
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from emulators.cloudflare import CloudflareEmulator
from emulators.control import Controlled
from emulators.faults import KINDS, FaultPlan, FaultPlanError
from emulators.inbox import InboxFolder
from emulators.mailjet import MailjetEmulator
from emulators.mailjet.letters import Row, Search
from emulators.mailjet.switches import Switches
from emulators.page.agent_view import AgentList
from emulators.page.guard import MAIL_POLICY, Guard
from emulators.page.letter_view import LetterView
from emulators.page.purposes import is_ours, purpose
from emulators.page.request_view import PAGE as REQUESTS_PAGE
from emulators.page.request_view import Filter, find, page_of
from emulators.page.stream import changes
from emulators.page.trouble import PRESETS, SwitchFormError, changed_count, shown_switches, switches_of
from emulators.request_log import redacted

HERE = Path(__file__).parent
MAILS_PAGE = 50
RECORDS_PAGE = 200
LARGEST_FORM = 1024 * 1024
MOST_BEGINNINGS = 30
LARGEST_BEGINNING = 64 * 1024
"""Octets of a mail that is taken apart only to show how it begins."""
ADDRESS = re.compile(r"[^\s<>()\[\],;:\"\\@]+@[^\s<>()\[\],;:\"\\@]+")
FIRST_MAIL = {
    "name": "Ada Lovelace",
    "from": "ada@example.com",
    "subject": "Hello from outside",
    "text": "Hello,\n\ndoes this reach you?\n\nAda\n",
}
"""What the form proposes, so that a first mail is one press."""
SECTIONS = (("/", "Mail"), ("/agents", "Agents"), ("/dns", "DNS"), ("/requests", "Requests"), ("/faults", "Faults"))


class EmulatorPage:
    """`app` serves it. `close` ends the streams, so that the server can stop."""

    def __init__(
        self,
        *,
        mailjet: MailjetEmulator,
        cloudflare: CloudflareEmulator,
        cloudflare_app: Controlled,
        inbox: InboxFolder,
    ) -> None:
        self._mailjet = mailjet
        self._inbox = inbox
        self._cloudflare = cloudflare
        self._apis: Mapping[str, Controlled] = {"mailjet": mailjet.controlled_app, "cloudflare": cloudflare_app}
        self._agents = AgentList(mailjet.mailjet.db, mailjet.letters)
        self._closing = False
        self._templates = Environment(
            loader=FileSystemLoader(HERE / "templates"), autoescape=True, trim_blocks=True, lstrip_blocks=True
        )
        self._templates.filters |= {"clock": _clock, "outcome": outcome, "fate": fate, "redacted": redacted}
        self._templates.filters |= {"moment": _moment, "plain_text": _marked_up}
        self._templates.globals |= {"sections": SECTIONS}
        self.app: ASGIApp = Guard(
            Starlette(
                routes=[
                    Route("/", self.mails),
                    Route("/mail/{id:int}", self.mail),
                    Route("/mail/{id:int}/html", self.mail_html),
                    Route("/mail/{id:int}/source", self.mail_source),
                    Route("/mail/{id:int}/files/{number:int}", self.mail_file),
                    Route("/mail/{id:int}/again", self.deliver_again, methods=["POST"]),
                    Route("/write", self.write),
                    Route("/write", self.write_now, methods=["POST"]),
                    Route("/agents", self.agents),
                    Route("/agents", self.name_agents, methods=["PUT"]),
                    Route("/dns", self.dns),
                    Route("/requests", self.requests),
                    Route("/requests/{service}/{number:int}", self.request),
                    Route("/faults", self.faults),
                    Route("/faults/none", self.end_faults, methods=["POST"]),
                    Route("/faults/preset", self.turn_preset, methods=["POST"]),
                    Route("/faults/switches", self.change_switches, methods=["POST"]),
                    Route("/faults/{service}", self.change_faults, methods=["POST"]),
                    Route("/events", self.events),
                    Route("/letters", self.letters),
                    Mount("/static", StaticFiles(directory=HERE / "static")),
                ],
                exception_handlers={HTTPException: self._problem},
            )
        )

    def close(self) -> None:
        """No stream goes on."""
        self._closing = True

    # Mail

    async def mails(self, request: Request) -> Response:
        """The list, the newest first."""
        who = self._agents.address(request.query_params.get("agent", "").strip())
        search = Search(text=request.query_params.get("q", "").strip(), agent=who)
        before = _number(request, "before")
        rows = self._mailjet.letters.listed(search, most=MAILS_PAGE + 1, before=before or None)
        shown = rows[:MAILS_PAGE]
        older = ""
        if len(rows) > MAILS_PAGE:
            older = "/?" + urlencode({"q": search.text, "agent": search.agent, "before": shown[-1]["id"]})
        names = self._agents.names([row["sender"] for row in shown] + [row["recipient"] for row in shown])
        return self._page(
            request, "mails.html", "Mail", search=search, rows=shown, names=names, older=older, before=before,
            total=self._mailjet.letters.count(search), agents=self._agents.some(), handed_on=self._inbox.handed_on(),
        )  # fmt: skip

    async def mail(self, request: Request) -> Response:
        """One mail, what became of it, and its thread."""
        row, view = self._letter(request)
        attempts = self._mailjet.letters.attempts(row["delivery_id"]) if row["delivery_id"] else []
        route = self._mailjet.routes.for_recipient(row["recipient"])
        thread = self._conversation(row)
        people = [one[end] for one in thread or [row] for end in ("sender", "recipient")]
        return self._page(
            request, "mail.html", row["subject"] or "(no subject)", row=row, view=view, attempts=attempts,
            thread=thread, url=redacted(route["url"]) if route else "",
            names=self._agents.names(people), pause=self._mailjet.mailjet.switches.retry_seconds, said=request.query_params.get("said", ""),
        )  # fmt: skip

    def _conversation(self, row: Row) -> list[Row]:
        """Its thread, oldest first; with the beginning of what is written where that is quick to find."""
        letters = self._mailjet.letters
        found = letters.in_thread(row["thread"])
        beginnings: dict[int, str] = {}
        for one in found[-MOST_BEGINNINGS:]:
            octets = letters.octets(one["id"]) or b""
            if len(octets) <= LARGEST_BEGINNING:
                beginnings[one["id"]] = " ".join(LetterView(octets).text.split())[:160]
        return [{**one, "beginning": beginnings.get(one["id"], "")} for one in found]

    async def mail_html(self, request: Request) -> Response:
        """The HTML of a mail, for a frame that lets it do nothing."""
        _, view = self._letter(request)
        return HTMLResponse(view.html, headers={"Content-Security-Policy": MAIL_POLICY})

    async def mail_source(self, request: Request) -> Response:
        """The mail as a file."""
        row, view = self._letter(request)
        return _download(f"mail-{row['id']}.eml", view.octets)

    async def mail_file(self, request: Request) -> Response:
        """One of its files."""
        _, view = self._letter(request)
        found = view.file(request.path_params["number"])
        if found is None:
            raise HTTPException(404, "That mail has no such file.")
        return _download(*found)

    async def deliver_again(self, request: Request) -> Response:
        """Bring it to the webhook once more."""
        key = request.path_params["id"]
        refusal = self._mailjet.office.deliver_again(key)
        said = f"Not delivered again: {refusal}" if refusal else "It is on its way to the webhook again."
        return RedirectResponse(f"/mail/{key}?{urlencode({'said': said})}", 303)

    async def write(self, request: Request) -> Response:
        """The form for a mail from outside."""
        agents = self._agents.some()
        given = FIRST_MAIL | {"to": request.query_params.get("to") or next((address for address, _ in agents), "")}
        return self._page(request, "write.html", "Write from outside", given=given, problem="", agents=agents)

    async def write_now(self, request: Request) -> Response:
        """Take the mail in, as Mailjet's inbound host does."""
        form = await _form(request)
        to, sender = form.get("to", "").strip(), form.get("from", "").strip()
        problem = next((f"{one!r} is no address." for one in (to, sender) if not ADDRESS.fullmatch(one)), "")
        if not problem:
            octets = composed(
                to=to,
                sender=sender,
                name=form.get("name", ""),
                subject=form.get("subject", ""),
                text=form.get("text", ""),
            )
            problem = self._mailjet.office.receive(octets, sender=sender, recipient=to, helo="example.com") or ""
        if problem:
            return self._page(
                request,
                "write.html",
                "Write from outside",
                given=form,
                problem=problem,
                agents=self._agents.some(),
                status=400,
            )
        newest = self._mailjet.letters.listed(Search(agent=to), most=1)[0]["id"]
        return RedirectResponse(f"/mail/{newest}?{urlencode({'said': 'It was taken in.'})}", 303)

    async def letters(self, request: Request) -> Response:
        """What `./mail messages` reads: letters above `after`, the newest one, or those of `ids`, with their text."""
        wanted = [int(one) for one in request.query_params.get("ids", "").split(",") if one.isdecimal()]
        if "ids" in request.query_params:
            rows = [row for key in wanted[:MAILS_PAGE] if (row := self._mailjet.letters.get(key)) is not None]
        else:
            search = Search(agent=request.query_params.get("agent", ""))
            only_newest = "newest" in request.query_params
            rows = (
                self._mailjet.letters.listed(search, most=1)
                if only_newest
                else self._mailjet.letters.listed(search, most=MAILS_PAGE, after=_number(request, "after"))
            )
        return JSONResponse({"letters": [self._plain(row) for row in rows]})

    def _plain(self, row: Row) -> dict[str, object]:
        octets = self._mailjet.letters.octets(row["id"])
        view = None if octets is None else LetterView(octets)
        return {
            "id": row["id"], "from": row["sender"], "author": row["author"], "to": row["recipient"],
            "subject": row["subject"], "message_id": row["header_id"], "at": row["at"], "via": row["via"] or "outside",
            "status": row["status"] or "received", "outcome": outcome(row), "text": view.text or view.html if view else "",
        }  # fmt: skip

    def _letter(self, request: Request) -> tuple[Row, LetterView]:
        key = request.path_params["id"]
        row, octets = self._mailjet.letters.get(key), self._mailjet.letters.octets(key)
        if row is None or octets is None:
            raise HTTPException(404, "That mail is not here: only the latest 2,000 are kept.")
        return row, LetterView(octets)

    # Agents, DNS

    async def agents(self, request: Request) -> Response:
        """Who has a route."""
        text, skip = request.query_params.get("q", "").strip(), _number(request, "skip")
        rows, total = self._agents.page(text, skip=skip)
        return self._page(
            request,
            "agents.html",
            "Agents",
            rows=rows,
            total=total,
            q=text,
            skip=skip,
            pages=_pages("/agents", text, skip, len(rows), total),
        )

    async def name_agents(self, request: Request) -> Response:
        """Who is who: `{"agents": [{"id", "name", "address"}, …]}`, in the place of what was known."""
        body = await _limited_body(request, 16 * 1024 * 1024)
        try:
            found = [(str(one["address"]), str(one["id"]), str(one["name"])) for one in json.loads(body)["agents"]]
        except (ValueError, TypeError, KeyError):
            return JSONResponse({"error": 'expected {"agents": [{"id": "…", "name": "…", "address": "…"}]}'}, 400)
        self._agents.replace(found)
        return Response(status_code=204)

    async def dns(self, request: Request) -> Response:
        """The zone as a table."""
        account = self._cloudflare.account
        text, skip = request.query_params.get("q", "").strip(), _number(request, "skip")
        with account.lock:
            zones = account.zones()
            wanted = request.query_params.get("zone", "")
            zone = next((one for one in zones if one.name == wanted), zones[0] if zones else None)
            records = [] if zone is None else zone.in_order()
            names = [one.name for one in zones]
        found = [
            one for one in records if text.lower() in f"{one.name} {one.type} {one.content} {one.comment or ''}".lower()
        ]
        rows = [
            {"record": one, "ours": is_ours(one.comment), "why": purpose(one.type.value, one.name, one.content)}
            for one in found[skip : skip + RECORDS_PAGE]
        ]
        checks = [
            self._mailjet.domains.shown(row)
            for row in self._mailjet.mailjet.db.execute("SELECT * FROM dns ORDER BY domain LIMIT 50")
        ]
        return self._page(
            request, "dns.html", "DNS", rows=rows, total=len(found), q=text, zones=names, zone="" if zone is None else zone.name,
            checks=checks,
            pages=_pages("/dns", text, skip, len(rows), len(found), zone="" if zone is None else zone.name, size=RECORDS_PAGE),
        )  # fmt: skip

    # Requests, faults

    async def requests(self, request: Request) -> Response:
        """Both APIs, the newest first."""
        query = request.query_params
        wanted = Filter(
            text=query.get("q", "").strip(), service=query.get("service", ""), method=query.get("method", ""),
            failed=bool(query.get("failed")),
        )  # fmt: skip
        skip = _number(request, "skip")
        rows, more = page_of(self._logs, wanted, skip=skip)
        return self._page(
            request, "requests.html", "Requests", rows=rows, wanted=wanted, skip=skip,
            newer=f"/requests?{wanted.query(skip=skip - REQUESTS_PAGE)}" if skip else "",
            older=f"/requests?{wanted.query(skip=skip + REQUESTS_PAGE)}" if more else "",
        )  # fmt: skip

    async def request(self, request: Request) -> Response:
        """One of them, with its body."""
        shown = find(self._logs, request.path_params["service"], request.path_params["number"])
        if shown is None:
            raise HTTPException(404, "That request is not here: only the latest 100,000 are kept.")
        return self._page(request, "request.html", f"{shown.entry.method} {shown.entry.path}", shown=shown)

    @property
    def _logs(self) -> dict[str, Any]:
        return {service: api.log for service, api in self._apis.items()}

    async def faults(self, request: Request) -> Response:
        """The page of faults: what the emulators do wrong at present, as switches."""
        return self._fault_page(request, said=request.query_params.get("said", ""))

    def _fault_page(self, request: Request, *, said: str = "", problem: str = "") -> Response:
        plans, switches = self._plans(), self._mailjet.mailjet.switches
        return self._page(
            request, "faults.html", "Faults", plans=plans, kinds=KINDS, said=said, problem=problem,
            presets=[(one, one.is_on(plans[one.service], switches)) for one in PRESETS], groups=shown_switches(switches),
            status=400 if problem else 200,
        )  # fmt: skip

    def _plans(self) -> dict[str, FaultPlan]:
        return {service: api.plan for service, api in self._apis.items()}

    def _trouble(self) -> int:
        """How much is not as it should be: latencies, limits, rules, and Mailjet's switches."""
        plans = self._plans().values()
        faults = sum(bool(plan.latency_ms) + (plan.rate_limit is not None) + len(plan.rules) for plan in plans)
        return faults + changed_count(self._mailjet.mailjet.switches)

    async def turn_preset(self, request: Request) -> Response:
        """One ready-made fault on or off, whatever else is on."""
        form = await _form(request)
        preset = next((one for one in PRESETS if one.name == form.get("preset")), None)
        if preset is None:
            raise HTTPException(404, "There is no such switch.")
        on = form.get("on") == "1"
        api = self._apis[preset.service]
        api.plan = preset.turned(on, api.plan)
        if changes := preset.switched(on):
            self._mailjet.play(self._mailjet.mailjet.switches.model_copy(update=changes))
        return _fault_redirect(f"On: {preset.title}." if on else f"Off: {preset.title}.")

    async def change_switches(self, request: Request) -> Response:
        """All of Mailjet's switches as the form has them."""
        form = await _form(request)
        try:
            self._mailjet.play(Switches() if form.get("clear") else switches_of(form))
        except SwitchFormError as error:
            return self._fault_page(request, problem=str(error))
        return _fault_redirect("Mailjet is as documented." if form.get("clear") else "Mailjet does as you said.")

    async def end_faults(self, _request: Request) -> Response:
        """No fault, no switch that is not as documented."""
        for api in self._apis.values():
            api.plan = FaultPlan()
        self._mailjet.play(Switches())
        return _fault_redirect("Everything works again.")

    async def change_faults(self, request: Request) -> Response:
        """Latency and limit as the form says; one more rule, or none at all."""
        service = request.path_params["service"]
        api = self._apis.get(service)
        if api is None:
            raise HTTPException(404, "There are two APIs here: mailjet and cloudflare.")
        form = await _form(request)
        if form.get("clear"):
            api.plan = FaultPlan()
            return _fault_redirect(f"{service.title()} works again.")
        try:
            api.plan = FaultPlan.parse(_plan(api.plan, form))
        except (FaultPlanError, ValueError) as error:
            return self._fault_page(request, problem=str(error))
        return _fault_redirect(f"{service.title()} does as you said.")

    # Live

    async def events(self, _request: Request) -> Response:
        """What has changed, as it changes."""
        return StreamingResponse(changes(self._marks, lambda: self._closing), media_type="text/event-stream")

    def _marks(self) -> dict[str, object]:
        return {
            "mail": [self._mailjet.mailjet.db.total_changes, self._inbox.mark()],
            "requests": sum(api.log.latest for api in self._apis.values()),
            "dns": self._cloudflare.account.version,
            "faults": [plan.plain() for plan in self._plans().values()],
        }

    def _page(self, request: Request, template: str, title: str, *, status: int = 200, **values: object) -> Response:
        text = self._templates.get_template(template).render(
            title=title, path=request.url.path, trouble=self._trouble(), today=_clock(time.time())[:10], **values
        )
        return HTMLResponse(text, status)

    async def _problem(self, request: Request, error: Exception) -> Response:
        status, detail = (error.status_code, error.detail) if isinstance(error, HTTPException) else (500, "")
        return self._page(request, "problem.html", detail or "Not found", status=status)


def outcome(row: Row) -> str:
    """What became of a letter, in a few words."""
    if row["status"] == "bounce":
        return f"bounced: {row['reply']}"
    if row["status"] == "blocked":
        return "blocked"
    if row["state"] == "delivered":
        return f"delivered to the webhook: {row['answer']}"
    if row["state"] == "failed":
        return f"given up after {row['attempts']} attempts: {row['error']}"
    if row["state"] == "pending":
        return f"to be tried again: {row['error']}" if row["attempts"] else "on its way to the webhook"
    if row["status"] == "queued":
        return "queued"
    return "sent" if row["status"] == "sent" else "received"


def fate(row: Row) -> str:
    """How a letter fares, for the eye: `good`, `bad` or `waits`."""
    if row["status"] in ("bounce", "blocked") or row["state"] == "failed":
        return "bad"
    if row["state"] == "pending" or row["status"] == "queued":
        return "bad" if row["attempts"] else "waits"
    return "good"


def composed(*, to: str, sender: str, name: str, subject: str, text: str) -> bytes:
    """A mail as somebody outside writes it."""
    message = EmailMessage(policy=SMTP)
    shown = " ".join(name.split())
    message["From"] = f'"{re.sub(chr(34), "", shown)}" <{sender}>' if shown else sender
    message["To"] = to
    message["Subject"] = " ".join(subject.split())
    now = datetime.now(UTC)
    message["Date"] = now
    message["Message-ID"] = f"<{now.timestamp():.6f}@{sender.rpartition('@')[2]}>"
    message.set_content(text or "(no text)\n")
    return message.as_bytes()


def _plan(plan: FaultPlan, form: Mapping[str, str]) -> dict[str, object]:
    requests, seconds = form.get("requests", "").strip(), form.get("seconds", "").strip()
    rules: list[object] = [rule.plain() for number, rule in enumerate(plan.rules) if f"keep-{number}" in form]
    if form.get("kind"):
        share = float(form.get("percent", "").strip() or 100) / 100
        rules.append(
            {"kind": form["kind"], "method": "*", "path": form.get("path", "").strip() or "*", "probability": share}
        )
    return {
        "latency_ms": float(form.get("latency_ms", "").strip() or 0),
        "seed": plan.seed,
        "rate_limit": {"requests": int(requests), "seconds": float(seconds or 1)} if requests else None,
        "rules": rules,
    }


def _fault_redirect(said: str) -> Response:
    return RedirectResponse(f"/faults?{urlencode({'said': said})}", 303)


def _pages(
    path: str, text: str, skip: int, shown: int, total: int, *, zone: str = "", size: int = 50
) -> dict[str, str]:
    def at(place: int) -> str:
        pairs = {"zone": zone, "q": text, "skip": str(place) if place else ""}
        return f"{path}?{urlencode({name: value for name, value in pairs.items() if value})}"

    return {"newer": at(max(skip - size, 0)) if skip else "", "older": at(skip + size) if skip + shown < total else ""}


def _download(name: str, octets: bytes) -> Response:
    disposition = f"attachment; filename*=utf-8''{quote(name.rpartition('/')[2][:100], safe='')}"
    return Response(octets, media_type="application/octet-stream", headers={"Content-Disposition": disposition})


def _number(request: Request, name: str) -> int:
    text = request.query_params.get(name, "")
    return int(text) if text.isdecimal() and len(text) < 19 else 0


async def _form(request: Request) -> dict[str, str]:
    """The fields of an ordinary form."""
    from urllib.parse import parse_qsl

    body = await _limited_body(request, LARGEST_FORM)
    return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=200))


async def _limited_body(request: Request, most: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > most:
            raise HTTPException(413, f"That is more than {most} bytes.")
        chunks.append(chunk)
    return b"".join(chunks)


def _clock(moment: float | None) -> str:
    return "" if moment is None else datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _moment(moment: float, today: str) -> Markup:
    """The time of a day; of another day than today with its date. All of it is told to who points at it."""
    whole = _clock(moment)
    date, time_of_day, _ = whole.split()
    shown = time_of_day if date == today else f"{date} {time_of_day}"
    return Markup('<time datetime="{}T{}Z" title="{}">{}</time>').format(date, time_of_day, whole, shown)


def _marked_up(text: str) -> Markup:
    """A docstring in one line, with `names` as code."""
    parts = " ".join(text.split()).split("`")
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if odd % 2 else escape(part) for odd, part in enumerate(parts)
    )
