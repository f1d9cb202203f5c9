"""Finds, creates or revives a sender. Deletion is soft at Mailjet, and a deleted sender blocks its address."""

from __future__ import annotations

from collections.abc import Callable

from clients.mailjet.api import SenderRow, SenderStatus
from clients.mailjet.errors import AlreadyExistsError, RefusedError
from providers.mailjet.plugin import PluginProcess


def find_live_sender(process: PluginProcess, email: str) -> SenderRow | None:
    """The sender unless it is absent or soft-deleted."""
    sender = process.api.sender(email)
    return None if sender is None or sender.status is SenderStatus.DELETED else sender


def ensure_sender(process: PluginProcess, email: str, *, name: str, email_type: str) -> SenderRow:
    """The sender, whatever stood there before. Its first call is a GET.

    A sender that Mailjet keeps deleted for now is returned as such: a domain's may come back when it is validated.
    """
    api = process.api
    sender = api.sender(email)
    if sender is None:
        try:
            sender = process.client.ensure(
                write=lambda: api.create_sender(email, name=name, email_type=email_type),
                look=lambda: api.sender(email),
            )
        except AlreadyExistsError:
            sender = api.hidden_sender(email)
            if sender is None:
                raise
    if sender.status is SenderStatus.DELETED:
        return _revive(process, sender, name=name, email_type=email_type)
    return sender


def _revive(process: PluginProcess, sender: SenderRow, *, name: str, email_type: str) -> SenderRow:
    """Validation restores a deleted sender according to Mailjet's staff, a PUT according to one client: both."""
    api = process.api

    def validate() -> None:
        api.validate_sender(sender.id)

    def rename() -> None:
        api.rename_sender(sender.id, name=name, email_type=email_type)

    def live() -> SenderRow | None:
        now = api.sender(sender.id)
        return now if now is not None and now.status is not SenderStatus.DELETED else None

    def attempt(step: Callable[[], None]) -> SenderRow | None:
        def write() -> SenderRow | None:
            step()
            return live()

        try:
            return process.client.ensure(write=write, look=live)
        except RefusedError:
            return None

    for step in (validate, rename, validate):
        revived = attempt(step)
        if revived is not None:
            return revived
    return sender


def delete_sender(process: PluginProcess, email: str) -> None:
    """Deletes a live sender, unless this run has claimed it."""
    api = process.api
    with process.sender_claims.deleting(email) as allowed:
        sender = find_live_sender(process, email) if allowed else None
        if sender is None:
            return
        sender_id = sender.id
        process.client.remove(
            delete=lambda: api.delete_sender(sender_id), gone=lambda: find_live_sender(process, email) is None
        )
