"""`POST /v3.1/send`: validation with Mailjet's error codes, sandbox replies, and the message itself."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from email.headerregistry import Address
from email.message import EmailMessage, Message
from email.policy import SMTP
from typing import Any
from uuid import uuid4

from starlette.responses import JSONResponse, Response

from emulators.mailjet.messages import SentMessage, Via
from emulators.mailjet.post_office import PostOffice
from emulators.mailjet.senders import Senders, split_address
from emulators.mailjet.state import ApiKey, MailjetState
from emulators.mailjet.tracking import tracked_html

MOST_MESSAGES = 50
MOST_RECIPIENTS = 50
LONGEST_SUBJECT = 255
LONGEST_CUSTOM_ID = 64
LARGEST_ATTACHMENTS = 15 * 1024 * 1024
TRACKING = ("account_default", "disabled", "enabled")
_OPAQUE = "application/x-emulator-"
MESSAGE_URL = "https://api.mailjet.com/v3/REST/message/{}"

UNAUTHORIZED = (
    "API key authentication/authorization failure. You may be unauthorized to access the API or your API key"
    " may be expired. Visit API keys management section to check your keys."
)
# In-Reply-To and References may be set, Message-Id may not.
FORBIDDEN_HEADERS = frozenset(
    [
        "from",
        "sender",
        "subject",
        "to",
        "cc",
        "bcc",
        "return-path",
        "delivered-to",
        "dkim-signature",
        "domainkey-status",
        "received-spf",
        "authentication-results",
        "received",
        "x-mailjet-prio",
        "x-mailjet-debug",
        "user-agent",
        "x-mailer",
        "x-mj-customid",
        "x-mj-errormessage",
        "x-mj-eventpayload",
        "x-mj-mid",
        "x-mj-processingid",
        "x-mj-templatelanguage",
        "x-mj-vars",
        "x-mj-workflowid",
        "x-feedback-id",
        "x-mailjet-segmentation",
        "list-id",
        "x-mj-id",
        "x-mj-statisticscontactslistid",
        "x-csa-complaints",
        "date",
        "message-id",
        "reply-to",
        "content-type",
        "content-transfer-encoding",
        "mime-version",
    ]
)
PROPERTIES: dict[str, type | tuple[type, ...]] = {
    "From": dict,
    "Sender": dict,
    "To": list,
    "Cc": list,
    "Bcc": list,
    "ReplyTo": dict,
    "Subject": str,
    "TextPart": str,
    "HTMLPart": str,
    "TemplateID": int,
    "TemplateLanguage": bool,
    "TemplateErrorReporting": dict,
    "TemplateErrorDeliver": bool,
    "Attachments": list,
    "InlinedAttachments": list,
    "Priority": int,
    "CustomCampaign": str,
    "DeduplicateCampaign": bool,
    "TrackOpens": str,
    "TrackClicks": str,
    "CustomID": str,
    "EventPayload": str,
    "MonitoringCategory": str,
    "URLTags": str,
    "Headers": dict,
    "Variables": dict,
}


@dataclass(frozen=True)
class MessageProblem:
    """One reason why a message is refused."""

    code: str
    message: str
    related_to: tuple[str, ...] = field(default=())
    status: int = 400

    def plain(self) -> dict[str, object]:
        """As Mailjet reports it."""
        return {
            "ErrorIdentifier": str(uuid4()),
            "ErrorCode": self.code,
            "StatusCode": self.status,
            "ErrorMessage": self.message,
            "ErrorRelatedTo": list(self.related_to),
        }


class SendApi:
    """Send API v3.1."""

    def __init__(self, state: MailjetState, senders: Senders, office: PostOffice) -> None:
        self._state = state
        self._senders = senders
        self._office = office

    async def answer(self, key: ApiKey | None, body: bytes) -> Response:
        """The answer to a request with this body."""
        if key is None:
            refusal = {"ErrorIdentifier": str(uuid4()), "StatusCode": 401, "ErrorMessage": UNAUTHORIZED}
            return JSONResponse(refusal, 401)
        try:
            given = json.loads(body)
            json.dumps(given, ensure_ascii=False).encode()  # half a surrogate pair is no text
        except (ValueError, RecursionError):
            return _refused(MessageProblem("mj-0002", "Malformed JSON, please review the syntax and properties types."))
        if not isinstance(given, dict):
            return _refused(MessageProblem("mj-0002", "Malformed JSON, please review the syntax and properties types."))
        problem = _outline_problem(given)
        if problem is not None:
            return JSONResponse({"Errors": [problem.plain()], "Messages": []}, problem.status)
        merged = [{**given.get("Globals", {}), **message} for message in given["Messages"]]
        for message in merged:
            mistyped = next(_mistyped(message), None)
            if mistyped is not None:
                return _refused(mistyped)
        sandbox = given.get("SandboxMode") in (True, "true")
        results = [await self._message(key, message, sandbox=sandbox) for message in merged]
        refused = [result for result in results if result["Status"] != "success"]
        status = 200
        if len(refused) == len(results):
            status = int(refused[0]["Errors"][0]["StatusCode"])
        elif refused:
            status = self._state.switches.some_refused_status
        return JSONResponse({"Messages": results}, status)

    async def _message(self, key: ApiKey, given: Mapping[str, Any], *, sandbox: bool) -> dict[str, Any]:
        problems = list(_problems(given))
        address = given.get("From", {}).get("Email", "")
        unregistered = not problems and not self._senders.may_send(key, address)
        if unregistered and self._state.switches.unregistered_from == "refused":
            text = f'"{address}" is not an authorized sender email address for your account.'
            problems.append(MessageProblem("send-0008", text, ("From.Email",), 403))
        if problems:
            return {"Status": "error", "Errors": [problem.plain() for problem in problems]}
        recipients = {name: [to["Email"] for to in given.get(name, [])] for name in ("To", "Cc", "Bcc")}
        result: dict[str, Any] = {"Status": "success", "CustomID": given.get("CustomID", "")}
        result |= {name: [_sandbox_id(email) for email in emails] for name, emails in recipients.items()}
        if not sandbox:
            # An address in To, Cc and Bcc has three ids.
            everyone = [email for emails in recipients.values() for email in emails]
            if self._state.switches.track_by_default:
                given = tracked(given)
            sent = await self._office.submit(
                key,
                composed(given),
                everyone,
                via=Via.API,
                custom_id=given.get("CustomID", ""),
                event_payload=given.get("EventPayload", ""),
                blocked=unregistered,
            )
            numbered = iter(sent)
            result |= {name: [_sent_id(next(numbered)) for _ in emails] for name, emails in recipients.items()}
        return result


def _refused(problem: MessageProblem) -> Response:
    return JSONResponse(problem.plain(), problem.status)


def _sandbox_id(email: str) -> dict[str, object]:
    return {"Email": email, "MessageUUID": "", "MessageID": 0, "MessageHref": MESSAGE_URL.format(0)}


def _sent_id(message: SentMessage) -> dict[str, object]:
    return {
        "Email": message.recipient,
        "MessageUUID": message.uuid,
        "MessageID": message.id,
        "MessageHref": MESSAGE_URL.format(message.id),
    }


def _outline_problem(given: Mapping[str, Any]) -> MessageProblem | None:
    messages = given.get("Messages")
    if messages is None:
        return MessageProblem("mj-0003", "Missing mandatory property.", ("Messages",))
    if not isinstance(messages, list) or not all(isinstance(message, dict) for message in messages):
        return MessageProblem("mj-0004", 'Type mismatch. Expected type "Messages".', ("Messages",))
    if not isinstance(given.get("Globals", {}), dict):
        return MessageProblem("mj-0004", 'Type mismatch. Expected type "Globals".', ("Globals",))
    if not messages:
        return MessageProblem("mj-0007", "The array must not be empty.", ("Messages",))
    if len(messages) > MOST_MESSAGES:
        return MessageProblem(
            "mj-0008", f"The array must not contain more than {MOST_MESSAGES} elements.", ("Messages",)
        )
    unknown = [name for name in given if name not in ("Messages", "Globals", "SandboxMode", "AdvanceErrorHandling")]
    if unknown:
        return MessageProblem("mj-0001", "Unknown property.", tuple(unknown))
    return None


def _mistyped(given: Mapping[str, Any]) -> Iterator[MessageProblem]:
    for name, value in given.items():
        expected = PROPERTIES.get(name)
        wrong = expected is not None and not isinstance(value, expected)
        if expected is int and isinstance(value, bool):
            wrong = True
        if wrong:
            kind = {"From": "emailIn", "Sender": "emailIn", "ReplyTo": "emailIn"}.get(name, _type_name(expected))
            yield MessageProblem("mj-0004", f'Type mismatch. Expected type "{kind}".', (f"Messages.{name}",))
    for name in ("To", "Cc", "Bcc"):
        if isinstance(given.get(name), list) and not all(isinstance(to, dict) for to in given[name]):
            yield MessageProblem("mj-0004", 'Type mismatch. Expected type "emailIn".', (f"Messages.{name}",))
    for name in ("Attachments", "InlinedAttachments"):
        if isinstance(given.get(name), list) and not all(isinstance(one, dict) for one in given[name]):
            yield MessageProblem("mj-0004", 'Type mismatch. Expected type "attachment".', (f"Messages.{name}",))


def _type_name(expected: object) -> str:
    names = {str: "string", int: "integer", bool: "boolean", dict: "object", list: "array"}
    return names.get(expected, "object")  # type: ignore[call-overload, no-any-return]


def _problems(given: Mapping[str, Any]) -> Iterator[MessageProblem]:
    for name in given:
        if name not in PROPERTIES:
            yield MessageProblem("mj-0001", f'Unknown property "{name}".', (name,))
    yield from _address_problems(given)
    if not any(given.get(name) for name in ("TextPart", "HTMLPart", "TemplateID")):
        text = 'At least "HTMLPart", "TextPart" or "TemplateID" must be provided.'
        yield MessageProblem("send-0003", text, ("HTMLPart", "TextPart"))
    if len(given.get("Subject", "")) > LONGEST_SUBJECT:
        yield MessageProblem(
            "mj-0006", f"The string must not be longer than {LONGEST_SUBJECT} characters.", ("Subject",)
        )
    for name in ("TrackOpens", "TrackClicks"):
        if given.get(name, TRACKING[0]) not in TRACKING:
            yield MessageProblem("mj-0005", f"The value must be one of {', '.join(TRACKING)}.", (name,))
    for name, value in given.get("Headers", {}).items():
        if name.lower() in FORBIDDEN_HEADERS:
            yield MessageProblem("send-0011", f'Header "{name}" is not allowed to be set.', (f"Headers.{name}",))
        elif not isinstance(value, str):
            yield MessageProblem("mj-0004", 'Type mismatch. Expected type "string".', (f"Headers.{name}",))
    if len(given.get("CustomID", "")) > LONGEST_CUSTOM_ID:
        text = f"The string must not be longer than {LONGEST_CUSTOM_ID} characters."
        yield MessageProblem("mj-0006", text, ("CustomID",))
    yield from _attachment_problems(given)


def _address_problems(given: Mapping[str, Any]) -> Iterator[MessageProblem]:
    if "From" not in given:
        yield MessageProblem("mj-0003", "Missing mandatory property.", ("From",))
    if not given.get("To"):
        code, text = (
            ("mj-0007", "The array must not be empty.") if "To" in given else ("mj-0003", "Missing mandatory property.")
        )
        yield MessageProblem(code, text, ("To",))
    places = [(name, given[name]) for name in ("From", "Sender", "ReplyTo") if name in given]
    count = 0
    for name in ("To", "Cc", "Bcc"):
        for index, recipient in enumerate(given.get(name, [])):
            places.append((f"{name}[{index}]", recipient))
            count += 1
    if count > MOST_RECIPIENTS:
        yield MessageProblem(
            "send-0015", f"The message has more than {MOST_RECIPIENTS} recipients.", ("To", "Cc", "Bcc")
        )
    for place, one in places:
        email = one.get("Email")
        if email is None:
            yield MessageProblem("mj-0003", "Missing mandatory property.", (f"{place}.Email",))
        elif not isinstance(email, str):
            yield MessageProblem("mj-0004", 'Type mismatch. Expected type "string".', (f"{place}.Email",))
        elif email == "":
            yield MessageProblem("mj-0012", "The string must not be empty.", (f"{place}.Email",))
        elif split_address(email) is None or email.startswith("*@"):
            yield MessageProblem("mj-0013", f'"{email}" is an invalid email address.', (f"{place}.Email",))
        if not isinstance(one.get("Name", ""), str):
            yield MessageProblem("mj-0004", 'Type mismatch. Expected type "string".', (f"{place}.Name",))


def _attachment_problems(given: Mapping[str, Any]) -> Iterator[MessageProblem]:
    size = 0
    for name in ("Attachments", "InlinedAttachments"):
        for index, attachment in enumerate(given.get(name, [])):
            place = f"{name}[{index}]"
            wanted = ["ContentType", "Filename", "Base64Content"]
            missing = [key for key in wanted if key not in attachment]
            mistyped = [key for key in wanted if not isinstance(attachment.get(key, ""), str)]
            for key in missing:
                yield MessageProblem("mj-0003", "Missing mandatory property.", (f"{place}.{key}",))
            for key in mistyped:
                yield MessageProblem("mj-0004", 'Type mismatch. Expected type "string".', (f"{place}.{key}",))
            if missing or mistyped:
                continue
            if not attachment["Filename"]:
                yield MessageProblem("mj-0012", "The string must not be empty.", (f"{place}.Filename",))
            try:
                size += len(base64.b64decode(attachment["Base64Content"].rstrip("\r\n"), validate=True))
            except (binascii.Error, ValueError):
                yield MessageProblem("mj-0014", "The value is not valid base64.", (f"{place}.Base64Content",))
    if size > LARGEST_ATTACHMENTS:
        yield MessageProblem("mj-0011", "The attachments are larger than 15 MB.", ("Attachments", "InlinedAttachments"))


def tracked(given: Mapping[str, Any]) -> Mapping[str, Any]:
    """The properties with what the account tracks, unless they say `disabled`."""
    clicks, opens = (given.get(name, TRACKING[0]) != "disabled" for name in ("TrackClicks", "TrackOpens"))
    html = given.get("HTMLPart", "")
    return {**given, "HTMLPart": tracked_html(html, opens=opens, clicks=clicks)} if html else given


def composed(given: Mapping[str, Any]) -> bytes:
    """The message that the properties describe, as octets.

    Parts of type message/* are written under another type and renamed: the standard library wants them parsed.
    """
    octets = compose(given).as_bytes(policy=SMTP)
    for attachment in (*given.get("Attachments", []), *given.get("InlinedAttachments", [])):
        kind = _media_type(attachment)
        octets = octets.replace(f"{_OPAQUE}{kind.replace('/', '.')}".encode(), kind.encode())
    return octets


def _media_type(attachment: Mapping[str, Any]) -> str:
    return str(attachment["ContentType"]).partition(";")[0].strip().lower()


def compose(given: Mapping[str, Any]) -> EmailMessage:
    """The message that the properties describe."""
    message = EmailMessage(policy=SMTP)
    message["From"] = _address(given["From"])
    for name in ("To", "Cc"):
        if given.get(name):
            message[name] = tuple(_address(one) for one in given[name])
    if "Sender" in given:
        message["Sender"] = _address(given["Sender"])
    if "ReplyTo" in given:
        message["Reply-To"] = _address(given["ReplyTo"])
    message["Subject"] = _one_line(given.get("Subject", ""))
    for name, value in given.get("Headers", {}).items():
        message[name] = _one_line(value)
    text, html = given.get("TextPart"), given.get("HTMLPart")
    if text or not html:
        message.set_content(text or f"(template {given.get('TemplateID')})")
    if html and text:
        message.add_alternative(html, subtype="html")
    elif html:
        message.set_content(html, subtype="html")
    for attachment in given.get("InlinedAttachments", []):
        _attach(message, attachment, inline=True)
    for attachment in given.get("Attachments", []):
        _attach(message, attachment, inline=False)
    return message


def _attach(message: EmailMessage, attachment: Mapping[str, Any], *, inline: bool) -> None:
    content = base64.b64decode(attachment["Base64Content"])
    kind = _media_type(attachment)
    if kind.startswith("message/"):
        kind = _OPAQUE + kind.replace("/", ".")
    maintype, _, subtype = kind.partition("/")
    header = Message()
    header["Content-Type"] = attachment["ContentType"]
    parameters = {name: value for name, value in header.get_params(failobj=[])[1:] if name.lower() != "name"}
    options: dict[str, Any] = {"filename": attachment["Filename"], "disposition": "attachment", "params": parameters}
    if inline:
        options |= {"disposition": "inline", "cid": f"<{attachment.get('ContentID') or attachment['Filename']}>"}
    root = message.get_body(("html",)) if inline else None
    if isinstance(root, EmailMessage) and root is not message:
        root.add_related(content, maintype=maintype or "application", subtype=subtype or "octet-stream", **options)
    elif inline:
        message.add_related(content, maintype=maintype or "application", subtype=subtype or "octet-stream", **options)
    else:
        message.add_attachment(
            content, maintype=maintype or "application", subtype=subtype or "octet-stream", **options
        )


def _address(one: Mapping[str, Any]) -> Address:
    return Address(display_name=_one_line(one.get("Name", "")), addr_spec=one["Email"])


def _one_line(text: str) -> str:
    return " ".join(text.splitlines())
