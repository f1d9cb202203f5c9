"""One named sender address, for instance the platform's own notifications.

On a validated domain Mailjet activates it at once. Elsewhere Mailjet mails a link to the address, and somebody has
to open it: the resource says so and does not wait, since that mail may need the very routes of this stack.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import pulumi
from pulumi.dynamic import CheckResult, CreateResult, DiffResult, ReadResult, Resource, UpdateResult

from clients.mailjet.api import SenderRow, SenderStatus
from clients.mailjet.errors import SenderNotRevivedError
from mailboxes import remedies
from providers.mailjet import plugin
from providers.mailjet.base_provider import (
    MailjetProvider,
    Props,
    changed,
    check_result,
    declared,
    flag,
    known,
    own,
    text,
    unchanged_or,
    vanished,
)
from providers.mailjet.senders import delete_sender, ensure_sender, find_live_sender

_INPUTS = ("email", "display_name", "email_type", "delete_sender")
_EMAIL_TYPES = ("transactional", "bulk", "unknown")


@dataclass(frozen=True, kw_only=True)
class SenderArgs:
    """`email_type`: transactional, bulk or unknown; informative to Mailjet. Like a domain's, the sender stays at
    Mailjet after a destroy unless `delete_sender` is set."""

    email: pulumi.Input[str]
    display_name: pulumi.Input[str]
    email_type: pulumi.Input[str] = "transactional"
    delete_sender: pulumi.Input[bool] = False


class SenderProvider(MailjetProvider):
    """Adopts, revives or creates; the address itself cannot change."""

    def check(self, _olds: Props, news: Props) -> CheckResult:
        wrong = []
        email, email_type = news.get("email"), news.get("email_type")
        if known(email) and not (isinstance(email, str) and email.count("@") == 1 and "*" not in email):
            wrong.append(f"email is {email!r}, expected one address such as notifications@agents.example: correct it.")
        if known(email_type) and email_type not in _EMAIL_TYPES:
            wrong.append(f"email_type is {email_type!r}, expected one of {', '.join(_EMAIL_TYPES)}: correct it.")
        plugin.claim(senders=[text(news, "email")])
        return check_result(news, wrong)

    def diff(self, _id: str, _olds: Props, _news: Props) -> DiffResult:
        return unchanged_or(changed(_olds, _news, _INPUTS), replaces=["email"])

    def create(self, props: Props) -> CreateResult:
        process = plugin.current()
        email = text(props, "email")
        process.sender_claims.claim([email])
        name, email_type = text(props, "display_name"), text(props, "email_type") or "transactional"
        sender = ensure_sender(process, email, name=name, email_type=email_type)
        if sender.status is SenderStatus.DELETED:
            raise SenderNotRevivedError(email, detail="neither validation nor a change restores it")
        if (sender.name, sender.email_type) != (name, email_type):
            sender = _rename(process, sender, name=name, email_type=email_type)
        if sender.status is SenderStatus.INACTIVE:
            sender = _activate(process, sender)
        return CreateResult(email, _outputs(props, sender))

    def read(self, id_: str, props: Props) -> ReadResult:
        sender = find_live_sender(plugin.current(), text(props, "email"))
        if sender is None:
            return vanished()
        inputs = own(props, _INPUTS) | {"display_name": sender.name, "email_type": sender.email_type}
        return ReadResult(id_, _outputs(inputs, sender), inputs)

    def update(self, _id: str, _olds: Props, _news: Props) -> UpdateResult:
        return UpdateResult(self.create(_news).outs)

    def delete(self, _id: str, _props: Props) -> None:
        if flag(_props, "delete_sender"):
            delete_sender(plugin.current(), text(_props, "email"))


class Sender(Resource, module="mailjet", name="Sender"):
    """A sender address. `status` is Active, or Inactive until its confirmation mail has been answered."""

    email: pulumi.Output[str]
    display_name: pulumi.Output[str]
    email_type: pulumi.Output[str]
    delete_sender: pulumi.Output[bool]
    sender_id: pulumi.Output[int]
    status: pulumi.Output[str]

    def __init__(self, name: str, args: SenderArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        props = declared(args, "sender_id", "status")
        super().__init__(SenderProvider(), name, props, opts)


def _rename(process: plugin.PluginProcess, sender: SenderRow, *, name: str, email_type: str) -> SenderRow:
    renamed = replace(sender, name=name, email_type=email_type)

    def write() -> SenderRow:
        process.api.rename_sender(sender.id, name=name, email_type=email_type)
        return renamed

    def look() -> SenderRow | None:
        now = process.api.sender(sender.id)
        return now if now is not None and (now.name, now.email_type) == (name, email_type) else None

    return process.client.ensure(write=write, look=look)


def _activate(process: plugin.PluginProcess, sender: SenderRow) -> SenderRow:
    """Ask once; on a validated domain that is enough."""

    def write() -> SenderRow:
        process.api.validate_sender(sender.id)
        return process.api.sender(sender.id) or sender

    def look() -> SenderRow | None:
        now = process.api.sender(sender.id)
        return now if now is not None and now.status is SenderStatus.ACTIVE else None

    now = process.client.ensure(write=write, look=look)
    if now.status is not SenderStatus.ACTIVE:
        process.engine.warn(
            f"sender {sender.email} is {now.status}: Mailjet has sent a mail to this address, and somebody has to open "
            f"the link in it; then `{remedies.refresh()}` records the sender as Active."
        )
    return now


def _outputs(props: Props, sender: SenderRow) -> Props:
    return {**own(props, _INPUTS), "sender_id": sender.id, "status": sender.status.value}
