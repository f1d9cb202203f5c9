"""The inbox's HTTP API: an agent reads its own mailbox and sends from it, the platform reads all.

Whatever a mailbox does not have is a 404 in the same words, whether or not somebody else has it.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal
from urllib.parse import quote

from fastapi import Depends, FastAPI, Header, Path, Query, Request, Response
from fastapi.responses import StreamingResponse
from fastapi.security import HTTPBasic, HTTPBearer
from fastapi.security.utils import get_authorization_scheme_param

from azmail.errors import LoopBoundError
from azmail.gateway.credentials import AgentLogin, Scope
from azmail.gateway.submission import Sources
from azmail.inbox.access import Gate, Viewer, admitted
from azmail.inbox.content import FileRow, file_range, files_of, original, received_mail, sent_view
from azmail.inbox.cursors import EVERYBODY, Cursors
from azmail.inbox.database import Database
from azmail.inbox.documents import (
    EventEntry,
    EventPage,
    InboxState,
    LabelCount,
    LabelList,
    MailboxInfo,
    MailToSend,
    Marks,
    MessageDetail,
    MessageId,
    MessagePage,
    MessageSummary,
    ReplyToSend,
    SentReceipt,
    ThreadId,
    ThreadPage,
    ThreadSummary,
)
from azmail.inbox.guard import CHALLENGE, BodyGuard
from azmail.inbox.outlet import GatewayOutlet, sender_of
from azmail.inbox.problems import MEDIA_TYPE, REFUSAL_SCHEMA, ApiRefusalError, NotThereError, install
from azmail.inbox.queue import HookQueue
from azmail.inbox.reading import MailboxReader, MailRow, Page
from azmail.inbox.removal import delete_mail
from azmail.inbox.watching import Watcher
from azmail.loops import ReplyBound
from azmail.transport import Receipt

HEARTBEAT_SECONDS = 15.0
LONGEST_WAIT_SECONDS = 60
MOST_OF_A_PAGE = 200
MOST_OF_A_THREAD = 500
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


def _described(refusals: dict[int, str]) -> dict[int | str, dict[str, Any]]:
    """{status: when} for the API's page."""
    return {
        status: {"content": {MEDIA_TYPE: {"schema": {"$ref": REFUSAL_SCHEMA}}}, "description": text}
        for status, text in refusals.items()
    }


_REFUSALS = _described(
    {
        400: "The request cannot be read.",
        401: "No credential, or a wrong one.",
        404: "This mailbox has nothing of that name.",
        422: "The request is not as described here.",
        503: "Not now; `Retry-After` says when.",
    }
)
_CHANGING = _REFUSALS | _described({413: "The body is larger than any that is taken."})
_SENDING = _REFUSALS | _described(
    {
        403: "The agent may not write to this recipient.",
        409: "The key was used for another request, or the message is on its way.",
        413: "The message is larger than Mailjet takes.",
        429: "A limit is reached; `Retry-After` says until when.",
        504: "The message may have been sent; it is not sent again.",
    }
)
_BINARY = {"schema": {"type": "string", "format": "binary"}}
_OCTETS: dict[int | str, dict[str, Any]] = {
    200: {"content": {"*/*": _BINARY}, "description": "The file, as the type that it came with."},
    206: {"content": {"*/*": _BINARY}, "description": "The range."},
}

Cursor = Annotated[str | None, Query(max_length=64, description="A cursor: `next` of an earlier answer.")]
Of = Annotated[
    str | None, Query(max_length=255, pattern="^[^\\x00]*$", description="For the platform: of this agent alone.")
]
Key = Annotated[
    str,
    Header(
        alias="Idempotency-Key",
        max_length=255,
        pattern="^[\\x21-\\x7e]*$",
        description="A repetition with the same key is not sent again, and gets the first one's answer.",
    ),
]
Limit = Annotated[int, Query(ge=1, le=MOST_OF_A_PAGE)]


@dataclass(slots=True, kw_only=True)
class InboxService:
    """What the API works with."""

    database: Database
    gate: Gate
    sources: Sources = field(default_factory=Sources)
    reply_bound: ReplyBound = field(default_factory=ReplyBound)
    recheck_seconds: float = 5.0
    """Between two looks whether who follows a mailbox may still do so, and is still there."""


def inbox_api(service: InboxService) -> FastAPI:
    """The app; its page is at /docs, its schema at /openapi.json."""
    app = FastAPI(
        title="azmail inbox",
        version="1",
        description=__doc__,
        redoc_url=None,
        # What a generated client calls its functions.
        generate_unique_id_function=lambda route: route.name,
    )
    install(app)
    app.add_middleware(BodyGuard, gate=service.gate, sources=service.sources)
    database, cursors = service.database, Cursors.of(service.database)
    watcher = Watcher(MailboxReader(database, None))
    basic = HTTPBasic(
        auto_error=False, description="An agent: its id or address, and its `inbox` credential (to send: `send`)."
    )
    bearer = HTTPBearer(auto_error=False, description="The platform: its token.")

    async def knock(request: Request, scope: Scope) -> Viewer:
        header = request.headers.get("authorization", "")
        found = await asyncio.to_thread(admitted, service.gate, header, scope)
        if found is None:
            if get_authorization_scheme_param(header)[0]:
                await asyncio.sleep(service.sources.failed(request.client.host if request.client else "?"))
            raise ApiRefusalError(
                401,
                f"expected an agent's id or address with its {scope.value} credential, or the platform's token",
                CHALLENGE,
            )
        return found

    async def reader_of(request: Request, _b: object = Depends(basic), _t: object = Depends(bearer)) -> Viewer:
        return await knock(request, Scope.INBOX)

    async def author_of(request: Request, _b: object = Depends(basic)) -> AgentLogin:
        found = await knock(request, Scope.SEND)
        assert found.agent is not None  # noqa: S101 -- the platform's token is not admitted to send
        return found.agent

    Reads = Annotated[Viewer, Depends(reader_of)]  # noqa: N806
    Sends = Annotated[AgentLogin, Depends(author_of)]  # noqa: N806

    def mine(viewer: Viewer, agent: str | None = None) -> MailboxReader:
        own = viewer.agent_id
        if own is not None and agent not in (None, own):
            raise NotThereError
        return MailboxReader(database, own if own is not None else agent)

    def paging(viewer: Viewer, after: str | None, before: str | None, limit: int) -> Page:
        mailbox = viewer.agent_id or EVERYBODY
        return Page(
            after=None if after is None else cursors.open(mailbox, after),
            before=None if before is None else cursors.open(mailbox, before),
            limit=limit,
        )

    def sealed(viewer: Viewer, position: int) -> str:
        return cursors.seal(viewer.agent_id or EVERYBODY, position)

    def following(viewer: Viewer, page: Page, rows: list[Any], after: str | None) -> str | None:
        """Where the list goes on: None at the end of what is there, but whoever follows can always go on."""
        if rows and (after is not None or len(rows) == page.limit):
            last: MailRow | Any = rows[-1]
            return sealed(viewer, getattr(last, "newest", last).position)
        return after

    def found(viewer: Viewer, mail: str) -> MailRow:
        row = mine(viewer).mail(mail)
        if row is None:
            raise NotThereError
        return row

    @app.get("/v1/mailbox", tags=["mailbox"], responses=_REFUSALS)
    def mailbox(viewer: Reads) -> MailboxInfo:
        """Whose mailbox it is, what is in it, and the cursor to follow it from now on."""
        reader = mine(viewer)
        newest = reader.mails(Page(limit=1))
        total, unread = reader.counts()
        return MailboxInfo(
            agent=viewer.agent.id if viewer.agent else "",
            address=viewer.agent.address if viewer.agent else "",
            messages=total,
            unread=unread,
            cursor=sealed(viewer, newest[0].position if newest else 0),
        )

    @app.get("/v1/state", tags=["platform"], responses=_REFUSALS)
    def state(viewer: Reads) -> InboxState:
        """What waits for hooks, what they have failed at, and the database's step. For the platform alone."""
        if viewer.agent is not None:
            raise NotThereError
        found, expected = database.steps()
        queue = HookQueue(database).state()
        return InboxState(
            database_step=found or "",
            program_step=expected or "",
            waiting=queue.waiting,
            dead=queue.dead,
            lag_seconds=queue.lag_seconds,
        )

    @app.get("/v1/messages", tags=["messages"], responses=_REFUSALS)
    async def messages(
        request: Request,
        viewer: Reads,
        after: Cursor = None,
        before: Cursor = None,
        limit: Limit = 50,
        wait: Annotated[int, Query(ge=0, le=LONGEST_WAIT_SECONDS, description="With `after`: seconds to wait.")] = 0,
        label: Annotated[str | None, Query(max_length=64, pattern="^[^\\x00]*$")] = None,
        seen: bool | None = None,
        direction: Literal["in", "out"] | None = None,
        agent: Of = None,
    ) -> MessagePage:
        """Newest first, on with `before`; or with `after` what came since, oldest first, waiting for it if asked."""
        reader, page = mine(viewer, agent), paging(viewer, after, before, limit)
        loop = asyncio.get_running_loop()
        until = loop.time() + (wait if after is not None else 0)
        while True:
            mark = watcher.mark()
            rows = await asyncio.to_thread(reader.mails, page, label=label, seen=seen, direction=direction)
            left = until - loop.time()
            if rows or left <= 0:
                shown = [MessageSummary.of(row) for row in rows]
                return MessagePage(messages=shown, next=following(viewer, page, rows, after))
            if not watcher.has_room(reader.agent):
                raise ApiRefusalError(503, "too many are waiting for mail, ask without wait", {"Retry-After": "5"})
            while not await watcher.wait(reader.agent, mark, min(left, service.recheck_seconds)):
                left = until - loop.time()
                if left <= 0 or await request.is_disconnected():
                    return MessagePage(messages=[], next=after)

    @app.get(
        "/v1/messages/stream",
        tags=["messages"],
        responses=_REFUSALS
        | {
            200: {
                "content": {"text/event-stream": {"schema": {"type": "string"}}},
                "description": "Server-sent events.",
            }
        },
        response_class=StreamingResponse,
    )
    async def stream(
        request: Request,
        viewer: Reads,
        after: Cursor = None,
        agent: Of = None,
        last_event_id: Annotated[str | None, Header(max_length=64)] = None,
    ) -> StreamingResponse:
        """Each new message as an event `message`, whose id is a cursor: `Last-Event-ID` goes on where it broke off."""
        reader = mine(viewer, agent)
        begin = last_event_id or after
        if begin is None:
            newest = await asyncio.to_thread(reader.mails, Page(limit=1))
            begin = sealed(viewer, newest[0].position if newest else 0)
        page = paging(viewer, begin, None, 100)
        if not watcher.has_room(reader.agent):
            raise ApiRefusalError(503, "too many are waiting for mail", {"Retry-After": "5"})
        return StreamingResponse(
            events_of(request, viewer, reader, page),
            media_type="text/event-stream",
            headers={"Cache-Control": "no-store"},
        )

    async def events_of(request: Request, viewer: Viewer, reader: MailboxReader, page: Page) -> AsyncIterator[str]:
        loop = asyncio.get_running_loop()
        yield f"id: {sealed(viewer, page.after or 0)}\n: following\n\n"
        spoke = checked = loop.time()
        may_have_come, mark = True, watcher.mark()
        while not await request.is_disconnected():
            if loop.time() - checked >= service.recheck_seconds:
                header = request.headers.get("authorization", "")
                if await asyncio.to_thread(admitted, service.gate, header, Scope.INBOX) is None:
                    return
                checked = loop.time()
            if may_have_come:
                mark = watcher.mark()
                rows = await asyncio.to_thread(reader.mails, page)
                for row in rows:
                    document = MessageSummary.of(row).model_dump_json()
                    yield f"id: {sealed(viewer, row.position)}\nevent: message\ndata: {document}\n\n"
                if rows:
                    page, spoke = Page(after=rows[-1].position, limit=page.limit), loop.time()
                    continue
            if loop.time() - spoke >= HEARTBEAT_SECONDS:
                yield ": here\n\n"
                spoke = loop.time()
            may_have_come = await watcher.wait(reader.agent, mark, min(HEARTBEAT_SECONDS, service.recheck_seconds))

    @app.post("/v1/messages", tags=["sending"], responses=_SENDING, status_code=201)
    def send(author: Sends, mail: MailToSend, key: Key = "") -> SentReceipt:
        """Send from the agent's own address, by the gateway's rules. Takes the agent's `send` credential."""
        outlet = GatewayOutlet(service.gate, author, key, ["mail", mail.model_dump()])
        outgoing = mail.mail()
        outgoing = outgoing.with_custom_id(outgoing.custom_id or outlet.custom_id)
        with sender_of(author, outlet, service.reply_bound) as sender:
            return receipt_of(_bounded(lambda: sender.send(outgoing)))

    @app.post("/v1/messages/{id}/reply", tags=["sending"], responses=_SENDING, status_code=201)
    def reply(author: Sends, id: Annotated[MessageId, Path()], answer: ReplyToSend, key: Key = "") -> SentReceipt:
        """Answer a message that came in, in its thread. Takes the agent's `send` credential."""
        row = MailboxReader(database, author.id).mail(id)
        received = received_mail(database, id, with_files=False) if row and row.direction == "in" else None
        if received is None:
            raise NotThereError
        outlet = GatewayOutlet(service.gate, author, key, ["reply", id, answer.model_dump()])
        with sender_of(author, outlet, service.reply_bound) as sender:
            composed = sender.compose_reply(
                received,
                text=answer.text,
                html=answer.html,
                to_all=answer.to_all,
                attachments=[one.attachment() for one in answer.attachments],
                custom_id=answer.custom_id or outlet.custom_id,
            )
            return receipt_of(_bounded(lambda: sender.send(composed)))

    @app.get("/v1/messages/{id}", tags=["messages"], responses=_REFUSALS)
    def message(viewer: Reads, id: Annotated[MessageId, Path()]) -> MessageDetail:
        """One message, whole but for the content of its files."""
        row = found(viewer, id)
        content = (
            received_mail(database, id, with_files=False)
            if row.direction == "in"
            else sent_view(database, id, row.summary)
        )
        if content is None:
            raise NotThereError
        return MessageDetail.whole(row, content, files_of(database, id))

    @app.patch("/v1/messages/{id}", tags=["messages"], responses=_CHANGING)
    def mark(viewer: Reads, id: Annotated[MessageId, Path()], marks: Marks) -> MessageSummary:
        """Read marks and labels."""
        row = mine(viewer).mark(id, seen=marks.seen, add=marks.add_labels, remove=marks.remove_labels)
        if row is None:
            raise NotThereError
        return MessageSummary.of(row)

    @app.delete("/v1/messages/{id}", tags=["messages"], responses=_CHANGING, status_code=204)
    def remove(viewer: Reads, id: Annotated[MessageId, Path()]) -> None:
        """For good, with its files; a hook that has not had it does not get it any more."""
        if not delete_mail(database, viewer.agent_id, id):
            raise NotThereError

    @app.get(
        "/v1/messages/{id}/original",
        tags=["messages"],
        responses=_REFUSALS | {200: {"content": {"message/rfc822": _BINARY}, "description": "The message as MIME."}},
        response_class=Response,
    )
    def as_mime(viewer: Reads, id: Annotated[MessageId, Path()]) -> Response:
        """As MIME: what came in is rebuilt from what Mailjet posted, what went out is as it was handed over."""
        found(viewer, id)
        mime = original(database, id)
        if mime is None:
            raise NotThereError
        headers = _untrusted(f"{id}.eml") | {"Content-Length": str(mime.octets)}
        return StreamingResponse(mime.content, media_type="message/rfc822", headers=headers)

    @app.get(
        "/v1/messages/{id}/attachments/{part}",
        tags=["messages"],
        responses=_REFUSALS | _OCTETS | _described({416: "The file has no such range."}),
        response_class=StreamingResponse,
    )
    def attachment(
        viewer: Reads,
        id: Annotated[MessageId, Path()],
        part: Annotated[int, Path(ge=1, le=1_000_000)],
        range_: Annotated[str | None, Header(alias="Range", max_length=100)] = None,
    ) -> Response:
        """A file, or a range of it. Its type and name are the sender's: nothing in it is to be trusted."""
        found(viewer, id)
        file = next((one for one in files_of(database, id) if one.part == part), None)
        if file is None:
            raise NotThereError
        return _file_response(file, range_, lambda begin, end: file_range(database, id, part, begin, end))

    @app.get("/v1/threads", tags=["threads"], responses=_REFUSALS)
    def threads(viewer: Reads, before: Cursor = None, limit: Limit = 50, agent: Of = None) -> ThreadPage:
        """By In-Reply-To and References, for answers without either by subject and correspondent."""
        page = paging(viewer, None, before, limit)
        rows = mine(viewer, agent).threads(page)
        return ThreadPage(threads=[ThreadSummary.of(row) for row in rows], next=following(viewer, page, rows, None))

    @app.get("/v1/threads/{id}", tags=["threads"], responses=_REFUSALS)
    def thread(
        viewer: Reads,
        id: Annotated[ThreadId, Path()],
        before: Cursor = None,
        limit: Limit = 50,
        agent: Of = None,
    ) -> MessagePage:
        """A conversation's messages, sent ones too, newest first."""
        page = paging(viewer, None, before, limit)
        rows = mine(viewer, agent).mails(page, thread=int(id, 16))
        if not rows and before is None:
            raise NotThereError
        return MessagePage(messages=[MessageSummary.of(row) for row in rows], next=following(viewer, page, rows, None))

    @app.get("/v1/search", tags=["messages"], responses=_REFUSALS)
    def search(
        viewer: Reads,
        q: Annotated[str, Query(min_length=1, max_length=500, description="Words; `word*` is how one begins.")],
        before: Cursor = None,
        limit: Limit = 50,
        agent: Of = None,
    ) -> MessagePage:
        """Messages that have all the words in subject, names, addresses, names of files or text, newest first."""
        page = paging(viewer, None, before, limit)
        rows = mine(viewer, agent).search(q, page)
        return MessagePage(messages=[MessageSummary.of(row) for row in rows], next=following(viewer, page, rows, None))

    @app.get("/v1/labels", tags=["messages"], responses=_REFUSALS)
    def labels(viewer: Reads, agent: Of = None) -> LabelList:
        """All labels in use."""
        return LabelList(
            labels=[LabelCount(label=name, messages=count) for name, count in mine(viewer, agent).labels()]
        )

    @app.get("/v1/events", tags=["sending"], responses=_REFUSALS)
    def events(
        viewer: Reads, after: Cursor = None, before: Cursor = None, limit: Limit = 50, agent: Of = None
    ) -> EventPage:
        """Bounces, blocks and complaints about what the agent sent."""
        page = paging(viewer, after, before, limit)
        rows = mine(viewer, agent).events(page)
        return EventPage(events=[EventEntry.of(row) for row in rows], next=following(viewer, page, rows, after))

    return app


def receipt_of(receipt: Receipt) -> SentReceipt:
    return SentReceipt(
        custom_id=receipt.custom_id or "",
        recipients=list(receipt.recipients),
        left_out=list(receipt.left_out),
        answer=receipt.answer,
    )


def _bounded(send: Any) -> Receipt:
    try:
        receipt: Receipt = send()
    except LoopBoundError as error:
        raise ApiRefusalError(429, str(error)[:500], {"Retry-After": str(int(error.wait) + 1)}) from None
    return receipt


def _file_response(file: FileRow, wanted: str | None, read: Any) -> Response:
    headers = _untrusted(file.filename or "attachment") | {"Accept-Ranges": "bytes"}
    match = _RANGE.fullmatch(wanted or "")
    # Several ranges, or what is none, may be answered with the whole (RFC 9110, 14.2).
    if match is None or not (match[1] or match[2]):
        content: Iterator[bytes] = read(0, file.octets)
        return StreamingResponse(
            content, media_type=file.content_type, headers=headers | {"Content-Length": str(file.octets)}
        )
    if match[1]:
        begin, end = int(match[1]), min(int(match[2]) + 1 if match[2] else file.octets, file.octets)
    else:
        begin, end = max(0, file.octets - int(match[2])), file.octets
    if begin >= end:
        raise ApiRefusalError(416, "the file has no such range", {"Content-Range": f"bytes */{file.octets}"})
    headers |= {"Content-Range": f"bytes {begin}-{end - 1}/{file.octets}", "Content-Length": str(end - begin)}
    return StreamingResponse(read(begin, end), 206, media_type=file.content_type, headers=headers)


def _untrusted(filename: str) -> dict[str, str]:
    """A browser must save what a stranger sent, and never show it as a page of ours."""
    return {
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(filename, safe='')}",
        "Content-Security-Policy": "sandbox; default-src 'none'",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "private, no-store",
    }
